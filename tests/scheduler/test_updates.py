"""Managed environments change while jobs wait and run: what operators see of UpdateComputeEnvironment."""

from __future__ import annotations

from tests.harness.world import World
from tests.scheduler.machines import SMALL, fargate, on_demand


def machine(vcpus=32, memory_mib=131_072, gpus=8, **timing) -> World:
    world = World(twins=True)
    world.machine(vcpus, memory_mib, gpus, **timing)
    return world


# -- scaling updates ---------------------------------------------------------------------------------------------------


def test_a_higher_maximum_lets_the_line_go_on():
    world = machine()
    place = world.managed(on_demand(SMALL, max_vcpus=2))
    queue = world.queue(place)
    jobs = [world.submit(queue, vcpus=2) for _ in range(3)]
    world.settle()
    assert len(world.running) == 1
    world.update(place, capacity=on_demand(SMALL, max_vcpus=6))
    world.settle()
    assert [world.state(job) for job in jobs] == ["STARTING"] * 3


def test_a_lower_maximum_ends_no_job_and_launches_nothing_more():
    world = machine(linger_ms=1000)
    place = world.managed(on_demand(SMALL, max_vcpus=6))
    queue = world.queue(place)
    jobs = [world.submit(queue, vcpus=2) for _ in range(4)]
    world.settle()
    world.update(place, capacity=on_demand(SMALL, max_vcpus=2))
    world.settle()
    assert len(world.running) == 3
    world.exits(jobs[0])
    world.settle()
    assert world.state(jobs[3]) == "STARTING", "an instance that is there may be used"
    for job in jobs[1:]:
        world.exits(job)
    world.settle()
    world.turn(advance_ms=1000)
    assert world.instances() == []
    again = [world.submit(queue, vcpus=2) for _ in range(2)]
    world.settle()
    assert [world.state(job) for job in again] == ["STARTING", "RUNNABLE"]


def test_a_higher_minimum_is_filled_and_a_lower_one_lets_idle_instances_go():
    world = machine(linger_ms=1000)
    place = world.managed(on_demand(SMALL))
    world.settle()
    world.update(place, capacity=on_demand(SMALL, min_vcpus=4))
    world.settle()
    assert world.instances() == ["c.small"] * 2
    world.turn(advance_ms=5000)
    assert world.instances() == ["c.small"] * 2
    world.update(place, capacity=on_demand(SMALL, min_vcpus=2))
    world.settle()
    assert world.instances() == ["c.small"]
    world.restart()
    world.settle()
    assert world.instances() == ["c.small"]


def test_desired_vcpus_are_launched_once_and_go_when_they_are_idle():
    world = machine(linger_ms=1000)
    place = world.managed(on_demand(SMALL))
    world.settle()
    world.update(place, capacity=on_demand(SMALL, desired_cpu_milli=6000))
    world.turn()
    assert world.instances() == ["c.small"] * 3
    world.turn(advance_ms=1000)
    assert world.instances() == []
    world.update(place, enabled=False)
    world.update(place, enabled=True)
    world.settle()
    assert world.instances() == [], "a later change does not desire it once more"
    world.update(place, capacity=on_demand(SMALL, desired_cpu_milli=6000))
    world.turn()
    assert world.instances() == ["c.small"] * 3, "and the same can be desired again"


def test_a_disabled_environment_launches_nothing_that_is_desired():
    world = machine()
    place = world.managed(on_demand(SMALL))
    world.update(place, enabled=False, capacity=on_demand(SMALL, desired_cpu_milli=6000))
    world.settle()
    assert world.instances() == []


def test_a_new_scaling_policy_holds_for_instances_that_are_idle_already():
    world = machine(linger_ms=60_000)
    place = world.managed(on_demand(SMALL))
    job = world.submit(world.queue(place))
    world.settle()
    world.exits(job)
    world.settle()
    world.update(place, capacity=on_demand(SMALL, linger_ms=1_200_000))
    world.settle()
    world.turn(advance_ms=1_199_000)
    assert world.instances() == ["c.small"]
    world.update(place, capacity=on_demand(SMALL, linger_ms=None))
    decision = world.turn()
    assert world.instances() == [], "idle for longer than the server's own delay"
    assert decision.due_ms is None


def test_more_slices_of_fargate():
    world = machine()
    place = world.managed(fargate(max_vcpus=2))
    queue = world.queue(place)
    for _ in range(5):
        world.submit(queue)
    world.settle()
    assert len(world.running) == 2
    world.update(place, capacity=fargate(max_vcpus=4))
    world.settle()
    assert len(world.running) == 4
    world.update(place, capacity=fargate(max_vcpus=1))
    world.settle()
    assert len(world.running) == 4
