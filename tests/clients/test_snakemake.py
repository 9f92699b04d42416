"""Snakemake, unmodified, with its executor for AWS Batch and its storage in S3."""

from __future__ import annotations

import os
import signal

import pytest

from tests.clients.place import TEXT, counts

pytestmark = pytest.mark.long
CLIENT = "snakemake"


def snakemake(target: str) -> str:
    """The page's command, for a workflow of trouble."""
    return (
        f"../snakemake/bin/snakemake {target}.txt --jobs 1 --snakefile troubled.smk --executor aws-batch"
        " --aws-batch-region us-east-1 --aws-batch-job-queue default"
        " --aws-batch-job-role arn:aws:iam::123456789012:role/any --default-storage-provider s3"
        f" --default-storage-prefix s3://$BUCKET/{target} --storage-s3-endpoint-url $S3"
    )


def own_jobs(place) -> list[dict]:
    return [job for job in place.jobs() if job["jobName"].startswith("snakejob-")]


def test_a_workflow_fans_out_and_gathers_through_s3(place):
    body = place.s3.client().get_object(Bucket=place.bucket, Key="words/commonest.txt")["Body"].read().decode()
    found = {word: int(number) for number, word in (line.split() for line in body.splitlines())}
    assert found == counts(TEXT.read_text())


def test_finished_jobs_are_terminated_and_their_definitions_deregistered_without_harm(place):
    """Snakemake does so after every job, also one that succeeded."""
    jobs = own_jobs(place)
    assert [(job["status"], job["statusReason"]) for job in jobs] == 4 * [
        ("SUCCEEDED", "Essential container in task exited")
    ]
    every = place.site.client("batch").describe_job_definitions()["jobDefinitions"]
    mine = {each["jobDefinitionArn"]: each["status"] for each in every if "snakejob" in each["jobDefinitionName"]}
    assert mine == {job["jobDefinition"]: "INACTIVE" for job in jobs}


def test_privileged_is_kept_and_that_it_is_not_given_is_a_notice(place):
    """It demands privileged always; a process on this machine gets no more than others."""
    (job, *_) = own_jobs(place)
    assert job["container"]["privileged"] is True
    assert "privileged" in place.notices(job["jobId"])


def test_a_failure_is_told_in_the_words_of_batch(place):
    said = place.type("cp ../programs/troubled.smk . && " + snakemake("fail"), 1)
    assert "AWS Batch job failed. Code: 1, Msg: Essential container in task exited." in said
    assert "no such thing" in place.site.output(own_jobs(place)[0])


def test_interrupting_it_ends_its_jobs(place):
    place.type("cp ../programs/troubled.smk .")
    client = place.type_behind(snakemake("sleep"))
    job = place.running()
    os.kill(client, signal.SIGINT)
    ended = place.site.finished(job["jobId"])
    assert (ended["status"], ended["statusReason"]) == ("FAILED", "terminated by snakemake")
    place.type(f"wait {client}", 1)
