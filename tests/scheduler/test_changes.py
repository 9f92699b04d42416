"""Queues and environments that are changed and deleted, as an operator would tell it."""

from __future__ import annotations

import pytest

from batchyard.model.facts import ChildrenMoved, EnvironmentDeleted, QueueDeleted
from batchyard.scheduler import deletion
from batchyard.scheduler.lifecycle import QUEUE_DELETED
from tests.harness.world import World


def ends(world, *jobs):
    return [(world.state(job), world.reason(job)) for job in jobs]


DELETED = ("FAILED", QUEUE_DELETED)


# -- changes -----------------------------------------------------------------------------------------------------------


def test_a_disabled_environment_starts_nothing_new_and_what_runs_goes_on():
    world = World(vcpus=2)
    place = world.environment()
    queue = world.queue(place)
    first = world.submit(queue)
    world.turn()
    world.update(place, enabled=False)
    second = world.submit(queue)
    world.settle()
    assert (world.state(first), world.state(second)) == ("STARTING", "RUNNABLE")
    world.exits(first)
    world.settle()
    assert (world.state(first), world.state(second)) == ("SUCCEEDED", "RUNNABLE")
    world.update(place, enabled=True)
    world.settle()
    assert world.state(second) == "STARTING"


def test_a_disabled_queue_still_runs_what_it_holds():
    world = World(vcpus=1)
    queue = world.queue()
    jobs = [world.submit(queue) for _ in range(2)]
    world.update(queue, enabled=False)
    world.finish_everything()
    assert [world.state(job) for job in jobs] == ["SUCCEEDED"] * 2


def test_a_queue_that_moves_leaves_what_runs_and_takes_along_what_waits():
    world = World()
    old, new = world.pretend(1), world.pretend(1)
    queue = world.queue(old)
    running, waiting, later = world.submit(queue), world.submit(queue), world.submit(queue)
    world.settle()
    world.update(queue, environments=(new,))
    world.settle()
    rows = world.rows.jobs
    assert rows[running.seq].open[-1].environment == old
    assert rows[waiting.seq].open[-1].environment == new
    world.exits(running)
    world.settle()
    assert world.state(later) == "RUNNABLE", "room in the old environment is no longer the queue's"


def test_a_retry_goes_where_the_queue_has_moved():
    world = World()
    old, new = world.pretend(1), world.pretend(1)
    queue = world.queue(old)
    job = world.submit(queue, attempts=2)
    world.settle()
    world.update(queue, environments=(new,))
    world.exits(job, 1)
    world.settle()
    assert world.rows.jobs[job.seq].open[-1].environment == new


def test_a_new_priority_changes_who_is_next():
    world = World(vcpus=1)
    a, b = world.queue(priority=1), world.queue(priority=2)
    first = world.submit(b)
    of_a, of_b = world.submit(a), world.submit(b)
    world.turn()
    world.update(a, priority=3)
    world.exits(first)
    world.settle()
    assert world.started == [first, of_a]
    world.update(a, priority=0)
    world.exits(of_a)
    world.settle()
    assert world.started == [first, of_a, of_b]


def test_a_pretend_environment_that_grows_takes_more_at_once():
    world = World()
    place = world.pretend(1)
    queue = world.queue(place)
    jobs = [world.submit(queue) for _ in range(3)]
    world.settle()
    room = world.current(place).room
    world.update(place, room=room._replace(cpu_milli=3000))
    world.settle()
    assert [world.state(job) for job in jobs] == ["STARTING"] * 3


# -- deleting a queue --------------------------------------------------------------------------------------------------


def test_an_empty_queue_is_gone_with_the_wish():
    world = World()
    queue = world.queue()
    world.turn()
    world.delete(queue)
    assert QueueDeleted(queue, world.now_ms + 10) in world.turn().facts
    assert queue not in world.scheduler.state.queues


def test_every_job_of_a_deleted_queue_ends_and_then_the_queue_goes():
    world = World(vcpus=1)
    queue, other = world.queue(), world.queue()
    running, waiting = world.submit(queue), world.submit(queue)
    pending = world.submit(queue, after=[running])
    elsewhere = world.submit(other, vcpus=1)
    awaits_foreign = world.submit(queue, after=[elsewhere])
    world.turn()
    world.delete(queue)
    world.settle()
    assert ends(world, waiting, pending, awaits_foreign) == [DELETED] * 3
    assert world.state(running) == "STARTING" and world.stopped == [running] and not world.gone(queue)
    world.exits(running, 143)
    world.settle()
    assert ends(world, running) == [DELETED]
    assert world.gone(queue) and world.state(elsewhere) == "STARTING"


def test_a_job_that_succeeds_though_it_was_told_to_stop_counts_as_deleted():
    world = World()
    queue = world.queue()
    job = world.submit(queue, attempts=3)
    world.turn()
    world.delete(queue)
    world.turn()
    world.exits(job, 0)
    world.settle()
    assert ends(world, job) == [DELETED] and world.gone(queue)


def test_an_attempt_that_ends_in_the_turn_of_the_wish_keeps_its_ending():
    world = World()
    queue = world.queue()
    done, failed = world.submit(queue), world.submit(queue, attempts=3)
    world.turn()
    world.exits(done, 0)
    world.exits(failed, 1)
    world.delete(queue)
    world.settle()
    assert world.state(done) == "SUCCEEDED"
    assert ends(world, failed) == [DELETED], "it is not tried again"


def test_arrays_end_child_by_child_and_the_parent_says_why():
    world = World(vcpus=2)
    queue = world.queue()
    array = world.submit(queue, size=6)
    chain = world.submit(queue, size=3, sequential=True)
    awaiting = world.submit(queue, size=2, after=[array])
    world.turn()
    world.exits(array[0])
    world.turn()
    assert world.states(array) == "Sssrrr"
    world.delete(queue)
    world.settle()
    assert world.states(array) == "SssFFF" and world.states(chain) == "FFF" and world.states(awaiting) == "FF"
    assert ends(world, chain, awaiting, array[5], chain[2], awaiting[1]) == [DELETED] * 5
    for index in (1, 2):
        world.exits(array[index], 143)
    world.settle()
    assert ends(world, array, array[1]) == [DELETED] * 2
    assert world.gone(queue)


def test_a_range_of_waiting_children_is_one_fact():
    world = World(vcpus=1)
    queue = world.queue()
    array = world.submit(queue, size=1000)
    world.turn()
    world.delete(queue)
    facts = world.turn().facts
    assert [(fact.lo, fact.hi) for fact in facts if isinstance(fact, ChildrenMoved)] == [(1, 1000)]
    assert world.state(array) == "PENDING"


def test_what_was_stopped_before_keeps_its_reason():
    world = World(vcpus=1)
    queue, other = world.queue(), world.queue()
    blocker = world.submit(other, vcpus=1)
    waits = world.submit(queue, after=[blocker])
    array = world.submit(queue, size=2, after=[blocker])
    world.turn()
    world.cancel(waits, "mine")
    world.terminate(array, "ours")
    world.turn()
    world.delete(queue)
    world.settle()
    assert ends(world, waits, array, array[1]) == [("FAILED", "mine"), ("FAILED", "ours"), ("FAILED", "ours")]


def test_jobs_of_other_queues_that_waited_for_it_fail_as_dependents():
    world = World(vcpus=1)
    queue, other = world.queue(), world.queue(priority=2)
    blocker = world.submit(other)
    lost = world.submit(queue)
    heir = world.submit(other, after=[lost])
    world.turn()
    world.delete(queue)
    world.settle()
    assert ends(world, lost, heir) == [DELETED, ("FAILED", "Dependent Job failed")]
    assert world.state(blocker) == "STARTING"


def test_a_long_queue_is_deleted_in_bounded_turns_and_others_start_meanwhile():
    world = World(vcpus=2)
    queue, other = world.queue(priority=9), world.queue()
    big = world.submit(queue, vcpus=2)
    world.turn()
    jobs = [world.submit(queue) for _ in range(3 * deletion.ENDED_PER_TURN)]
    array = world.submit(queue, size=2 * deletion.ENDED_PER_TURN)
    world.turn()
    world.exits(big)
    world.delete(queue)
    small = world.submit(other)
    turns = []
    while (decision := world.turn()).more:
        turns.append(len(decision.facts))
    assert len(turns) >= 3 and max(turns) < deletion.ENDED_PER_TURN + 20
    assert world.state(small) == "STARTING"
    assert {world.reason(job) for job in [*jobs, array]} == {QUEUE_DELETED}
    assert world.gone(queue)


def test_a_deletion_goes_on_at_leisure_unless_somebody_waits_for_the_rest_of_a_turn():
    world = World(vcpus=10_000, memory_mib=10**6, twins=True)
    queue, other = world.queue(), world.queue()
    for _ in range(4 * deletion.ENDED_PER_TURN):
        world.submit(queue, vcpus=10_001)
    world.turn()
    world.delete(queue)
    world.submit(other, size=3000)
    hurried = world.turn()
    assert hurried.more and not hurried.leisurely, "children that have room are still to be placed"
    at_leisure = world.turn()
    assert at_leisure.more and at_leisure.leisurely
    world.settle()
    assert world.gone(queue) and not world.turn().leisurely


def test_an_array_in_pieces_is_ended_over_several_turns():
    world = World(vcpus=1)
    queue, other = world.queue(), world.queue()
    size = 4 * deletion.ENDED_PER_TURN
    holder = world.submit(other)
    upper = world.submit(other, size=size)
    lower = world.submit(queue, size=size, n_to_n=[upper])
    world.turn()
    for index in range(0, size, 2):
        world.cancel(upper[index])
    world.settle()
    world.delete(queue)
    first = world.turn()
    assert first.more and world.state(lower) == "PENDING"
    world.settle()
    assert world.state(lower) == "FAILED" and world.gone(queue) and world.state(holder) == "STARTING"


def test_long_arrays_are_ended_one_a_turn_though_each_is_a_single_fact():
    world = World(vcpus=1, twins=True)
    queue, other = world.queue(), world.queue(priority=2)
    world.submit(other)
    arrays = [world.submit(queue, size=deletion.ENDED_PER_TURN * deletion.CHILDREN_PER_FACT) for _ in range(3)]
    world.turn()
    world.delete(queue)
    ended = []
    for _ in arrays:
        world.turn()
        ended.append([world.state(array) for array in arrays].count("FAILED"))
    assert ended == [1, 2, 3]


@pytest.mark.parametrize("turns", range(1, 6))
def test_a_restart_in_the_middle_goes_on_where_the_rows_say(turns):
    world = World(vcpus=2, twins=True)
    queue = world.queue()
    jobs = [world.submit(queue) for _ in range(2 * deletion.ENDED_PER_TURN)]
    array = world.submit(queue, size=700)
    world.turn()
    world.delete(queue)
    for _ in range(turns):
        world.turn()
    world.restart()
    world.settle()
    for job in sorted(world.running):
        world.exits(job, 143)
    world.settle()
    assert {world.reason(job) for job in [*jobs, array]} == {QUEUE_DELETED}
    assert world.gone(queue) and not world.scheduler.state.jobs


def test_a_restart_before_the_wish_is_applied_knows_nothing_of_it():
    world = World(vcpus=1, twins=True)
    queue = world.queue()
    job = world.submit(queue)
    world.turn()
    world.delete(queue)
    world.events, held = [], world.events
    world.restart()
    world.turn()
    assert world.state(job) == "STARTING" and not world.stopped
    world.events += held
    world.turn()
    assert world.stopped == [job]


def test_attempts_nobody_began_are_closed_when_the_executor_is_surveyed():
    world = World()
    queue = world.queue()
    job = world.submit(queue)
    world.turn()
    world.delete(queue)
    world.turn()
    world.running.clear()  # neither the start nor the stop arrived
    world.surveys()
    world.settle()
    assert ends(world, job) == [DELETED] and world.gone(queue)


# -- deleting an environment -------------------------------------------------------------------------------------------


def test_an_environment_goes_when_the_last_attempt_in_it_has_ended():
    world = World()
    old, new = world.environment(), world.environment()
    queue = world.queue(old)
    job = world.submit(queue)
    world.turn()
    world.update(queue, environments=(new,))
    world.update(old, enabled=False)
    world.turn()
    world.delete(old)
    world.settle()
    assert not world.gone(old)
    world.restart()
    world.settle()
    world.exits(job)
    decision = world.turn()
    assert EnvironmentDeleted(old, None, world.now_ms) in decision.facts
    assert world.state(job) == "SUCCEEDED"


def test_an_environment_of_its_own_takes_its_provider_along():
    world = World()
    place = world.pretend(2)
    world.turn()
    world.delete(place)
    world.settle()
    assert world.gone(place) and list(world.rows.providers) == ["local"]
    assert list(world.scheduler.state.providers) == ["local"]


def test_a_queue_that_goes_lets_its_environment_go():
    world = World()
    place = world.environment()
    queue = world.queue(place)
    job = world.submit(queue)
    world.turn()
    world.delete(queue)
    world.settle()
    assert world.queues_on(place) == [queue], "callers are refused so long"
    world.exits(job, 143)
    world.settle()
    world.delete(place)
    world.settle()
    assert world.gone(place)
