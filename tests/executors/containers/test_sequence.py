"""Who of a task's containers may start and stop, and whose ending is the task's."""

from __future__ import annotations

from batchyard.executors.runner.containers import sequence
from batchyard.executors.runner.containers.sequence import COMPLETE, START, SUCCESS, Plan, Stand

WAITS = Stand()
BEING_MADE = Stand(begun=True)
RUNS = Stand(begun=True, started_ms=1000)
NEVER = Stand(begun=True, ended=1)


def over(exit_code: int, ended: int = 1) -> Stand:
    return Stand(begun=True, started_ms=1000, ended=ended, exit_code=exit_code)


def plans(condition: str, **more) -> list[Plan]:
    """
    first  <--condition--  second
    """
    return [Plan("first", essential=False, **more), Plan("second", depends_on=(("first", condition),))]


def start(condition: str, first: Stand) -> list[str]:
    return sequence.may_start(plans(condition), {"first": first, "second": WAITS})


def hopeless(condition: str, first: Stand, now_ms: int = 2000, **more) -> dict[str, str]:
    return sequence.hopeless(plans(condition, **more), {"first": first, "second": WAITS}, now_ms)


def test_without_dependencies_all_start_in_the_order_of_the_definition():
    alone = [Plan("b"), Plan("a")]
    assert sequence.may_start(alone, {"a": WAITS, "b": WAITS}) == ["b", "a"]


def test_nobody_starts_twice():
    assert sequence.may_start([Plan("a"), Plan("b"), Plan("c")], {"a": BEING_MADE, "b": RUNS, "c": over(0)}) == []


def test_start_waits_until_the_other_has_started():
    assert [start(START, first) for first in (BEING_MADE, RUNS, over(1))] == [[], ["second"], ["second"]]


def test_complete_waits_until_the_other_has_ended_however():
    assert [start(COMPLETE, first) for first in (RUNS, over(0), over(1))] == [[], ["second"], ["second"]]


def test_success_waits_until_the_other_has_ended_well():
    assert [start(SUCCESS, first) for first in (RUNS, over(0), over(1))] == [[], ["second"], []]


def test_a_success_that_cannot_come_any_more_is_hopeless():
    assert hopeless(SUCCESS, RUNS) == {}
    assert hopeless(SUCCESS, over(3)) == {
        "second": "it depends on container first (SUCCESS), which ended with exit code 3"
    }


def test_what_did_not_start_fulfils_nothing():
    for condition in (START, COMPLETE, SUCCESS):
        assert hopeless(condition, NEVER) == {
            "second": f"it depends on container first ({condition}), which did not start"
        }


def test_a_start_timeout_counts_from_the_start_of_the_container_that_is_waited_for():
    for now_ms, late in ((1000, False), (5999, False), (6000, True)):
        assert bool(hopeless(SUCCESS, RUNS, now_ms, start_timeout_ms=5000)) is late
    assert hopeless(START, BEING_MADE, 10**9, start_timeout_ms=5000) == {}


def test_the_end_of_an_essential_container_is_the_end_of_all():
    both = [Plan("main"), Plan("helper", essential=False)]
    assert not sequence.is_over(both, {"main": RUNS, "helper": over(1)})
    assert sequence.is_over(both, {"main": over(0), "helper": RUNS})


def test_containers_stop_in_the_reverse_order_of_their_dependencies():
    chain = [Plan("c"), Plan("b", depends_on=(("c", START),)), Plan("a", depends_on=(("b", START),))]
    assert sequence.may_stop(chain, {"a": RUNS, "b": RUNS, "c": RUNS}) == ["a"]
    assert sequence.may_stop(chain, {"a": over(0), "b": RUNS, "c": RUNS}) == ["b"]
    assert sequence.may_stop(chain, {"a": over(0), "b": over(0), "c": RUNS}) == ["c"]


def test_a_task_runs_once_all_its_essential_containers_have_started():
    three = [Plan("a"), Plan("b"), Plan("helper", essential=False)]
    late = Stand(begun=True, started_ms=3000)
    assert sequence.started_ms(three, {"a": RUNS, "b": WAITS, "helper": RUNS}) is None
    assert sequence.started_ms(three, {"a": RUNS, "b": late, "helper": WAITS}) == 3000


def test_the_ending_of_the_task_is_that_of_the_essential_container_which_failed_first():
    three = [Plan("a"), Plan("b"), Plan("helper", essential=False)]
    stands = {"a": over(5, ended=3), "b": over(6, ended=2), "helper": over(1, ended=1)}
    assert sequence.decisive(three, stands) == "b"


def test_where_none_failed_it_is_that_of_the_last_essential_one():
    three = [Plan("a"), Plan("b"), Plan("helper", essential=False)]
    stands = {"a": over(0, ended=2), "b": over(0, ended=1), "helper": over(1, ended=3)}
    assert sequence.decisive(three, stands) == "a"
