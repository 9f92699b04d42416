"""Our own routes."""

from __future__ import annotations

import json

from batchyard.model import ids, states
from batchyard.ports import AttemptRow
from tests.api.caller import signed
from tests.api.memory import Progress


def test_a_job_with_notices_and_runs(server):
    server.furnish(container={"privileged": True})
    job_id = server.submit(arrayProperties={"size": 2})
    attempt = AttemptRow(1, 1, "i-1", 1_763_673_500_000, 1_763_673_500_010, None, None, None, None, None, None)
    server.store.states[job_id, 1] = Progress(states.RUNNING, None, 5, attempts=[attempt])
    for path in (f"/x/jobs/{job_id}:1", f"/x/jobs/{job_id}%3A1"):
        answer = signed(server.app, "GET", path)
        assert answer.status == 200
        job = json.loads(answer.body)
        assert job["jobId"] == f"{job_id}:1" and job["status"] == "RUNNING"
        assert any("privileged" in notice for notice in job["notices"])
        (run,) = job["runs"]
        assert run["workDirectory"].endswith(f"/work/{job_id}:1.1")
        assert run["logFile"].endswith(f"/logs/2025-11-20/{job_id}:1.1.log")
        assert run["environment"] == "ce" and run["peakMemoryBytes"] is None
    assert json.loads(signed(server.app, "GET", f"/x/jobs/{job_id}").body)["runs"] == []


def test_a_job_that_is_not_there(server):
    for job_id in ("nope", "1e3d0a52-8f0b-4a3d-9d3a-2f4a7f7f0f11", "%00"):
        answer = signed(server.app, "GET", f"/x/jobs/{job_id}")
        assert answer.status == 400 and b"does not exist in region us-east-1" in answer.body


def test_usage_is_shown_when_an_attempt_has_ended(furnished):
    job_id = furnished.submit()
    attempt = AttemptRow(1, 1, "i-1", 1, 2, 3, 0, None, "x", 4096, 1500)
    furnished.store.states[job_id, ids.WHOLE] = Progress(states.SUCCEEDED, "x", 2, 3, attempts=[attempt])
    (run,) = json.loads(signed(furnished.app, "GET", f"/x/jobs/{job_id}", region="us-east-1").body)["runs"]
    assert (run["peakMemoryBytes"], run["cpuSeconds"], run["exitCode"]) == (4096, 1.5, 0)
