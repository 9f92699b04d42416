"""Finished jobs go: unknown to every call, and nothing of them is left in files and directories of logs."""

from __future__ import annotations

import sqlite3

import botocore.exceptions
import pytest

from tests.harness.site import Site

KEPT = 3
JOBS = 12


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path / "data", "--vcpus", "2", "--jobs-keep-most", str(KEPT)).start()
    yield site
    site.destroy()


def counted(site, file, table):
    db = sqlite3.connect(site.data / f"{file}.db")
    try:
        return db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    finally:
        db.close()


def test_old_jobs_go_without_a_trace_and_young_ones_stay(site):
    queue = site.queue("brief")
    site.definition("say", "echo", "hello")
    site.definition("wait", "sleep", "60")
    live = site.submit(queue, "wait")
    jobs = []
    for _ in range(JOBS):
        jobs.append(site.submit(queue, "say"))
        site.wait_for(lambda: not _live(site, jobs[-1]), "the job ends")
    site.wait_for(lambda: counted(site, "state", "jobs") == KEPT + 1, "the others are gone")
    batch = site.client("batch")
    known = [job["jobId"] for job in batch.describe_jobs(jobs=jobs)["jobs"]]
    assert known == jobs[-KEPT:]
    listed = batch.list_jobs(jobQueue=queue, jobStatus="SUCCEEDED")["jobSummaryList"]
    assert [summary["jobId"] for summary in listed] == jobs[: -KEPT - 1 : -1]
    assert [summary["container"]["exitCode"] for summary in listed] == [0] * KEPT
    assert site.describe(live)["status"] == "RUNNING"
    assert site.output(site.describe(jobs[-1])) == "hello\n"
    assert counted(site, "requests", "jobs") == counted(site, "state", "attempts") == KEPT + 1
    assert len(list(site.data.glob("logs/*/*.log"))) == KEPT + 1
    batch.terminate_job(jobId=jobs[0], reason="it is gone, which is a success")
    with pytest.raises(botocore.exceptions.ClientError, match=f"Job dependency {jobs[0]} not found"):
        site.submit(queue, "say", dependsOn=[{"jobId": jobs[0]}])
    batch.terminate_job(jobId=live, reason="enough")


def _live(site, job):
    """Whether the job is known and not over; a finished one may be gone before anybody looks."""
    found = site.client("batch").describe_jobs(jobs=[job])["jobs"]
    return bool(found) and found[0]["status"] not in ("SUCCEEDED", "FAILED")
