"""`batchyard terminate`: what is asked of the server, and what is said."""

from __future__ import annotations

import json

import pytest

from tests.cli.test_run import JOB, array, job


@pytest.fixture
def known(api):
    """Make the server know one job, in the state given."""

    def make(described):
        api.on["describejobs"] = lambda asked: {"jobs": [described] if asked["jobs"] == [described["jobId"]] else []}
        api.on["terminatejob"] = lambda _: {}

    return make


def test_a_job_is_ended_for_a_reason(batchyard, api, known):
    known(job("RUNNING"))
    result = batchyard("terminate", JOB, "--reason", "enough of it")
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"Job {JOB} is being terminated.\n", "")
    assert api.asked("terminatejob") == [{"jobId": JOB, "reason": "enough of it"}]


def test_without_a_reason_the_job_says_where_it_was_ended(batchyard, api, known):
    known(array("PENDING", RUNNABLE=4))
    assert batchyard("terminate", JOB).stdout == f"Array {JOB} (4 jobs) is being terminated.\n"
    assert api.asked("terminatejob") == [{"jobId": JOB, "reason": "Terminated at batchyard terminate"}]


def test_a_child_is_named_by_its_index(batchyard, api, known):
    known(job("RUNNING") | {"jobId": f"{JOB}:2", "arrayProperties": {"index": 2}})
    assert batchyard("terminate", f"{JOB}:2").stdout == f"Job {JOB}:2 is being terminated.\n"
    assert api.asked("terminatejob")[0]["jobId"] == f"{JOB}:2"


def test_an_unknown_job_is_said_and_nothing_is_asked_to_end(batchyard, api, known):
    known(job("RUNNING"))
    result = batchyard("terminate", "nope")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "batchyard: There is no job nope.\n  batchyard jobs lists those that there are.\n"
    assert api.asked("terminatejob") == []


def test_what_has_ended_stays_as_it_is(batchyard, api, known):
    known(job("SUCCEEDED"))
    result = batchyard("terminate", JOB)
    assert (result.exit_code, result.stdout) == (0, f"Job {JOB} has already ended: SUCCEEDED.\n")
    assert api.asked("terminatejob") == []


@pytest.mark.parametrize(("status", "terminating"), [("RUNNABLE", True), ("FAILED", False)])
def test_json(batchyard, known, status, terminating):
    known(job(status))
    found = json.loads(batchyard("terminate", "--json", JOB).stdout)
    assert found == {"jobId": JOB, "status": status, "terminating": terminating}


@pytest.mark.parametrize("reason", ["", "x" * 1025])
def test_a_reason_that_the_api_would_refuse_is_refused_here(batchyard, api, reason):
    result = batchyard("terminate", JOB, "--reason", reason)
    assert result.exit_code == 2
    assert f"1 to 1024 characters, not {len(reason)}" in result.stderr
    assert api.calls == []
