"""Spot on our own machines is pre-emptible: it is warned, takes no more jobs, is killed when its time is over, and goes
with its last job. A machine of eight vCPUs, of which Spot instances hold some."""

from __future__ import annotations

import pytest

from batchyard.model.environments import FARGATE_SPOT, Capacity
from batchyard.model.jobs import RetryRule
from batchyard.scheduler import reclaim
from tests.harness.world import World
from tests.scheduler.machines import SMALL, STEADY, fargate, on_demand, spot

MINUTE = 60_000


@pytest.fixture
def world():
    world = World(vcpus=8, memory_mib=65_536, twins=True)
    yield world
    world.turn()


def pre_emptible(world, vcpus=8, kind=SMALL, **more) -> tuple[int, int]:
    """A Spot environment and its queue."""
    place = world.managed(spot(kind, max_vcpus=vcpus, **more))
    return place, world.queue(place, priority=5)


def slices(world, vcpus=8) -> tuple[int, int]:
    place = world.managed(Capacity(FARGATE_SPOT, vcpus * 1000))
    return place, world.queue(place, priority=5)


def run(world, queue, vcpus=2, count=1, **more):
    jobs = [world.submit(queue, vcpus=vcpus, **more) for _ in range(count)]
    world.settle()
    for job in jobs:
        world.starts_running(job)
    world.settle()
    return jobs


def pass_minutes(world, minutes=2) -> None:
    world.turn(advance_ms=minutes * MINUTE)


# -- warned, reclaimed, gone -----------------------------------------------------------------------------------------


def test_an_interrupted_instance_is_warned_then_killed_at_once_and_its_job_is_lost(world):
    place, queue = pre_emptible(world)
    (job,) = run(world, queue)
    name = world.instance_of(job)
    world.interrupt(place, name)
    world.settle()
    assert (world.warned(), world.stopped) == ([name], []), "for two minutes nothing happens to the job"
    assert world.decisions[-1].due_ms == world.now_ms - 10 + 2 * MINUTE or world.decisions[-1].due_ms
    pass_minutes(world)
    assert (world.stopped, world.grace[job]) == ([job], 0), "no grace: the machine goes"
    assert world.state(job) == "RUNNING", "until it is known to be dead"
    world.dies(job)
    world.settle()
    assert world.reason(job) == f"Host EC2 (instance {name}) terminated."
    assert world.rows.jobs[job.seq].closed[-1].ending.exit_code is None
    assert (world.state(job), world.instances()) == ("FAILED", [])


def test_nothing_happens_before_the_time_is_over(world):
    place, queue = pre_emptible(world)
    (job,) = run(world, queue)
    world.interrupt(place)
    world.settle()
    world.turn(advance_ms=2 * MINUTE - 1_000)
    assert not world.stopped
    assert world.decisions[-1].due_ms > world.now_ms
    world.turn(advance_ms=1_000)
    assert world.stopped == [job]
    world.turn(advance_ms=MINUTE)
    assert world.stopped == [job], "told once"


def test_a_warned_instance_takes_no_more_jobs(world):
    place, queue = pre_emptible(world, kind=STEADY)
    (first,) = run(world, queue, vcpus=1)
    world.interrupt(place)
    (second,) = run(world, queue, vcpus=1)
    assert world.instance_of(second) != world.instance_of(first)


def test_an_idle_instance_goes_at_once(world):
    place, queue = pre_emptible(world)
    (job,) = run(world, queue)
    world.exits(job)
    world.settle()
    assert world.instances() == ["c.small"]
    world.interrupt(place)
    world.settle()
    assert world.instances() == []


def test_a_job_that_ends_by_itself_during_the_warning_keeps_its_ending(world):
    place, queue = pre_emptible(world, kind=STEADY)
    done, failed = run(world, queue, vcpus=1, count=2)
    world.interrupt(place)
    world.settle()
    world.exits(done, 0)
    world.exits(failed, 3)
    world.settle()
    assert (world.state(done), world.state(failed)) == ("SUCCEEDED", "FAILED")
    assert world.reason(failed) == "Essential container in task exited"
    assert world.instances() == [], "it goes with its last job, before its time is over"
    pass_minutes(world)
    assert not world.stopped


def test_who_ended_by_itself_just_before_the_kill_keeps_its_ending(world):
    place, queue = pre_emptible(world)
    (job,) = run(world, queue)
    world.interrupt(place)
    world.settle()
    pass_minutes(world)
    world.exits(job, 0)
    world.settle()
    assert world.state(job) == "SUCCEEDED"


def test_the_retry_rule_of_the_guide_sees_it_and_it_counts_as_an_attempt(world):
    place, queue = pre_emptible(world)
    rules = (RetryRule(True, on_status_reason="Host EC2*"), RetryRule(False, on_reason="*"))
    (job,) = run(world, queue, attempts=2, rules=rules)
    for _ in range(2):
        world.interrupt(place)
        world.settle()
        pass_minutes(world)
        world.dies(job)
        world.settle()
    assert world.state(job) == "FAILED"
    assert [each.number for each in world.rows.jobs[job.seq].closed] == [1, 2]


def test_the_room_is_free_only_when_the_last_job_is_dead(world):
    place, queue = pre_emptible(world, kind=STEADY)
    first, second = run(world, queue, vcpus=1, count=2)
    world.interrupt(place)
    world.settle()
    pass_minutes(world)
    world.dies(first)
    world.settle()
    assert world.instances() == ["m.steady"]
    world.dies(second)
    world.settle()
    assert world.instances() == []


def test_an_attempt_that_was_about_to_start_is_killed_like_the_others(world):
    place, queue = pre_emptible(world)
    job = world.submit(queue, vcpus=2, attempts=2)
    world.settle()
    assert world.state(job) == "STARTING"
    world.interrupt(place)
    world.settle()
    pass_minutes(world)
    world.running.clear()  # the executor never began it
    world.surveys()
    world.settle()
    assert len(world.rows.jobs[job.seq].closed) == 1, "it is not started on a machine that is gone"


def test_a_restart_repeats_the_kill(world):
    place, queue = pre_emptible(world)
    (job,) = run(world, queue)
    world.interrupt(place)
    world.settle()
    pass_minutes(world)
    world.restart()
    world.settle()
    assert world.stopped == [job, job]
    assert world.grace[job] == 0


def test_a_terminated_job_keeps_the_reason_it_was_given(world):
    place, queue = pre_emptible(world)
    (job,) = run(world, queue, attempts=3)
    world.interrupt(place)
    world.terminate(job, "wrong input")
    world.settle()
    pass_minutes(world)
    world.dies(job)
    world.settle()
    assert (world.state(job), world.reason(job)) == ("FAILED", "wrong input")


def test_what_is_not_spot_is_not_interrupted(world):
    place = world.managed(on_demand(SMALL))
    queue = world.queue(place)
    (job,) = run(world, queue)
    world.interrupt(place, world.instance_of(job))
    world.strikes(1, 2, 3)
    world.settle()
    assert world.warned() == []


def test_chance_picks_by_number(world):
    place, queue = pre_emptible(world)
    jobs = run(world, queue, count=3)
    names = [world.instance_of(job) for job in jobs]
    assert world.scheduler.interruptible() == 3
    world.strikes(4)  # modulo three
    world.settle()
    assert world.warned() == [names[1]]
    assert world.scheduler.interruptible() == 2


# -- Fargate Spot ----------------------------------------------------------------------------------------------------


def test_an_attempt_on_fargate_spot_is_told_to_end_at_the_warning(world):
    place, queue = slices(world)
    (job,) = run(world, queue)
    world.interrupt(place, job=job)
    world.settle()
    assert (world.stopped, world.grace[job]) == ([job], 2 * MINUTE)
    world.exits(job, 143)
    world.settle()
    assert world.reason(job) == "Your Spot Task was interrupted."
    assert world.rows.jobs[job.seq].closed[-1].ending.exit_code == 143


def test_an_attempt_on_fargate_spot_that_succeeds_when_it_is_told_to_end_has_succeeded(world):
    place, queue = slices(world)
    (job,) = run(world, queue)
    world.interrupt(place)
    world.settle()
    world.exits(job, 0)
    world.settle()
    assert world.state(job) == "SUCCEEDED"


def test_a_restart_repeats_the_warning_of_fargate_spot_with_what_is_left_of_the_time(world):
    place, queue = slices(world)
    (job,) = run(world, queue)
    world.interrupt(place)
    world.settle()
    pass_minutes(world, 1)
    world.restart()
    world.settle()
    assert world.stopped == [job, job]
    assert 0 < world.grace[job] < MINUTE


# -- for on-demand work ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["EC2", "FARGATE", "UNMANAGED"])
def test_on_demand_work_has_spot_reclaimed_and_gets_its_room(world, kind):
    _, cheap = pre_emptible(world)
    jobs = run(world, cheap, count=4)
    make = {"EC2": lambda: world.managed(on_demand(SMALL)), "FARGATE": lambda: world.managed(fargate(8))}
    place = make.get(kind, world.environment)()
    dear = world.submit(world.queue(place, priority=1), vcpus=2)
    world.settle()
    assert len(world.warned()) == 1
    (victim,) = [job for job in jobs if world.instance_of(job) in world.warned()]
    pass_minutes(world)
    world.dies(victim)
    world.settle()
    assert world.state(dear) == "STARTING"
    assert world.environment_of(dear) == place


def test_as_few_as_needed_go_and_those_with_the_least_work_lost(world):
    _, cheap = pre_emptible(world)
    (old,) = run(world, cheap)
    world.turn(advance_ms=MINUTE)
    (young,) = run(world, cheap)
    run(world, world.queue(world.environment()), vcpus=4)
    world.submit(world.queue(world.managed(on_demand(SMALL))), vcpus=2)
    world.settle()
    assert world.warned() == [world.instance_of(young)]
    assert world.instance_of(old) not in world.warned()


def test_one_that_suffices_alone_goes_rather_than_two(world):
    small, few = pre_emptible(world, vcpus=4)
    steady, more = pre_emptible(world, vcpus=4, kind=STEADY)
    (large,) = run(world, more, vcpus=4)
    world.turn(advance_ms=MINUTE)
    run(world, few, count=2)
    world.submit(world.queue(world.managed(on_demand(STEADY))), vcpus=4)
    world.settle()
    assert world.warned() == [world.instance_of(large)]


def test_while_room_is_coming_nothing_more_is_warned(world):
    _, cheap = pre_emptible(world)
    run(world, cheap, count=4)
    dear = world.queue(world.managed(on_demand(SMALL)), priority=9)
    first = world.submit(dear, vcpus=2)
    world.settle()
    for _ in range(5):
        world.submit(cheap, vcpus=2)
        world.turn(advance_ms=1_000)
    assert len(world.warned()) == 1
    world.terminate(first)
    world.submit(dear, vcpus=2)
    world.settle()
    assert len(world.warned()) == 1, "the next in line takes what was made for the first"


def test_two_queues_that_wait_have_room_made_for_both(world):
    _, cheap = pre_emptible(world)
    run(world, cheap, count=4)
    place = world.managed(on_demand(SMALL))
    for priority in (1, 2):
        world.submit(world.queue(place, priority=priority), vcpus=2)
    world.settle()
    assert len(world.warned()) == 2


def test_the_job_that_was_interrupted_does_not_take_its_room_back(world):
    """Its queue goes first, and it stands at the front of its line; yet the room was made for somebody else."""
    _, cheap = pre_emptible(world)
    jobs = run(world, cheap, count=4, attempts=10)
    dear = world.submit(world.queue(world.managed(on_demand(SMALL)), priority=0), vcpus=2)
    world.settle()
    (victim,) = [job for job in jobs if world.instance_of(job) in world.warned()]
    pass_minutes(world)
    world.dies(victim)
    world.settle()
    assert (world.state(victim), world.state(dear)) == ("RUNNABLE", "STARTING")
    world.exits(dear)
    world.turn(advance_ms=2 * MINUTE)
    world.settle()
    assert world.state(victim) == "STARTING"


def test_the_warning_is_not_taken_back(world):
    _, cheap = pre_emptible(world)
    run(world, cheap, count=4)
    dear = world.submit(world.queue(world.managed(on_demand(SMALL))), vcpus=2)
    world.settle()
    world.terminate(dear)
    world.settle()
    pass_minutes(world)
    assert len(world.stopped) == 1


def test_nobody_is_warned_for_a_job_that_would_not_fit_even_so(world):
    _, cheap = pre_emptible(world, vcpus=4)
    run(world, cheap, count=2)
    run(world, world.queue(world.environment()), vcpus=4)
    world.submit(world.queue(world.environment()), vcpus=6)
    world.settle()
    assert world.warned() == []


def test_a_queue_does_not_interrupt_its_own_jobs(world):
    place = world.managed(spot(SMALL, max_vcpus=8))
    both = world.queue(place, world.managed(on_demand(SMALL)))
    run(world, both, count=4)
    world.submit(both, vcpus=2)
    world.settle()
    assert world.warned() == []


def test_room_that_is_waited_for_is_not_given_to_others_meanwhile(world):
    """Six vCPUs are wanted: two are free and four are coming. Spot does not get the two; who is on demand has two more
    reclaimed, and then need not wait himself."""
    _, cheap = pre_emptible(world, vcpus=6)
    run(world, cheap, count=3)
    place = world.environment()
    large = world.submit(world.queue(place, priority=9), vcpus=6)
    world.settle()
    assert len(world.warned()) == 2
    more = world.submit(cheap, vcpus=2)
    world.settle()
    assert (world.state(more), len(world.warned())) == ("RUNNABLE", 2)
    small = world.submit(world.queue(place, priority=1), vcpus=2)
    world.settle()
    assert (world.state(small), world.state(more), len(world.warned())) == ("STARTING", "RUNNABLE", 3)
    pass_minutes(world)
    for job in list(world.stopped):
        world.dies(job)
    world.settle()
    assert world.state(large) == "STARTING"


def test_nor_is_what_it_will_hold_of_its_environment_s_maximum(world):
    """Six of eight vCPUs that the environment may hold are waited for, so that one more is left for others, though
    three are free on the machine."""
    world.machine(16, 65_536)
    _, cheap = pre_emptible(world, vcpus=4)
    run(world, cheap, count=2)
    run(world, world.queue(world.environment()), vcpus=6)
    place = world.managed(fargate(8))
    run(world, world.queue(place), vcpus=1)
    large = world.submit(world.queue(place, priority=9), vcpus=6)
    small = [world.submit(world.queue(place, priority=1), vcpus=1) for _ in range(3)]
    world.settle()
    assert [world.state(job) for job in (large, *small)] == ["RUNNABLE", "STARTING", "RUNNABLE", "RUNNABLE"]
    pass_minutes(world)
    for job in list(world.stopped):
        world.dies(job)
    world.settle()
    assert world.state(large) == "STARTING"


def test_the_minimum_of_spot_goes_and_comes_back_when_there_is_room(world):
    place, _ = pre_emptible(world, min_cpu_milli=8_000)
    world.settle()
    assert len(world.instances(place)) == 4
    machine = world.environment()
    job = world.submit(world.queue(machine), vcpus=8)
    world.settle()
    assert (world.state(job), world.instances(place)) == ("STARTING", [])
    world.exits(job)
    world.settle()
    assert len(world.instances(place)) == 4


def test_a_queue_that_likes_spot_first_does_not_undo_what_boots_for_the_next_one(world):
    """An on-demand instance is ready for the second queue: the first takes it rather than have it go for Spot, which
    the second would have reclaimed for another one, and so on."""
    world.machine(vcpus=2, memory_mib=65_536, boot_ms=1_000)
    cheap, dear = world.managed(spot(SMALL)), world.managed(on_demand(SMALL))
    first, second = world.queue(cheap, dear, priority=2), world.queue(dear, cheap, priority=1)
    jobs = [world.submit(first, vcpus=2), world.submit(second, vcpus=2)]
    for _ in range(4):
        world.turn(advance_ms=1_000)
    assert sorted(world.state(job) for job in jobs) == ["RUNNABLE", "STARTING"]
    assert world.rows.launched <= 3


def test_a_head_does_not_have_what_boots_for_the_one_before_it_reclaimed(world):
    world.machine(vcpus=2, memory_mib=65_536, boot_ms=1_000)
    cheap, dear = world.managed(spot(SMALL)), world.managed(on_demand(SMALL))
    jobs = [world.submit(world.queue(cheap, dear, priority=priority), vcpus=2) for priority in (2, 1)]
    world.settle()
    assert world.instances(cheap) == ["c.small"] and world.rows.launched == 1
    world.turn(advance_ms=1_000)
    assert [world.state(job) for job in jobs] == ["STARTING", "RUNNABLE"]


def test_fargate_spot_makes_room_too(world):
    _, cheap = slices(world)
    jobs = run(world, cheap, count=4)
    dear = world.submit(world.queue(world.environment()), vcpus=2)
    world.settle()
    (victim,) = world.stopped
    world.exits(victim, 143)
    world.settle()
    assert world.state(dear) == "STARTING"
    assert victim in jobs
    assert world.reason(victim) == reclaim.SLICE_INTERRUPTED
