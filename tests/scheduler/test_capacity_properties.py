"""Random environments and loads: no machine, environment, instance or GPU is ever given twice, and restarts change
nothing. The World checks the invariants after each turn and compares with a twin rebuilt from rows before each."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchyard.model import environments as env
from batchyard.model.needs import NOTHING, Needs
from tests.harness.world import Handle, World
from tests.scheduler.machines import GPU, LARGE, SMALL, STEADY, WIDE, fargate, on_demand, spot

MACHINE = Needs(16_000, 65_536, 4)
STRATEGIES = st.sampled_from([env.BEST_FIT, env.BEST_FIT_PROGRESSIVE, env.BEST_FIT_PROGRESSIVE_ORDERED])
TYPES = st.lists(st.sampled_from([SMALL, LARGE, WIDE, STEADY, GPU]), min_size=1, max_size=4, unique=True)


@st.composite
def capacities(draw):
    most = draw(st.integers(1, 24))
    kind = draw(st.integers(0, 6))
    if kind == 0:
        return None
    if kind == 1:
        return fargate(most)
    if kind == 6:
        return env.Capacity(env.FARGATE_SPOT, most * 1000)
    if kind == 2:
        return spot(*draw(TYPES), max_vcpus=most, strategy=env.SPOT_PRICE_CAPACITY_OPTIMIZED)
    least = draw(st.sampled_from([0, 0, min(2, most)]))
    return on_demand(
        *draw(TYPES), max_vcpus=most, min_vcpus=least, strategy=draw(STRATEGIES), carves=draw(st.booleans())
    )


class Player:
    def __init__(self, draw):
        self.draw = draw
        self.world = world = World(twins=True)
        boot_ms, linger_ms = draw(st.sampled_from([0, 0, 30])), draw(st.sampled_from([15, 40, 10_000]))
        warning_ms = draw(st.sampled_from([0, 30, 30, 10_000]))
        world.machine(
            MACHINE.cpu_milli // 1000, MACHINE.memory_mib, MACHINE.gpus, boot_ms, linger_ms, warning_ms=warning_ms
        )
        drawn = draw(st.lists(capacities(), min_size=1, max_size=3))
        self.places = [world.environment() if each is None else world.managed(each) for each in drawn]
        self.queues = [world.queue(*draw(st.permutations(self.places)), priority=p) for p in (1, 2)]
        self.jobs: list[Handle] = []

    def step(self) -> None:
        world, kind = self.world, self.draw(st.integers(0, 11))
        if kind <= 3 or not self.jobs:
            size = self.draw(st.sampled_from([0, 0, 0, 3, 8]))
            self.jobs.append(
                world.submit(
                    self.draw(st.sampled_from(self.queues)),
                    vcpus=self.draw(st.integers(1, 6)),
                    memory_mib=self.draw(st.sampled_from([64, 4096, 20_000])),
                    gpus=self.draw(st.sampled_from([0, 0, 0, 1])),
                    size=size,
                    attempts=self.draw(st.integers(1, 2)),
                )
            )
        elif kind <= 6 and world.running:
            job = Handle(*self.draw(st.sampled_from(sorted(world.running))))
            world.exits(job, self.draw(st.sampled_from([0, 0, 1, 137]))) if kind < 6 else world.loses(job)
        elif kind == 7:
            world.terminate(self.draw(st.sampled_from(self.jobs)))
        elif kind == 8:
            world.restart()
        elif kind == 9:
            world.strikes(*self.draw(st.lists(st.integers(0, 5), max_size=3)))
        elif kind == 10:
            world.interrupt(self.draw(st.sampled_from(self.places)))
        elif kind == 11:
            self.rebuild(self.draw(st.sampled_from(self.places)))
        if self.draw(st.booleans()):
            world.turn(advance_ms=self.draw(st.sampled_from([0, 5, 20, 50])))
        self.check_machine()

    def rebuild(self, place: int) -> None:
        """Other bounds for slices; other bounds, types or another kind for instances."""
        current = self.world.current(place).capacity
        if current is None:
            return
        changed = current._replace(max_cpu_milli=self.draw(st.integers(1, 24)) * 1000)
        if not current.fargate:
            changed = self.draw(capacities().filter(lambda each: each is not None and not each.fargate))
            wanted = self.draw(st.sampled_from([0, 0, changed.max_cpu_milli // 2]))
            patience_ms = self.draw(st.sampled_from([0, 30, 10_000]))
            changed = changed._replace(desired_cpu_milli=wanted, update_ms=patience_ms)
        self.world.update(place, capacity=changed)

    def check_machine(self) -> None:
        """What instances take, and what jobs hold beside them, fits the machine; counted from rows alone."""
        rows, used = self.world.rows, NOTHING
        ids = {each.id for each in rows.instances.values()}
        for each in rows.instances.values():
            used = used.plus(each.room)
        for row in rows.jobs.values():
            for opened in row.open.values():
                if opened.instance not in ids:
                    used = used.plus(row.submitted.needs)
        assert used.fits(MACHINE), f"{used} is taken of a machine of {MACHINE}"
        lent = [gpu for each in rows.instances.values() for gpu in each.devices]
        opens = [opened for row in rows.jobs.values() for opened in row.open.values()]
        lent += [gpu for opened in opens if opened.instance not in ids for gpu in opened.devices]
        assert len(set(lent)) == len(lent), f"a GPU is lent twice: {sorted(lent)}"
        for each in rows.instances.values():
            on_it = [gpu for opened in opens if opened.instance == each.id for gpu in opened.devices]
            assert len(set(on_it)) == len(on_it) and set(on_it) <= set(each.devices), f"{each.id} lends {on_it}"


def play(data, steps: int) -> None:
    player = Player(data.draw)
    world = player.world
    for _ in range(steps):
        player.step()
    for job in player.jobs:  # what no environment can ever hold waits for ever, and others behind it
        if world.submitted[job.seq].needs.gpus or world.submitted[job.seq].needs.cpu_milli > 2000:
            world.terminate(job)
    for _ in range(60):  # instances boot and go; each round lets time pass for one of both
        world.finish_everything()
        world.turn(advance_ms=20_000)
    world.finish_everything()
    assert not world.running
    for environment in world.scheduler.state.environments.values():
        floor = environment.capacity.min_cpu_milli if environment.capacity else 0
        over = [
            each for each in environment.instances.values() if environment.held_cpu_milli - each.room.cpu_milli >= floor
        ]
        assert not over, "idle instances above the minimum are still there"


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(st.data())
def test_random_environments_and_loads_keep_every_bound(data):
    play(data, steps=25)


@pytest.mark.long
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(st.data())
def test_longer_random_environments_and_loads(data):
    play(data, steps=60)
