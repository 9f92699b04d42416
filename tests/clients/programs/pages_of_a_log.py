"""Reads a log of seven lines, two a page, from either end; prints what each way brought and how it ended."""

import json
import time

import boto3

batch, logs = boto3.client("batch"), boto3.client("logs")
container = {"image": "any", "command": ["seq", "7"], "vcpus": 1, "memory": 8}
batch.register_job_definition(jobDefinitionName="seven", type="container", containerProperties=container)
job = batch.submit_job(jobName="seven", jobQueue="words", jobDefinition="seven")["jobId"]
while (seen := batch.describe_jobs(jobs=[job])["jobs"][0])["status"] not in ("SUCCEEDED", "FAILED"):
    time.sleep(0.05)


def page(**more) -> dict:
    stream = seen["container"]["logStreamName"]
    return logs.get_log_events(logGroupName="/aws/batch/job", logStreamName=stream, limit=2, **more)


forward, read = [], page(startFromHead=True)
while read["events"]:
    forward += [event["message"] for event in read["events"]]
    before, read = read, page(nextToken=read["nextForwardToken"])
ends_repeat = read["nextForwardToken"] == before["nextForwardToken"]

backward, read = [], page(startFromHead=False)
while read["events"]:
    backward.append(" ".join(event["message"] for event in read["events"]))
    before, read = read, page(nextToken=read["nextBackwardToken"])
ends_repeat = ends_repeat and read["nextBackwardToken"] == before["nextBackwardToken"]
print(json.dumps({"forward": forward, "backward": backward, "ends repeat": ends_repeat}))
