"""Instances come for who waits and go when they are idle: stories of operators of managed environments."""

from __future__ import annotations

from batchyard.model import environments as env
from batchyard.model.environments import Capacity
from tests.harness.world import World
from tests.scheduler.machines import GPU, LARGE, SMALL, STEADY, WIDE, fargate, kind, on_demand, spot


def machine(vcpus=32, memory_mib=131_072, gpus=8, **timing) -> World:
    world = World(twins=True)
    world.machine(vcpus, memory_mib, gpus, **timing)
    return world


def test_jobs_share_an_instance_and_another_comes_when_it_is_full():
    world = machine()
    place = world.managed(on_demand(SMALL))
    jobs = [world.submit(world.queue(place)) for _ in range(3)]
    world.settle()
    assert [world.state(job) for job in jobs] == ["STARTING"] * 3
    assert world.instances() == ["c.small", "c.small"]


def test_the_fullest_instance_that_fits_is_taken():
    world = machine()
    queue = world.queue(world.managed(on_demand(LARGE)))
    big = [world.submit(queue, vcpus=6), world.submit(queue, vcpus=5)]
    world.settle()
    small = world.submit(queue, vcpus=2)
    world.settle()
    rows = world.rows.jobs
    assert rows[small.seq].open[-1].instance == rows[big[0].seq].open[-1].instance, "2 of 8 free before 3 of 8"


def test_nothing_is_launched_beyond_the_maximum_and_the_line_waits():
    world = machine()
    queue = world.queue(world.managed(on_demand(SMALL, max_vcpus=4)))
    jobs = [world.submit(queue, vcpus=2) for _ in range(3)]
    world.settle()
    assert [world.state(job) for job in jobs] == ["STARTING", "STARTING", "RUNNABLE"]
    world.exits(jobs[0])
    world.settle()
    assert world.state(jobs[2]) == "STARTING"
    assert len(world.instances()) == 2, "the freed instance was used again"


def test_the_maximum_is_passed_by_one_instance():
    world = machine()
    queue = world.queue(world.managed(on_demand(LARGE, max_vcpus=10)))
    for _ in range(20):
        world.submit(queue)
    world.settle()
    assert world.instances() == ["c.large", "c.large"]
    assert len(world.running) == 16


def test_an_idle_instance_goes_after_a_while_and_the_minimum_stays():
    world = machine(linger_ms=60_000)
    queue = world.queue(world.managed(on_demand(SMALL, min_vcpus=2)))
    world.settle()
    assert world.instances() == ["c.small"], "the minimum is there before any job"
    jobs = [world.submit(queue, vcpus=2) for _ in range(3)]
    world.settle()
    assert len(world.instances()) == 3
    for job in jobs:
        world.exits(job)
    world.settle()
    assert len(world.instances()) == 3
    assert world.scheduler.turn(world.now_ms, []).due_ms == world.now_ms + 60_000
    world.turn(advance_ms=59_999)
    assert len(world.instances()) == 3
    world.turn(advance_ms=1)
    assert world.instances() == ["c.small"]
    world.turn(advance_ms=10**9)
    assert world.instances() == ["c.small"]


def test_an_instance_that_is_used_again_stays():
    world = machine(linger_ms=60_000)
    queue = world.queue(world.managed(on_demand(SMALL)))
    first = world.submit(queue)
    world.settle()
    world.exits(first)
    world.settle()
    world.turn(advance_ms=50_000)
    second = world.submit(queue)
    world.turn()
    world.turn(advance_ms=50_000)
    assert world.instances() == ["c.small"]
    world.exits(second)
    world.settle()
    world.turn(advance_ms=50_000)
    assert world.instances() == ["c.small"], "idle since the second job, not since the first"
    world.restart()
    world.settle()
    assert world.instances() == ["c.small"]
    world.turn(advance_ms=10_000)
    assert world.instances() == []


def test_a_scaling_policy_of_its_own_keeps_instances_longer():
    world = machine(linger_ms=1000)
    queue = world.queue(world.managed(on_demand(SMALL, linger_ms=1_200_000)))
    job = world.submit(queue)
    world.settle()
    world.exits(job)
    world.settle()
    world.turn(advance_ms=1_199_990)
    assert world.instances() == ["c.small"]
    world.turn(advance_ms=20)
    assert world.instances() == []


def test_who_waits_behind_a_booting_instance_has_those_launched_that_he_needs():
    """Three instances boot at once for five jobs, and no more while they boot."""
    world = machine(boot_ms=90_000)
    queue = world.queue(world.managed(on_demand(SMALL)))
    jobs = [world.submit(queue) for _ in range(5)]
    world.settle()
    assert world.instances() == ["c.small"] * 3
    assert world.running == {}
    for _ in range(3):
        world.turn(advance_ms=29_000)
        assert len(world.instances()) == 3
    world.restart()
    world.turn(advance_ms=3_000)
    world.settle()
    assert [world.state(job) for job in jobs] == ["STARTING"] * 5


def test_an_array_waits_for_booting_instances_child_by_child():
    world = machine(boot_ms=1000, vcpus=64)
    queue = world.queue(world.managed(on_demand(LARGE, max_vcpus=24)))
    array = world.submit(queue, size=100)
    world.settle()
    assert world.instances() == ["c.large"] * 3
    world.turn(advance_ms=1000)
    world.settle()
    assert world.states(array).count("s") == 24


def test_the_next_environment_is_used_when_the_first_is_at_its_maximum():
    world = machine()
    first, second = world.managed(on_demand(SMALL, max_vcpus=2)), world.managed(on_demand(STEADY))
    jobs = [world.submit(world.queue(first, second)) for _ in range(3)]
    world.settle()
    assert [world.place(job) for job in jobs] == ["c.small", "c.small", "m.steady"]


def test_fargate_fills_each_environment_up_to_its_maximum():
    world = machine()
    first, second = world.managed(fargate(2)), world.managed(fargate(4))
    queue = world.queue(first, second)
    jobs = [world.submit(queue) for _ in range(7)]
    world.settle()
    assert [world.environment_of(job) for job in jobs[:6]] == [first] * 2 + [second] * 4
    assert world.state(jobs[6]) == "RUNNABLE"
    world.exits(jobs[0])
    world.settle()
    assert world.environment_of(jobs[6]) == first
    assert world.instances() == [], "slices come and go with their jobs"


def test_environments_on_one_machine_share_its_room():
    world = machine(vcpus=4, memory_mib=16_384)
    instances = world.queue(world.managed(on_demand(SMALL)))
    whole = world.queue(world.environment(), priority=9)
    job = world.submit(whole, vcpus=3)
    world.settle()
    waiting = world.submit(instances)
    world.settle()
    assert (world.state(job), world.state(waiting)) == ("STARTING", "RUNNABLE"), "one vCPU is left, a c.small has two"
    world.exits(job)
    world.settle()
    assert world.state(waiting) == "STARTING"


def test_an_idle_instance_makes_room_for_who_needs_it():
    world = machine(vcpus=4, memory_mib=16_384, linger_ms=10**9)
    one = world.queue(world.managed(on_demand(SMALL)))
    two = world.queue(world.managed(on_demand(STEADY)))
    whole = world.queue(world.environment())
    first = world.submit(one)
    world.settle()
    other = world.submit(two)
    world.settle()
    assert world.state(other) == "RUNNABLE", "c.small has a job on it"
    world.exits(first)
    world.settle()
    assert world.state(other) == "STARTING"
    assert world.instances() == ["m.steady"]
    world.exits(other)
    world.settle()
    third = world.submit(whole, vcpus=4)
    world.settle()
    assert world.state(third) == "STARTING"
    assert world.instances() == []


def test_a_larger_instance_takes_the_place_of_an_idle_one_of_the_same_environment():
    world = machine(vcpus=4, memory_mib=32_768, linger_ms=10**9)
    queue = world.queue(world.managed(on_demand(SMALL, WIDE, max_vcpus=4)))
    first = world.submit(queue)
    world.settle()
    assert world.place(first) == "c.small"
    world.exits(first)
    world.settle()
    second = world.submit(queue, memory_mib=30_000)
    world.settle()
    assert world.place(second) == "r.wide"


def test_a_job_that_fits_the_machine_runs_though_no_type_does():
    world = machine(vcpus=3, memory_mib=6000)
    queue = world.queue(world.managed(on_demand(LARGE, carves=True)))
    job = world.submit(queue, vcpus=3, memory_mib=5000)
    too_big = world.submit(queue, vcpus=4)
    world.settle()
    assert world.place(job) == env.FIT
    world.exits(job)
    world.settle()
    assert world.state(too_big) == "RUNNABLE"


def test_a_disabled_environment_starts_nothing_and_keeps_its_minimum():
    world = machine(linger_ms=1000)
    queue = world.queue(world.managed(on_demand(SMALL, min_vcpus=2), enabled=False))
    job = world.submit(queue)
    world.settle()
    world.turn(advance_ms=10_000)
    assert world.state(job) == "RUNNABLE"
    assert world.instances() == ["c.small"]


def test_a_job_without_gpus_avoids_the_instance_that_has_some():
    world = machine()
    queue = world.queue(world.managed(on_demand(GPU, STEADY)))
    training = world.submit(queue, gpus=1)
    plain = world.submit(queue)
    world.settle()
    assert (world.place(training), world.place(plain)) == ("g.gpu", "m.steady")
    more = [world.submit(queue, gpus=1), world.submit(queue, gpus=1)]
    world.settle()
    assert world.instances() == ["g.gpu", "m.steady", "g.gpu"], "two GPUs an instance"
    assert [world.place(job) for job in more] == ["g.gpu", "g.gpu"]


def test_where_there_are_only_gpus_they_serve_everybody():
    world = machine()
    queue = world.queue(world.managed(on_demand(GPU)))
    jobs = [world.submit(queue), world.submit(queue, gpus=2)]
    world.settle()
    assert [world.place(job) for job in jobs] == ["g.gpu", "g.gpu"]
    assert len(world.instances()) == 1


def test_two_queues_share_an_environment_by_priority():
    world = machine()
    place = world.managed(on_demand(SMALL, max_vcpus=2))
    low, high = world.queue(place, priority=1), world.queue(place, priority=5)
    jobs = [world.submit(low, vcpus=2), world.submit(high, vcpus=2)]
    world.settle()
    assert [world.state(job) for job in jobs] == ["RUNNABLE", "STARTING"]


def test_desired_capacity_is_there_at_once_and_goes_when_nobody_needs_it():
    world = machine(linger_ms=1000)
    world.queue(world.managed(Capacity(env.EC2, 16_000, 2000, 6000, strategy="BEST_FIT", types=(SMALL,))))
    world.settle()
    assert len(world.instances()) == 3
    world.turn(advance_ms=1000)
    assert len(world.instances()) == 1


def test_a_job_that_is_larger_than_everything_stays_at_the_head():
    world = machine()
    queue = world.queue(world.managed(on_demand(SMALL)))
    job = world.submit(queue, vcpus=3)
    behind = world.submit(queue)
    world.settle()
    assert (world.state(job), world.state(behind), world.instances()) == ("RUNNABLE", "RUNNABLE", [])


def test_spot_too_dear_is_not_launched():
    world = machine()
    cheap, dear = kind("a", 2, 4096, 100, 20), kind("b", 2, 4096, 100, 90)
    queues = [world.queue(world.managed(spot(each, bid_percent=50))) for each in (cheap, dear)]
    jobs = [world.submit(queue) for queue in queues]
    world.settle()
    assert [world.state(job) for job in jobs] == ["STARTING", "RUNNABLE"]


def test_numbers_and_ids_of_instances_are_used_once_over_restarts():
    world = machine(linger_ms=10)
    queue = world.queue(world.managed(on_demand(SMALL)))
    seen = []
    for _ in range(3):
        job = world.submit(queue)
        world.settle()
        seen.append(world.rows.jobs[job.seq].open[-1].instance)
        world.exits(job)
        world.settle()
        world.turn(advance_ms=100)
        assert world.instances() == []
        world.restart()
        world.settle()
    assert len(set(seen)) == 3
    assert all(each.startswith("i-") and len(each) == 19 for each in seen)


def test_an_environment_that_is_deleted_gives_up_its_minimum_and_then_what_its_jobs_leave():
    world = machine(linger_ms=10**9)
    place = world.managed(on_demand(SMALL, min_vcpus=4))
    queue = world.queue(place)
    job = world.submit(queue, vcpus=2)
    world.settle()
    assert len(world.instances(place)) == 2
    world.update(queue, environments=(world.environment(),))
    world.settle()
    world.delete(place)
    world.settle()
    assert len(world.instances(place)) == 1, "the one with the job on it"
    assert not world.gone(place)
    world.exits(job)
    world.settle()
    assert world.gone(place)
    assert world.instances() == []


def test_a_lower_minimum_lets_idle_instances_go():
    world = machine(linger_ms=1000)
    place = world.managed(on_demand(SMALL, min_vcpus=4))
    world.queue(place)
    world.turn(advance_ms=10_000)
    assert len(world.instances()) == 2
    world.turn(advance_ms=10_000)
    assert len(world.instances()) == 2
    world.update(place, capacity=on_demand(SMALL, min_vcpus=2))
    world.settle()
    assert len(world.instances()) == 1
