"""`batchyard logs`: a job, a child, an array, and one that has not begun."""

from __future__ import annotations

import json
import re

import pytest

from tests.cli.conftest import Refusal
from tests.cli.test_run import JOB, array, job


def test_the_log_so_far(batchyard, api):
    api.runs(job("RUNNING"), ["one", "two"])
    result = batchyard("logs", JOB)
    assert (result.exit_code, result.stdout) == (0, "one\ntwo\n")


def test_an_array_says_how_its_children_are_named(batchyard, api):
    api.runs(array("PENDING", RUNNABLE=4), [])
    result = batchyard("logs", JOB)
    assert result.exit_code == 1
    assert result.stderr == (
        f"batchyard: {JOB} is an array of 4 jobs, each with its own log.\n"
        f"  Name one: batchyard logs {JOB}:0 to batchyard logs {JOB}:3.\n"
    )


def test_a_job_that_has_not_begun_has_no_log(batchyard, api):
    api.runs(job("RUNNABLE", reason="no room", container={}), [])
    result = batchyard("logs", JOB)
    assert result.exit_code == 1
    assert (
        result.stderr
        == f"batchyard: Job {JOB} has no log: it is RUNNABLE: no room.\n  batchyard logs -f {JOB} waits for it.\n"
    )


def test_a_job_that_never_ran_says_so(batchyard, api):
    api.runs(job("FAILED", reason="Dependent Job failed", container={}), [])
    result = batchyard("logs", JOB)
    assert result.stderr == f"batchyard: Job {JOB} has no log: it ended before it started: Dependent Job failed.\n"


def test_following_waits_for_the_stream_and_ends_with_the_job(batchyard, api):
    states = [job("RUNNABLE", container={}), job("STARTING"), job("RUNNING"), job("FAILED", 3)]
    api.runs(states[-1], ["one", "two"])
    ready = api.on["GetLogEvents"]

    def get(asked):
        if len(states) > 2:
            raise Refusal("ResourceNotFoundException", "The specified log stream does not exist.")
        return ready(asked)

    api.on["GetLogEvents"] = get
    api.on["describejobs"] = lambda _: {"jobs": [states.pop(0) if len(states) > 1 else states[0]]}
    result = batchyard("logs", "-f", JOB)
    assert (result.exit_code, result.stdout) == (0, "one\ntwo\n")
    assert f"job {JOB} FAILED: exit code 3\n" in result.stderr


def test_an_unknown_job(batchyard, api):
    api.on["describejobs"] = lambda _: {"jobs": []}
    assert batchyard("logs", "nope").stderr.startswith("batchyard: There is no job nope.\n")


@pytest.mark.parametrize("flags", [[], ["-f"]], ids=["so far", "followed"])
def test_json_is_an_object_a_line(batchyard, api, flags):
    api.runs(job("SUCCEEDED", 0), ["one", "zwei ü", '"'])
    lines = batchyard("logs", "--json", *flags, JOB).stdout.splitlines()
    assert [json.loads(line) for line in lines] == [
        {"timestamp": 0, "message": message} for message in ("one", "zwei ü", '"')
    ]


def several(status="SUCCEEDED", **members):
    """A job of two containers, one of which logs elsewhere."""
    own = {"logDriver": "awslogs", "options": {"awslogs-group": "/own"}}
    containers = [
        {"name": "main", "image": "i", "logStreamName": "s/main/1", "exitCode": 3, "dependsOn": [
            {"containerName": "first", "condition": "SUCCESS"}]},
        {"name": "first", "image": "i", "essential": False, "exitCode": 0,
         "logStreamName": "s/first/1", "logConfiguration": own},
    ]  # fmt: skip
    shown = job(status, **members)
    del shown["container"]
    return shown | {"ecsProperties": {"taskProperties": [{"containers": containers, "volumes": [], "taskArn": "arn"}]}}


def tell(api):
    said = {"s/main/1": [(2, "two"), (4, "four")], "s/first/1": [(1, "one"), (3, "three")]}

    def get(asked):
        assert (asked["logStreamName"] == "s/first/1") == (asked["logGroupName"] == "/own")
        lines = [] if asked.get("nextToken") else said[asked["logStreamName"]]
        events = [{"timestamp": at, "message": message} for at, message in lines]
        return {"events": events, "nextForwardToken": "f/end", "nextBackwardToken": "b/end"}

    api.on["GetLogEvents"] = get


def test_lines_of_several_containers_come_in_order_with_their_names(batchyard, api):
    api.runs(several(), [])
    tell(api)
    told = "first | one\nmain | two\nfirst | three\nmain | four\n"
    assert batchyard("logs", JOB).stdout == told
    assert batchyard("logs", "-f", JOB).stdout == told
    assert batchyard("logs", "--container", "first", JOB).stdout == "first | one\nfirst | three\n"
    assert json.loads(batchyard("logs", "--json", JOB).stdout.splitlines()[0]) == {
        "timestamp": 1,
        "message": "one",
        "container": "first",
    }
    wrong = batchyard("logs", "--container", "x", JOB).stderr
    assert wrong == f"batchyard: Job {JOB} has no container x.\n  It has main, first.\n"


def test_of_several_containers_the_one_that_failed_is_named(batchyard, api):
    api.runs(several("FAILED"), [])
    tell(api)
    assert batchyard("logs", "-f", JOB).stderr == f"batchyard: job {JOB} FAILED: container main: exit code 3\n"
    api.on[f"/x/jobs/{JOB}"] = lambda _: several("FAILED") | {"notices": [], "runs": []}
    shown = re.sub(" +", " ", batchyard("jobs", JOB).stdout)
    assert "\ncontainer main, image i\n" in shown and "\ncontainer first (not essential), image i\n" in shown
    assert "\n waits for first (SUCCESS)\n exit code 3\n log stream s/main/1\n" in shown
    assert "ecsProperties" not in shown and "taskArn" not in shown
