"""Managed environments change while jobs wait and run: what operators see of UpdateComputeEnvironment."""

from __future__ import annotations

from batchyard.model.environments import UPDATED
from batchyard.model.facts import InstanceEnded
from tests.harness.world import World
from tests.scheduler.machines import LARGE, SMALL, STEADY, WIDE, fargate, on_demand, spot


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


# -- infrastructure updates --------------------------------------------------------------------------------------------


def ended(world) -> list[tuple[str, str]]:
    """Types of instances that went, and why."""
    launched = {
        fact.number: fact.type for each in world.decisions for fact in each.facts if hasattr(fact, "usable_mib")
    }
    return [
        (launched[fact.number], fact.reason)
        for each in world.decisions
        for fact in each.facts
        if isinstance(fact, InstanceEnded)
    ]


def busy(*types, update_ms=60_000, **more):
    """A world in which a job runs on an instance of the first type, the environment, its queue and the job."""
    world = machine(linger_ms=10_000)
    place = world.managed(on_demand(*types, update_ms=update_ms, **more))
    queue = world.queue(place)
    job = world.submit(queue, attempts=2)
    world.settle()
    world.starts_running(job)
    world.settle()
    return world, place, queue, job


def test_an_instance_of_a_type_that_is_not_wanted_any_more_takes_no_job_and_goes_with_its_last_one():
    world, place, queue, job = busy(SMALL)
    world.update(place, capacity=on_demand(LARGE, update_ms=60_000))
    later = world.submit(queue)
    world.settle()
    assert (world.place(job), world.place(later)) == ("c.small", "c.large"), "though the small one has room"
    world.exits(job)
    world.settle()
    assert ended(world) == [("c.small", UPDATED)]
    assert world.state(job) == "SUCCEEDED"


def test_jobs_that_outstay_the_policy_are_killed_and_tried_again():
    world, place, queue, job = busy(SMALL)
    world.update(place, capacity=on_demand(LARGE, update_ms=60_000))
    world.settle()
    world.turn(advance_ms=59_000)
    assert world.stopped == []
    world.restart()
    world.turn(advance_ms=2_000)
    assert world.stopped == [job]
    world.exits(job, 137)
    world.settle()
    assert world.rows.jobs[job.seq].closed[0].ending.status_reason.startswith("Host EC2 (instance i-")
    assert (world.state(job), world.place(job)) == ("STARTING", "c.large")
    assert world.instances() == ["c.large"]


def test_terminate_jobs_on_update_waits_for_nobody():
    world, place, queue, job = busy(SMALL)
    world.update(place, capacity=on_demand(LARGE, update_ms=0))
    world.settle()
    assert world.stopped == [job]
    world.exits(job, 137)
    world.settle()
    assert world.place(job) == "c.large"


def test_a_later_update_may_be_less_patient_and_never_more():
    world, place, queue, job = busy(SMALL)
    world.update(place, capacity=on_demand(LARGE, update_ms=60_000))
    world.settle()
    world.update(place, capacity=on_demand(WIDE, update_ms=600_000))
    world.turn(advance_ms=10_000)
    assert world.stopped == []
    world.update(place, capacity=on_demand(LARGE, update_ms=5_000))
    world.settle()
    world.restart()
    world.turn(advance_ms=5_000)
    assert world.stopped == [job]


def test_what_is_due_at_once_goes_in_the_order_of_launch_whatever_is_looked_at_again():
    """The first instance stood idle twice and is looked at twice; of the first time a restart knows nothing."""
    world = machine(linger_ms=30)
    place = world.managed(on_demand(SMALL, update_ms=0))
    queue = world.queue(place)
    first = world.submit(queue, vcpus=2)
    world.turn()
    second = world.submit(queue, vcpus=2)
    world.turn(advance_ms=5)
    world.exits(first)
    world.turn(advance_ms=5)
    third = world.submit(queue, vcpus=2)
    world.turn(advance_ms=5)
    world.update(place, capacity=on_demand(LARGE, update_ms=0))
    world.turn(advance_ms=35)
    assert world.stopped == [third, second]


def test_idle_instances_that_are_not_wanted_go_at_once_and_the_minimum_is_made_anew():
    world = machine(linger_ms=10**6)
    place = world.managed(on_demand(SMALL, min_vcpus=4))
    world.settle()
    assert world.instances() == ["c.small"] * 2
    world.update(place, capacity=on_demand(STEADY, min_vcpus=4))
    world.settle()
    assert world.instances() == ["m.steady"]
    assert ended(world) == [("c.small", UPDATED)] * 2


def test_instances_that_boot_go_too_and_who_waited_gets_another():
    world = machine(boot_ms=1_000, linger_ms=10_000)
    place = world.managed(on_demand(SMALL))
    job = world.submit(world.queue(place))
    world.settle()
    world.update(place, capacity=on_demand(LARGE))
    world.settle()
    assert world.instances() == ["c.large"]
    world.turn(advance_ms=1_000)
    world.settle()
    assert world.place(job) == "c.large"


def test_what_would_be_made_again_stays():
    world, place, queue, job = busy(SMALL)
    world.update(place, capacity=on_demand(LARGE, SMALL, strategy="BEST_FIT_PROGRESSIVE_ORDERED", max_vcpus=30))
    later = world.submit(queue)
    world.settle()
    assert world.place(later) == "c.small", "the instance that is there, whatever comes first among new ones"
    wide = world.submit(queue, vcpus=2)
    world.settle()
    assert world.place(wide) == "c.large"
    assert ended(world) == []


def test_on_demand_instances_are_none_of_a_spot_environment():
    world, place, queue, job = busy(SMALL)
    world.update(place, capacity=spot(SMALL, update_ms=60_000))
    later = world.submit(queue)
    world.settle()
    assert world.instances() == ["c.small"] * 2
    assert world.rows.jobs[later.seq].open[-1].instance != world.rows.jobs[job.seq].open[-1].instance
    world.exits(job)
    world.settle()
    assert ended(world) == [("c.small", UPDATED)]


def test_a_lower_bid_lets_dear_spot_instances_go():
    world = machine(linger_ms=10_000)
    place = world.managed(spot(SMALL, STEADY))  # at 44 and 71 percent of the on-demand price
    queue = world.queue(place)
    jobs = [world.submit(queue, vcpus=4), world.submit(queue, vcpus=2)]
    world.settle()
    assert [world.place(job) for job in jobs] == ["m.steady", "m.steady"]
    world.update(place, capacity=spot(SMALL, STEADY, bid_percent=50, update_ms=0))
    world.settle()
    assert sorted(world.stopped) == sorted(jobs)


def test_instances_of_the_jobs_own_measure_go_where_the_choice_is_not_left_to_us_any_more():
    world = machine(linger_ms=10_000)
    place = world.managed(on_demand(SMALL, max_vcpus=30, carves=True))
    queue = world.queue(place)
    job = world.submit(queue, vcpus=7, memory_mib=900)
    world.settle()
    assert world.place(job) == "local.fit"
    world.update(place, capacity=on_demand(LARGE, max_vcpus=30, carves=True))
    world.settle()
    assert world.scheduler.state.going == {}
    world.update(place, capacity=on_demand(LARGE, max_vcpus=30))
    world.settle()
    assert len(world.scheduler.state.going) == 1


def test_what_leaves_counts_against_the_maximum():
    world, place, queue, job = busy(SMALL, max_vcpus=2)
    world.update(place, capacity=on_demand(LARGE, max_vcpus=2, update_ms=60_000))
    later = world.submit(queue)
    world.settle()
    assert world.state(later) == "RUNNABLE"
    world.exits(job)
    world.settle()
    assert world.place(later) == "c.large"


def test_an_environment_that_is_updated_and_deleted_goes_with_its_last_job():
    world, place, queue, job = busy(SMALL)
    other = world.environment()
    world.update(place, capacity=on_demand(LARGE, update_ms=60_000))
    world.update(queue, environments=(other,))
    world.update(place, enabled=False)
    world.delete(place)
    world.settle()
    assert not world.gone(place)
    world.exits(job)
    world.settle()
    assert world.gone(place)
