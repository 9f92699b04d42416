"""boto3, unmodified, against a running server: what was asked really ran, outputs compared."""

from __future__ import annotations

import time

import botocore.exceptions
import pytest


@pytest.fixture(scope="module")
def queue(site):
    return site.queue("boto")


def test_a_job_runs_and_its_output_is_read_back(site, queue):
    site.definition("hello", "echo", "Ref::greeting", parameters={"greeting": "hello"})
    job = site.finished(site.submit(queue, "hello", parameters={"greeting": "good day"}))
    assert job["status"] == "SUCCEEDED"
    assert job["container"]["exitCode"] == 0
    assert job["statusReason"] == "Essential container in task exited"
    assert job["container"]["command"] == ["echo", "good day"]
    assert site.output(job) == "good day\n"
    assert job["createdAt"] <= job["startedAt"] <= job["stoppedAt"]
    assert [attempt["container"]["exitCode"] for attempt in job["attempts"]] == [0]
    assert job["attempts"][0]["container"]["logStreamName"] == job["container"]["logStreamName"]


def test_a_job_sees_the_variables_of_batch(site, queue):
    site.definition("variables", "/usr/bin/env")
    job = site.finished(
        site.submit(
            queue,
            "variables",
            containerOverrides={"environment": [{"name": "COLOUR", "value": "blue"}]},
            arrayProperties={"size": 2},
        )
    )
    child = site.describe(job["jobId"] + ":1")
    seen = dict(line.split("=", 1) for line in site.output(child).splitlines())
    expected = {
        "AWS_BATCH_JOB_ID": job["jobId"] + ":1",
        "AWS_BATCH_JQ_NAME": queue,
        "AWS_BATCH_CE_NAME": "machine",
        "AWS_BATCH_JOB_ATTEMPT": "1",
        "AWS_BATCH_JOB_ARRAY_INDEX": "1",
        "AWS_EXECUTION_ENV": "AWS_ECS_EC2",
        "COLOUR": "blue",
    }
    assert {name: seen.get(name) for name in expected} == expected
    assert not [name for name in seen if name.startswith("BATCHYARD")]


def test_an_array_runs_every_index_once(site, queue, tmp_path):
    out = tmp_path / "lines"
    site.definition("append", "sh", "-c", f"echo $AWS_BATCH_JOB_ARRAY_INDEX >> {out}")
    job = site.finished(site.submit(queue, "append", arrayProperties={"size": 20}))
    assert job["status"] == "SUCCEEDED"
    assert sorted(map(int, out.read_text().split())) == list(range(20))
    assert job["arrayProperties"]["statusSummary"] == {
        "SUBMITTED": 0, "PENDING": 0, "RUNNABLE": 0, "STARTING": 0, "RUNNING": 0, "SUCCEEDED": 20, "FAILED": 0,
    }  # fmt: skip
    children = site.client("batch").list_jobs(arrayJobId=job["jobId"], jobStatus="SUCCEEDED")["jobSummaryList"]
    assert sorted(child["arrayProperties"]["index"] for child in children) == list(range(20))


def test_a_failing_job_is_tried_again_and_tells_its_exit_codes(site, queue):
    site.definition("fail", "sh", "-c", "echo attempt $AWS_BATCH_JOB_ATTEMPT; exit 3")
    job = site.finished(site.submit(queue, "fail", retryStrategy={"attempts": 2}))
    assert job["status"] == "FAILED"
    assert [attempt["container"]["exitCode"] for attempt in job["attempts"]] == [3, 3]
    assert site.output(job) == "attempt 2\n"
    first = job["attempts"][0]
    assert site.output(first) == "attempt 1\n"


def test_dependencies_are_kept_and_failures_cascade(site, queue, tmp_path):
    #  good --> after_good        bad --> after_bad --> after_all
    trace = tmp_path / "trace"
    site.definition("slow", "sh", "-c", f"sleep 0.3; echo first >> {trace}")
    site.definition("fast", "sh", "-c", f"echo second >> {trace}")
    site.definition("bad", "false")
    good = site.submit(queue, "slow")
    after_good = site.submit(queue, "fast", dependsOn=[{"jobId": good}])
    bad = site.submit(queue, "bad")
    after_bad = site.submit(queue, "fast", dependsOn=[{"jobId": bad}])
    after_all = site.submit(queue, "fast", dependsOn=[{"jobId": after_good}, {"jobId": after_bad}])
    assert site.finished(after_good)["status"] == "SUCCEEDED"
    for job in (after_bad, after_all):
        detail = site.finished(job)
        assert (detail["status"], detail["statusReason"]) == ("FAILED", "Dependent Job failed")
        assert detail["attempts"] == []
    assert trace.read_text() == "first\nsecond\n"


def test_terminate_stops_a_running_job_with_the_callers_reason(site, queue):
    site.definition("sleep", "sleep", "60")
    job = site.submit(queue, "sleep", retryStrategy={"attempts": 3})
    site.wait_for(lambda: site.describe(job)["status"] == "RUNNING", "the job runs")
    site.client("batch").terminate_job(jobId=job, reason="seen enough")
    detail = site.finished(job)
    assert (detail["status"], detail["statusReason"]) == ("FAILED", "seen enough")
    assert len(detail["attempts"]) == 1
    assert detail["isTerminated"] is True


def test_list_jobs_by_status_and_page(site):
    queue = site.queue("listing")
    site.definition("true", "true")
    jobs = [site.submit(queue, "true", name=f"n{number}") for number in range(5)]
    for job in jobs:
        site.finished(job)
    pages = (
        site.client("batch")
        .get_paginator("list_jobs")
        .paginate(jobQueue=queue, jobStatus="SUCCEEDED", PaginationConfig={"PageSize": 2})
    )
    names = [summary["jobName"] for page in pages for summary in page["jobSummaryList"]]
    assert names == ["n4", "n3", "n2", "n1", "n0"]
    assert site.client("batch").list_jobs(jobQueue=queue)["jobSummaryList"] == []


def test_a_job_is_described_at_once_and_unknown_ids_are_left_out(site, queue):
    site.definition("true", "true")
    job = site.submit(queue, "true")
    known = site.client("batch").describe_jobs(jobs=[job, "00000000-0000-4000-8000-000000000000"])["jobs"]
    assert [detail["jobId"] for detail in known] == [job]


def test_regions_are_kept_apart(site, queue):
    site.definition("true", "true")
    job = site.submit(queue, "true")
    elsewhere = site.client("batch", region="eu-west-1")
    assert elsewhere.describe_jobs(jobs=[job])["jobs"] == []
    assert elsewhere.describe_job_queues()["jobQueues"] == []


def test_definitions_come_back_as_registered(site):
    batch = site.client("batch")
    given = {
        "image": "python:3.12", "command": ["a", "b"], "vcpus": 2, "memory": 100, "environment": [], "mountPoints": [],
        "volumes": [], "ulimits": [], "privileged": False, "linuxParameters": {}, "readonlyRootFilesystem": True,
    }  # fmt: skip
    batch.register_job_definition(jobDefinitionName="verbatim", type="container", containerProperties=given)
    batch.register_job_definition(jobDefinitionName="verbatim", type="container", containerProperties=given)
    rows = batch.describe_job_definitions(jobDefinitionName="verbatim", status="ACTIVE")["jobDefinitions"]
    assert [row["revision"] for row in rows] == [2, 1]
    assert {name: rows[0]["containerProperties"][name] for name in given} == given


def test_a_wrong_key_and_a_wrong_secret_are_refused(site):
    import boto3

    for key, secret, code in (
        ("AKIAUNKNOWNUNKNOWN00", site.key[1], "UnrecognizedClientException"),
        (site.key[0], "wrong", "InvalidSignatureException"),
    ):
        client = boto3.client(
            "batch", region_name="us-east-1", endpoint_url=site.url, aws_access_key_id=key, aws_secret_access_key=secret
        )
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            client.describe_job_queues()
        assert refused.value.response["Error"]["Code"] == code


def test_refusals_are_client_exceptions_with_aws_words(site, queue):
    batch = site.client("batch")
    site.definition("true", "true")
    with pytest.raises(batch.exceptions.ClientException, match="JobQueue nope not found"):
        batch.submit_job(jobName="x", jobQueue="nope", jobDefinition="true")
    with pytest.raises(batch.exceptions.ClientException, match="does not exist or is not in ACTIVE status"):
        batch.submit_job(jobName="x", jobQueue=queue, jobDefinition="nope")
    with pytest.raises(batch.exceptions.ClientException, match="Object already exists"):
        site.queue("boto")
    with pytest.raises(batch.exceptions.ClientException, match="Unable to substitute value"):
        site.definition("ref", "echo", "Ref::missing")
        batch.submit_job(jobName="x", jobQueue=queue, jobDefinition="ref")
    batch.terminate_job(jobId="not-a-job", reason="nothing there")


def test_logs_are_read_while_the_job_runs(site, queue):
    site.definition("talk", "sh", "-c", "echo one; sleep 2; echo two")
    job = site.submit(queue, "talk")
    site.wait_for(lambda: site.describe(job)["status"] == "RUNNING", "the job runs")
    running = site.describe(job)
    site.wait_for(lambda: "one" in site.output(running), "the first line is there", 5)
    assert site.describe(job)["status"] == "RUNNING"
    assert site.output(site.finished(job)) == "one\ntwo\n"


def test_log_events_have_times_within_the_attempt(site, queue):
    site.definition("clock", "sh", "-c", "for i in 1 2 3; do echo line $i; sleep 0.2; done")
    before = int(time.time() * 1000)
    job = site.finished(site.submit(queue, "clock"))
    events = site.client("logs").get_log_events(
        logGroupName="/aws/batch/job", logStreamName=job["container"]["logStreamName"], startFromHead=True
    )["events"]
    stamps = [event["timestamp"] for event in events]
    assert stamps == sorted(stamps)
    assert before - 1000 <= stamps[0] <= stamps[-1] <= job["stoppedAt"] + 1000
    assert stamps[-1] - stamps[0] >= 200


def test_list_jobs_by_filter(site):
    queue = site.queue("filtering")
    site.definition("true", "true")
    site.definition("truly", "true")
    jobs = {name: site.submit(queue, definition, name=name) for name, definition in (
        ("Align-1", "true"), ("align-2", "truly"), ("sort", "truly"),
    )}  # fmt: skip
    array = site.submit(queue, "true", name="array", arrayProperties={"size": 3})
    for job in (*jobs.values(), array):
        site.finished(job)

    def names(name, value):
        filters = [{"name": name, "values": [value]}]
        return [each["jobName"] for each in batch.list_jobs(jobQueue=queue, filters=filters)["jobSummaryList"]]

    batch = site.client("batch")
    assert names("JOB_NAME", "ALIGN*") == ["align-2", "Align-1"]
    assert names("JOB_DEFINITION", "truly") == ["sort", "align-2"]
    assert names("JOB_DEFINITION", "tru*") == ["array", "sort", "align-2", "Align-1"]
    created = str(site.describe(jobs["align-2"])["createdAt"])
    assert names("AFTER_CREATED_AT", created) == ["array", "sort"]
    assert names("BEFORE_CREATED_AT", created) == ["Align-1"]
    (shown,) = batch.list_jobs(jobQueue=queue, filters=[{"name": "JOB_NAME", "values": ["array"]}])["jobSummaryList"]
    assert shown["arrayProperties"]["statusSummary"]["SUCCEEDED"] == 3
