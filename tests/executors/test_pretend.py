"""What is the pretend executor's own: its timer, its records, and that a restart at any moment changes nothing."""

from __future__ import annotations

import errno
import os
import random
import select
import time

import pytest

from batchyard.engine.clock import SteadyClock
from batchyard.executors.pretend import PretendExecutor, Record, fate
from batchyard.executors.timer import Timer
from batchyard.ports import Began, Ended, Lost, Survey
from tests.conformance.yards import NOON_MS, PretendYard


@pytest.fixture
def pretending(tmp_path):
    yard = PretendYard(tmp_path)
    yield yard
    yard.close()


def readable(source, wait_s):
    return bool(select.select([source], [], [], wait_s)[0])


def test_a_timer_turns_readable_when_it_is_set_to():
    timer = Timer()
    assert not readable(timer, 0)
    timer.set(50)
    before = time.monotonic()
    assert readable(timer, 10) and time.monotonic() - before >= 0.04
    timer.set(60_000)
    assert not readable(timer, 0), "set anew, it waits anew"
    timer.set(0)
    assert readable(timer, 10)
    timer.set(None)
    assert not readable(timer, 0)
    timer.close()
    timer.close()


def test_an_executor_with_nothing_to_say_is_not_readable(tmp_path):
    executor = PretendExecutor(tmp_path, SteadyClock(), 1)
    assert readable(executor, 10) and executor.observe() == [Survey(frozenset())]
    assert not readable(executor, 0)
    yard = PretendYard(tmp_path / "specs")
    executor.start(yard.spec("pretend", "run_ms=100", "exit=3"))
    executor.flush()
    assert readable(executor, 10) and [type(news) for news in executor.observe()] == [Began]
    assert readable(executor, 10), "the end wakes whoever waits"
    told = []
    while not told:
        told = executor.observe()
    assert [(type(news), news.ending.exit_code) for news in told] == [(Ended, 3)]
    assert not readable(executor, 0)
    executor.close()
    yard.close()


def test_real_commands_are_not_found(pretending):
    told = pretending.ended(pretending.start(pretending.spec("sh", "-c", "exit 0"))).ending
    assert (told.exit_code, told.status_reason) == (127, "Task failed to start")
    assert told.reason == 'CannotStartContainerError: exec: "sh": executable file not found in $PATH'


def test_times_are_exact(pretending):
    cases = [
        ({}, 5000, 0, None),
        ({"timeout_ms": 1000}, 1000, None, 15),
        ({"timeout_ms": 5000}, 5000, 0, None),
        ({"stop_ms": NOON_MS + 700, "timeout_ms": 1000}, 700, None, 15),
        ({"stop_ms": NOON_MS + 9000}, 5000, 0, None),
    ]
    for members, after_ms, code, number in cases:
        record = Record(**({"command": ["pretend", "run_ms=5000"], "memory_mib": 0, "timeout_ms": None} | members | {
            "grace_ms": 2000, "began_ms": NOON_MS}))  # fmt: skip
        told = fate(record)
        assert (told["stopped_ms"] - NOON_MS, told["exit_code"], told["signal"]) == (after_ms, code, number), members
        stubborn = fate(record._replace(command=[*record.command, "ignore_term=1"]))
        assert stubborn["stopped_ms"] - NOON_MS == (after_ms + 2000 if number else after_ms), members
        assert stubborn["signal"] == (9 if number else None)
        assert stubborn["timed_out"] == told["timed_out"] == (members == {"timeout_ms": 1000})


def test_a_record_that_was_not_whole_on_disk_is_a_lost_host(pretending):
    attempt = pretending.pretend("run_ms=5000")
    pretending.began(attempt)
    (pretending.data / "pretend" / attempt).write_bytes(b"")
    assert pretending.restart().living == frozenset()
    assert pretending.ended(attempt) == Lost(attempt)
    pretending.start(pretending.specs[attempt])
    assert pretending.ended(attempt) == Lost(attempt), "a lost attempt is not started again"
    pretending.release(attempt)
    assert os.listdir(pretending.data / "pretend") == []


def test_a_full_disk_fails_the_attempt_and_says_so(pretending, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", full)
        told = pretending.ended(pretending.pretend("exit=0")).ending
    assert (told.exit_code, told.status_reason) == (None, "Task failed to start")
    assert "No space left on device" in told.reason
    assert pretending.ended(pretending.pretend("exit=4")).ending.exit_code == 4


def test_what_is_no_attempt_is_left_alone(pretending):
    (pretending.data / "pretend" / "README").write_text("not ours")
    assert pretending.restart().living == frozenset()
    assert (pretending.data / "pretend" / "README").exists()


WORDS = ["exit=3", "signal=9", "ignore_term=1", "log=said", "memory_mib=600", "nonsense"]


def play(data, seed, restarts):
    """Forty attempts, some stopped, some started again; with `restarts`, other executors over the same files."""
    chance = random.Random(seed)
    yard, endings = PretendYard(data), {}
    for _ in range(40):
        words = [f"run_ms={chance.randrange(3000)}", *(word for word in WORDS if chance.random() < 0.2)]
        attempt = yard.pretend(*words, timeout_s=chance.choice([None, 1, 2]))
        stopped, again = chance.random() < 0.3, chance.random() < 0.3
        pause_ms, shut = chance.randrange(200), chance.random() < 0.4
        yard.clock.ms += pause_ms
        if stopped:
            yard.stop(chance.choice(sorted(yard.specs)))
        if restarts and shut:
            yard.restart()
        if again:
            yard.start(yard.specs[attempt])
    for attempt in yard.specs:
        yard.start(yard.specs[attempt])
        endings[attempt] = yard.ended(attempt).ending
    yard.close()
    return endings


def test_restarts_at_any_moment_change_nothing(tmp_path):
    codes = set()
    for _ in range(5):
        seed = random.randrange(1 << 32)
        print("seed", seed)
        calm = play(tmp_path / f"{seed}-calm", seed, restarts=False)
        assert play(tmp_path / f"{seed}-wild", seed, restarts=True) == calm
        codes |= {ending.exit_code for ending in calm.values()}
    assert {0, 2, 3, 137} <= codes, "all kinds of endings occurred"
