"""Submits 100 jobs and describes them at once; prints the ids that were missing."""

import json

import boto3

batch = boto3.client("batch")
container = {"image": "any", "command": ["true"], "vcpus": 1, "memory": 8}
batch.register_job_definition(jobDefinitionName="quick", type="container", containerProperties=container)
submitted = [batch.submit_job(jobName="quick", jobQueue="words", jobDefinition="quick")["jobId"] for _ in range(100)]
described = {job["jobId"] for job in batch.describe_jobs(jobs=submitted)["jobs"]}
print(json.dumps(sorted(set(submitted) - described)))
