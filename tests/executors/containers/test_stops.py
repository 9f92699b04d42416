"""How containers are stopped, when they take too long or too much, and what is told of that, on each engine."""

from __future__ import annotations

import os
import socket
import time

import pytest

from batchyard.model.needs import Needs

TRAP = "trap 'echo told; exit 7' TERM; echo ready; while :; do sleep 0.05; done"
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.05; done"


def ready(dock, attempt: str) -> str:
    """Wait until the job has said so."""
    dock.began(attempt)
    dock.until(lambda: dock.log_bytes(attempt).startswith(b"ready"), f"{attempt} is ready")
    return attempt


def test_a_job_that_is_told_to_stop_may_end_in_its_own_way(dock):
    attempt = ready(dock, dock.sh(TRAP))
    dock.stop(attempt)
    assert dock.ended(attempt).ending.exit_code == 7
    assert dock.output(attempt) == "ready\ntold\n"


def test_one_that_does_not_listen_is_killed_when_the_grace_time_is_over(dock):
    attempt = ready(dock, dock.sh(STUBBORN))
    told_s = time.monotonic()
    dock.stop(attempt)
    assert dock.ended(attempt).ending.exit_code == 137
    assert time.monotonic() - told_s >= 1.0


def test_without_grace_it_is_killed_at_once(make_dock):
    dock = make_dock(stop_grace_s=600)
    attempt = ready(dock, dock.sh(TRAP))
    dock.stop(attempt, 0)
    assert dock.ended(attempt).ending.exit_code == 137


def test_the_second_order_to_stop_may_shorten_the_grace_time(make_dock):
    dock = make_dock(stop_grace_s=600)
    attempt = ready(dock, dock.sh(STUBBORN))
    dock.stop(attempt)
    dock.stop(attempt, 100)
    assert dock.ended(attempt).ending.exit_code == 137


def test_a_job_that_takes_too_long_is_told_so(dock):
    ending = dock.ended(dock.start(dock.spec("sh", "-c", STUBBORN, timeout_s=1))).ending
    assert (ending.status_reason, ending.exit_code) == ("Job attempt duration exceeded timeout", 137)
    assert ending.timed_out and ending.stopped_ms - ending.started_ms >= 1000


@pytest.mark.parametrize("quickly", [True, False])
def test_a_job_that_takes_too_much_memory_is_told_so(dock, quickly):
    script = ("" if quickly else "sleep 0.3; ") + "exec dd if=/dev/zero of=/dev/null bs=200M"
    ending = dock.ended(dock.start(dock.spec("sh", "-c", script, needs=Needs(1000, 64)))).ending
    assert (ending.exit_code, ending.reason) == (137, "OutOfMemoryError: Container killed due to memory usage")
    assert ending.status_reason == "Essential container in task exited"


def test_a_job_that_is_killed_by_its_own_is_not_out_of_memory(dock):
    ending = dock.run("sleep 60 & kill -9 $!; wait $!; exit $?").ending
    assert (ending.exit_code, ending.reason) == (137, None)


def test_memory_and_processor_time_are_counted(dock):
    script = "dd if=/dev/zero of=/dev/null bs=40M count=20; i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"
    ending = dock.run(script).ending
    assert 40 << 20 <= ending.peak_memory_bytes <= 200 << 20
    assert ending.cpu_ms >= 50


def test_a_stop_does_not_wait_for_an_image_that_is_being_pulled(dock):
    with socket.socket() as registry:  # takes connections and says nothing
        registry.bind(("127.0.0.1", 0))
        registry.listen()
        attempt = dock.sh("true", image=f"127.0.0.1:{registry.getsockname()[1]}/never:1")
        dock.until(lambda: (dock.data / "runner/orders" / attempt).exists(), "the attempt is claimed")
        registry.accept()[0].close()
        dock.stop(attempt)
        ending = dock.ended(attempt).ending
    assert (ending.exit_code, ending.started_ms, ending.reason) == (None, None, None)


def test_a_runner_that_is_told_to_leave_takes_its_containers_with_it(dock):
    attempt = ready(dock, dock.sh(STUBBORN))
    assert dock.executor.quit(20)
    assert dock.containers() == []
    assert os.listdir(dock.data / "runner/orders") == []
    assert (dock.data / "runner/exits" / attempt).read_bytes() == b""
