"""`batchyard explain`: the sentence first, then a table, then what to do."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Refusal

JOB, OTHER = (f"0a1b2c3d-0000-4000-8000-00000000000{digit}" for digit in "ab")
STUCK = {
    "jobId": JOB,
    "status": "RUNNABLE",
    "sentence": "It cannot start: it asks for 8 vCPUs, and ce may never hold more than 4 vCPUs: ask for less, or raise "
    "maxvCpus of ce to 8.",
    "nextStep": "Ask for less, or raise maxvCpus of ce to 8.",
    "commands": ["aws batch update-compute-environment --compute-environment ce --compute-resources maxvCpus=8"],
    "computeEnvironments": [
        {"computeEnvironment": "ce", "sentence": "it asks for 8 vCPUs, and ce may never hold more than 4 vCPUs"},
        {"computeEnvironment": "a-longer-name", "sentence": "word " * 30},
    ],
}
BEHIND = {
    "jobId": JOB,
    "status": "PENDING",
    "sentence": f"It waits for {OTHER} (align, RUNNING) to succeed.",
    "nextStep": None,
    "commands": [],
    "waitsFor": [{"jobId": OTHER, "jobName": "align", "status": "RUNNING", "sentence": "It runs in ce for 3 hours."}],
}


@pytest.fixture
def told(api, batchyard):
    def tell(found, *more):
        api.on[f"/x/explain/{JOB}"] = lambda _: found
        return batchyard("explain", JOB, *more)

    return tell


def test_a_job_that_cannot_start(told):
    assert told(STUCK).stdout.splitlines() == [
        "It cannot start: it asks for 8 vCPUs, and ce may never hold more than 4 vCPUs: ask for less, or",
        "raise maxvCpus of ce to 8.",
        "",
        "ENVIRONMENT    WHY",
        "ce             it asks for 8 vCPUs, and ce may never hold more than 4 vCPUs",
        "a-longer-name  " + "word " * 16 + "word",
        "               " + "word " * 12 + "word",
        "",
        "Next: Ask for less, or raise maxvCpus of ce to 8.",
        "  aws batch update-compute-environment --compute-environment ce --compute-resources maxvCpus=8",
    ]


def test_a_job_that_waits_for_others(told):
    assert told(BEHIND).stdout.splitlines() == [
        f"It waits for {OTHER} (align, RUNNING) to succeed.",
        "",
        f"{'WAITS FOR':38}WHY",
        f"{OTHER}  RUNNING. It runs in ce for 3 hours.",
    ]


def test_json_is_what_the_server_tells(told):
    assert json.loads(told(STUCK, "--json").stdout) == STUCK


def test_a_job_that_is_not_there(api, batchyard):
    def refuse(_):
        raise Refusal("ClientException", "Job nope does not exist in region us-east-1.")

    api.on["/x/explain/nope"] = refuse
    done = batchyard("explain", "nope")
    assert done.exit_code == 1 and done.stderr.splitlines()[0] == "batchyard: There is no job nope."


def test_what_is_no_id_is_asked_as_one(api, batchyard):
    asked = []
    api.on["/x/explain/..%2F..%2Fadmin%3Fx"] = lambda body: asked.append(body) or BEHIND
    assert batchyard("explain", "../../admin?x").exit_code == 0 and asked
