"""GetJobQueueSnapshot: what the engine showed, in AWS's words."""

from __future__ import annotations

import botocore.exceptions
import pytest

from batchyard.model.shown import FrontJob, FrontShown
from batchyard.ports import Shown
from tests.api.memory import QUEUES

JOB = "0b7f2c52-6f0e-4f7e-9b5e-2d1f6a4c8e10"
ARN = f"arn:aws:batch:us-east-1:123456789012:job/{JOB}"


def test_jobs_and_children_in_order_with_since_when_and_what_runs(furnished):
    jobs = (FrontJob(JOB, -1, 1_700_000_000_001), FrontJob(JOB, 7, 1_700_000_000_002))
    furnished.store.fronts[QUEUES + 1] = Shown(1_700_000_000_003, FrontShown(jobs, 2500))
    for given in ("q", "arn:aws:batch:us-east-1:123456789012:job-queue/q"):
        answer = furnished.batch.get_job_queue_snapshot(jobQueue=given)
        assert answer["frontOfQueue"] == {
            "jobs": [
                {"jobArn": ARN, "earliestTimeAtPosition": 1_700_000_000_001},
                {"jobArn": f"{ARN}:7", "earliestTimeAtPosition": 1_700_000_000_002},
            ],
            "lastUpdatedAt": 1_700_000_000_003,
        }
        assert answer["queueUtilization"] == {
            "totalCapacityUsage": [{"capacityUnit": "VCPU", "quantity": 2.5}],
            "lastUpdatedAt": 1_700_000_000_003,
        }
        assert "frontOfQuotaShares" not in answer


def test_shares_and_what_they_hold(furnished):
    shown = FrontShown((), 3000, 2, (("big", 2000), ("small", 1000)))
    furnished.store.fronts[QUEUES + 1] = Shown(5, shown)
    answer = furnished.batch.get_job_queue_snapshot(jobQueue="q")
    assert answer["queueUtilization"]["fairshareUtilization"] == {
        "activeShareCount": 2,
        "topCapacityUtilization": [
            {"shareIdentifier": "big", "capacityUsage": [{"capacityUnit": "VCPU", "quantity": 2.0}]},
            {"shareIdentifier": "small", "capacityUsage": [{"capacityUnit": "VCPU", "quantity": 1.0}]},
        ],
    }


def test_a_queue_with_nothing_to_do(furnished):
    answer = furnished.batch.get_job_queue_snapshot(jobQueue="q")
    assert answer["frontOfQueue"]["jobs"] == []
    assert answer["queueUtilization"]["totalCapacityUsage"] == [{"capacityUnit": "VCPU", "quantity": 0.0}]
    assert answer["frontOfQueue"]["lastUpdatedAt"] > 0


def test_a_queue_that_is_not_there(furnished):
    with pytest.raises(botocore.exceptions.ClientError, match="none does not exist"):
        furnished.batch.get_job_queue_snapshot(jobQueue="none")
