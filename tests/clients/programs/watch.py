"""Looks at jobs as often as it can, from submission to end; prints each look that contradicts itself."""

import json

import boto3

batch = boto3.client("batch")
container = {"image": "any", "command": ["sleep", "0.1"], "vcpus": 1, "memory": 8}
batch.register_job_definition(jobDefinitionName="short", type="container", containerProperties=container)
wrong = []
for _ in range(5):
    job = batch.submit_job(jobName="short", jobQueue="words", jobDefinition="short")["jobId"]
    while True:
        (seen,) = batch.describe_jobs(jobs=[job])["jobs"]
        ended = seen["status"] in ("SUCCEEDED", "FAILED")
        exited = "exitCode" in seen["container"]
        if not ended == (seen.get("stoppedAt", 0) > 0) == exited == bool(seen["attempts"]):
            wrong.append({name: str(seen.get(name)) for name in ("status", "stoppedAt", "attempts", "container")})
        if ended:
            break
print(json.dumps({"wrong": wrong, "last": seen["status"]}))
