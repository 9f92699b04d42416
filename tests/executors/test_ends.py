"""Timeouts, stops and what is left behind: nothing."""

from __future__ import annotations

import os
import re
import signal
import time
import uuid

import pytest

from batchyard.model.needs import Needs
from batchyard.ports import Lost
from tests.executors.yard import with_environment

IGNORES = "trap '' TERM; echo armed; for i in $(seq 20); do sleep 1; done"
POLITE = "trap 'echo asked; exit 9' TERM; echo armed; for i in $(seq 200); do sleep 0.1; done; exit 8"

# Double-forks, starts sessions and goes on re-forking; at most 30 processes, over by itself after 20 s.
ADVERSARY = """
import os, signal, sys, time
end = time.monotonic() + 20
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
for branch in range(6):
    if os.fork() == 0:
        os.setsid()
        for depth in range(4):
            if os.fork() == 0:
                os.setsid()
                while time.monotonic() < end:
                    time.sleep(0.02)
                    if os.fork():
                        os._exit(0)
                    os.setsid()
                os._exit(0)
        os._exit(0)
open("armed", "w").close()
time.sleep({lingers})
"""


def armed(yard, attempt):
    yard.until(lambda: b"armed" in yard.log_bytes(attempt), "the job has set its trap")


def test_a_timeout_asks_first(yard):
    attempt = yard.sh(POLITE, timeout_s=1)
    told = yard.ended(attempt).ending
    assert told.timed_out and told.status_reason == "Job attempt duration exceeded timeout"
    assert told.exit_code == 9, "the program's own code after SIGTERM"
    assert told.stopped_ms - told.started_ms >= 1000
    said = yard.output(attempt).split()
    assert (said[0], said[-1]) == ("armed", "asked"), "the shell may say in between that its child was terminated"


def test_a_timeout_kills_what_ignores_it(yard):
    told = yard.run(IGNORES, timeout_s=1).ending
    assert told.timed_out and told.exit_code == 137
    assert 2000 <= told.stopped_ms - told.started_ms < 15_000, "one second to the timeout, one of grace"


def test_a_job_that_just_dies_of_its_timeout_is_137(yard):
    told = yard.ended(yard.start(yard.spec("sleep", "20", timeout_s=1))).ending
    assert told.timed_out and told.exit_code == 137


def test_a_timeout_fires_without_server_and_runner(yard):
    attempt = yard.start(yard.spec("sleep", "20", timeout_s=1))
    yard.began(attempt)
    yard.kill_runner()
    time.sleep(2)
    yard.start_runner()
    told = yard.ended(attempt).ending
    assert told.timed_out and told.stopped_ms - told.started_ms < 15_000


def test_a_stop_asks_first_and_then_kills(yard):
    polite, stubborn = yard.sh(POLITE), yard.sh(IGNORES)
    for attempt in (polite, stubborn):
        yard.began(attempt)
        armed(yard, attempt)
        yard.stop(attempt)
        yard.stop(attempt)
    assert yard.ended(polite).ending.exit_code == 9
    told = yard.ended(stubborn).ending
    assert (told.exit_code, told.timed_out) == (137, False)


def test_an_adversary_leaves_no_survivor(isolated):
    mark = f"MARK={uuid.uuid4()}"
    environment = [{"name": "MARK", "value": mark.removeprefix("MARK=")}]
    for lingers, stop in (("0.3", False), ("20", True)):
        script = ADVERSARY.format(lingers=lingers)
        attempt = isolated.start(isolated.spec("python3", "-c", script, environment=environment))
        isolated.until(lambda a=attempt: (isolated.work(a) / "armed").exists(), "the adversary has forked")
        assert len(with_environment(mark)) > 6, "it lives, so finding nothing later means something"
        if stop:
            isolated.stop(attempt)
        isolated.ended(attempt)
        assert with_environment(mark) == []


def test_children_left_behind_end_with_the_main_process(yard):
    mark = f"MARK={uuid.uuid4()}"
    environment = [{"name": "MARK", "value": mark.removeprefix("MARK=")}]
    attempt = yard.sh(
        "sleep 20 & setsid sleep 20 & (setsid sh -c 'sleep 20 & sleep 20' &) ; sleep 0.3; exit 2",
        environment=environment,
    )
    assert yard.ended(attempt).ending.exit_code == 2
    assert with_environment(mark) == []


def test_a_killed_runner_is_followed_by_one_that_knows_it_all(yard):
    long = yard.sh("echo ran >> count; echo begun; sleep 2; echo over; exit 11")
    short = yard.sh("sleep 0.3; exit 12")
    yard.began(long), yard.began(short)
    survey = yard.restart_runner()
    assert long in survey.living
    yard.start(yard.specs[long])
    assert yard.ended(long).ending.exit_code == 11
    assert yard.ended(short).ending.exit_code == 12
    assert yard.output(long) == "begun\nover\n"
    assert (yard.work(long) / "count").read_text() == "ran\n"


def test_a_new_runner_starts_while_jobs_of_the_old_one_run(yard):
    """Slots must not hold what says that a runner lives."""
    attempt = yard.sh("sleep 3")
    yard.began(attempt)
    yard.kill_runner()
    second = yard.start_runner()
    time.sleep(0.5)
    assert second.poll() is None, "the second runner found the lock held, by a slot"
    assert attempt in yard.connect().living or yard.ended(attempt)


def test_a_job_that_ends_without_a_runner_is_told_later(yard):
    attempt = yard.sh("sleep 0.5; exit 13")
    yard.began(attempt)
    yard.kill_runner()
    yard.until(lambda: (yard.data / "runner" / "exits" / attempt).stat().st_size > 0, "the slot writes the record")
    yard.start_runner()
    assert yard.ended(attempt).ending.exit_code == 13


def test_a_killed_slot_is_a_lost_attempt_and_nothing_of_it_lives(isolated):
    mark = f"MARK={uuid.uuid4()}"
    environment = [{"name": "MARK", "value": mark.removeprefix("MARK=")}]
    attempt = isolated.sh("setsid sleep 20 & sleep 20", environment=environment)
    isolated.began(attempt)
    isolated.until(lambda: len(with_environment(mark)) >= 3, "its processes are there")
    for pid in isolated.slots():
        os.kill(pid, signal.SIGKILL)
    assert isolated.ended(attempt) == Lost(attempt)
    assert with_environment(mark) == []
    isolated.start(isolated.specs[attempt])
    assert isolated.ended(attempt) == Lost(attempt), "a lost attempt is not started again"
    assert isolated.run("exit 3").ending.exit_code == 3


def test_a_slot_killed_while_no_runner_lives_is_lost_too(isolated):
    attempt = isolated.sh("sleep 20")
    isolated.began(attempt)
    isolated.kill_runner()
    for pid in isolated.slots():
        os.kill(pid, signal.SIGKILL)
    isolated.start_runner()
    assert isolated.ended(attempt) == Lost(attempt)


def test_a_second_runner_leaves_at_once(yard):
    second = yard.start_runner()
    assert second.wait(10) == 0
    yard._runners.remove(second)
    assert yard.run("exit 3").ending.exit_code == 3


def test_quit_ends_jobs(yard):
    mark = f"MARK={uuid.uuid4()}"
    attempt = yard.sh("sleep 20 & sleep 20", environment=[{"name": "MARK", "value": mark.removeprefix("MARK=")}])
    yard.began(attempt)
    yard.executor.quit()
    yard.until(lambda: yard._runners[-1].poll() is not None, "the runner leaves")
    yard.until(lambda: with_environment(mark) == [], "the job is gone")


def test_memory_over_the_limit_at_once_is_killed_where_there_are_control_groups(yard):
    """Faster than any look at the processes: 400 MB touched in one go, with a limit of 64 MiB."""
    hog = "import mmap\nmmap.mmap(-1, 400 << 20).write(b'x' * (400 << 20))\nprint('survived')"
    attempt = yard.start(yard.spec("python3", "-c", hog, needs=Needs(1000, 64)))
    told = yard.ended(attempt).ending
    if not yard.executor.memory_groups:
        pytest.skip("no memory control group can be made here (as root, cgroup v1 or a delegated v2)")
    assert (told.exit_code, told.reason) == (137, "OutOfMemoryError: Container killed due to memory usage")
    assert "survived" not in yard.output(attempt)
    assert told.peak_memory_bytes <= 66 << 20


# Each smaller than the slot that holds the job; together over 16 MiB. The kernel's choice is the largest process.
MANY_SMALL = """
for i in $(seq 12); do python3 -S -c 'import time; held = bytearray(1 << 20); time.sleep(3)' & done
wait; exit 5
"""


def test_many_small_processes_over_the_limit_are_killed_and_not_what_holds_them(yard):
    told = ended_for_want_of_memory(yard, MANY_SMALL)
    assert told.cpu_ms > 0, "the slot lived and measured"


def test_a_slot_that_the_kernel_killed_for_its_job_is_told_as_the_jobs_end(yard):
    """A job can make itself as dear to the kernel as its slot; it must not pass for a machine that was lost."""
    told = ended_for_want_of_memory(yard, f"echo 0 >/proc/self/oom_score_adj; {MANY_SMALL}")
    assert told.started_ms <= told.stopped_ms


def ended_for_want_of_memory(yard, script: str):
    if not yard.executor.memory_groups:
        pytest.skip("no memory control group can be made here (as root, cgroup v1 or a delegated v2)")
    told = yard.run(script, needs=Needs(1000, 16)).ending
    assert (told.exit_code, told.reason) == (137, "OutOfMemoryError: Container killed due to memory usage")
    return told


def test_the_next_job_of_a_slot_has_its_own_limit_and_peak(yard):
    script = "x = bytearray({} << 20); print('done')"
    big = yard.start(yard.spec("python3", "-c", script.format(150), needs=Needs(1000, 300)))
    first = yard.ended(big).ending
    small = yard.start(yard.spec("python3", "-c", script.format(20), needs=Needs(1000, 64)))
    second = yard.ended(small).ending
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.peak_memory_bytes >= 150 << 20
    if yard.executor.memory_groups:
        assert second.peak_memory_bytes < 64 << 20


def test_a_flood_of_output_keeps_head_and_tail_and_says_what_was_cut(make_yard):
    yard = make_yard(log_max_mib=4)
    line = "x" * 99
    attempt = yard.sh(f"echo begin; yes {line} | head -n 200000; echo end")
    assert yard.ended(attempt).ending.exit_code == 0
    content = yard.log_bytes(attempt)
    assert len(content) <= (4 << 20) + 200
    assert content.startswith(b"begin\n" + line.encode()) and content.endswith(b"\nend\n")
    cut = re.search(rb"\n\[batchyard: (\d+) bytes of output were cut here\]\n", content)
    assert cut is not None
    assert int(cut[1]) + len(content) - len(cut[0]) == len("begin\nend\n") + 200_000 * 100
