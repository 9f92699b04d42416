"""`batchyard jobs`: the table, the detail, JSON."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Refusal

A, B, C = (f"0a1b2c3d-0000-4000-8000-00000000000{digit}" for digit in "abc")
NOON_MS = 1_800_014_400_000  # 2027-01-15 12:00:00 UTC
SUMMARIES = {
    ("fast", "RUNNABLE"): [
        {"jobId": C, "jobName": "waits", "status": "RUNNABLE", "createdAt": NOON_MS + 2000, "statusReason": "no room"}
    ],
    ("slow", "FAILED"): [
        {
            "jobId": A,
            "jobName": "broken",
            "status": "FAILED",
            "createdAt": NOON_MS,
            "startedAt": NOON_MS + 100,
            "stoppedAt": NOON_MS + 3700,
            "statusReason": "Essential container in task exited",
            "container": {"exitCode": 3},
        }
    ],
    ("fast", "SUCCEEDED"): [
        {
            "jobId": B,
            "jobName": "many",
            "status": "SUCCEEDED",
            "createdAt": NOON_MS + 1000,
            "stoppedAt": NOON_MS + 66_000,
            "arrayProperties": {"size": 3, "statusSummary": {"SUCCEEDED": 3, "FAILED": 0}},
        }
    ],
}


@pytest.fixture
def listing(api):
    def queues(asked):
        names = asked.get("jobQueues") or ["fast", "slow"]
        return {"jobQueues": [{"jobQueueName": name} for name in names if name in ("fast", "slow")]}

    api.on["describejobqueues"] = queues
    api.on["listjobs"] = lambda asked: {"jobSummaryList": SUMMARIES.get((asked["jobQueue"], asked["jobStatus"]), [])}
    return api


def test_the_table_shows_all_states_of_all_queues_newest_first(batchyard, listing):
    assert batchyard("jobs").stdout.splitlines() == [
        f"{'ID':36}  NAME    QUEUE  STATUS     CREATED              TOOK",
        f"{C}  waits   fast   RUNNABLE   2027-01-15 12:00:02  -      no room",
        f"{B}  many    fast   SUCCEEDED  2027-01-15 12:00:01  1m05s  3 of 3 done",
        f"{A}  broken  slow   FAILED     2027-01-15 12:00:00  3.6s   exit code 3",
    ]


def test_queue_status_and_limit_narrow_it(batchyard, listing):
    assert A in batchyard("jobs", "--queue", "slow").stdout
    assert B not in batchyard("jobs", "--queue", "slow").stdout
    assert batchyard("jobs", "--status", "failed", "--json").stdout.count("jobId") == 1
    assert [job["jobId"] for job in json.loads(batchyard("jobs", "--limit", "1", "--json").stdout)] == [C]


def test_pages_are_followed_up_to_the_limit(batchyard, api):
    api.on["describejobqueues"] = lambda _: {"jobQueues": [{"jobQueueName": "q"}]}

    def page(asked):
        at = int(asked.get("nextToken", 0))
        found = [{"jobId": str(n), "jobName": "x", "status": "FAILED", "createdAt": n} for n in range(at, at + 100)]
        return {"jobSummaryList": found, "nextToken": str(at + 100)}

    api.on["listjobs"] = page
    found = json.loads(batchyard("jobs", "--status", "FAILED", "--limit", "250", "--json").stdout)
    assert len({job["jobId"] for job in found}) == 250
    assert len(api.asked("listjobs")) == 3


def test_an_unknown_queue_and_no_jobs_at_all(batchyard, listing):
    result = batchyard("jobs", "--queue", "nope")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("batchyard: There is no queue nope.\n")
    result = batchyard("jobs", "--status", "STARTING")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "batchyard run" in result.stderr


DETAIL = {
    "jobId": A,
    "jobName": "broken",
    "jobArn": "arn:...",
    "jobQueue": "arn:aws:batch:us-east-1:123456789012:job-queue/slow",
    "jobDefinition": "arn:aws:batch:us-east-1:123456789012:job-definition/d:4",
    "status": "FAILED",
    "statusReason": "Essential container in task exited",
    "createdAt": NOON_MS,
    "startedAt": NOON_MS + 100,
    "stoppedAt": NOON_MS + 3700,
    "container": {
        "command": ["sh", "-c", "exit 3"],
        "environment": [{"name": "A", "value": "1"}],
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}],
        "exitCode": 3,
        "logStreamName": "d/default/1",
    },
    "timeout": {"attemptDurationSeconds": 60},
    "tags": {},
    "attempts": [{}],
    "notices": ["ulimits are not applied: the server's own limits hold."],
    "runs": [
        {
            "attempt": f"{A}.1",
            "number": 1,
            "environment": "local",
            "instance": "i-0",
            "openedAt": NOON_MS,
            "startedAt": NOON_MS + 100,
            "stoppedAt": NOON_MS + 3700,
            "exitCode": 3,
            "reason": None,
            "statusReason": "Essential container in task exited",
            "peakMemoryBytes": 5 << 20,
            "cpuSeconds": 0.25,
            "workDirectory": "/data/work/x",
            "logFile": "/data/logs/x.log",
        }
    ],
}


def test_the_detail(batchyard, api):
    api.on[f"/x/jobs/{A}"] = lambda _: DETAIL
    assert (
        batchyard("jobs", A).stdout
        == f"""\
job         {A}
name        broken
status      FAILED
reason      Essential container in task exited
queue       slow
definition  d:4
created     2027-01-15 12:00:00
started     2027-01-15 12:00:00
stopped     2027-01-15 12:00:03
command     sh -c "exit 3"
asks for    1 VCPU, 64 MEMORY
variable    A=1
exit code   3
log stream  d/default/1
attempt 1   exit code 3, took 3.6s, 0.25s CPU, 5 MiB at most
directory   /data/work/x
log file    /data/logs/x.log
timeout     {{"attemptDurationSeconds": 60}}
notice      ulimits are not applied: the server's own limits hold.
"""
    )
    assert json.loads(batchyard("jobs", "--json", A).stdout) == DETAIL


def test_a_child_s_id_is_quoted_in_the_path(batchyard, api):
    api.on[f"/x/jobs/{A}%3A7"] = lambda _: DETAIL
    assert batchyard("jobs", f"{A}:7").exit_code == 0


def test_an_unknown_job(batchyard, api):
    def refuse(_):
        raise Refusal("ClientException", "Job nope does not exist in region us-east-1.")

    api.on["/x/jobs/nope"] = refuse
    result = batchyard("jobs", "nope")
    assert result.exit_code == 1
    assert result.stderr == "batchyard: There is no job nope.\n  batchyard jobs lists those that there are.\n"


def test_what_an_attempt_that_still_runs_looks_like(batchyard, api):
    running = DETAIL["runs"][0] | {"stoppedAt": None, "exitCode": None, "peakMemoryBytes": None, "cpuSeconds": None}
    api.on[f"/x/jobs/{A}"] = lambda _: DETAIL | {"runs": [running]}
    assert "attempt 1   is running\n" in batchyard("jobs", A).stdout


@pytest.mark.parametrize(("attempts", "shown"), [(1, False), (3, True)])
def test_how_often_it_is_tried_is_told_where_that_is_not_once(batchyard, api, attempts, shown):
    api.on[f"/x/jobs/{A}"] = lambda _: DETAIL | {"retryStrategy": {"evaluateOnExit": [], "attempts": attempts}}
    assert ("retryStrategy" in batchyard("jobs", A).stdout) is shown
