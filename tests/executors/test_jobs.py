"""What a job gets and what is told of it: exit codes, environment, output, user."""

from __future__ import annotations

import os
import re
import signal

import pytest

from batchyard.executors.process import ProcessExecutor
from batchyard.model.needs import Needs
from batchyard.ports import Began, Survey

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.mark.parametrize("code", [0, 1, 42, 255])
def test_exit_codes(yard, code):
    told = yard.run(f"exit {code}").ending
    assert (told.exit_code, told.status_reason, told.reason) == (code, "Essential container in task exited", None)
    assert told.started_ms is not None and told.started_ms <= told.stopped_ms


@pytest.mark.parametrize(("name", "code"), [("TERM", 143), ("KILL", 137), ("SEGV", 139), ("PIPE", 141)])
def test_a_signal_is_128_and_its_number(yard, name, code):
    assert yard.run(f"kill -{name} $$; sleep 20").ending.exit_code == code


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (["no-such-program"], 127, "executable file not found"),
        (["/no/such/program"], 127, "no such file"),
        (["/etc/passwd"], 126, "permission denied"),
        ([], None, "no command"),
        (["a\0b"], None, ""),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, list) else "",
)
def test_a_command_that_cannot_start(yard, command, code, words):
    told = yard.ended(yard.start(yard.spec(*command))).ending
    assert told.status_reason == "Task failed to start"
    assert told.reason.startswith("CannotStartContainerError: ") and words in told.reason
    if code is not None:
        assert told.exit_code == code


def test_the_environment_is_built_and_nothing_is_inherited(make_yard, monkeypatch):
    monkeypatch.setenv("SERVER_SECRET", "not for jobs")
    monkeypatch.setenv("PASSED", "by name")
    yard = make_yard(process_pass_env="PASSED,ABSENT")
    environment = [
        {"name": "A", "value": "first"},
        {"name": "A", "value": "second = ü\nline"},
        {"name": "EMPTY", "value": ""},
        {"name": "AWS_BATCH_JOB_ID", "value": "forged"},
        {"name": "AWS_EXECUTION_ENV", "value": "forged"},
    ]
    attempt = yard.start(yard.spec("env", "-0", environment=environment))
    assert yard.ended(attempt).ending.exit_code == 0
    seen = dict(pair.split("=", 1) for pair in yard.log_bytes(attempt).decode().split("\0") if pair)
    work = str(yard.work(attempt))
    tmp = seen.pop("TMPDIR")
    assert tmp.startswith(work)
    assert seen == {
        "PATH": PATH,
        "HOME": work,
        "PASSED": "by name",
        "A": "second = ü\nline",
        "EMPTY": "",
        "AWS_BATCH_JOB_ID": attempt.removesuffix(".1"),
        "AWS_BATCH_JQ_NAME": "the-queue",
        "AWS_BATCH_CE_NAME": "the-environment",
        "AWS_BATCH_JOB_ATTEMPT": "1",
        "AWS_EXECUTION_ENV": "AWS_ECS_EC2",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }


def test_an_array_child_learns_its_index(yard):
    attempt = yard.sh("echo $AWS_BATCH_JOB_ARRAY_INDEX of $AWS_BATCH_JOB_ARRAY_SIZE", index=7, size=10)
    yard.ended(attempt)
    assert yard.output(attempt) == "7 of 10\n"


def test_the_working_directory_is_fresh_writable_and_kept(yard):
    attempt = yard.sh('pwd; test "$(pwd)" = "$HOME" && touch "$TMPDIR/scratch" && echo kept > result')
    assert yard.ended(attempt).ending.exit_code == 0
    assert yard.output(attempt) == f"{yard.work(attempt)}\n"
    assert (yard.work(attempt) / "result").read_text() == "kept\n"


def test_jobs_start_without_open_files_and_with_default_signals(yard):
    attempt = yard.sh(
        "ls /proc/self/fd; grep SigIgn /proc/self/status; grep SigBlk /proc/self/status; umask; cat; echo end"
    )
    assert yard.ended(attempt).ending.exit_code == 0
    words = yard.output(attempt).split()
    assert words[:4] == ["0", "1", "2", "3"] and words[4] == "SigIgn:", "3 is the directory that ls reads"
    own = (1 << 31) - 1  # signals 32 and 33 belong to the C library, which ignores them in what it spawns
    assert int(words[5], 16) & own == 0 and int(words[7], 16) == 0
    assert words[8:] == ["0022", "end"]


def test_both_streams_are_one_log_in_order(yard):
    attempt = yard.sh("for i in 1 2 3 4 5; do echo out $i; echo err $i >&2; done")
    yard.ended(attempt)
    assert yard.output(attempt) == "".join(f"out {i}\nerr {i}\n" for i in range(1, 6))


def test_binary_output_is_kept_as_it_is(yard):
    attempt = yard.sh(r"printf '\000\377\376 \n\n no end'")
    yard.ended(attempt)
    assert yard.log_bytes(attempt) == b"\0\xff\xfe \n\n no end"
    assert [event.message for event in yard.events(attempt)] == ["\0\ufffd\ufffd ", "", " no end"]


def test_ten_megabytes_of_output_are_whole(yard):
    attempt = yard.sh("seq 1 1400000")
    yard.ended(attempt)
    expected = b"".join(b"%d\n" % number for number in range(1, 1_400_001))
    assert len(expected) > 10_000_000
    assert yard.log_bytes(attempt) == expected
    events = yard.events(attempt)
    assert len(events) == 1_400_000 and events[-1].message == "1400000"
    times = [event.timestamp_ms for event in events]
    assert times == sorted(times)


def test_closed_streams_do_not_end_a_job(yard):
    attempt = yard.sh("echo before; exec >&- 2>&-; sleep 0.3; touch done; exit 6")
    assert yard.ended(attempt).ending.exit_code == 6
    assert yard.output(attempt) == "before\n"
    assert (yard.work(attempt) / "done").exists()


def test_timestamps_lie_within_the_attempt_and_tell_when(yard):
    attempt = yard.sh("echo first; sleep 0.6; echo second; sleep 0.3; printf third")
    told = yard.ended(attempt).ending
    times = [event.timestamp_ms for event in yard.events(attempt)]
    assert told.started_ms <= times[0] <= times[1] <= times[2] <= told.stopped_ms
    assert times[1] - times[0] >= 300, "lines half a second apart have times of their own"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run jobs as somebody else")
def test_a_job_runs_as_its_user(yard):
    attempt = yard.sh('id -un; id -u; touch mine; touch "$TMPDIR/mine"; grep CapEff /proc/self/status', user="nobody")
    assert yard.ended(attempt).ending.exit_code == 0, yard.output(attempt)
    assert len(yard.output(attempt).split()) == 4, yard.output(attempt)
    name, uid, _, capabilities = yard.output(attempt).split()
    assert (name, uid, int(capabilities, 16)) == ("nobody", "65534", 0)
    assert (yard.work(attempt) / "mine").stat().st_uid == 65534
    again = yard.sh("id -u")
    yard.ended(again)
    assert yard.output(again).strip() != "65534" or yard.executor.isolation == "session"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run jobs as somebody else")
def test_an_unknown_user_cannot_start(yard):
    told = yard.run("true", user="nosuchuser").ending
    assert told.status_reason == "Task failed to start"
    assert "unable to find user nosuchuser" in told.reason


def test_cpu_and_memory_are_measured(yard):
    script = "import time\nkept = bytearray(100 << 20)\nwhile time.process_time() < 0.3: pass"
    attempt = yard.start(yard.spec("python3", "-c", script))
    told = yard.ended(attempt).ending
    assert told.exit_code == 0, yard.output(attempt)
    assert 100 << 20 <= told.peak_memory_bytes < 200 << 20
    assert 300 <= told.cpu_ms < 5000


def test_the_same_attempt_starts_once_whatever_is_ordered(yard):
    spec = yard.spec("sh", "-c", "echo ran >> count; sleep 0.3")
    for _ in range(3):
        yard.start(spec)
    yard.began(spec.attempt)
    yard.start(spec)
    first = yard.ended(spec.attempt)
    yard.start(spec)
    assert yard.ended(spec.attempt) == first, "an ended attempt is answered with its ending"
    assert (yard.work(spec.attempt) / "count").read_text() == "ran\n"


def test_many_jobs_at_once_and_one_after_another(yard):
    attempts = [yard.sh(f"echo {number}; exit {number % 7}") for number in range(40)]
    for number, attempt in enumerate(attempts):
        assert yard.ended(attempt).ending.exit_code == number % 7
        assert yard.output(attempt) == f"{number}\n"
    assert all(isinstance(news, Began) for news in yard.news)


def test_names_of_logs_and_records_are_the_attempt_id(yard):
    attempt = yard.sh("true", needs=Needs(500, 128))
    yard.ended(attempt)
    assert re.fullmatch(r"[0-9a-f-]{36}\.1", attempt)
    assert (yard.data / "runner" / "exits" / attempt).stat().st_size > 0


def test_old_working_directories_are_removed_and_young_ones_kept(make_yard):
    yard = make_yard("--work-keep-hours", "1")
    old, young = yard.sh("touch file; ln -s / root"), yard.sh("touch file")
    for attempt in (old, young):
        yard.ended(attempt)
        yard.release(attempt)
    yard.until(lambda: not os.listdir(yard.data / "runner" / "exits"), "both are released")
    os.utime(yard.work(old), (1_000_000_000, 1_000_000_000))
    yard.restart_runner()
    yard.until(lambda: not yard.work(old).exists(), "the old one is removed")
    assert (yard.work(young) / "file").exists()


def test_no_start_is_ordered_before_the_survey_which_would_deny_it(yard):
    """A survey that is older than an order would say of a running attempt that it never began."""
    other = ProcessExecutor(yard.settings)
    runner = yard._runners[-1].pid
    os.kill(runner, signal.SIGSTOP)  # connected, and not answered yet
    try:
        assert other.observe() == []
        early = yard.spec("sh", "-c", "true")
        other.start(early)
        other.flush()
    finally:
        os.kill(runner, signal.SIGCONT)
    heard: list = []
    yard.until(lambda: heard.extend(other.observe()) or any(isinstance(news, Survey) for news in heard), "a survey")
    assert all(early.attempt not in news.living for news in heard if isinstance(news, Survey))
    yard.run("true")
    assert not (yard.data / "runner" / "exits" / early.attempt).exists(), "the attempt the survey denied was started"
    other.start(early)
    other.flush()
    assert yard.ended(early.attempt).ending.exit_code == 0
