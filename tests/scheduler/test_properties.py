"""Random workloads: whatever callers and machines do, the invariants hold and a restart changes no decision.

The World checks the invariants and audits every fact after each turn; here it also rebuilds a twin from rows before
every turn and compares what both decide. Hypothesis prints the example that fails and the seed that repeats it.
"""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchyard.model import states
from batchyard.model.ids import WHOLE
from batchyard.model.jobs import RetryRule
from batchyard.model.shares import SharePolicy
from batchyard.scheduler import deletion
from batchyard.scheduler.lifecycle import QUEUE_DELETED
from tests.harness.world import Handle, World

POLICIES = st.builds(
    SharePolicy,
    decay_s=st.sampled_from([0, 1000]),
    reservation_percent=st.sampled_from([0, 0, 30]),
    weights=st.sampled_from([(), (("a", 5000),), (("a*", 20_000), ("b", 1))]),
)
RULES = st.sampled_from([(), (RetryRule(False, on_exit_code="2"),), (RetryRule(True, on_exit_code="1"),)])


class Player:
    """Draws one step after another and plays it on a World."""

    def __init__(self, draw, vcpus: int):
        self.draw = draw
        self.world = World(vcpus=vcpus, twins=True)
        self.vcpus = vcpus
        self.environments = [self.world.environment() for _ in range(2)]
        self.queues = [self.world.queue(*self.environments, priority=p, policy=self.policy()) for p in (1, 2)]
        self.deleted: list[int] = []  # queues and environments
        self.resources = [self.world.resource(2), self.world.resource(3, replenishable=False), self.world.unborn()]
        self.named = {*self.resources[:2]}  # those that exist
        self.jobs: list[Handle] = []

    def policy(self) -> SharePolicy | None:
        return self.draw(st.none() | POLICIES)

    def pick(self, things):
        return self.draw(st.sampled_from(things))

    def target(self) -> Handle:
        job = self.pick(self.jobs)
        size = self.world.submitted[job.seq].size
        return job[self.draw(st.integers(WHOLE, size - 1))] if size else job

    def submit(self) -> None:
        size = self.pick([0, 0, 2, 3, 5])
        known = self.jobs[-8:]
        twins = [job for job in known if self.world.submitted[job.seq].size == size] if size else []
        queue = self.pick(self.queues)
        fair = self.world.current(queue).policy is not None
        self.jobs.append(
            self.world.submit(
                queue,
                vcpus=self.draw(st.integers(1, self.vcpus)),
                size=size,
                after=[self.target()] if known and self.draw(st.booleans()) else [],
                n_to_n=[self.pick(twins)] if twins and self.draw(st.booleans()) else [],
                sequential=bool(size) and self.draw(st.integers(0, 3)) == 0,
                attempts=self.draw(st.integers(1, 3)),
                rules=self.draw(RULES),
                asks=self.asks(),
                share=self.pick(["a", "ab", "b"]) if fair else None,
                priority=self.draw(st.integers(0, 2)) if fair else 0,
            )
        )

    def asks(self) -> dict[int, int]:
        wanted = self.draw(st.lists(st.sampled_from(self.resources), max_size=2, unique=True))
        return {number: self.draw(st.integers(1, 3)) for number in wanted}

    def change_resource(self) -> None:
        """Somebody grants more or less of a resource, deletes it, or makes it anew."""
        world, number = self.world, self.pick(self.resources)
        if number not in self.named:
            world.resource(self.draw(st.integers(0, 4)), self.draw(st.booleans()), number)
            self.named.add(number)
        elif self.draw(st.integers(0, 3)):
            world.set_total(number, self.draw(st.integers(0, 4)))
        else:
            world.delete_resource(number)
            self.named.remove(number)

    def change(self) -> None:
        """Somebody updates, deletes or makes anew a queue or an environment."""
        world, kind = self.world, self.draw(st.integers(0, 6))
        if kind == 0:
            world.update(self.pick(self.environments), enabled=self.draw(st.booleans()))
        elif kind == 1:
            order = tuple(self.draw(st.permutations(self.environments)))[: self.draw(st.integers(1, 3))]
            world.update(self.pick(self.queues), environments=order)
        elif kind == 2:
            world.update(self.pick(self.queues), priority=self.draw(st.integers(0, 3)))
        elif kind == 3:
            self.delete(self.queues, self.pick(self.queues))
            place, priority = self.pick(self.environments), self.draw(st.integers(0, 3))
            self.queues.append(world.queue(place, priority=priority, policy=self.policy()))
        elif kind == 4:
            self.environments.append(world.environment(enabled=self.draw(st.booleans())))
        elif kind == 5:
            fair = [queue for queue in self.queues if world.current(queue).policy is not None]
            if fair:
                world.edit_policy(self.pick(fair), self.draw(POLICIES))
                world.update(self.pick(fair), policy=world.current(self.pick(fair)).policy)
        elif unused := [each for each in self.environments[1:] if not world.queues_on(each)]:
            self.delete(self.environments, self.pick(unused))

    def delete(self, known: list[int], number: int) -> None:
        self.world.delete(number)
        known.remove(number)
        self.deleted.append(number)

    def step(self) -> None:
        world = self.world
        kind = self.draw(st.integers(0, 14))
        if kind == 14:
            self.change_resource()
        elif kind >= 12:
            self.change()
        elif kind <= 3 or not self.jobs:
            self.submit()
        elif kind <= 7 and world.running:
            job = Handle(*self.pick(sorted(world.running)))
            if kind == 7:
                world.loses(job)
            elif kind == 6:
                world.starts_running(job)
            else:
                world.exits(job, self.pick([0, 0, 0, 1, 2]))
        elif kind == 8:
            world.terminate(self.target())
        elif kind == 9:
            world.cancel(self.target())
        elif kind == 10:
            world.restart()
        if self.draw(st.booleans()):
            world.turn(advance_ms=self.pick([10, 10, 10, 9_375, 600_000]))

    def check_capacity(self) -> None:
        used = sum(
            self.world.submitted[job.seq].needs.cpu_milli for job in map(lambda k: Handle(*k), self.world.running)
        )
        assert used <= self.vcpus * 1000, f"{used} thousandths of a vCPU run on {self.vcpus} vCPUs"
        for number in self.resources:
            held = sum(dict(self.world.submitted[job].asks).get(number, 0) for job, _ in self.world.running)
            told = self.world.held(number)
            assert told == held or self.world.events, f"resource {number}: {told} in use, really {held}"


def play(data, steps: int) -> None:
    """Deletion goes in small pieces, so that restarts fall between them."""
    with patch.object(deletion, "ENDED_PER_TURN", data.draw(st.sampled_from([1, 2, 5, 500]))):
        _play(data, steps)


def _play(data, steps: int) -> None:
    player = Player(data.draw, data.draw(st.integers(1, 4)))
    world = player.world
    for _ in range(steps):
        player.step()
        player.check_capacity()
    for environment in player.environments:
        world.update(environment, enabled=True)
    for resource in player.resources:
        world.resource(1000, number=resource)  # whatever is wanted of it
    world.finish_everything()
    for job in player.jobs:
        row = world.rows.jobs[job.seq]
        assert row.status[WHOLE] in states.TERMINAL, f"job {job.seq} is {world.state(job)} and nothing runs any more"
        assert not row.open
    assert not world.scheduler.state.jobs
    assert all(world.gone(number) for number in player.deleted), "what was deleted is there though nothing runs"
    check_dependencies(world)
    check_deleted(player)


def check_dependencies(world: World) -> None:
    """Nothing ran whose upstream did not succeed."""
    for row in world.rows.jobs.values():
        for upstream in row.submitted.upstreams:
            if upstream.seq and (up := world.rows.jobs[upstream.seq]):
                for index in row.attempts:
                    of = index if upstream.kind == 1 else upstream.index
                    assert up.status[of] == states.SUCCEEDED, f"{row.submitted.seq}:{index} ran before {upstream}"


def check_deleted(player: Player) -> None:
    """Only jobs of deleted queues say that their queue was deleted."""
    world = player.world
    for row in world.rows.jobs.values():
        of_deleted = row.submitted.queue in player.deleted
        for index, reason in row.reason.items():
            assert of_deleted or reason != QUEUE_DELETED, f"job {row.submitted.seq}:{index} says its queue was deleted"


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(st.data())
def test_random_workloads_keep_every_rule_and_restarts_change_nothing(data):
    play(data, steps=30)


@pytest.mark.long
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(st.data())
def test_longer_random_workloads_keep_every_rule(data):
    play(data, steps=80)
