"""The commands against a real server: jobs really run, end, are followed, interrupted and listed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys

import pytest

from batchyard.cli.run import PATIENCE_S


def test_a_first_run_needs_no_setting_up(live):
    done = live.type("run", "--", "echo", "hello")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n", "")


def test_it_runs_in_the_caller_s_directory_with_the_caller_s_path_and_the_named_variables(live):
    script = live.directory / "own-tool"
    script.write_text('#!/bin/sh\npwd; printf "%s\\n" "$GIVEN" "${BATCHYARD_DATA-unset}" "$1" "$2"; touch made-here\n')
    script.chmod(0o755)
    live.environ["PATH"] = f"{live.directory}:{live.environ['PATH']}"
    done = live.type("run", "--env", "GIVEN=a b", "--", "own-tool", "Ref::x", "")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{live.directory}\na b\nunset\nRef::x\n\n"
    assert (live.directory / "made-here").exists()


@pytest.mark.parametrize("code", [1, 3, 125, 255])
def test_the_exit_code_is_the_job_s(live, code):
    done = live.type("run", "--", "sh", "-c", f"echo out; echo err >&2; exit {code}")
    assert (done.returncode, done.stdout, done.stderr) == (code, "out\nerr\n", "")


def test_a_command_that_does_not_exist_is_127_and_the_log_says_so(live):
    done = live.type("run", "--", "no-such-command")
    assert done.returncode == 127
    assert "no-such-command" in done.stdout


def test_lines_come_while_the_job_runs(live):
    go = live.directory / "go"
    with live.start("run", "--", "sh", "-c", "echo one; until [ -e go ]; do sleep 0.02; done; echo two") as run:
        assert run.stdout.readline() == "one\n"
        go.touch()
        assert run.stdout.read() == "two\n"
    assert run.returncode == 0


def test_ctrl_c_terminates_the_job(live):
    with live.start("run", "--", "sh", "-c", "echo $$ >pid; echo up; exec sleep 99") as run:
        assert run.stdout.readline() == "up\n"
        run.send_signal(signal.SIGINT)
        said = run.stderr.read()
    assert run.returncode == 130
    job_id = re.search(r"job (\S+) is being terminated", said)[1]
    done = live.site.finished(job_id)
    assert (done["status"], done["statusReason"]) == ("FAILED", "Interrupted at batchyard run")


def test_detached_then_followed_then_shown(live):
    work = "echo begun; sleep 0.3; echo done; exit 4"
    job_id = live.type("run", "--detach", "--name", "later", "--", "sh", "-c", work).stdout.strip()
    followed = live.type("logs", "-f", job_id)
    assert (followed.returncode, followed.stdout) == (0, "begun\ndone\n")
    assert f"job {job_id} FAILED" in followed.stderr
    assert live.type("logs", job_id).stdout == "begun\ndone\n"
    shown = live.type("jobs", job_id).stdout
    assert re.search(r"^status +FAILED$", shown, re.M)
    assert re.search(r"^exit code +4$", shown, re.M)
    assert re.search(r"^attempt 1 +exit code 4, took ", shown, re.M)
    assert json.loads(live.type("jobs", "--json", job_id).stdout)["container"]["exitCode"] == 4


def test_whoever_waits_for_a_job_that_cannot_start_is_told_why(live):
    with live.start("run", "--vcpus", "500", "--", "true") as run:
        said = run.stderr.readline()
        run.send_signal(signal.SIGINT)
    assert re.match(r"batchyard: job \S+ waits\. It cannot start: it asks for 500 vCPUs", said)


def test_an_array_of_which_one_fails(live):
    asked = ["run", "--array", "6", "--name", "six", "--", "sh", "-c"]
    done = live.type(*asked, 'echo "child $AWS_BATCH_JOB_ARRAY_INDEX"; exit $((AWS_BATCH_JOB_ARRAY_INDEX == 3))')
    assert done.returncode == 1
    assert "six: 6 of 6 done, 1 failed" in done.stderr
    job_id = re.search(r"array (\S+),", done.stderr)[1]
    assert f"{job_id}:3  exit code 1\n" in done.stderr
    assert live.type("logs", f"{job_id}:5").stdout == "child 5\n"
    assert live.type("logs", f"{job_id}:3").stdout == "child 3\n"
    refused = live.type("logs", job_id)
    assert refused.returncode == 1
    assert "array of 6" in refused.stderr


def test_the_list_shows_the_newest_first_in_all_states(live):
    first = live.type("run", "--detach", "--name", "first", "--", "true").stdout.strip()
    second = live.type("run", "--detach", "--name", "second", "--", "false").stdout.strip()
    live.site.finished(first)
    live.site.finished(second)
    array = live.type("run", "--array", "2", "--name", "array", "--", "true").stderr
    lines = live.type("jobs").stdout.splitlines()
    parent = lines.pop(1)
    assert parent.split()[0] in array
    assert parent.endswith("2 of 2 done")
    assert lines[0].startswith("ID")
    assert [line.split()[0] for line in lines[1:3]] == [second, first]
    assert [line.split()[3] for line in lines[1:3]] == ["FAILED", "SUCCEEDED"]
    failed = json.loads(live.type("jobs", "--status", "FAILED", "--json").stdout)
    assert {job["status"] for job in failed} == {"FAILED"}


def test_the_exports_make_an_unmodified_client_work(live):
    client = "import boto3; print(len(boto3.client('batch').describe_job_queues()['jobQueues']))"
    script = 'eval "$("$1" -m batchyard env)" && exec "$1" -c "$2"'
    typed = ["sh", "-c", script, "sh", sys.executable, client]
    done = subprocess.run(typed, env=live.environ, capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 1


def test_a_second_server_on_the_same_data_is_refused_in_words(live):
    done = live.type("serve", "--port", "0")
    assert done.returncode == 10
    assert str(live.site.data) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_refused_in_words(live, tmp_path):
    port = live.site.url.rpartition(":")[2]
    done = live.type("serve", "--data", str(tmp_path / "other"), "--port", port)
    assert done.returncode == 11
    assert port in done.stderr
    assert "Traceback" not in done.stderr


def test_following_outlives_a_restart_of_the_server(live):
    """The server is killed with -9 and started again, on another port, while a job is being followed."""
    assert PATIENCE_S > 5
    with live.start("run", "--", "sh", "-c", "echo one; until [ -e again ]; do sleep 0.02; done; echo two") as run:
        assert run.stdout.readline() == "one\n"
        live.site.kill(live.site.process.pid)
        live.site.process.wait()
        live.site.start()
        (live.directory / "again").touch()
        assert run.stdout.read() == "two\n"
        assert run.stderr.read() == ""
    assert run.returncode == 0
