"""Random multi-node and single jobs: all or nothing, no two that wait for each other, and restarts change nothing.

The World checks the invariants after each turn (one type, one node an instance, nobody else there) and compares with a
twin rebuilt from rows before each.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchyard.model import states
from batchyard.model.ids import NODES, WHOLE
from tests.harness.world import Handle, World
from tests.scheduler.machines import LARGE, SMALL, STEADY, on_demand

VCPUS = 24


class Player:
    def __init__(self, draw):
        self.draw = draw
        self.world = world = World(twins=True)
        boot_ms, linger_ms = draw(st.sampled_from([0, 0, 30])), draw(st.sampled_from([15, 40, 10_000]))
        world.machine(VCPUS, VCPUS * 4096, 0, boot_ms, linger_ms)
        self.places = [world.managed(self.capacity()) for _ in range(draw(st.integers(1, 2)))]
        self.queues = [world.queue(*draw(st.permutations(self.places)), priority=p) for p in (1, 2)]
        self.resources = [world.resource(2), world.resource(9, replenishable=False)]
        self.jobs: list[Handle] = []

    def capacity(self):
        """Any of them can hold any job that is drawn, if nobody else is there."""
        types = self.draw(st.lists(st.sampled_from([SMALL, LARGE, STEADY]), max_size=3, unique=True))
        least = self.draw(st.sampled_from([0, 0, 4]))
        return on_demand(SMALL, *(each for each in types if each is not SMALL), max_vcpus=16, min_vcpus=least)

    def submit(self) -> None:
        world, draw = self.world, self.draw
        queue, after = draw(st.sampled_from(self.queues)), []
        if self.jobs and draw(st.integers(0, 4)) == 0:
            after = [draw(st.sampled_from(self.jobs))]
        wanted = draw(st.lists(st.sampled_from(self.resources), max_size=2, unique=True)) if draw(st.booleans()) else []
        asks = {number: draw(st.integers(1, 2)) for number in wanted}
        more = {"attempts": draw(st.integers(1, 3)), "after": after, "asks": asks}
        if draw(st.booleans()):
            self.jobs.append(world.submit(queue, vcpus=draw(st.integers(1, 2)), **more))
        else:
            count = draw(st.integers(1, 5))
            main = draw(st.integers(0, count - 1))
            self.jobs.append(world.submit_nodes(queue, count, vcpus=draw(st.integers(1, 2)), main=main, **more))

    def step(self) -> None:
        world, kind = self.world, self.draw(st.integers(0, 14))
        if kind <= 3 or not self.jobs:
            self.submit()
        elif kind <= 9 and world.running:
            job = Handle(*self.draw(st.sampled_from(sorted(world.running))))
            if kind <= 6:
                world.starts_running(job)
            elif kind == 7:
                world.loses(job)
            else:
                world.exits(job, self.draw(st.sampled_from([0, 0, 1])))
        elif kind == 10:
            world.terminate(self.draw(st.sampled_from(self.jobs)))
        elif kind == 11:
            world.cancel(self.draw(st.sampled_from(self.jobs)))
        elif kind == 12:
            world.restart()
        elif kind == 13:
            world.update(self.draw(st.sampled_from(self.places)), enabled=self.draw(st.booleans()))
        elif world.running and self.draw(st.booleans()):  # the machine went down with some
            world.running.pop(Handle(*self.draw(st.sampled_from(sorted(world.running)))))
            world.restart()
        if self.draw(st.booleans()):
            world.turn(advance_ms=self.draw(st.sampled_from([0, 5, 20, 50])))
        self.check_all_or_nothing()
        self.check_held()

    def check_all_or_nothing(self) -> None:
        """From rows alone: while the main node has a place, every other had one in the same attempt."""
        for row in self.world.rows.jobs.values():
            nodes = row.submitted.nodes
            if nodes is not None and WHOLE in row.open:
                others = [NODES + number for number in range(nodes.count) if number != nodes.main]
                assert all(row.attempts[index] == row.attempts[WHOLE] for index in others)

    def check_held(self) -> None:
        """What is in use of each resource is what jobs with anything open ask for, each once; also on the machine."""
        for number in self.resources:
            rows = self.world.rows.jobs.values()
            held = sum(dict(row.submitted.asks).get(number, 0) for row in rows if row.open)
            assert self.world.held(number) == held


def play(data, steps: int) -> None:
    player = Player(data.draw)
    world = player.world
    for _ in range(steps):
        player.step()
    for place in player.places:
        world.update(place, enabled=True)
    for number in player.resources:
        world.resource(1000, number=number)  # whatever is wanted of it
    for _ in range(len(player.jobs) * 6 + 10):  # what runs ends; whatever waited then runs, and ends
        world.turn(advance_ms=20_000)
        for job in sorted(world.running):
            world.exits(Handle(*job), 0)
        if not world.scheduler.state.jobs:
            break
    for job in player.jobs:
        row = world.rows.jobs[job.seq]
        assert row.status[WHOLE] in states.TERMINAL, f"job {job.seq} is {world.state(job)} though nothing else runs"
        assert not row.open
    assert not world.scheduler.state.sets


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(st.data())
def test_random_gangs_run_all_or_nothing_and_never_wait_for_each_other(data):
    play(data, steps=30)


@pytest.mark.long
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(st.data())
def test_longer_random_gangs(data):
    play(data, steps=80)
