"""A queue that is blocked by a job that can never start, by stock boto3 on a real site."""

from __future__ import annotations

import pytest

from tests.harness.events import as_described, check_delivered, expected, lines
from tests.harness.site import Site

REQUIREMENT = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"
LIMIT = {"reason": REQUIREMENT, "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "CANCEL"}


@pytest.fixture
def site(tmp_path):
    site = Site(
        tmp_path / "data", "--vcpus", "2", "--memory", "4096", "--event-file", str(tmp_path / "events.jsonl"),
        "--blocked-after-s", "0",
    )  # fmt: skip
    site.start()
    yield site
    site.destroy()


def test_an_impossible_job_says_why_is_told_and_lets_the_next_go_when_it_is_gone(site, tmp_path):
    batch, queue = site.client("batch"), site.queue("q")
    site.definition("impossible", "true", vcpus=64)
    site.definition("possible", "true")
    site.definition("long", "sleep", "600")
    batch.update_job_queue(jobQueue=queue, jobStateTimeLimitActions=[LIMIT])
    (described,) = batch.describe_job_queues(jobQueues=[queue])["jobQueues"]
    assert described["jobStateTimeLimitActions"] == [LIMIT]
    running = site.submit(queue, "long")
    job, behind = site.submit(queue, "impossible", tags={"team": "a"}), site.submit(queue, "possible")
    site.wait_for(lambda: "statusReason" in site.describe(job), "the job says why it does not start")
    shown = site.describe(job)
    assert (shown["status"], shown["statusReason"].partition(" - ")[0]) == ("RUNNABLE", REQUIREMENT)
    assert "statusReason" not in site.describe(behind)

    def told():
        return [event for event in lines(tmp_path / "events.jsonl") if "Blocked" in event["detail-type"]]

    site.wait_for(told, "it is told")
    (event,) = told()
    assert event["detail-type"] == "Batch Job Queue Blocked"
    assert event["resources"] == [shown["jobArn"], described["jobQueueArn"]]
    assert as_described(event) == shown
    assert event["detail"]["tags"] == {"team": "a"}

    site.wait_for(lambda: len(_front(batch, queue)[0]) == 2, "the front of the queue is shown")
    jobs, snapshot = _front(batch, queue)
    assert jobs == [job, behind]
    assert snapshot["queueUtilization"]["totalCapacityUsage"] == [{"capacityUnit": "VCPU", "quantity": 1.0}]
    assert "fairshareUtilization" not in snapshot["queueUtilization"]
    since = snapshot["frontOfQueue"]["jobs"][0]["earliestTimeAtPosition"]
    assert shown["createdAt"] <= since <= snapshot["frontOfQueue"]["lastUpdatedAt"]

    (engine,) = site.pids("engine")
    site.kill(engine)
    site.wait_for(lambda: site.pids("engine"), "the engine is back")
    batch.cancel_job(jobId=job, reason="never mind")
    assert site.finished(behind)["status"] == "SUCCEEDED"
    assert site.describe(job)["statusReason"] == "never mind"
    batch.terminate_job(jobId=running, reason="enough")
    site.finished(running)
    site.wait_for(lambda: _front(batch, queue)[0] == [], "nobody waits")
    wanted = expected(site.data)
    site.wait_for(lambda: len(lines(tmp_path / "events.jsonl")) >= len(wanted), "all is told")
    check_delivered(lines(tmp_path / "events.jsonl"), wanted)
    assert len(told()) == 1, "the restart told nothing once more"


def test_a_queue_without_an_enabled_environment_asks_for_action_until_there_is_one(site):
    batch, queue = site.client("batch"), site.queue("off")
    (described,) = batch.describe_job_queues(jobQueues=[queue])["jobQueues"]
    place = described["computeEnvironmentOrder"][0]["computeEnvironment"]
    site.definition("true", "true")
    batch.update_compute_environment(computeEnvironment=place, state="DISABLED")
    job = site.submit(queue, "true")
    site.wait_for(lambda: "statusReason" in site.describe(job), "the job says why it does not start")
    assert site.describe(job)["statusReason"] == "ACTION_REQUIRED - CE(s) associated with the job queue are invalid."
    batch.update_compute_environment(computeEnvironment=place, state="ENABLED")
    end = site.finished(job)
    assert (end["status"], end["statusReason"]) == ("SUCCEEDED", "Essential container in task exited")


def _front(batch, queue):
    """The ids of those who go next, and the whole answer."""
    snapshot = batch.get_job_queue_snapshot(jobQueue=queue)
    return [job["jobArn"].rpartition("/")[2] for job in snapshot["frontOfQueue"]["jobs"]], snapshot
