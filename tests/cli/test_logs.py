"""`batchyard logs`: a job, a child, an array, and one that has not begun."""

from __future__ import annotations

import json

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
