"""What a user sees of an attempt that runs in a container, on each engine."""

from __future__ import annotations

import os


def test_a_command_runs_in_its_image_and_its_exit_code_and_output_are_told(dock):
    ended = dock.run("echo out; echo err >&2; ls /; exit 3")
    assert (ended.ending.exit_code, ended.ending.reason) == (3, None)
    assert ended.ending.status_reason == "Essential container in task exited"
    words = dock.output(ended.attempt).split()
    assert {"out", "err", "bin"} <= set(words)
    assert ended.ending.started_ms <= ended.ending.stopped_ms


def test_what_ends_well_is_told_so(dock):
    assert dock.run("true").ending.exit_code == 0


def test_a_job_gets_the_variables_of_its_definition_and_of_batch(dock):
    ended = dock.run("env", environment=[{"name": "GREETING", "value": "hello"}])
    told = dock.output(ended.attempt).splitlines()
    assert "GREETING=hello" in told
    assert f"AWS_BATCH_JOB_ID={dock.specs[ended.attempt].job_id}" in told


def test_where_neither_job_nor_image_name_a_command_nothing_starts(dock):
    ending = dock.ended(dock.start(dock.spec())).ending
    assert ending.exit_code is None
    assert ending.reason.startswith("CannotStartContainerError: Error response from daemon: ")
    assert "command" in ending.reason.lower()


def test_a_command_that_is_not_there_fails_to_start_with_127(dock):
    ending = dock.ended(dock.start(dock.spec("nosuchcommand"))).ending
    assert ending.exit_code == 127
    assert ending.status_reason == "Task failed to start"
    assert ending.reason.startswith("CannotStartContainerError: Error response from daemon: ")
    assert "nosuchcommand" in ending.reason and ending.started_ms is None


def test_what_cannot_be_executed_fails_to_start_with_126(dock):
    ending = dock.ended(dock.start(dock.spec("/etc"))).ending
    assert ending.exit_code == 126
    assert ending.reason.startswith("CannotStartContainerError: Error response from daemon: ")


def test_a_user_that_the_image_does_not_know_fails_to_start(dock):
    ending = dock.run("true", user="nosuchuser").ending
    assert ending.exit_code is None
    assert ending.reason.startswith("CannotStartContainerError: Error response from daemon: ")
    assert "nosuchuser" in ending.reason


def test_an_image_that_nobody_has_is_told_in_the_words_of_ecs(dock):
    ending = dock.run("true", image="127.0.0.1:1/nosuch:2").ending
    assert ending.exit_code is None and ending.started_ms is None
    assert ending.status_reason == "Task failed to start"
    assert ending.reason.startswith("CannotPullContainerError: Error response from daemon: ")
    assert "127.0.0.1:1" in ending.reason


def test_jobs_follow_each_other_in_a_slot(dock):
    for number in range(3):
        assert dock.run(f"exit {number}").ending.exit_code == number
    assert len(dock.slots()) == 1


def test_a_slot_keeps_nothing_of_the_attempts_that_it_held(dock):
    def held() -> set[str]:
        return {name for name in os.listdir(f"/proc/{slot}/fd")}

    dock.run("true")
    (slot,) = dock.slots()
    dock.has_none_left()
    before = len(held())
    for command in ("true", "echo said", "nosuchcommand", "exit 1"):
        dock.ended(dock.start(dock.spec(*command.split())))
    dock.run("true", image="127.0.0.1:1/nosuch:2")
    dock.has_none_left()
    dock.until(lambda: len(held()) <= before, "what was opened is closed")
    assert dock.slots() == [slot]
    assert {path.suffix for path in dock.data.glob("logs/*/*")} <= {".log", ".idx"}
    assert os.listdir(dock.data / "runner/orders") == []
