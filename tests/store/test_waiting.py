"""Who waits before a job is counted as the scheduler would take them, over random lines on real files."""

from __future__ import annotations

import asyncio
import random

import pytest

from batchyard.model import ids
from batchyard.model.events import AttemptEnded, Ending, JobSubmitted, ProviderSized, QueueChanged
from batchyard.model.jobs import RetryPolicy
from batchyard.model.needs import Needs
from batchyard.model.shares import SharePolicy
from batchyard.model.shown import LineShown, Starts, line_name, verdict_name
from batchyard.model.states import RUNNABLE
from batchyard.model.verdicts import VCPU, Kind, Obstacle, PlaceVerdict, Short, Verdict
from batchyard.scheduler import ordering
from batchyard.scheduler.scheduler import Scheduler
from batchyard.store.commits import SqliteCommits
from batchyard.store.intake import SqliteIntake
from batchyard.store.reader import SqliteReader
from tests.store import asking

POLICY = 1  # the number of a scheduling policy
FAULT = Ending(1, "Essential container in task exited", None, 1, 2)


class Line:
    """A scheduler over real files that starts a few jobs at a time, whose attempts fail."""

    def __init__(self, data, seed: int, shared: bool = False):
        self.shared = shared
        self.chance = random.Random(seed)
        self.commits, self.reader = SqliteCommits(data), SqliteReader(data)
        self.scheduler = Scheduler()
        self.scheduler.state.share_policies[POLICY] = SharePolicy()
        self.now_ms = 10
        self.turn([ProviderSized("local", Needs(2000, 10_000))])

    def turn(self, events) -> None:
        more = True
        while more:
            self.now_ms += 1
            decision = self.scheduler.turn(self.now_ms, events)
            self.commits.commit(self.now_ms, decision.facts)
            events, more = [], decision.more

    def take_requests(self) -> None:
        events = self.commits.requests(self.scheduler.applied_seq, 1000, self.scheduler.holds)
        self.turn([self._in_share(event) for event in events] if self.shared else events)

    def _in_share(self, event):
        """Queues have a policy, and jobs a share and a priority."""
        if isinstance(event, QueueChanged):
            return event._replace(policy=POLICY)
        if isinstance(event, JobSubmitted):
            return event._replace(share=self.chance.choice("abc"), priority=self.chance.choice([0, 0, 5, 9]))
        return event

    def fail_some(self) -> None:
        """Some attempts fail, and are tried again if they may be."""
        opened = [(job, index, each) for job in self.scheduler.state.jobs.values() for index, each in job.opens()]
        for job, index, each in opened:
            if self.chance.random() < 0.7:
                self.turn([AttemptEnded(job.seq, index, each.number, FAULT)])

    def in_order(self) -> list[tuple[object, str, int]]:
        """Whoever waits, as (line, uuid, index), line by line, in the order in which the scheduler would go on."""
        state = self.scheduler.state
        lines = [queue.line for queue in state.queues.values()]
        lines += [share.line for queue in state.queues.values() for share in queue.shares.values()]
        return [(id(line), job.uuid, index) for line in lines for job, index in ordering.waiting(state, line)]

    def close(self) -> None:
        self.commits.close()
        self.reader.close()


@pytest.mark.parametrize("shared", [False, True], ids=["one line", "shares"])
@pytest.mark.parametrize("seed", range(10))
def test_ahead_of_a_job_are_those_that_the_scheduler_would_take_first(data, seed, shared):
    line = Line(data, seed, shared)
    chance = random.Random(seed)

    async def ask(rounds: int) -> None:
        intake = SqliteIntake(data)
        yard = await asking.furnish(intake, data)
        other = await intake.create_queue(asking.queue([yard.environment], "other"))
        for _ in range(rounds):
            for _ in range(chance.randrange(6)):
                await intake.submit(
                    asking.job(
                        yard._replace(queue=chance.choice([yard.queue, other])),
                        size=chance.choice([0, 0, 0, 2, 5]),
                        retry=RetryPolicy(chance.choice([1, 3, 5])),
                    )
                )
            line.take_requests()
            line.fail_some()
        await intake.close()

    asyncio.run(ask(8))
    places: dict[object, int] = {}
    for where, uuid, index in line.in_order():
        row = line.reader.job(asking.REGION, uuid, index)
        assert row is not None and row.status == RUNNABLE
        found = line.reader.waiting(row)
        assert found.ahead == places.setdefault(where, 0), f"{uuid}:{index}"
        assert (found.share is not None) == shared
        places[where] += 1
    line.close()


VERDICT = Verdict(
    Kind.MAXIMUM_BELOW, (PlaceVerdict(1, (Obstacle(Kind.MAXIMUM_BELOW, (Short(VCPU, 8000, 4000),)),)),), (), 0
)
LINE = LineShown(("u", ids.WHOLE), Starts(5, ((0, 3),)))


def test_what_the_engine_shows_comes_out_as_it_went_in(ask, commits, reader):
    async def story(intake, yard):
        return yard, await intake.submit(asking.job(yard))

    yard, uuid = ask(story)
    row = reader.job(asking.REGION, uuid, ids.WHOLE)
    found = reader.waiting(row)
    assert (found.needs, found.ahead, found.verdict, found.line) == (asking.NEEDS, 0, None, None)
    assert reader.verdict(row) is None
    assert commits.show(7, {verdict_name(yard.queue, asking.NEEDS): VERDICT, line_name(yard.queue): LINE})
    found = reader.waiting(row)
    assert found.verdict == (7, VERDICT) and reader.verdict(row) == (asking.NEEDS, (7, VERDICT))
    assert found.line == (7, LINE)
    commits.show(8, {line_name(yard.queue): None})
    assert reader.waiting(row).line is None and reader.waiting(row).verdict is not None


def test_an_engine_that_starts_takes_away_what_another_one_showed(data, commits, reader):
    commits.show(1, {"a": 1})
    after = SqliteCommits(data)
    after.show(2, {"b": 2})
    after.show(3, {"c": 3})
    after.close()
    with reader._snapshot() as (files, _):
        assert files.state.execute("SELECT name FROM views ORDER BY name").fetchall() == [("b",), ("c",)]


def test_the_backlog_is_what_the_engine_has_not_taken(ask, commits, reader):
    assert reader.backlog() == (0, None, 0)

    async def story(intake, yard):
        first = await intake.submit(asking.job(yard, created_ms=1_700_000_000_001))
        await intake.submit(asking.job(yard, created_ms=1_700_000_000_002))
        await intake.wish(asking.wish(first))

    ask(story)
    assert reader.backlog() == (3, 1_700_000_000_001, 0)
