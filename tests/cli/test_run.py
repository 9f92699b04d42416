"""`batchyard run` against a scripted API: what is submitted, what is printed, which exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchyard.cli.run import in_caller_place, job_name
from tests.cli.conftest import Refusal

JOB = "0a1b2c3d-0000-4000-8000-000000000001"
EXITED = "Essential container in task exited"


def job(status: str, exit_code: int | None = None, reason: str = EXITED, **more) -> dict:
    container = {"logStreamName": "batchyard-run/default/1"} | ({} if exit_code is None else {"exitCode": exit_code})
    return {"jobId": JOB, "jobName": "x", "status": status, "statusReason": reason, "container": container} | more


def test_the_output_is_printed_and_success_is_exit_0(batchyard, api):
    api.runs(job("SUCCEEDED", 0), ["hello", "", "wörld"])
    result = batchyard("run", "--", "echo", "hello")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "hello\n\nwörld\n", "")


def test_what_is_submitted(batchyard, api, environ, tmp_path):
    environ.setenv("PATH", "/usr/bin:/bin")
    environ.setenv("COLOUR", "teal")
    api.runs(job("SUCCEEDED", 0), [])
    asked = ["--vcpus", "2", "--memory", "512", "--timeout", "60", "--env", "A=b=c", "--env", "COLOUR", "--name", "n1"]
    assert batchyard("run", *asked, "--", "make", "-j2", "").exit_code == 0
    assert api.asked("submitjob") == [
        {
            "jobName": "n1",
            "jobQueue": "default",
            "jobDefinition": "arn:batchyard-run:1",
            "containerOverrides": {
                "command": [
                    "/bin/sh",
                    "-c",
                    f"cd {tmp_path} || exit 125; export PATH=/usr/bin:/bin; exec make -j2 ''",
                ],
                "environment": [{"name": "A", "value": "b=c"}, {"name": "COLOUR", "value": "teal"}],
                "resourceRequirements": [{"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": "512"}],
            },
            "timeout": {"attemptDurationSeconds": 60},
        }
    ]


def test_the_definition_is_registered_once(batchyard, api):
    api.runs(job("SUCCEEDED", 0), [])
    batchyard("run", "true")
    registered = api.asked("registerjobdefinition")[0]
    found = {
        "jobDefinitionArn": "arn:found",
        "containerProperties": registered["containerProperties"] | {"volumes": []},
    }
    api.on["describejobdefinitions"] = lambda _: {"jobDefinitions": [found]}
    batchyard("run", "true")
    assert len(api.asked("registerjobdefinition")) == 1
    assert api.asked("submitjob")[-1]["jobDefinition"] == "arn:found"


def test_the_first_run_makes_environment_and_queue(batchyard, api):
    api.runs(job("SUCCEEDED", 0), [])

    def exists(_):
        raise Refusal("ClientException", "Object already exists")

    api.on["describejobqueues"] = lambda _: {"jobQueues": []}
    api.on["createcomputeenvironment"] = exists  # another run was quicker
    api.on["createjobqueue"] = lambda _: {"jobQueueArn": "arn"}
    assert batchyard("run", "true").exit_code == 0
    assert api.asked("createjobqueue") == [
        {
            "jobQueueName": "default",
            "priority": 1,
            "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "local"}],
        }
    ]


def test_another_queue_is_the_user_s_own_and_is_not_made(batchyard, api):
    def refuse(_):
        raise Refusal("ClientException", "JobQueue nope not found.")

    api.runs(job("SUCCEEDED", 0), [])
    api.on["submitjob"] = refuse
    result = batchyard("run", "--queue", "nope", "true")
    assert (result.exit_code, result.stdout, result.stderr) == (125, "", "batchyard: JobQueue nope not found.\n")
    assert not api.asked("describejobqueues")


@pytest.mark.parametrize("code", [1, 3, 127, 255])
def test_the_job_s_exit_code_is_ours_and_needs_no_words(batchyard, api, code):
    api.runs(job("FAILED", code), ["oops"])
    result = batchyard("run", "false")
    assert (result.exit_code, result.stdout, result.stderr) == (code, "oops\n", "")


def test_an_end_that_is_no_exit_says_why(batchyard, api):
    api.runs(job("FAILED", 137, "Job attempt duration exceeded timeout"), [])
    result = batchyard("run", "sleep", "99")
    assert result.exit_code == 137
    assert result.stderr == f"batchyard: job {JOB} FAILED: Job attempt duration exceeded timeout\n"


def test_a_job_without_exit_code_is_125(batchyard, api):
    api.runs(job("FAILED", None, "Host EC2 (instance i-0) terminated."), [])
    result = batchyard("run", "true")
    assert result.exit_code == 125
    assert "Host EC2 (instance i-0) terminated." in result.stderr


def test_notices_are_told_but_not_that_the_host_is_no_image(batchyard, api):
    api.runs(job("SUCCEEDED", 0), [], ["image host is not used: ...", "GPU: 1 asked."])
    assert batchyard("run", "true").stderr == "batchyard: GPU: 1 asked.\n"


def test_detached_as_json(batchyard, api):
    api.runs(job("RUNNING"), [])
    assert json.loads(batchyard("run", "--detach", "--json", "sleep", "9").stdout) == {"jobId": JOB}
    result = batchyard("run", "--json", "sleep", "9")
    assert result.exit_code == 2
    assert "--json goes with --detach" in result.stderr
    assert len(api.asked("submitjob")) == 1


def test_what_every_job_of_a_weaker_machine_does_without_is_not_told_each_time(batchyard, api):
    every = "On this machine jobs see all devices; batchyard doctor says what would help."
    api.runs(job("SUCCEEDED", 0), ["x"], notices=[every, "privileged gives no extra rights."])
    assert batchyard("run", "true").stderr == "batchyard: privileged gives no extra rights.\n"


def test_detached_prints_the_id_and_leaves(batchyard, api):
    api.runs(job("RUNNING"), ["never read"])
    result = batchyard("run", "--detach", "sleep", "9")
    assert (result.exit_code, result.stdout) == (0, JOB + "\n")
    assert not api.asked("describejobs")


def test_a_variable_without_value_that_is_not_set_here_is_refused_before_submission(batchyard, api):
    api.runs(job("SUCCEEDED", 0), [])
    result = batchyard("run", "--env", "NO_SUCH_VARIABLE", "true")
    assert result.exit_code == 125
    assert "NO_SUCH_VARIABLE" in result.stderr
    assert not api.asked("submitjob")


def test_nothing_to_run_is_a_usage_error(batchyard):
    assert batchyard("run").exit_code == 2
    assert batchyard("run", "--array", "1", "true").exit_code == 2


def test_lines_of_all_attempts_are_printed_once_and_in_order(batchyard, api):
    """The log of an attempt is read to its end when the next attempt has taken its place."""
    states = [
        job("RUNNABLE", container={}),
        job("RUNNING", container={"logStreamName": "s/1"}),
        job("RUNNABLE", container={"exitCode": 1}),
        job("RUNNING", container={"logStreamName": "s/2"}),
        job("SUCCEEDED", 0, container={"logStreamName": "s/2", "exitCode": 0}),
    ]
    api.runs(states[-1], [])
    api.on["describejobs"] = lambda _: {"jobs": [states.pop(0) if len(states) > 1 else states[0]]}
    written = {"s/1": [["one"], ["two"]], "s/2": [["three"], []]}

    def get(asked):
        parts, at = written[asked["logStreamName"]], int(asked.get("nextToken", "0"))
        ready = parts[at : at + 1]
        return {
            "events": [{"timestamp": 0, "message": line} for part in ready for line in part],
            "nextForwardToken": str(at + len(ready)),
        }

    api.on["GetLogEvents"] = get
    assert batchyard("run", "x").stdout == "one\ntwo\nthree\n"


def array(status: str, **counts: int) -> dict:
    return job(status, reason="Array Child Job failed", arrayProperties={"size": 4, "statusSummary": counts})


def test_an_array_tells_its_progress_and_its_failures(batchyard, api):
    states = [array("PENDING", RUNNABLE=4), array("PENDING", SUCCEEDED=2), array("FAILED", SUCCEEDED=3, FAILED=1)]
    api.runs(states[-1], [])
    api.on["describejobs"] = lambda _: {"jobs": [states.pop(0) if len(states) > 1 else states[0]]}
    child = {"jobId": f"{JOB}:2", "statusReason": EXITED, "container": {"exitCode": 7}}
    api.on["listjobs"] = lambda _: {"jobSummaryList": [child]}
    result = batchyard("run", "--array", "4", "--", "work")
    assert result.exit_code == 1
    assert api.asked("submitjob")[0]["arrayProperties"] == {"size": 4}
    assert result.stderr.splitlines() == [
        f"batchyard: array {JOB}, 4 jobs",
        "x: 2 of 4 done",
        "x: 4 of 4 done, 1 failed",
        "batchyard: 1 of 4 jobs FAILED: Array Child Job failed",
        f"  {JOB}:2  exit code 7",
        f"  batchyard logs {JOB}:2 shows what the first one said",
    ]


def test_ctrl_c_terminates_the_job_and_exits_130(api, environ):

    api.runs(job("RUNNING"), ["started"])
    api.on["terminatejob"] = lambda _: {}
    typed = [sys.executable, "-m", "batchyard", "run", "--", "sleep", "99"]
    with subprocess.Popen(
        typed, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ), text=True
    ) as run:
        assert run.stdout.readline() == "started\n"
        time.sleep(0.05)
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=20)
    assert run.returncode == 130
    assert said == f"batchyard: job {JOB} is being terminated\n"
    assert [each["jobId"] for each in api.asked("terminatejob")] == [JOB]


@pytest.mark.parametrize(
    ("command", "name"),
    [(["/usr/bin/make", "x"], "make"), (["./my script.sh"], "my-script-sh"), (["-"], "job"), (["a" * 300], "a" * 128)],
)
def test_the_job_s_name_is_made_of_the_command(command, name):
    assert job_name(command) == name


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20), min_size=1, max_size=4))
def test_arguments_arrive_as_they_were_typed(arguments):
    typed = [
        sys.executable,
        "-Sc",
        "import sys; print(ascii(sys.argv[1:]))",
        *arguments,
        "Ref::name",
        "--in=Ref::x y",
        "",
    ]
    command = in_caller_place(typed, "/", "/usr/bin")
    assert not any("Ref::" in element or not element for element in command)
    seen = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert seen == ascii(typed[3:]) + "\n"
