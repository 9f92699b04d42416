"""Random environments that come and go, impossible jobs, time limits, restarts: a queue is blocked by its head alone,
nobody is cancelled early or for what does not hold, and a scheduler rebuilt from rows before any turn decides the same
(the World compares)."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchyard.model import facts as f
from batchyard.model.blocked import CANCELED, CAPACITY, LIMITED, TimeLimit
from batchyard.model.shares import SharePolicy
from tests.harness.world import Handle, World
from tests.scheduler.machines import LARGE, SMALL, STEADY, fargate, on_demand

VCPUS = 8


class Player:
    """The first environment is the whole machine and stays enabled: who fits it can run, sooner or later."""

    def __init__(self, draw):
        self.draw = draw
        self.world = world = World(VCPUS, 32_768, twins=True)
        blocked_ms, full_ms = draw(st.sampled_from([0, 300])), draw(st.sampled_from([0, 900]))
        world.machine(
            VCPUS, 32_768, boot_ms=draw(st.sampled_from([0, 40])), linger_ms=100, blocked_ms=blocked_ms, full_ms=full_ms
        )
        others = [on_demand(SMALL, LARGE), on_demand(STEADY, max_vcpus=4), fargate(2), on_demand(LARGE, max_vcpus=2)]
        self.always = world.environment()
        self.others = [world.managed(each, enabled=draw(st.booleans())) for each in others]
        policy = SharePolicy(reservation_percent=draw(st.sampled_from([0, 50]))) if draw(st.booleans()) else None
        self.fair = policy is not None
        self.queues = [self._queue(policy=policy), self._queue(policy=policy)]
        self.jobs: list[Handle] = []
        self.since: dict[int, f.HeadStuck] = {}  # by queue

    def _queue(self, **more) -> int:
        places = self.draw(st.lists(st.sampled_from(self.others), max_size=2, unique=True))
        if self.draw(st.booleans()):
            places.insert(self.draw(st.integers(0, len(places))), self.always)
        return self.world.queue(*(places or [self.always]), limits=self._limits(), **more)

    def _limits(self) -> tuple[TimeLimit, ...]:
        codes = self.draw(st.lists(st.sampled_from(LIMITED), max_size=4, unique=True))
        return tuple(TimeLimit(code, self.draw(st.sampled_from([500, 2000]))) for code in codes)

    def step(self) -> None:
        world, kind = self.world, self.draw(st.integers(0, 9))
        if kind <= 3 or not self.jobs:
            share = self.draw(st.sampled_from("ab")) if self.fair else None
            self.jobs.append(
                world.submit(
                    self.draw(st.sampled_from(self.queues)),
                    vcpus=self.draw(st.sampled_from([1, 1, 3, 8, 9])),
                    gpus=self.draw(st.sampled_from([0, 0, 0, 0, 1])),
                    size=self.draw(st.sampled_from([0, 0, 2])),
                    attempts=self.draw(st.integers(1, 2)),
                    share=share,
                )
            )
        elif kind <= 5 and world.running:
            world.exits(Handle(*self.draw(st.sampled_from(sorted(world.running)))), self.draw(st.sampled_from([0, 1])))
        elif kind == 6:
            world.update(self.draw(st.sampled_from(self.others)), enabled=self.draw(st.booleans()))
        elif kind == 7:
            world.update(self.draw(st.sampled_from(self.queues)), limits=self._limits())
        elif kind == 8:
            world.cancel(self.draw(st.sampled_from(self.jobs)))
        else:
            world.restart()
        self.turn(self.draw(st.sampled_from([0, 10, 100, 500])))

    def turn(self, advance_ms: int) -> None:
        world = self.world
        limits = {queue: world.current(queue).limits for queue in self.queues}
        for fact in world.turn(advance_ms).facts:
            if isinstance(fact, f.HeadStuck):
                self.since[fact.queue] = fact
            elif isinstance(fact, f.QueueBlocked):
                full = fact.reason.startswith(CAPACITY)
                timing = world.scheduler.state.timing
                assert fact.at_ms - self.since[fact.queue].since_ms >= (timing.full_ms if full else timing.blocked_ms)
            elif isinstance(fact, f.JobMoved | f.ChildrenMoved) and (fact.status_reason or "").startswith(CANCELED):
                index = fact.lo if isinstance(fact, f.ChildrenMoved) else fact.index
                self.check_cancelled(fact.job, index, fact.status_reason, limits)

    def check_cancelled(self, job: int, index: int, reason: str, limits) -> None:
        queue = self.world.submitted[job].queue
        stuck = self.since[queue]
        assert (stuck.job, CANCELED + stuck.reason) == (job, reason), "only a head is cancelled, for what it said"
        assert stuck.index == index
        (limit,) = [each for each in limits[queue] if stuck.reason.startswith(each.code)]
        assert self.world.now_ms - stuck.since_ms >= limit.most_ms, "not before its time"


def play(data, steps: int) -> None:
    player = Player(data.draw)
    world = player.world
    for _ in range(steps):
        player.step()
    for other in player.others:
        world.update(other, enabled=True)
    for queue in player.queues:
        world.update(queue, environments=(player.always,), limits=())
        if player.fair:
            world.edit_policy(queue, SharePolicy())
    for _ in range(100):
        for job in sorted(world.running):
            world.exits(Handle(*job))
        player.turn(2000)
        stuck = [world.rows.blocks[queue] for queue in player.queues if queue in world.rows.blocks]
        for block in stuck:
            needs = world.submitted[block.job].needs
            assert needs.cpu_milli > VCPUS * 1000 or needs.gpus or block.reason.startswith(CAPACITY), block
            world.terminate(Handle(block.job, block.index))
        if not world.running and not stuck and not world.scheduler.state.jobs:
            return
    raise AssertionError("no end")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(st.data())
def test_heads_that_are_stuck(data):
    play(data, steps=25)


@pytest.mark.long
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(st.data())
def test_heads_that_are_stuck_for_longer(data):
    play(data, steps=60)
