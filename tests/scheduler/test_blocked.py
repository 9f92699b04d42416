"""Blocked queues: when a head is stuck, in which words it is said, when it is over, and what a time limit does."""

from __future__ import annotations

import pytest

from batchyard.model import blocked
from batchyard.model.blocked import TimeLimit
from batchyard.model.environments import BEST_FIT, Timing
from batchyard.model.events import TimingSet
from batchyard.model.shares import SharePolicy
from tests.harness.world import World
from tests.scheduler.machines import LARGE, SMALL, STEADY, WIDE, fargate, kind, on_demand, spot

MAX_RESOURCE = (
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - CE(s) associated with the job queue cannot meet the CPU "
    "requirement of the job."
)
JOB_REQUIREMENT = (
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job resource requirement (vCPU/memory/GPU) is higher than that "
    "can be met by the CE(s) attached to the job queue."
)
UNSUPPORTED = (
    "MISCONFIGURATION:EC2_INSTANCE_CONFIGURATION_UNSUPPORTED - Your compute environment associated with this job queue "
    "has an unsupported instance type configuration."
)
CANCELED = "Canceled by JobStateTimeLimit action due to reason: "
ACTION_REQUIRED = "ACTION_REQUIRED - CE(s) associated with the job queue are invalid."
TEN_MINUTES = 600_000
HUGE = kind("x.huge", 64, 262_144, price=2000, spot_price=700)
DEAR = kind("s.dear", 4, 16_384, price=100, spot_price=90)


def capacity_of(type_name: str) -> str:
    return (
        "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - Service cannot fulfill the capacity requested for instance type "
        f"[{type_name}]"
    )


def world_of(vcpus: int = 16, memory_mib: int = 65_536, gpus: int = 0, **timing: int) -> World:
    """A machine; a head is called stuck at once, or after a minute if only room is missing."""
    world = World(vcpus, memory_mib, twins=True)
    world.machine(vcpus, memory_mib, gpus)
    world.events.append(TimingSet(Timing(0, 60_000, **({"blocked_ms": 0, "full_ms": 60_000} | timing))))
    return world


def limits(seconds: int, *codes: str) -> tuple[TimeLimit, ...]:
    return tuple(TimeLimit(code, seconds * 1000) for code in codes or blocked.LIMITED)


# -- reasons ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "asked", "reason"),
    [
        (on_demand(LARGE, max_vcpus=4), {"vcpus": 8}, MAX_RESOURCE),
        (fargate(2), {"vcpus": 4}, MAX_RESOURCE),
        (on_demand(LARGE, max_vcpus=4, strategy=BEST_FIT), {"vcpus": 4}, MAX_RESOURCE),
        (on_demand(SMALL, STEADY), {"memory_mib": 20_000}, JOB_REQUIREMENT),
        (on_demand(SMALL, WIDE), {"gpus": 1}, JOB_REQUIREMENT),
        (on_demand(SMALL), {"vcpus": 3}, JOB_REQUIREMENT),
        (fargate(8), {"memory_mib": 100_000}, JOB_REQUIREMENT),
        (on_demand(HUGE, max_vcpus=128), {"vcpus": 2}, UNSUPPORTED),
        (spot(DEAR, bid_percent=50), {"vcpus": 2}, capacity_of("s.dear")),
        (None, {"vcpus": 17}, JOB_REQUIREMENT),
        (None, {"gpus": 1}, JOB_REQUIREMENT),
    ],
)
def test_what_no_environment_could_ever_run_blocks_the_queue(place, asked, reason):
    world = world_of(full_ms=0)
    queue = world.queue(world.environment() if place is None else world.managed(place))
    job, behind = world.submit(queue, **asked), world.submit(queue)
    world.settle()
    assert world.state(job) == "RUNNABLE"
    assert world.reason(job) == reason
    assert (world.state(behind), world.reason(behind)) == ("RUNNABLE", None), "only the head is looked at"
    assert [fact.reason for fact in world.rows.told] == [reason]


def test_a_queue_without_an_enabled_environment_asks_for_action():
    world = world_of()
    off = [world.environment(enabled=False), world.managed(on_demand(SMALL), enabled=False)]
    job = world.submit(world.queue(*off))
    world.settle()
    assert world.reason(job) == ACTION_REQUIRED
    world.update(off[1], enabled=True)
    world.settle()
    assert (world.state(job), world.reason(job)) == ("STARTING", None)
    assert not world.rows.blocks


def test_a_disabled_environment_is_no_help_and_has_no_word():
    """What would run the job is off: the reason is that of those that are on."""
    world = world_of()
    job = world.submit(world.queue(world.environment(enabled=False), world.managed(on_demand(SMALL))), vcpus=3)
    world.settle()
    assert world.reason(job) == JOB_REQUIREMENT


def test_one_environment_that_could_run_it_is_enough():
    world = world_of()
    small, large = world.managed(on_demand(SMALL)), world.managed(on_demand(LARGE))
    queue = world.queue(small, large)
    first, second, third = (world.submit(queue, vcpus=8) for _ in range(3))
    world.settle()
    assert (world.state(first), world.state(second), world.state(third)) == ("STARTING", "STARTING", "RUNNABLE")
    assert not world.rows.blocks, "it waits for the end of a job"


def test_where_environments_differ_the_first_has_the_word():
    world = world_of()
    one, two = world.managed(on_demand(LARGE, max_vcpus=2)), world.managed(on_demand(SMALL))
    a, b = world.submit(world.queue(one, two), vcpus=4), world.submit(world.queue(two, one), vcpus=4)
    world.settle()
    assert (world.reason(a), world.reason(b)) == (MAX_RESOURCE, JOB_REQUIREMENT)


def test_what_a_policy_reserves_for_others_is_a_maximum_too():
    world = world_of(vcpus=8)
    queue = world.queue(world.managed(on_demand(LARGE, max_vcpus=8)), policy=SharePolicy(reservation_percent=50))
    job = world.submit(queue, vcpus=6, share="a")
    world.settle()
    assert world.reason(job) == MAX_RESOURCE


@pytest.mark.parametrize(
    ("place", "nodes", "reason"),
    [
        (on_demand(STEADY, max_vcpus=8), {"vcpus": 4}, MAX_RESOURCE),
        (on_demand(SMALL), {"vcpus": 3}, JOB_REQUIREMENT),
        (on_demand(SMALL), {"type": "m.steady"}, JOB_REQUIREMENT),
        (spot(STEADY), {}, JOB_REQUIREMENT),
        (on_demand(LARGE, max_vcpus=64), {"vcpus": 8}, JOB_REQUIREMENT),
    ],
)
def test_a_multi_node_job_of_which_no_environment_could_ever_hold_all_nodes(place, nodes, reason):
    world = world_of()
    queue = world.queue(world.managed(place))
    job = world.submit_nodes(queue, 3, **nodes)
    world.settle()
    assert (world.state(job), world.reason(job)) == ("RUNNABLE", reason)
    world.update(queue, limits=limits(600))
    world.turn(advance_ms=TEN_MINUTES)
    world.settle()
    assert (world.state(job), world.reason(job)) == ("FAILED", CANCELED + reason)


def test_a_multi_node_job_lacks_capacity_though_a_later_environment_has_room():
    world = world_of(vcpus=10)
    theirs, first, later = (world.managed(on_demand(each)) for each in (LARGE, STEADY, SMALL))
    world.submit(world.queue(theirs), vcpus=8)
    world.settle()
    job = world.submit_nodes(world.queue(first, later), 2)
    world.settle()
    world.turn(advance_ms=60_000)
    assert world.reason(job) == capacity_of("m.steady")


def test_a_multi_node_job_that_waits_for_jobs_or_for_its_instances_is_not_blocked():
    world = world_of(vcpus=8)
    world.machine(8, 65_536, boot_ms=1000, blocked_ms=0)
    queue = world.queue(world.managed(on_demand(STEADY, max_vcpus=8)))
    job = world.submit_nodes(queue, 2, vcpus=4)
    world.settle()
    assert not world.rows.blocks, "its instances boot"
    world.turn(advance_ms=1000)
    behind = world.submit_nodes(queue, 2)
    world.settle()
    world.turn(advance_ms=TEN_MINUTES)
    assert (world.state(job), world.reason(behind)) == ("STARTING", None)


# -- waiting is not being blocked ------------------------------------------------------------------------------------


def test_who_waits_for_running_jobs_is_not_blocked_however_long():
    world = world_of(vcpus=2)
    queue = world.queue()
    running, waiting = world.submit(queue, vcpus=2), world.submit(queue, vcpus=2)
    world.settle()
    world.turn(advance_ms=10 * TEN_MINUTES)
    assert (world.state(running), world.state(waiting), world.reason(waiting)) == ("STARTING", "RUNNABLE", None)
    assert not world.rows.blocks


def test_who_waits_for_an_instance_that_boots_is_not_blocked():
    world = world_of()
    world.machine(16, 65_536, boot_ms=1000)
    job = world.submit(world.queue(world.managed(on_demand(SMALL))))
    world.settle()
    assert world.instances() == ["c.small"]
    assert not world.rows.blocks
    world.turn(advance_ms=1000)
    assert world.state(job) == "STARTING"


def test_who_waits_for_the_room_of_shares_that_are_not_active_is_not_blocked():
    world = world_of(vcpus=8)
    queue = world.queue(world.managed(on_demand(LARGE, max_vcpus=8)), policy=SharePolicy(reservation_percent=50))
    first, second = (world.submit(queue, vcpus=3, share="a") for _ in range(2))
    world.settle()
    assert (world.state(first), world.state(second)) == ("STARTING", "RUNNABLE")
    assert not world.rows.blocks


def test_room_that_others_hold_for_long_is_a_lack_of_capacity():
    world = world_of(vcpus=8)
    theirs, ours = world.managed(on_demand(LARGE, max_vcpus=8)), world.managed(on_demand(STEADY, max_vcpus=8))
    other = world.submit(world.queue(theirs))
    world.settle()
    job = world.submit(world.queue(ours))
    world.settle()
    assert world.reason(job) is None, "it may be over soon"
    since_ms = world.now_ms
    assert world.decisions[-1].due_ms is not None
    world.turn(advance_ms=world.decisions[-1].due_ms - world.now_ms)
    assert world.reason(job) == capacity_of("m.steady")
    assert since_ms + 59_000 < world.rows.told[0].at_ms <= since_ms + 60_000
    world.exits(other)
    world.settle()
    assert (world.state(job), world.reason(job)) == ("STARTING", None), "the idle instance made room"
    assert not world.rows.blocks


def test_room_that_jobs_of_its_own_environment_hold_is_waited_for():
    world = world_of(vcpus=8)
    ours, theirs = world.managed(on_demand(STEADY, max_vcpus=16)), world.managed(on_demand(STEADY))
    mine, other = world.queue(ours), world.queue(theirs)
    world.submit(other, vcpus=4)
    world.settle()
    world.submit(mine, vcpus=4)
    waiting = world.submit(mine, vcpus=4)
    world.settle()
    world.turn(advance_ms=10 * TEN_MINUTES)
    assert (world.state(waiting), world.reason(waiting)) == ("RUNNABLE", None)


def test_an_environment_at_its_maximum_is_waited_for_though_the_next_has_no_room():
    world = world_of(vcpus=8)
    full, shut_out, theirs = (world.managed(each) for each in (fargate(2), on_demand(STEADY), on_demand(STEADY)))
    world.submit(world.queue(theirs), vcpus=4)
    world.submit(world.queue(full), vcpus=2)
    world.settle()
    waiting = world.submit(world.queue(full, shut_out), vcpus=2)
    world.settle()
    world.turn(advance_ms=TEN_MINUTES)
    assert world.reason(waiting) is None


# -- time ------------------------------------------------------------------------------------------------------------


def test_what_passes_soon_is_not_told():
    world = world_of(blocked_ms=10_000)
    place = world.environment(enabled=False)
    job = world.submit(world.queue(place))
    world.turn()
    assert world.decisions[-1].due_ms == world.now_ms + 10_000
    world.turn(advance_ms=9_999)
    assert world.reason(job) is None
    world.update(place, enabled=True)
    world.settle()
    assert world.state(job) == "STARTING"
    assert not world.rows.told


def test_it_is_told_once_and_by_itself():
    world = world_of(blocked_ms=10_000)
    job = world.submit(world.queue(world.environment(enabled=False)))
    world.turn()
    world.turn(advance_ms=10_000)
    assert world.reason(job) == ACTION_REQUIRED
    for _ in range(3):
        world.turn(advance_ms=TEN_MINUTES)
        assert not world.decisions[-1].facts
    assert world.decisions[-1].due_ms is None
    assert len(world.rows.told) == 1


def test_another_reason_is_told_anew():
    world = world_of()
    place = world.managed(on_demand(SMALL, max_vcpus=2), enabled=False)
    job = world.submit(world.queue(place), vcpus=3)
    world.settle()
    world.update(place, enabled=True)
    world.settle()
    assert world.reason(job) == MAX_RESOURCE
    assert [fact.reason for fact in world.rows.told] == [ACTION_REQUIRED, MAX_RESOURCE]


def test_the_next_head_gets_its_own_verdict():
    world = world_of()
    queue = world.queue()
    large, gpu, fits = world.submit(queue, vcpus=99), world.submit(queue, gpus=1), world.submit(queue)
    world.settle()
    assert world.reason(gpu) is None
    world.cancel(large, "never mind")
    world.settle()
    assert (world.state(large), world.reason(large)) == ("FAILED", "never mind")
    assert world.reason(gpu) == JOB_REQUIREMENT
    world.terminate(gpu)
    world.settle()
    assert (world.state(fits), world.reason(fits)) == ("STARTING", None)
    assert [fact.job for fact in world.rows.told] == [large.seq, gpu.seq]


def test_a_retry_that_has_lost_its_environment_says_so_in_place_of_its_last_ending():
    world = world_of()
    place = world.environment()
    job = world.submit(world.queue(place), attempts=2)
    world.settle()
    world.update(place, enabled=False)
    world.exits(job, 1)
    world.settle()
    assert (world.state(job), world.reason(job)) == ("RUNNABLE", ACTION_REQUIRED)
    assert world.rows.told[0].number == 1
    world.update(place, enabled=True)
    world.settle()
    assert (world.state(job), world.reason(job)) == ("STARTING", None)


def test_a_queue_that_is_deleted_is_blocked_no_more():
    world = world_of()
    queue = world.queue(world.environment(enabled=False))
    job = world.submit(queue)
    world.settle()
    assert world.rows.blocks
    world.delete(queue)
    world.settle()
    assert (world.reason(job), world.rows.blocks, world.gone(queue)) == ("JobQueue deleted", {}, True)


# -- time limits -----------------------------------------------------------------------------------------------------


def test_a_job_that_blocks_for_too_long_is_cancelled_and_the_others_go_on():
    world = world_of(vcpus=2)
    queue = world.queue(limits=limits(600))
    fine, impossible, behind = world.submit(queue), world.submit(queue, vcpus=3), world.submit(queue)
    world.settle()
    assert world.state(behind) == "RUNNABLE"
    world.turn(advance_ms=TEN_MINUTES - 100)
    assert world.state(impossible) == "RUNNABLE"
    world.turn(advance_ms=world.decisions[-1].due_ms - world.now_ms)
    world.settle()
    assert (world.state(impossible), world.reason(impossible)) == ("FAILED", CANCELED + JOB_REQUIREMENT)
    assert world.rows.jobs[impossible.seq].stops, "it counts as cancelled"
    assert (world.state(fine), world.state(behind)) == ("STARTING", "STARTING")


def test_a_limit_of_another_reason_cancels_nothing():
    world = world_of()
    job = world.submit(world.queue(limits=limits(600, blocked.CAPACITY, blocked.MAX_RESOURCE)), vcpus=99)
    world.settle()
    world.turn(advance_ms=100 * TEN_MINUTES)
    assert (world.state(job), world.reason(job)) == ("RUNNABLE", JOB_REQUIREMENT)


def test_a_limit_that_comes_later_counts_from_when_the_head_was_stuck():
    world = world_of()
    queue = world.queue()
    job = world.submit(queue, vcpus=99)
    world.settle()
    world.turn(advance_ms=2 * TEN_MINUTES)
    world.update(queue, limits=limits(600))
    world.settle()
    assert world.state(job) == "FAILED"


def test_a_limit_that_is_taken_back_cancels_nothing():
    world = world_of()
    queue = world.queue(limits=limits(600))
    job = world.submit(queue, vcpus=99)
    world.settle()
    world.update(queue, limits=())
    world.turn(advance_ms=100 * TEN_MINUTES)
    assert world.state(job) == "RUNNABLE"
    assert world.decisions[-1].due_ms is None


def test_time_begins_anew_for_each_head():
    world = world_of()
    queue = world.queue(limits=limits(600))
    jobs = [world.submit(queue, vcpus=99) for _ in range(3)]
    world.settle()
    for place, job in enumerate(jobs):
        world.turn(advance_ms=world.decisions[-1].due_ms - world.now_ms)
        world.settle()
        assert [world.state(each) for each in jobs] == ["FAILED"] * (place + 1) + ["RUNNABLE"] * (2 - place)
        assert world.rows.told[place].job == job.seq
    first, second, third = (fact.at_ms for fact in world.rows.told)
    assert second - first >= TEN_MINUTES
    assert third - second >= TEN_MINUTES


def test_time_begins_anew_with_another_reason():
    world = world_of()
    place = world.managed(on_demand(SMALL, max_vcpus=2))
    job = world.submit(world.queue(place, limits=limits(600)), vcpus=3)
    world.settle()
    world.turn(advance_ms=TEN_MINUTES - 100)
    world.update(place, capacity=on_demand(SMALL))
    world.settle()
    world.turn(advance_ms=200)
    assert (world.state(job), world.reason(job)) == ("RUNNABLE", JOB_REQUIREMENT)


def test_of_an_array_the_child_at_the_head_is_cancelled():
    world = world_of()
    queue = world.queue(limits=limits(600))
    array = world.submit(queue, vcpus=99, size=2)
    world.settle()
    assert (world.reason(array[0]), world.reason(array[1]), world.reason(array)) == (JOB_REQUIREMENT, None, None)
    world.turn(advance_ms=world.decisions[-1].due_ms - world.now_ms)
    world.settle()
    assert world.states(array) == "Fr"
    assert world.reason(array[1]) == JOB_REQUIREMENT
    world.turn(advance_ms=world.decisions[-1].due_ms - world.now_ms)
    world.settle()
    assert (world.states(array), world.state(array)) == ("FF", "FAILED")


def test_a_limit_shorter_than_the_wait_for_a_verdict_waits_for_it():
    world = world_of(blocked_ms=900_000)
    job = world.submit(world.queue(limits=limits(600)), vcpus=99)
    world.settle()
    world.turn(advance_ms=700_000)
    assert world.state(job) == "RUNNABLE"
    world.turn(advance_ms=200_000)
    assert world.decisions[-1].due_ms <= world.now_ms
    world.turn()
    assert (world.state(job), len(world.rows.told)) == ("FAILED", 1)


def test_a_fair_share_queue_is_blocked_by_the_first_job_of_the_order():
    world = world_of(vcpus=4)
    queue = world.queue(policy=SharePolicy(weights=(("low", 1),)))
    running = world.submit(queue, share="high", vcpus=1)
    world.settle()
    high, low = world.submit(queue, share="high"), world.submit(queue, share="low", vcpus=99)
    world.settle()
    assert world.reason(low) == JOB_REQUIREMENT
    assert (world.state(high), world.reason(high)) == ("RUNNABLE", None)
    world.terminate(low)
    world.settle()
    assert world.state(high) == "STARTING"
    assert world.state(running) == "STARTING"


# -- restarts --------------------------------------------------------------------------------------------------------


def test_since_when_it_is_stuck_outlives_restarts():
    world = world_of(blocked_ms=10_000)
    queue = world.queue(limits=limits(600))
    job = world.submit(queue, vcpus=99)
    world.settle()
    begun_ms = world.rows.blocks[queue].since_ms
    while world.state(job) == "RUNNABLE":
        world.restart()
        world.turn(advance_ms=7_000)
        assert world.now_ms < begun_ms + TEN_MINUTES + 7_000
    assert world.now_ms >= begun_ms + TEN_MINUTES
    assert len(world.rows.told) == 1
