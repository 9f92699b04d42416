"""Random loads with passing allowed: whoever can run at all does, and no head starts later for those who passed it."""

from __future__ import annotations

import copy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchyard.model.environments import BEST_FIT, BEST_FIT_PROGRESSIVE
from batchyard.model.events import TimingSet
from batchyard.model.shares import SharePolicy
from tests.harness.world import Handle, World
from tests.scheduler.machines import GPU, LARGE, SMALL, STEADY, WIDE, fargate, on_demand

TYPES = st.lists(st.sampled_from([SMALL, LARGE, WIDE, STEADY, GPU]), min_size=1, max_size=3, unique=True)


@st.composite
def capacities(draw):
    most, kind = draw(st.integers(1, 20)), draw(st.integers(0, 2))
    if kind < 2:
        return (None, fargate(most))[kind]
    strategy = draw(st.sampled_from([BEST_FIT, BEST_FIT_PROGRESSIVE]))
    return on_demand(*draw(TYPES), max_vcpus=most, strategy=strategy, carves=draw(st.booleans()))


class Load:
    """A world whose jobs run for as long as was drawn for them when they were submitted."""

    def __init__(self, draw, timed: bool, shared: bool = False, boots=(0, 20_000)):
        self.draw, self.timed = draw, timed
        self.world = world = World(twins=True)
        world.machine(16, 65_536, 2, draw(st.sampled_from(boots)), passing=True)
        places = [
            world.environment() if each is None else world.managed(each)
            for each in draw(st.lists(capacities(), min_size=1, max_size=3))
        ]
        self.shared = shared
        self.queue = world.queue(*places, policy=SharePolicy() if shared else None)
        self.jobs: list[Handle] = []
        self.runs_s: dict[int, int] = {}
        self.ends: dict[tuple[int, int], int] = {}

    def submit(self) -> None:
        draw = self.draw
        run_s = draw(st.integers(1, 30)) * 10
        job = self.world.submit(
            self.queue,
            vcpus=draw(st.sampled_from([1, 1, 2, 4, 9, 17])),
            memory_mib=draw(st.sampled_from([64, 64, 9000, 40_000])),
            gpus=draw(st.sampled_from([0, 0, 0, 1])),
            size=draw(st.sampled_from([0, 0, 3])),
            share=draw(st.sampled_from("ab")) if self.shared else None,
            timeout_s=run_s if self.timed else draw(st.sampled_from([None, run_s, run_s + 50])),
        )
        self.jobs.append(job)
        self.runs_s[job.seq] = run_s

    def settle(self) -> None:
        _settle(self.world, self.runs_s, self.ends)

    def next_end(self) -> bool:
        return _next_end(self.world, self.runs_s, self.ends)


def _settle(world: World, runs_s, ends) -> None:
    """Decide until nothing more starts; whatever starts, runs at once."""
    while True:
        more = world.turn(advance_ms=0).more
        new = [Handle(*job) for job in world.running if job not in ends]
        for job in new:
            world.starts_running(job)
            ends[job] = world.now_ms + runs_s[job.seq] * 1000
        if not more and not new:
            return


def _next_end(world: World, runs_s, ends) -> bool:
    """On to the next instant at which something ends or is due by itself; False if nothing ever is."""
    due = world.decisions[-1].due_ms
    instants = [*ends.values(), *([] if due is None else [due])]
    if not ends and due is None:
        return False
    at = max(min(instants), world.now_ms + 1)
    world.now_ms = at
    for job in [job for job, end in sorted(ends.items()) if end <= at]:
        del ends[job]
        world.exits(Handle(*job))
    _settle(world, runs_s, ends)
    return True


@pytest.mark.long
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_all_that_could_ever_run_alone_has_run_in_the_end(data):
    load = Load(data.draw, timed=False, shared=data.draw(st.booleans()))
    world = load.world
    for _ in range(data.draw(st.integers(1, 12))):
        load.submit()
        load.settle()
    while load.next_end():
        pass
    look = world.scheduler.look()
    queue = world.scheduler.state.queues[load.queue]
    for job in load.jobs:
        if job.seq in world.scheduler.state.jobs:
            verdict = look.verdict(queue, world.submitted[job.seq].needs)
            assert verdict.standing, f"{job} waits for ever, though only {verdict} is in its way"


@pytest.mark.long
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_the_head_starts_no_later_than_if_nobody_else_could_pass_it(data):
    """With run times as long as their timeouts, whoever is the head at some instant is started at the same instant in
    a world that goes on from there with strict lines."""
    load = Load(data.draw, timed=True)
    for _ in range(data.draw(st.integers(1, 10))):
        load.submit()
        load.settle()
    for _ in range(data.draw(st.integers(0, 6))):
        head = _head(load.world, load.queue)
        if head is not None:
            assert _start_of(load, head, passing=True) <= _start_of(load, head, passing=False), f"{head} was held up"
        if not load.next_end():
            return


def _head(world: World, queue: int) -> Handle | None:
    first = world.scheduler.state.queues[queue].line.first()
    if first is None:
        return None
    _, _, seq, _ = first[0]
    job = world.scheduler.state.jobs.get(seq)
    return None if job is None or job.size else Handle(seq)


def _start_of(load: Load, head: Handle, passing: bool) -> float:
    """When the head starts in a copy of the world that goes on by itself."""
    world = _copy(load.world)
    world.events.append(TimingSet(world.scheduler.state.timing._replace(passing=passing)))
    ends = dict(load.ends)
    _settle(world, load.runs_s, ends)
    while head not in world.started:
        if not _next_end(world, load.runs_s, ends):
            return float("inf")
    return world.now_ms


def _copy(world: World) -> World:
    twin = copy.copy(world)
    twin.twins = False
    twin.rows = copy.deepcopy(world.rows)
    twin.scheduler = world.restored()
    twin.events, twin.decisions = list(world.events), list(world.decisions)
    twin.running, twin.started, twin.stopped = dict(world.running), [], []
    return twin
