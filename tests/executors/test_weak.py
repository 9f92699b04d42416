"""Where the kernel refuses namespaces everything still works; what is weaker is said."""

from __future__ import annotations

import os
import uuid

import pytest

from tests.executors.yard import with_environment


def test_what_is_weaker_is_said(weak):
    assert weak.executor.isolation == "session"


def test_jobs_run_and_end(weak):
    attempts = [weak.sh(f"echo {number}; exit {number}") for number in range(5)]
    for number, attempt in enumerate(attempts):
        assert weak.ended(attempt).ending.exit_code == number
        assert weak.output(attempt) == f"{number}\n"
    told = weak.ended(weak.start(weak.spec("sleep", "20", timeout_s=1))).ending
    assert told.timed_out and told.exit_code == 137


def test_children_in_other_sessions_end_with_the_job(weak):
    mark = str(uuid.uuid4())
    script = "(setsid sh -c 'sleep 20 & sleep 20' &) ; sleep 0.3; exit 2"
    attempt = weak.sh(script, environment=[{"name": "MARK", "value": mark}])
    assert weak.ended(attempt).ending.exit_code == 2
    assert with_environment(f"MARK={mark}") == []


def test_a_new_runner_adopts_it(weak):
    attempt = weak.sh("echo ran >> count; sleep 1.5; exit 11")
    weak.began(attempt)
    assert attempt in weak.restart_runner().living
    assert weak.ended(attempt).ending.exit_code == 11
    assert (weak.work(attempt) / "count").read_text() == "ran\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's jobs are that user, and nothing hides from it")
def test_jobs_of_root_are_nobody_and_read_no_secrets(weak):
    for name in ("access-key", "state.db"):
        (weak.data / name).write_text("THE-SECRET")
    weak.kill_runner()
    weak.start_runner()
    weak.executor.observe()
    weak.connect()
    attempt = weak.sh(f'id -u; touch "$TMPDIR/mine" && echo writes; cat {weak.data}/access-key {weak.data}/state.db')
    weak.ended(attempt)
    output = weak.output(attempt)
    assert output.startswith("65534\nwrites\n") and "THE-SECRET" not in output
