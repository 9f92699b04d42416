"""What an operator would tell of the scheduler, one rule a story."""

from __future__ import annotations

import pytest

from batchyard.model.jobs import RetryRule
from tests.harness.world import World


def test_a_job_goes_from_runnable_to_succeeded():
    world = World(vcpus=1)
    job = world.submit(world.queue())
    world.turn()
    assert world.state(job) == "STARTING"
    world.starts_running(job)
    world.turn()
    assert world.state(job) == "RUNNING"
    world.exits(job, 0)
    world.turn()
    assert (world.state(job), world.reason(job)) == ("SUCCEEDED", "Essential container in task exited")
    assert not world.scheduler.state.jobs


def test_jobs_start_in_the_order_in_which_they_came():
    world = World(vcpus=2)
    queue = world.queue()
    jobs = [world.submit(queue) for _ in range(5)]
    world.finish_everything()
    assert world.started == jobs


def test_a_big_head_holds_back_the_small_ones_behind_it():
    world = World(vcpus=2)
    queue = world.queue()
    first, big, small = world.submit(queue), world.submit(queue, vcpus=2), world.submit(queue)
    world.turn()
    assert world.started == [first]
    world.exits(first)
    world.turn()
    assert world.started == [first, big]
    world.exits(big)
    world.turn()
    assert world.started == [first, big, small]


def test_the_higher_queue_goes_first_and_the_lower_takes_what_it_leaves():
    world = World(vcpus=2)
    low, high = world.queue(priority=1), world.queue(priority=10)
    later = world.submit(low)
    urgent, too_big_now = world.submit(high), world.submit(high, vcpus=2)
    world.turn()
    assert world.started == [urgent, later]
    assert world.state(too_big_now) == "RUNNABLE"


def test_all_environments_of_the_machine_share_one_budget():
    world = World(vcpus=2)
    one, two = world.environment(), world.environment()
    a, b = world.submit(world.queue(one), vcpus=2), world.submit(world.queue(two), vcpus=1)
    world.turn()
    assert (world.state(a), world.state(b)) == ("STARTING", "RUNNABLE")


def test_memory_counts_as_vcpus_do():
    world = World(vcpus=8, memory_mib=1000)
    queue = world.queue()
    jobs = [world.submit(queue, memory_mib=400) for _ in range(3)]
    world.turn()
    assert world.started == jobs[:2]


def test_a_disabled_environment_starts_nothing_and_the_next_in_order_is_used():
    world = World()
    off, on = world.environment(enabled=False), world.environment()
    job = world.submit(world.queue(off, on))
    stuck = world.submit(world.queue(off))
    world.turn()
    assert (world.state(job), world.state(stuck)) == ("STARTING", "RUNNABLE")
    assert world.rows.jobs[job.seq].open[-1].environment == on


# -- arrays --------------------------------------------------------------------------------------------------------


def test_an_array_starts_by_index_and_its_parent_waits_for_all():
    world = World(vcpus=2)
    array = world.submit(world.queue(), size=4)
    world.turn()
    assert (world.state(array), world.states(array)) == ("PENDING", "ssrr")
    world.exits(array[1])
    world.turn()
    assert world.states(array) == "sSsr"
    for index in (0, 2):
        world.exits(array[index])
        world.turn()
    world.exits(array[3])
    world.turn()
    assert (world.state(array), world.states(array)) == ("SUCCEEDED", "SSSS")


def test_one_failed_child_fails_the_array_only_when_all_are_over():
    world = World(vcpus=3)
    array = world.submit(world.queue(), size=3)
    world.turn()
    world.exits(array[0], 7)
    world.turn()
    assert (world.state(array), world.states(array)) == ("PENDING", "Fss")
    world.exits(array[1])
    world.exits(array[2])
    world.turn()
    assert (world.state(array), world.reason(array)) == ("FAILED", "Array Child Job failed")


def test_jobs_behind_an_array_wait_for_its_children_to_start():
    world = World(vcpus=1)
    queue = world.queue()
    array, single = world.submit(queue, size=2), world.submit(queue)
    world.finish_everything()
    assert world.started == [array[0], array[1], single]


# -- retries -------------------------------------------------------------------------------------------------------


def test_a_failed_job_is_tried_again_at_the_front_of_its_queue():
    world = World(vcpus=1)
    queue = world.queue()
    flaky, other = world.submit(queue, attempts=2), world.submit(queue)
    world.turn()
    world.exits(flaky, 1)
    world.turn()
    assert world.started == [flaky, flaky]
    world.exits(flaky, 1)
    world.turn()
    assert (world.state(flaky), world.state(other)) == ("FAILED", "STARTING")
    assert [closed.number for closed in world.rows.jobs[flaky.seq].closed] == [1, 2]


def test_a_child_is_tried_again_before_its_younger_siblings():
    world = World(vcpus=1)
    array = world.submit(world.queue(), size=3, attempts=2)
    world.turn()
    world.exits(array[0], 1)
    world.finish_everything()
    assert world.started == [array[0], array[0], array[1], array[2]]
    assert world.state(array) == "SUCCEEDED"


@pytest.mark.parametrize(
    ("rules", "code", "reason", "tries"),
    [
        ((), 1, None, 3),
        ((RetryRule(False, on_exit_code="1"),), 1, None, 1),
        ((RetryRule(False, on_exit_code="1"),), 11, None, 3),
        ((RetryRule(False, on_exit_code="1*"),), 11, None, 1),
        ((RetryRule(True, on_exit_code="2"), RetryRule(False, on_reason="*")), 1, None, 1),
        ((RetryRule(True, on_reason="Cannot*"), RetryRule(False, on_reason="*")), 1, "CannotPull", 3),
        ((RetryRule(False, on_exit_code="*"),), None, "CannotPull", 3),
        ((RetryRule(False, on_status_reason="Essential*", on_exit_code="3"),), 1, None, 3),
    ],
)
def test_the_first_matching_rule_decides_and_no_match_means_retry(rules, code, reason, tries):
    world = World()
    job = world.submit(world.queue(), attempts=3, rules=rules)
    world.turn()
    while world.running:
        world.exits(job, code, reason)
        world.turn()
    assert len(world.started) == tries


def test_a_timeout_is_never_retried():
    world = World()
    job = world.submit(world.queue(), attempts=5)
    world.turn()
    world.exits(job, 137, timed_out=True)
    world.turn()
    assert (world.state(job), len(world.started)) == ("FAILED", 1)


def test_what_no_task_can_be_made_of_is_never_retried():
    world = World()
    job = world.submit(world.queue(), attempts=5)
    world.turn()
    world.exits(job, None, refused=True)
    world.turn()
    assert (world.state(job), len(world.started)) == ("FAILED", 1)


def test_a_lost_host_is_told_and_retried():
    world = World()
    queue = world.queue()
    once, twice = world.submit(queue), world.submit(queue, attempts=2)
    world.turn()
    world.loses(once)
    world.loses(twice)
    world.turn()
    assert world.state(once) == "FAILED"
    assert world.reason(once).startswith("Host EC2 (instance i-")
    assert world.reason(once).endswith(") terminated.")
    assert world.state(twice) == "STARTING"


# -- dependencies --------------------------------------------------------------------------------------------------


def test_a_job_waits_for_its_upstream():
    #  a --> b
    world = World()
    queue = world.queue()
    a = world.submit(queue)
    b = world.submit(queue, after=[a])
    world.turn()
    assert (world.state(a), world.state(b)) == ("STARTING", "PENDING")
    world.exits(a)
    world.turn()
    assert world.state(b) == "STARTING"


def test_failure_cascades_without_running_anything():
    #  a (fails) --> b --> c
    #      \-------> d[0..2]
    world = World()
    queue = world.queue()
    a = world.submit(queue)
    b = world.submit(queue, after=[a])
    c = world.submit(queue, after=[b], attempts=3)
    d = world.submit(queue, size=3, after=[a])
    world.turn()
    world.exits(a, 1)
    world.settle()
    assert [world.state(job) for job in (b, c, d)] == ["FAILED"] * 3
    assert [world.reason(job) for job in (b, c, d[1])] == ["Dependent Job failed"] * 3
    assert world.started == [a]


def test_upstreams_that_are_over_are_known_from_rows():
    world = World()
    queue = world.queue()
    good, bad, pair = world.submit(queue), world.submit(queue), world.submit(queue, size=2)
    world.turn()
    world.exits(bad, 1)
    world.exits(good)
    world.exits(pair[0])
    world.exits(pair[1], 1)
    world.turn()
    assert not world.scheduler.state.jobs
    fine, doomed = world.submit(queue, after=[good]), world.submit(queue, after=[good, bad])
    twin = world.submit(queue, size=2, n_to_n=[pair])
    world.turn()
    assert (world.state(fine), world.state(doomed), world.states(twin)) == ("STARTING", "FAILED", "sF")


def test_n_to_n_releases_children_pair_by_pair():
    #  a[0..2] ==> b[0..2] --> c
    world = World(vcpus=3)
    queue = world.queue()
    a = world.submit(queue, size=3)
    b = world.submit(queue, size=3, n_to_n=[a])
    c = world.submit(queue, after=[b])
    world.turn()
    assert world.states(b) == "PPP"
    world.exits(a[1])
    world.turn()
    assert world.states(b) == "PsP"
    world.exits(a[0], 1)
    world.exits(a[2])
    world.turn()
    assert (world.states(b), world.state(b)) == ("Fss", "PENDING")
    world.finish_everything()
    assert (world.state(a), world.state(b), world.state(c)) == ("FAILED", "FAILED", "FAILED")


def test_sequential_children_go_one_by_one_and_a_failure_ends_the_row():
    world = World(vcpus=4)
    array = world.submit(world.queue(), size=4, sequential=True)
    world.turn()
    assert world.states(array) == "sPPP"
    world.exits(array[0])
    world.turn()
    assert world.states(array) == "SsPP"
    world.exits(array[1], 1)
    world.settle()
    assert (world.states(array), world.reason(array[3])) == ("SFFF", "Dependent Job failed")
    assert world.state(array) == "FAILED"


def test_the_guides_worked_example_runs_to_its_end():
    #  a --> b[0..9] ==> c[0..9] --> d[0..3], one by one --> e
    world = World(vcpus=3)
    queue = world.queue()
    a = world.submit(queue)
    b = world.submit(queue, size=10, after=[a])
    c = world.submit(queue, size=10, n_to_n=[b])
    d = world.submit(queue, size=4, after=[c], sequential=True)
    e = world.submit(queue, after=[d])
    world.finish_everything()
    assert [world.state(job) for job in (a, b, c, d, e)] == ["SUCCEEDED"] * 5
    assert world.started[0] == a
    assert world.started[-5:] == [d[0], d[1], d[2], d[3], e]


def test_a_job_can_wait_for_one_child_of_an_array():
    world = World(vcpus=1)
    queue = world.queue()
    array = world.submit(queue, size=2)
    job = world.submit(queue, after=[array[0]])
    world.turn()
    world.exits(array[0])
    world.turn()
    assert world.state(job) == "RUNNABLE"


def test_a_thousandfold_cascade_is_spread_over_bounded_turns():
    world = World(vcpus=1)
    queue = world.queue()
    root = world.submit(queue)
    leaves = [world.submit(queue, after=[root]) for _ in range(5000)]
    world.settle()
    world.exits(root, 1)
    turns = [world.turn()]
    while turns[-1].more:
        turns.append(world.turn())
    assert len(turns) > 2
    assert max(len(turn.facts) for turn in turns) <= 2100
    assert {world.state(leaf) for leaf in leaves} == {"FAILED"}


# -- cancel and terminate ------------------------------------------------------------------------------------------


def test_terminating_a_waiting_job_fails_it_with_the_callers_words():
    world = World(vcpus=1)
    queue = world.queue()
    world.submit(queue)
    job = world.submit(queue)
    world.turn()
    world.terminate(job, "not needed")
    world.turn()
    assert (world.state(job), world.reason(job)) == ("FAILED", "not needed")


def test_terminating_a_running_job_stops_it_and_never_retries():
    world = World()
    job = world.submit(world.queue(), attempts=5)
    world.turn()
    world.starts_running(job)
    world.terminate(job, "too slow")
    world.turn()
    assert (world.stopped, world.state(job)) == ([job], "RUNNING")
    world.exits(job, 143)
    world.turn()
    assert (world.state(job), world.reason(job)) == ("FAILED", "too slow")
    assert world.rows.jobs[job.seq].closed[0].ending.status_reason == "too slow"


def test_cancelling_leaves_running_jobs_alone():
    world = World()
    job = world.submit(world.queue())
    world.turn()
    world.cancel(job)
    world.turn()
    world.exits(job)
    world.turn()
    assert (world.state(job), world.stopped) == ("SUCCEEDED", [])


def test_cancelling_a_pending_job_takes_effect_when_its_dependencies_are_complete():
    world = World()
    queue = world.queue()
    upstream = world.submit(queue)
    job = world.submit(queue, after=[upstream])
    world.turn()
    world.cancel(job, "changed my mind")
    world.turn()
    assert world.state(job) == "PENDING"
    world.exits(upstream)
    world.turn()
    assert (world.state(job), world.reason(job)) == ("FAILED", "changed my mind")
    assert len(world.started) == 1


def test_terminating_an_array_stops_the_running_and_fails_the_waiting():
    world = World(vcpus=2)
    queue = world.queue()
    array = world.submit(queue, size=5, attempts=3)
    after = world.submit(queue, after=[array])
    world.turn()
    world.exits(array[0])
    world.turn()
    world.terminate(array, "stop all")
    world.turn()
    assert world.states(array) == "SssFF"
    assert world.stopped == [array[1], array[2]]
    world.exits(array[1], 143)
    world.exits(array[2], 143)
    world.settle()
    assert (world.states(array), world.state(array), world.reason(array)) == ("SFFFF", "FAILED", "stop all")
    assert (world.state(after), world.reason(after)) == ("FAILED", "Dependent Job failed")


def test_terminating_one_child_leaves_its_siblings():
    world = World(vcpus=2)
    array = world.submit(world.queue(), size=3)
    world.turn()
    world.terminate(array[2], "that one")
    world.turn()
    assert (world.states(array), world.reason(array[2])) == ("ssF", "that one")
    world.finish_everything()
    assert (world.states(array), world.state(array)) == ("SSF", "FAILED")


def test_terminating_what_is_over_changes_nothing():
    world = World()
    job = world.submit(world.queue())
    world.turn()
    world.exits(job)
    world.turn()
    world.terminate(job, "late")
    decision = world.turn()
    assert [type(fact).__name__ for fact in decision.facts] == ["RequestApplied"]


# -- late, repeated and missing news -------------------------------------------------------------------------------


def test_repeated_and_stale_news_is_ignored():
    world = World(vcpus=1)
    job = world.submit(world.queue(), attempts=2)
    world.turn()
    world.starts_running(job)
    world.exits(job, 1)
    first = list(world.events)
    world.turn()
    assert world.rows.jobs[job.seq].attempts[-1] == 2
    world.events = first  # news of attempt 1, late, after attempt 2 was opened
    assert world.turn().facts == []
    assert world.state(job) == "STARTING"


def test_a_survey_starts_again_what_never_began_and_gives_up_what_is_gone():
    world = World(vcpus=3)
    queue = world.queue()
    never, gone, alive = (world.submit(queue) for _ in range(3))
    world.turn()
    world.starts_running(gone)
    world.starts_running(alive)
    world.turn()
    del world.running[never], world.running[gone]
    world.surveys()
    world.turn()
    assert world.started == [never, gone, alive, never]
    assert [world.state(job) for job in (never, gone, alive)] == ["STARTING", "FAILED", "RUNNING"]


def test_a_stop_that_may_not_have_arrived_is_repeated_after_a_restart():
    world = World()
    job = world.submit(world.queue())
    world.turn()
    world.starts_running(job)
    world.terminate(job)
    world.turn()
    world.restart()
    world.turn()
    assert world.stopped == [job, job]


def test_a_smaller_machine_after_a_restart_waits_until_there_is_room():
    world = World(vcpus=4)
    queue = world.queue()
    jobs = [world.submit(queue, vcpus=2) for _ in range(3)]
    world.turn()
    world.restart()
    world.machine(vcpus=2)
    world.turn()
    world.exits(jobs[0])
    world.turn()
    assert world.state(jobs[2]) == "RUNNABLE"
    world.exits(jobs[1])
    world.turn()
    assert world.state(jobs[2]) == "STARTING"
