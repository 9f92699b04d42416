"""Listings of streams against a plain reading of all attempts, while attempts go on beginning and ending."""

from __future__ import annotations

import random
import uuid as uuids
from typing import NamedTuple

import msgspec
import pytest

from batchyard.model import facts as f
from batchyard.model.events import Ending
from batchyard.model.ids import WHOLE, attempt_id
from batchyard.model.logplaces import log_place
from batchyard.model.states import RUNNABLE, RUNNING, STARTING
from batchyard.store import streams
from batchyard.store.commits import SqliteCommits

from . import asking
from .asking import REGION

GROUP = "/aws/batch/job"
CONFIGURED = {"logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/mine"}}}
SEVERAL = {"containers": [{"name": "default"}, {"name": "side"}, {"name": "own"} | CONFIGURED]}
PREFIXED = {"logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-stream-prefix": "a/b"}}}


class Attempt(NamedTuple):
    seq: int
    index: int
    uuid: str
    number: int
    region: str
    group: str
    name: str
    opened_ms: int
    stopped_ms: int | None = None

    @property
    def key(self):
        return self.seq, self.index, self.number, self.name


class World:
    """Jobs of several definitions, groups and a second region; attempts begin and end at random."""

    def __init__(self, data, intake, reader, yard, seed):
        print("seed", seed)
        self.chance = random.Random(seed)
        self.intake, self.reader, self.yard = intake, reader, yard
        self.commits = SqliteCommits(data)
        self.now, self.applied, self.all = 1_000, 0, {}
        self.jobs = []

    async def submit(self):
        name = self.chance.choice(("hello", "hello-2", "Hello", "b"))
        container = self.chance.choice(({}, {}, CONFIGURED, PREFIXED, SEVERAL))
        uuid = str(uuids.UUID(int=self.chance.getrandbits(128), version=4))
        revision = await self.intake.register_definition(asking.definition(name))
        number = self.reader.definition(REGION, name, revision).id
        size = self.chance.choice((0, 3))
        region = self.chance.choice((REGION, REGION, REGION, "eu-west-1"))
        body = msgspec.json.encode({"task" if container is SEVERAL else "container": container})
        given = {"definition": number, "uuid": uuid, "size": size, "region": region, "body": body}
        await self.intake.submit(asking.job(self.yard, **given))
        (event,) = [each for each in self.commits.requests(self.applied, 100, {}.__contains__) if hasattr(each, "uuid")]
        self.applied = event.seq
        self.commit(
            f.JobAdded(event.seq, uuid, self.yard.queue, size, RUNNABLE, RUNNABLE, self.now),
            f.RequestApplied(event.seq),
        )
        each_one = container.get("containers", [container])
        places = [log_place(region, name, each, each.get("name", "default")) for each in each_one]
        self.jobs += [(event.seq, index, uuid, places) for index in (range(size) if size else (WHOLE,))]

    def begin(self):
        if not self.jobs:
            return
        seq, index, uuid, places = self.chance.choice(self.jobs)
        tried = [each for each in self.all.values() if (each.seq, each.index) == (seq, index)]
        if any(each.stopped_ms is None for each in tried):
            return
        number = max((each.number for each in tried), default=0) + 1
        task = attempt_id(uuid, index, number)
        attempts = [
            Attempt(seq, index, uuid, number, place.region, place.group, place.stream(task), self.now)
            for place in places
        ]
        self.commit(f.AttemptOpened(seq, index, number, uuid, self.yard.environment, "i-1", self.now))
        if self.chance.random() < 0.9:
            self.commit(f.AttemptBegan(seq, index, number, self.now))
        else:
            self.commit(
                f.AttemptClosed(seq, index, number, STARTING, RUNNABLE, Ending(None, "x", stopped_ms=self.now), 0)
            )
            self.jobs.remove((seq, index, uuid, places))
            # Containers may write before their task begins; the log of an attempt that did not begin is not told of.
            attempts = [each._replace(stopped_ms=self.now) for each in attempts] if len(attempts) > 1 else []
        self.all |= {each.key: each for each in attempts}

    def end(self):
        going = [each for each in self.all.values() if each.stopped_ms is None]
        if going:
            one = self.chance.choice(going)
            stopped_ms = self.now - self.chance.choice((0, 0, 3))
            ending = Ending(0, "done", None, one.opened_ms, stopped_ms)
            self.commit(f.AttemptClosed(one.seq, one.index, one.number, RUNNING, RUNNABLE, ending, self.now))
            same = [each for each in going if (each.seq, each.index) == (one.seq, one.index)]
            self.all |= {each.key: each._replace(stopped_ms=stopped_ms) for each in same}

    def commit(self, *facts):
        self.commits.commit(self.now, facts)

    async def live(self, steps):
        for _ in range(steps):
            self.now += self.chance.choice((0, 1, 50))
            await self.chance.choice((self.submit, *[self._async(self.begin)] * 3, *[self._async(self.end)] * 2))()

    @staticmethod
    def _async(call):
        async def run():
            call()

        return run

    def group(self, region=REGION, name=GROUP):
        return self.reader.log_group(region, name)

    def known(self, region=REGION, group=GROUP):
        return [each for each in self.all.values() if (each.region, each.group) == (region, group)]


@pytest.fixture
def world(data, ask, reader):
    def run(seed, story):
        async def whole(intake, yard):
            made = World(data, intake, reader, yard, seed)
            try:
                await made.live(200)
                await story(made)
            finally:
                made.commits.close()

        ask(whole)

    return run


@pytest.mark.parametrize("seed", range(5))
def test_by_name_with_any_prefix_either_way(world, seed):
    async def story(world):
        for region, group in ((REGION, GROUP), (REGION, "/mine"), ("eu-west-1", GROUP)):
            number = world.group(region, group)
            names = sorted(each.name for each in world.known(region, group))
            some = world.chance.choice(names or ["none/default/0"])
            prefixes = [
                "",
                "hello",
                "hello/",
                "hello/default/",
                "a/b",
                "z",
                "hello-2/default",
                some,
                some[:-3],
                some + "0",
            ]
            prefixes += [some[: some.rindex("/") + 2], "hello/default/xyz", "/"]
            for prefix in prefixes:
                wanted = [name for name in names if name.startswith(prefix)]
                for descending in (False, True):
                    found, last = [], ""
                    while page := world.reader.streams_by_name(number, prefix, last, descending, 3):
                        found += [row.name for row in page]
                        last = found[-1]
                    assert found == (wanted[::-1] if descending else wanted), (prefix, descending)

    world(seed, story)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scanned", [1, 4, 1000])
def test_by_end_the_open_ones_last_either_way(world, monkeypatch, seed, scanned):
    monkeypatch.setattr(streams, "SCANNED", scanned)

    async def story(world):
        ends = {each.name: (each.stopped_ms is None, each.stopped_ms or 0) for each in world.known()}
        for descending in (False, True):
            found, after = [], None
            while True:
                page = world.reader.streams_by_end(world.group(), descending, after, 3)
                found += [row.name for row in page.rows]
                after = page.rest
                if after is None:
                    break
            assert sorted(found) == sorted(ends)
            assert [ends[name] for name in found] == sorted(ends.values(), reverse=descending)

    world(seed, story)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("window", [1, 4, 500])
def test_what_went_on_at_a_time_comes_in_the_order_of_opening(world, monkeypatch, seed, window):
    monkeypatch.setattr(streams, "WINDOW", window)
    monkeypatch.setattr(streams, "AFTERMATH_MS", 5)

    async def story(world):
        for _ in range(12):
            at_ms = world.chance.randint(900, world.now + 10)
            until_ms = world.chance.choice((at_ms + 200, 2**62))
            prefix = world.chance.choice(("", "hello/", "hello", world.chance.choice(world.known()).name[:-30]))
            page = world.reader.streams_going_on(world.group(), prefix, at_ms, until_ms)
            wanted = {
                each.name: each.opened_ms
                for each in world.known()
                if each.name.startswith(prefix)
                and each.opened_ms < until_ms
                and (each.stopped_ms is None or each.stopped_ms >= at_ms - 5)
            }
            found = [row.name for row in page.rows]
            times = [row.opened_ms for row in page.rows]
            assert times == sorted(times) and len(set(found)) == len(found)
            end_ms = 2**63 if page.next_ms is None else page.next_ms
            assert end_ms > at_ms
            before = {name for name, opened_ms in wanted.items() if opened_ms < end_ms}
            assert before <= set(found) <= set(wanted), "all that were opened before the next one"

    world(seed, story)


def test_groups_are_there_from_their_first_attempt_on_and_regions_are_kept_apart(world):
    async def story(world):
        known = {(each.region, each.group) for each in world.all.values()}
        for region in (REGION, "eu-west-1"):
            rows = world.reader.log_groups(region, "", 10)
            assert {(region, row.name) for row in rows} >= {each for each in known if each[0] == region}
            assert [row.name for row in rows] == sorted(row.name for row in rows)
        assert world.reader.log_groups("us-west-2", "", 10) == []
        assert world.reader.log_group("us-west-2", GROUP) is None
        assert [row.name for row in world.reader.log_groups(REGION, "", 10, prefix="/a")] == [GROUP]
        assert [row.name for row in world.reader.log_groups(REGION, "", 10, part="in")] == ["/mine"]
        assert [row.name for row in world.reader.log_groups(REGION, GROUP, 1)] == ["/mine"]
        one = world.known()[0]
        elsewhere = world.group("eu-west-1")
        assert world.reader.stream(world.group(), one.name).name == one.name
        assert world.reader.stream(elsewhere, one.name) is None
        assert world.reader.stream(world.group(name="/mine"), one.name) is None

    world(3, story)


def test_places_stay_after_a_restart_of_the_engine(world, data):
    async def story(world):
        before = world.reader.log_groups(REGION, "", 10)
        world.commits.close()
        world.commits = SqliteCommits(data)
        await world.live(60)
        assert world.reader.log_groups(REGION, "", 10) == before
        assert {row.name for row in world.reader.streams_by_name(world.group(), "", "", False, 10**6)} == {
            each.name for each in world.known()
        }

    world(1, story)
