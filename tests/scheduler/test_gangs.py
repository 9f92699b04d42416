"""Multi-node jobs, as stories: all nodes have a place or none, and the main node decides for the job."""

from __future__ import annotations

import pytest

from batchyard.model.ids import WHOLE
from tests.harness.world import World
from tests.scheduler.machines import GPU, LARGE, SMALL, STEADY, WIDE, fargate, on_demand, spot


def yard(*types, vcpus=16, memory_mib=65_536, boot_ms=0, linger_ms=60_000, **more) -> tuple[World, int]:
    """A machine with one environment of these types, and its queue."""
    world = World(twins=True)
    world.machine(vcpus, memory_mib, gpus=4, boot_ms=boot_ms, linger_ms=linger_ms)
    return world, world.queue(world.managed(on_demand(*(types or (SMALL,)), **more)))


def running(world: World, queue: int, count: int = 3, **more):
    """A job all of whose nodes run."""
    job = world.submit_nodes(queue, count, **more)
    world.turn()
    world.starts_running(job)
    world.turn()
    for number in range(count):
        if number != world.submitted[job.seq].nodes.main:
            world.starts_running(job.node(number))
    world.turn()
    assert world.nodes(job) == "R" * count
    return job


# -- the life of one -------------------------------------------------------------------------------------------------


def test_the_main_node_starts_first_and_the_others_once_it_runs():
    world, queue = yard()
    job = world.submit_nodes(queue, 3)
    world.turn()
    assert world.started == [job]
    assert world.nodes(job) == "sss", "all have their places"
    assert world.instances() == ["c.small"] * 3
    world.starts_running(job)
    world.turn()
    assert world.started == [job, job.node(1), job.node(2)]
    assert world.nodes(job) == "Rss"


def test_another_node_may_be_the_main_one():
    world, queue = yard()
    job = world.submit_nodes(queue, 3, main=1)
    world.turn()
    world.starts_running(job)
    world.turn()
    assert world.started == [job, job.node(0), job.node(2)]
    assert world.nodes(job) == "sRs"


def test_when_the_main_node_succeeds_so_does_the_job_and_the_others_are_stopped():
    world, queue = yard()
    job = running(world, queue)
    world.exits(job, 0)
    world.turn()
    assert world.state(job) == "SUCCEEDED"
    assert world.stopped == [job.node(1), job.node(2)]
    world.exits(job.node(1), 143)
    world.exits(job.node(2), 0)
    world.turn()
    assert world.nodes(job) == "SFS", "each by its own exit code"
    assert not world.scheduler.state.jobs


def test_the_exit_of_another_node_has_no_consequence():
    world, queue = yard()
    job = running(world, queue)
    world.exits(job.node(1), 1)
    world.loses(job.node(2))
    world.turn()
    assert world.nodes(job) == "RFF"
    assert world.reason(job.node(2)).startswith("Host EC2 (instance i-")
    world.exits(job, 0)
    world.turn()
    assert world.state(job) == "SUCCEEDED"


def test_a_retry_runs_all_nodes_again_and_waits_for_the_last_of_the_former():
    world, queue = yard()
    job = running(world, queue, attempts=2)
    world.exits(job.node(1), 0)
    world.turn()
    world.exits(job, 1)
    world.turn()
    assert world.nodes(job) == "rrR", "one is still being stopped"
    assert world.stopped == [job.node(2)]
    world.turn()
    assert world.nodes(job) == "rrR"
    world.exits(job.node(2), 137)
    world.turn()
    assert world.nodes(job) == "sss"
    assert world.rows.jobs[job.seq].attempts == {index: 2 for index in world.rows.jobs[job.seq].open}
    world.exits(job, 1)
    world.turn()
    assert world.nodes(job) == "FFF", "the others never began"
    assert world.reason(job.node(1)) == "Main node ended"
    assert not world.running


def test_a_main_node_whose_host_is_lost_counts_as_failed():
    world, queue = yard()
    job = running(world, queue, attempts=2)
    world.loses(job)
    world.turn()
    assert world.state(job) == "RUNNABLE"
    for number in (1, 2):
        world.exits(job.node(number), 143)
    world.turn()
    assert world.nodes(job) == "sss"


def test_a_timeout_of_the_main_node_ends_the_job():
    world, queue = yard()
    job = running(world, queue, attempts=3)
    world.exits(job, 137, timed_out=True)
    world.turn()
    assert world.state(job) == "FAILED"
    assert world.stopped == [job.node(1), job.node(2)]


def test_what_waits_for_it_waits_for_its_main_node_only():
    world, queue = yard()
    job = running(world, queue)
    other = world.submit(queue, after=[job])
    world.turn()
    world.exits(job, 0)
    world.turn()
    assert world.state(other) == "STARTING", "though two nodes are still being stopped"
    late = world.submit(queue, after=[job])
    world.turn()
    assert world.state(late) == "STARTING"


def test_it_waits_for_others_and_fails_with_them():
    world, queue = yard(max_vcpus=32, vcpus=32)
    first = world.submit(queue)
    job = world.submit_nodes(queue, 3, after=[first])
    world.turn()
    assert world.nodes(job) == "PPP"
    world.exits(first, 0)
    world.turn()
    assert world.nodes(job) == "sss"
    second = world.submit(queue)
    doomed = world.submit_nodes(queue, 2, main=1, after=[second])
    world.turn()
    world.exits(second, 1)
    world.turn()
    assert world.nodes(doomed) == "FF"
    assert world.reason(doomed.node(0)) == "Dependent Job failed"


# -- stopping --------------------------------------------------------------------------------------------------------


def test_a_terminate_stops_all_nodes_at_once():
    world, queue = yard()
    job = running(world, queue, attempts=3)
    world.terminate(job)
    world.turn()
    assert world.stopped == [job, job.node(1), job.node(2)]
    for node in (job.node(1), job, job.node(2)):
        world.exits(node, 143)
        world.turn()
    assert world.nodes(job) == "FFF"
    assert {world.reason(each) for each in (job, job.node(1), job.node(2))} == {"enough"}
    assert not world.scheduler.state.jobs


def test_terminated_before_its_main_node_runs_it_starts_no_others():
    world, queue = yard()
    job = world.submit_nodes(queue, 3, attempts=3)
    world.turn()
    world.terminate(job)
    world.turn()
    world.starts_running(job)
    world.turn()
    assert world.started == [job]
    assert world.nodes(job) == "RFF"
    world.exits(job, 143)
    world.turn()
    assert world.nodes(job) == "FFF"
    assert world.stopped == [job]


def test_a_cancel_ends_one_that_waits_and_leaves_one_that_runs():
    world, queue = yard(max_vcpus=6)
    job = running(world, queue)
    waits = world.submit_nodes(queue, 2)
    world.turn()
    world.cancel(job)
    world.cancel(waits)
    world.turn()
    assert world.nodes(job) == "RRR"
    assert world.nodes(waits) == "FF"


def test_terminated_between_two_attempts_it_is_over_when_the_last_node_is():
    world, queue = yard()
    job = running(world, queue, attempts=2)
    world.exits(job, 1)
    world.turn()
    world.terminate(job)
    world.turn()
    assert world.state(job) == "FAILED"
    assert world.nodes(job) == "FRR"
    for number in (1, 2):
        world.exits(job.node(number), 143)
    world.turn()
    assert world.nodes(job) == "FFF"
    assert not world.scheduler.state.jobs


def test_a_queue_that_is_deleted_goes_when_the_last_node_is_closed():
    world, queue = yard()
    job = running(world, queue)
    world.exits(job, 0)
    world.turn()
    world.delete(queue)
    world.settle()
    assert not world.gone(queue)
    for number in (1, 2):
        world.exits(job.node(number), 143)
    world.settle()
    assert world.gone(queue)
    assert world.state(job) == "SUCCEEDED"


# -- places ----------------------------------------------------------------------------------------------------------


def test_nobody_shares_an_instance_with_a_node():
    world, queue = yard(LARGE, vcpus=32, max_vcpus=32)
    job = running(world, queue, count=2)
    single = world.submit(queue)
    world.turn()
    assert world.instances() == ["c.large"] * 3, "two nodes of one vCPU have eight each"
    assert world.place(single) == "c.large"
    world.exits(job, 0)
    for number in (1,):
        world.turn()
        world.exits(job.node(number), 143)
    world.turn()
    more = [world.submit(queue, vcpus=8) for _ in range(2)]
    world.turn()
    assert world.instances() == ["c.large"] * 3, "then its instances are for anybody"
    assert [world.state(each) for each in more] == ["STARTING"] * 2


def test_all_nodes_have_one_type_that_holds_the_largest():
    world, queue = yard(SMALL, STEADY, vcpus=32, max_vcpus=32)
    job = world.submit_nodes(queue, 3, groups=[(0, 1, 4), (1, 3, 1)])
    world.turn()
    assert world.instances() == ["m.steady"] * 3
    world.starts_running(job)
    world.turn()
    assert world.scheduler.state.instances[1].free.cpu_milli == 0
    assert world.scheduler.state.instances[2].free.cpu_milli == 3000


def test_a_named_type_is_the_only_one():
    world, queue = yard(SMALL, WIDE, vcpus=32, max_vcpus=32)
    world.submit_nodes(queue, 2, type="r.wide")
    world.turn()
    assert world.instances() == ["r.wide"] * 2
    nowhere = world.submit_nodes(queue, 2, type="x.none")
    world.turn()
    assert world.state(nowhere) == "RUNNABLE"


def test_none_starts_until_there_is_room_for_all():
    world, queue = yard(SMALL, vcpus=6, max_vcpus=6)
    single = world.submit(queue, vcpus=2)
    world.turn()
    job = world.submit_nodes(queue, 3, vcpus=2)
    world.turn()
    assert world.nodes(job) == "rrr"
    assert world.instances() == ["c.small"], "two more would fit, and are not launched"
    world.exits(single, 0)
    world.turn()
    assert world.nodes(job) == "sss", "the idle instance made room for a fresh set"
    assert world.instances() == ["c.small"] * 3


def test_a_minimum_is_not_in_its_way():
    world, queue = yard(SMALL, vcpus=6, max_vcpus=6, min_vcpus=6)
    world.turn()
    assert world.instances() == ["c.small"] * 3
    job = world.submit_nodes(queue, 3)
    world.turn()
    assert world.nodes(job) == "sss"
    assert world.instances() == ["c.small"] * 3


@pytest.mark.parametrize(
    "elsewhere", [spot(SMALL, max_vcpus=64), fargate(64), None], ids=["spot", "fargate", "unmanaged"]
)
def test_it_runs_on_on_demand_instances_only(elsewhere):
    world = World(twins=True)
    world.machine(64, 262_144)
    other = world.environment() if elsewhere is None else world.managed(elsewhere)
    queue = world.queue(other, world.managed(on_demand(SMALL)))
    job = world.submit_nodes(queue, 2)
    world.turn()
    assert world.environment_of(job) != other


def test_where_there_is_no_room_now_it_waits_though_another_environment_had_some():
    world = World(twins=True)
    world.machine(16, 65_536)
    first, second = world.managed(on_demand(SMALL, max_vcpus=4)), world.managed(on_demand(SMALL))
    queue = world.queue(first, second)
    holds = world.submit(queue, vcpus=2)
    job, large = world.submit_nodes(queue, 2), world.submit_nodes(queue, 3)
    world.turn()
    assert world.nodes(job) == "rr"
    world.exits(holds, 0)
    world.turn()
    assert world.environment_of(job) == first
    assert world.environment_of(large) == second, "the first could never hold it"


def test_an_environment_that_carves_makes_instances_of_the_largest_measure():
    world, queue = yard(LARGE, vcpus=6, max_vcpus=64, carves=True)
    world.submit_nodes(queue, 2, groups=[(0, 1, 3), (1, 2, 1)])
    world.turn()
    assert world.instances() == ["local.fit"] * 2


def test_nodes_with_gpus_have_their_instances():
    world, queue = yard(SMALL, GPU)
    job = world.submit_nodes(queue, 2)
    event = world.submitted[job.seq]
    groups = tuple(group._replace(needs=group.needs._replace(gpus=2)) for group in event.nodes.groups)
    wanted = event._replace(needs=groups[0].needs, nodes=event.nodes._replace(groups=groups))
    world.submitted[job.seq] = world.events[-1] = wanted
    world.turn()
    assert world.instances() == ["g.gpu"] * 2


# -- booting ---------------------------------------------------------------------------------------------------------


def test_instances_boot_together_and_are_kept_for_it():
    world, queue = yard(SMALL, boot_ms=100, vcpus=32, max_vcpus=32)
    ahead = world.queue(world.current(queue).environments[0], priority=9)
    job = world.submit_nodes(queue, 3)
    world.turn()
    assert world.nodes(job) == "rrr"
    assert world.instances() == ["c.small"] * 3
    single = world.submit(ahead)
    world.turn()
    assert world.instances() == ["c.small"] * 4, "it gets one of its own"
    world.turn(advance_ms=100)
    assert world.nodes(job) == "sss"
    assert world.state(single) == "STARTING"


def test_who_goes_before_its_instances_are_ready_leaves_them_to_others():
    world, queue = yard(SMALL, boot_ms=100)
    job = world.submit_nodes(queue, 3)
    world.turn()
    world.cancel(job)
    world.turn()
    singles = [world.submit(queue, vcpus=2) for _ in range(3)]
    world.turn()
    assert world.instances() == ["c.small"] * 3
    world.turn(advance_ms=100)
    assert [world.state(each) for each in singles] == ["STARTING"] * 3


def test_an_environment_that_is_disabled_meanwhile_does_not_get_it():
    world, queue = yard(SMALL, boot_ms=100)
    job = world.submit_nodes(queue, 2)
    world.turn()
    world.update(world.current(queue).environments[0], enabled=False)
    world.turn(advance_ms=200)
    assert world.nodes(job) == "rr"
    world.update(world.current(queue).environments[0], enabled=True)
    world.turn()
    world.turn(advance_ms=100)
    assert world.nodes(job) == "ss"


def test_one_that_was_passed_in_line_starts_when_its_instances_are_ready():
    """Else what they hold would be missing for ever to who came to stand before it."""
    world, queue = yard(SMALL, boot_ms=100, vcpus=6, max_vcpus=6)
    first = world.submit(queue, vcpus=2, attempts=2)
    world.turn()
    world.turn(advance_ms=100)
    job = world.submit_nodes(queue, 2)
    world.turn()
    world.exits(first, 1)
    world.update(queue, environments=world.current(queue).environments)
    world.turn()
    world.turn(advance_ms=100)
    assert world.nodes(job) == "ss"
    assert world.state(first) == "STARTING"


# -- consumable resources --------------------------------------------------------------------------------------------


def test_all_of_its_licences_are_taken_at_once_or_none():
    world, queue = yard()
    licence = world.resource(5)
    single = world.submit(queue, asks={licence: 1})
    job = world.submit_nodes(queue, 3, asks={licence: 5})
    world.settle()
    assert (world.nodes(job), world.held(licence)) == ("rrr", 1)
    world.exits(single)
    world.settle()
    assert (world.nodes(job), world.held(licence)) == ("sss", 5)


def test_it_has_its_licences_until_its_last_node_is_closed():
    """The processes of the other nodes still use theirs while they are being stopped, and so over a restart."""
    world, queue = yard()
    licence = world.resource(3)
    job = running(world, queue, 3, asks={licence: 3})
    world.exits(job)
    world.settle()
    other = world.submit(queue, asks={licence: 1})
    world.settle()
    world.exits(job.node(1))
    world.restart()
    world.settle()
    assert (world.nodes(job), world.state(other), world.held(licence)) == ("SSR", "RUNNABLE", 3)
    world.exits(job.node(2))
    world.settle()
    assert (world.state(other), world.held(licence)) == ("STARTING", 1)


def test_a_retry_gives_back_and_takes_anew():
    world, queue = yard()
    licence = world.resource(2)
    job = running(world, queue, 2, asks={licence: 2}, attempts=2)
    world.exits(job, 1)
    world.settle()
    assert (world.nodes(job)[0], world.held(licence)) == ("r", 2), "its other node is still there"
    world.exits(job.node(1), 137)
    world.settle()
    assert (world.nodes(job), world.held(licence)) == ("ss", 2)
    world.terminate(job)
    world.settle()
    world.exits(job, 137)
    world.settle()
    assert world.held(licence) == 0, "the other node had not begun"


@pytest.mark.parametrize("began", [False, True])
def test_of_what_is_not_replenishable_all_is_used_up_once_its_main_node_began(began):
    world, queue = yard()
    tokens = world.resource(4, replenishable=False)
    job = world.submit_nodes(queue, 2, asks={tokens: 2})
    world.settle()
    if began:
        world.starts_running(job)
        world.settle()
        world.exits(job)
        world.settle()
        assert (world.held(tokens), world.consumed(tokens)) == (2, 0), "its other node is still there"
        world.restart()
        world.exits(job.node(1))
    else:
        world.loses(job)
    world.settle()
    assert (world.held(tokens), world.consumed(tokens)) == (0, 2 if began else 0)


# -- two of them, restarts, shares -----------------------------------------------------------------------------------


def test_two_that_want_the_same_room_run_one_after_the_other():
    world, queue = yard(SMALL, vcpus=8, max_vcpus=8)
    other = world.queue(*world.current(queue).environments, priority=2)
    jobs = [world.submit_nodes(each, 3) for each in (queue, other)]
    world.turn()
    assert sorted(world.nodes(job) for job in jobs) == ["rrr", "sss"]
    world.finish_everything()
    assert [world.state(job) for job in jobs] == ["SUCCEEDED"] * 2


def test_after_a_restart_nodes_that_were_not_begun_are_started_once_the_main_one_runs():
    world, queue = yard()
    job = world.submit_nodes(queue, 3)
    world.turn()
    world.restart()
    world.turn()
    assert world.started == [job], "the main one lives, and has not said that it runs"
    world.starts_running(job)
    world.turn()
    world.running.pop(job.node(1))  # the order was never carried out
    world.restart()
    world.turn()
    assert world.nodes(job) == "Rss"
    assert world.started == [job, job.node(1), job.node(2), job.node(1)]


def test_after_a_restart_nodes_of_a_job_that_is_over_are_stopped():
    world, queue = yard()
    job = running(world, queue)
    world.exits(job, 0)
    world.turn()
    world.stopped.clear()
    world.running.pop(job.node(1))
    world.restart()
    world.turn()
    assert world.stopped == [job.node(2)]
    assert world.nodes(job) == "SFR"
    world.exits(job.node(2), 137)
    world.turn()
    assert not world.scheduler.state.jobs


def test_a_main_node_that_is_gone_after_a_restart_takes_the_others_with_it():
    world, queue = yard()
    job = running(world, queue)
    world.running.pop(job)
    world.running.pop(job.node(1))
    world.restart()
    world.turn()
    assert world.nodes(job) == "FFR"
    assert job.node(2) in world.stopped
    assert world.rows.jobs[job.seq].closed[0].index == WHOLE
