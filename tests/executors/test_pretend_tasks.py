"""Tasks of several containers under the pretend executor: who starts when, what ends the others, what decides."""

from __future__ import annotations

import random

import pytest

from batchyard.executors import contract
from batchyard.executors.pretend import Record, fate
from batchyard.executors.pretend_task import asked
from batchyard.model.tasks import ContainerEnding
from tests.conformance.yards import NOON_MS, PretendYard

MEMORY = [{"type": "MEMORY", "value": "512"}]


def one(name, *words, on=(), essential=True, **members):
    waits = [{"containerName": target, "condition": condition} for target, condition in on]
    given = {"name": name, "command": ["pretend", *words], "dependsOn": waits, "essential": essential}
    return given | {"resourceRequirements": MEMORY} | members


def told(*containers, **members):
    """How the task ends: times are ms since its start."""
    values = {"command": [], "memory_mib": 0, "timeout_ms": None, "grace_ms": 2000, "began_ms": NOON_MS}
    return fate(Record(**(values | members), task=asked({"containers": list(containers)})))


def times(found):
    since = [each["started_ms"] and each["started_ms"] - NOON_MS for each in found["containers"]]
    began = found["started_ms"] and found["started_ms"] - NOON_MS
    return since, began, found["stopped_ms"] - NOON_MS


def codes(found):
    return [each["exit_code"] for each in found["containers"]]


def test_one_that_waits_starts_when_what_it_waits_for_has_succeeded():
    found = told(
        one("first", "run_ms=300", essential=False),
        one("second", "run_ms=200", essential=False, on=[("first", "SUCCESS")]),
        one("main", "run_ms=1000", on=[("second", "COMPLETE"), ("side", "START")]),
        one("side", "run_ms=9000", essential=False),
    )
    assert times(found) == ([0, 300, 500, 0], 500, 1500)
    assert (codes(found), found["exit_code"]) == ([0, 0, 0, 143], 0)


def test_a_success_that_never_comes_keeps_the_task_from_starting():
    found = told(one("first", "exit=3", essential=False), one("main", on=[("first", "SUCCESS")]))
    ending = contract.ending(found)
    assert (ending.exit_code, ending.status_reason, ending.started_ms) == (None, "Task failed to start", None)
    assert ending.reason == (
        "CannotStartContainerError: it depends on container first (SUCCESS), which ended with exit code 3"
    )
    assert ending.containers == (ContainerEnding("first", 3), ContainerEnding("main", None, ending.reason))
    complete = told(one("first", "exit=3", essential=False), one("main", on=[("first", "COMPLETE")]))
    assert (codes(complete), complete["exit_code"]) == ([3, 0], 0)


def test_one_that_takes_too_long_is_waited_for_no_longer():
    slow = one("first", "run_ms=5000", essential=False, startTimeout=1)
    found = told(slow, one("main", on=[("first", "SUCCESS")]))
    assert times(found) == ([0, None], None, 1000)
    assert "was not over after 1 s" in found["not_started"]


def test_the_essential_one_that_failed_first_decides_and_all_others_stop():
    found = told(
        one("a", "run_ms=800", "exit=4"), one("b", "run_ms=500", "exit=7"), one("c", "run_ms=9000", essential=False)
    )
    assert (codes(found), found["exit_code"], times(found)[2]) == ([143, 7, 143], 7, 500)


def test_an_essential_helper_that_ends_early_takes_the_main_one_with_it():
    found = told(one("main", "run_ms=5000"), one("helper", "run_ms=100"))
    assert (codes(found), found["exit_code"], times(found)[2]) == ([143, 0], 143, 100)


def test_each_has_its_own_time_to_stop_and_its_own_memory():
    found = told(
        one("a", "run_ms=9000", "ignore_term=1", stopTimeout=1),
        one("b", "run_ms=9000", "ignore_term=1"),
        one("c", "run_ms=100", "memory_mib=600"),
    )
    assert (codes(found), times(found)[2], found["oom"]) == ([137, 137, 137], 2000, True)
    assert contract.ending(found).reason == contract.OUT_OF_MEMORY


@pytest.mark.parametrize("stop_ms", [0, 200, 499, 500, 700, 20_000])
def test_stopped_at_any_time(stop_ms):
    found = told(
        one("first", "run_ms=500", essential=False),
        one("main", "run_ms=1000", on=[("first", "SUCCESS")]),
        stop_ms=NOON_MS + stop_ms,
        kill_ms=NOON_MS + stop_ms + 2000,
    )
    assert times(found)[1] == (500 if stop_ms >= 500 else None)
    assert times(found)[2] == min(stop_ms, 1500)
    assert found["exit_code"] == (None if stop_ms < 500 else 143 if stop_ms < 1500 else 0)


def test_the_timeout_counts_from_when_all_essential_ones_run():
    found = told(
        one("first", "run_ms=3000", essential=False),
        one("main", "run_ms=5000", on=[("first", "COMPLETE")]),
        timeout_ms=1000,
    )
    assert (times(found)[1:], found["timed_out"], found["exit_code"]) == ((3000, 4000), True, 143)
    assert contract.ending(found).status_reason == contract.TIMED_OUT


def test_what_is_no_word_of_the_language_fails_where_it_is():
    found = told(one("a", "run_ms=100"), one("b") | {"command": ["sh"]})
    assert codes(found) == [143, 127] or codes(found) == [None, 127]
    assert found["containers"][1]["reason"].startswith('CannotStartContainerError: exec: "sh"')
    assert codes(told(one("a", "nonsense"))) == [2]


def task(*containers):
    return {"containers": list(containers)}


def test_news_and_logs_of_a_task(tmp_path):
    yard = PretendYard(tmp_path)
    spec = yard.spec()._replace(
        container={},
        task=task(
            one("first", "run_ms=300", "log=prepared", essential=False),
            one("main", "run_ms=100", "log=worked", on=[("first", "SUCCESS")]),
            one("never", on=[("never-ending", "COMPLETE")], essential=False),
            one("never-ending", "run_ms=99999", essential=False),
        ),
    )
    attempt = yard.start(spec)
    assert yard.began(attempt).at_ms == spec.opened_ms + 300, "it is STARTING while an essential container waits"
    ending = yard.ended(attempt).ending
    assert [(each.name, each.exit_code) for each in ending.containers] == [
        ("first", 0), ("main", 0), ("never", None), ("never-ending", 143),
    ]  # fmt: skip
    (day,) = (tmp_path / "logs").iterdir()
    assert {path.name: path.read_text() for path in day.glob("*.log")} == {
        f"{attempt}~first.log": "prepared\n",
        f"{attempt}~main.log": "worked\n",
        f"{attempt}~never-ending.log": "",
    }
    yard.close()


def random_task(chance):
    names = [f"c{number}" for number in range(chance.randint(1, 5))]
    essential = {name: chance.random() < 0.5 for name in names} | {names[-1]: True}
    containers = []
    for number, name in enumerate(names):
        on = []
        for target in names[:number]:
            conditions = ["START"] if essential[target] else ["START", "COMPLETE", "SUCCESS"]
            on += [(target, chance.choice(conditions))] if chance.random() < 0.5 else []
        words = [f"run_ms={chance.randrange(2000)}", *(["exit=3"] if chance.random() < 0.3 else [])]
        words += ["ignore_term=1"] if chance.random() < 0.2 else []
        more = {"startTimeout": 1} if chance.random() < 0.2 else {}
        containers.append(one(name, *words, on=on, essential=essential[name], **more))
    return task(*containers)


def play(data, seed, restarts):
    chance = random.Random(seed)
    yard, endings = PretendYard(data), {}
    for _ in range(25):
        timeout_s = chance.choice([None, None, 1])
        attempt = yard.start(yard.spec(timeout_s=timeout_s)._replace(container={}, task=random_task(chance)))
        yard.clock.ms += chance.randrange(300)
        if chance.random() < 0.3:
            yard.stop(chance.choice(sorted(yard.specs)))
        if restarts and chance.random() < 0.5:
            yard.restart()
        elif not restarts:
            chance.random()
        endings[attempt] = None
    for attempt in endings:
        yard.start(yard.specs[attempt])
        endings[attempt] = yard.ended(attempt).ending
    yard.close()
    return endings


def test_restarts_at_any_moment_change_nothing(tmp_path):
    for _ in range(4):
        seed = random.randrange(1 << 32)
        print("seed", seed)
        calm = play(tmp_path / f"{seed}-calm", seed, restarts=False)
        assert play(tmp_path / f"{seed}-wild", seed, restarts=True) == calm
