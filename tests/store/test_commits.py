"""Commits: requests come out as events in order, and a start finds exactly what lives."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchyard.model import facts as f
from batchyard.model import ids
from batchyard.model.environments import Timing
from batchyard.model.events import (
    Ending,
    EnvironmentChanged,
    HeldJob,
    JobSubmitted,
    QueueChanged,
    StopRequested,
    Upstream,
)
from batchyard.model.ids import WHOLE
from batchyard.model.jobs import (
    AFTER,
    CANCEL,
    N_TO_N,
    SEQUENTIAL,
    TERMINATE,
    AskedUpstream,
    OpenAttempt,
    RetryPolicy,
    RetryRule,
)
from batchyard.model.needs import Needs
from batchyard.model.states import FAILED, PENDING, RUNNABLE, RUNNING, SUCCEEDED, TERMINAL
from batchyard.store.commits import SqliteCommits
from batchyard.store.intake import SqliteIntake
from batchyard.store.sqlite import StoreError, migrate

from . import asking
from .asking import furnish, job, wish

NOBODY = {}.__contains__
HOST = "Host EC2 (instance i-1) terminated."


def added(event, status=RUNNABLE, child_status=RUNNABLE):
    return f.JobAdded(event.seq, event.uuid, event.queue, event.size, status, child_status, 10)


# -- requests as events ----------------------------------------------------------------------------------------


def test_requests_come_as_events_in_order(ask, commits):
    retry = RetryPolicy(3, (RetryRule(True, on_exit_code="1*"), RetryRule(False, on_reason="x", on_status_reason="y")))

    async def story(intake, yard):
        own = b'{"room":[8000,100,0]}'
        place = asking.environment("off", enabled=False, provider="pretend/u", body=own)
        number = await intake.create_environment(place)
        first = await intake.submit(job(yard, size=2, needs=Needs(500, 64, 1), retry=retry))
        await intake.wish(wish(first, 1, CANCEL, "why"))
        second = await intake.submit(job(yard, upstreams=(AskedUpstream(first, 1, AFTER),)))
        return yard, place, number, first, second

    yard, place, number, first, second = ask(story)
    events = commits.requests(0, 100, NOBODY)
    here = events[0]
    assert isinstance(here, EnvironmentChanged) and here.environment == here.seq == yard.environment
    assert here.instance.startswith("i-") and here.enabled and here.provider == "local" and here.room is None
    assert events[1:] == [
        QueueChanged(2, yard.queue, 10, True, (yard.environment,)),
        EnvironmentChanged(4, number, "pretend/u", ids.machine_instance_id(place.uuid), False, Needs(8000, 100, 0)),
        JobSubmitted(5, first, yard.queue, 2, Needs(500, 64, 1), retry),
        StopRequested(6, 5, 1, CANCEL, "why"),
        JobSubmitted(7, second, yard.queue, 0, asking.NEEDS, RetryPolicy(), (Upstream(5, 1, AFTER),)),
    ]
    for after in range(8):
        assert commits.requests(after, 100, lambda seq: True) == [event for event in events if event.seq > after]
        assert commits.requests(after, 2, lambda seq: True) == [event for event in events if event.seq > after][:2]


def test_every_change_of_a_queue_comes_in_its_turn(ask, commits):
    """A job between two changes is decided with the first of them, and a start knows no change before it is applied."""

    async def story(intake, yard):
        await intake.submit(job(yard))
        for priority in (20, 30):
            assert await intake.update_queue(asking.queue_change(priority=priority))
        await intake.submit(job(yard))
        return yard

    yard = ask(story)

    def changed(seq, priority):
        return QueueChanged(seq, yard.queue, priority, True, (yard.environment,))

    events = commits.requests(0, 100, NOBODY)
    assert [type(event) for event in events[2:]] == [JobSubmitted, QueueChanged, QueueChanged, JobSubmitted]
    assert (events[1], *events[3:5]) == (changed(2, 10), changed(5, 20), changed(6, 30))
    commits.commit(10, [added(events[2]), f.RequestApplied(4)])
    assert commits.load().configuration[1:] == [changed(2, 10)]
    commits.commit(11, [f.RequestApplied(5)])
    assert commits.load().configuration[1:] == [changed(5, 20)]
    commits.commit(12, [added(events[5]), f.RequestApplied(7)])
    assert commits.load().configuration[1:] == [changed(6, 30)]


def test_upstreams_that_are_not_held_are_resolved_from_rows(ask, commits):
    async def story(intake, yard):
        array = await intake.submit(job(yard, size=3))
        single = await intake.submit(job(yard))
        ways = ((array, WHOLE, AFTER), (array, 1, AFTER), (array, WHOLE, N_TO_N), (single, WHOLE, AFTER))
        upstreams = tuple(AskedUpstream(*way) for way in ways) + (AskedUpstream(None, WHOLE, SEQUENTIAL),)
        return await intake.submit(job(yard, size=3, upstreams=upstreams))

    ask(story)
    array, single, last = commits.requests(3, 10, NOBODY)
    assert all(up.state is up.states is None for up in last.upstreams), "earlier events of the same answer are held"
    commits.commit(
        20,
        [
            added(array, PENDING),
            added(single),
            f.JobMoved(array.seq, 1, RUNNABLE, FAILED, 20, "x"),
            f.ChildrenMoved(array.seq, 0, 1, RUNNABLE, FAILED, 20, "x"),
            f.JobMoved(single.seq, WHOLE, RUNNABLE, FAILED, 20, "x"),
            f.RequestApplied(single.seq),
        ],
    )
    resolved = commits.requests(single.seq, 10, NOBODY)[0].upstreams
    assert resolved == (
        Upstream(array.seq, WHOLE, AFTER, PENDING),
        Upstream(array.seq, 1, AFTER, FAILED),
        Upstream(array.seq, WHOLE, N_TO_N, PENDING, bytes([FAILED, FAILED, RUNNABLE])),
        Upstream(single.seq, WHOLE, AFTER, FAILED),
        Upstream(0, WHOLE, SEQUENTIAL),
    )
    held = commits.requests(single.seq, 10, {array.seq}.__contains__)[0].upstreams
    assert [up.state for up in held] == [None, None, None, FAILED, None]


def test_an_upstream_that_is_nowhere_is_an_error(ask, commits):
    async def story(intake, yard):
        first = await intake.submit(job(yard))
        await intake.submit(job(yard, upstreams=(AskedUpstream(first, WHOLE, AFTER),)))

    ask(story)
    with pytest.raises(StoreError, match="depends on number 4 .* not in state.db"):
        commits.requests(4, 10, NOBODY)


def test_a_live_job_without_a_request_is_an_error(ask, commits):
    async def story(intake, yard):
        await intake.submit(job(yard))

    ask(story)
    event = commits.requests(3, 1, NOBODY)[0]
    commits.commit(1, [added(event), added(event._replace(seq=77))])
    with pytest.raises(StoreError, match="holds 2 live jobs, requests.db knows 1"):
        commits.load()


def test_an_empty_directory_loads_empty(commits):
    assert commits.load() == (0, 0, {}, Timing(), [], 0, [], [], [], [], [])
    assert commits.requests(0, 10, NOBODY) == []


def test_an_attempt_spec_has_all_an_executor_needs(ask, commits):
    body = b'{"container":{"image":"i","command":["a","b"]},"tags":{}}'

    async def story(intake, yard):
        await intake.submit(job(yard, size=2, name="named", body=body, timeout_s=60, needs=Needs(250, 128, 0)))

    ask(story)
    event = commits.requests(3, 1, NOBODY)[0]
    commits.commit(9, [added(event, PENDING), f.AttemptOpened(event.seq, 1, 1, event.uuid, 1, "i-1", 44)])
    spec = commits.attempt_spec(event.seq, 1, 1)
    assert spec._asdict() == {
        "attempt": f"{event.uuid}:1.1",
        "job_id": f"{event.uuid}:1",
        "job_name": "named",
        "index": 1,
        "size": 2,
        "number": 1,
        "region": "us-east-1",
        "queue_name": "q",
        "environment_name": "here",
        "definition_name": "hello",
        "needs": Needs(250, 128, 0),
        "timeout_s": 60,
        "opened_ms": 44,
        "container": {"image": "i", "command": ["a", "b"]},
        "nodes": None,
        "fargate": False,
        "devices": (),
        "refused": None,
        "task": None,
    }
    with pytest.raises(StoreError, match="Attempt 2 of job 4 .* was never opened"):
        commits.attempt_spec(event.seq, 1, 2)


# -- a start after any history ---------------------------------------------------------------------------------


class Model:
    """What rows must say, kept in dictionaries by somebody who knows only the meaning of facts."""

    def __init__(self):
        self.submitted: dict[int, JobSubmitted] = {}
        self.status: dict[tuple[int, int], int] = {}
        self.attempts: dict[tuple[int, int], int] = {}
        self.stops: dict[tuple[int, int], tuple[int, str]] = {}
        self.open: dict[tuple[int, int], OpenAttempt] = {}
        self.applied = 0

    def places(self, seq):
        return [(seq, index) for index in range(WHOLE, self.submitted[seq].size)]

    def vector(self, seq):
        return bytes(self.status[place] for place in self.places(seq)[1:])

    def held(self):
        live = [seq for seq in sorted(self.submitted) if self.status[seq, WHOLE] not in TERMINAL]
        return [self._held(seq, live) for seq in live]

    def _held(self, seq, live):
        places = self.places(seq)
        return HeldJob(
            self.submitted[seq]._replace(upstreams=tuple(self._seen(up, live) for up in self.submitted[seq].upstreams)),
            self.status[seq, WHOLE],
            self.vector(seq),
            {place[1]: self.attempts[place] for place in places if self.attempts.get(place)},
            {place[1]: self.stops[place] for place in places if place in self.stops},
            tuple(self.open[place] for place in places if place in self.open),
        )

    def _seen(self, up, live):
        if up.seq == 0 or up.seq in live:
            return up
        return up._replace(
            state=self.status[up.seq, up.index], states=self.vector(up.seq) if up.kind == N_TO_N else None
        )


class History:
    """A random but lawful history: requests arrive, facts follow, the engine stops and starts."""

    def __init__(self, data, chance: random.Random):
        self.data, self.chance, self.model = data, chance, Model()
        self.now = 1_000
        self.intake = SqliteIntake(data)
        self.uuids: list[tuple[str, int]] = []

    async def play(self, turns):
        self.yard = await furnish(self.intake, self.data)
        commits = SqliteCommits(self.data)
        for _ in range(turns):
            for _ in range(self.chance.randrange(4)):
                await self._ask()
            facts = self._apply_requests(commits)
            for _ in range(self.chance.randrange(12)):
                facts += self._something()
            self.now += self.chance.randrange(50)
            commits.commit(self.now, facts)
            self.last_ms = self.now if facts else getattr(self, "last_ms", 0)
            if self.chance.random() < 0.3:
                commits.close()
                commits = SqliteCommits(self.data)
                self._compare(commits.load())
        await self.intake.close()
        self._compare(commits.load())
        commits.close()

    async def _ask(self):
        pick = self.chance
        size = pick.choice((0, 0, 2, 5))
        upstreams = []
        for uuid, upstream_size in pick.sample(self.uuids, min(len(self.uuids), pick.randrange(3))):
            kind = N_TO_N if upstream_size == size and size and pick.random() < 0.5 else AFTER
            index = pick.randrange(WHOLE, upstream_size) if kind == AFTER and upstream_size else WHOLE
            upstreams.append(AskedUpstream(uuid, index, kind))
        if size and pick.random() < 0.2:
            upstreams.append(AskedUpstream(None, WHOLE, SEQUENTIAL))
        retry = RetryPolicy(3) if pick.random() < 0.5 else RetryPolicy()
        new = job(self.yard, size=size, upstreams=tuple(upstreams), retry=retry, needs=Needs(pick.randrange(1, 9), 4))
        await self.intake.submit(new)
        self.uuids.append((new.uuid, size))
        if pick.random() < 0.3:
            await self.intake.wish(wish(pick.choice(self.uuids)[0]))

    def _apply_requests(self, commits):
        facts, model = [], self.model
        held = {seq for seq in model.submitted if model.status[seq, WHOLE] not in TERMINAL}
        events = commits.requests(model.applied, self.chance.randrange(1, 6), held.__contains__)
        for event in events:
            if isinstance(event, JobSubmitted):
                plain = tuple(up._replace(state=None, states=None) for up in event.upstreams)
                model.submitted[event.seq] = event._replace(upstreams=plain)
                status = PENDING if event.size else self.chance.choice((PENDING, RUNNABLE))
                children = self.chance.choice((PENDING, RUNNABLE))
                facts.append(added(event, status, children))
                for place in model.places(event.seq):
                    model.status[place] = status if place[1] == WHOLE else children
            elif isinstance(event, StopRequested):
                facts.append(f.StopNoted(event.job, WHOLE, 0, event.kind, event.reason, self.now))
                model.stops[event.job, WHOLE] = (event.kind, event.reason)
            model.applied = event.seq
            facts.append(f.RequestApplied(event.seq))
        return facts

    def _something(self):
        """One lawful fact about a random live job or child, if there is one."""
        model, pick = self.model, self.chance
        live = [place for place in model.status if model.status[place[0], WHOLE] not in TERMINAL]
        if not live:
            return []
        place = seq, index = pick.choice(sorted(live))
        if index == WHOLE and model.submitted[seq].size:
            return self._range(seq)
        status = model.status[place]
        if status == PENDING:
            model.status[place] = to = pick.choice((RUNNABLE, RUNNABLE, FAILED))
            return [f.JobMoved(seq, index, PENDING, to, self.now, "Dependent Job failed" if to == FAILED else None)]
        if status == RUNNABLE:
            return self._open(place)
        return [] if status in TERMINAL else self._go_on(place, status)

    def _range(self, seq):
        """Several children move or are stopped at once, or the finished array ends."""
        model, pick, size = self.model, self.chance, self.model.submitted[seq].size
        vector = model.vector(seq)
        if all(status in TERMINAL for status in vector):
            before = model.status[seq, WHOLE]
            model.status[seq, WHOLE] = to = FAILED if FAILED in vector else SUCCEEDED
            return [f.JobMoved(seq, WHOLE, before, to, self.now, "Array Child Job failed" if to == FAILED else None)]
        lo = pick.randrange(size)
        hi = pick.randrange(lo + 1, size + 1)
        if pick.random() < 0.3:
            model.stops |= {(seq, index): (TERMINATE, "range") for index in range(lo, hi)}
            return [f.StopNoted(seq, lo, hi, TERMINATE, "range", self.now)]
        while hi > lo + 1 and len(set(vector[lo:hi])) > 1:
            hi -= 1
        if vector[lo] not in (PENDING, RUNNABLE):
            return []
        to = pick.choice((RUNNABLE, FAILED)) if vector[lo] == PENDING else FAILED
        model.status |= {(seq, index): to for index in range(lo, hi)}
        return [f.ChildrenMoved(seq, lo, hi, vector[lo], to, self.now, "range" if to == FAILED else None)]

    def _open(self, place):
        model, (seq, index) = self.model, place
        number = model.attempts[place] = model.attempts.get(place, 0) + 1
        model.status[place] = 3
        model.open[place] = OpenAttempt(index, number, self.yard.environment, "i-1", self.now, None)
        uuid = model.submitted[seq].uuid
        return [f.AttemptOpened(seq, index, number, uuid, self.yard.environment, "i-1", self.now)]

    def _go_on(self, place, status):
        model, (seq, index) = self.model, place
        opened = model.open[place]
        if status != RUNNING and self.chance.random() < 0.7:
            model.status[place] = RUNNING
            model.open[place] = opened._replace(started_ms=self.now)
            return [f.AttemptBegan(seq, index, opened.number, self.now)]
        del model.open[place]
        model.status[place] = to = self.chance.choice((RUNNABLE, SUCCEEDED, FAILED))
        ending = Ending(0 if to == SUCCEEDED else None, HOST, None, opened.started_ms, self.now)
        return [f.AttemptClosed(seq, index, opened.number, status, to, ending, self.now)]

    def _compare(self, snapshot):
        assert snapshot.applied_seq == self.model.applied
        assert snapshot.last_ms == self.last_ms
        assert snapshot.jobs == self.model.held()
        known = [event.seq for event in snapshot.configuration]
        assert known == [seq for seq in (1, 2) if seq <= self.model.applied]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_start_finds_what_a_random_history_left(tmp_path_factory, seed):
    data = tmp_path_factory.mktemp("history")
    migrate(data)
    asyncio.run(History(data, random.Random(seed)).play(turns=12))
