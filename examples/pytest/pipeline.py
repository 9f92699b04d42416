"""The code under test: it knows AWS Batch and nothing of Batchyard."""

import time

import boto3


def define(name, command):
    boto3.client("batch").register_job_definition(
        jobDefinitionName=name,
        type="container",
        containerProperties={
            "image": "python:3",
            "command": command,
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}],
        },
    )
    return name


def run_in_parts(queue, part, total, parts):
    """`part` as an array of so many jobs, then `total`, once; returns the ids of both."""
    batch = boto3.client("batch")
    array = batch.submit_job(jobName="part", jobQueue=queue, jobDefinition=part, arrayProperties={"size": parts})[
        "jobId"
    ]
    last = batch.submit_job(jobName="total", jobQueue=queue, jobDefinition=total, dependsOn=[{"jobId": array}])["jobId"]
    return array, last


def ended(job_id):
    """The job once it has ended."""
    batch = boto3.client("batch")
    while True:
        (job,) = batch.describe_jobs(jobs=[job_id])["jobs"]
        if job["status"] in ("SUCCEEDED", "FAILED"):
            return job
        time.sleep(0.2)
