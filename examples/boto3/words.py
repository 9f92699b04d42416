"""The commonest words of a text, counted in parts on AWS Batch: `python words.py FILE`."""

import json
import sys
import tempfile
import time
from pathlib import Path

import boto3

PARTS = 4
COUNT = """
import collections, json, os, re, sys
text, out = sys.argv[1:]
part = int(os.environ["AWS_BATCH_JOB_ARRAY_INDEX"])
lines = open(text).read().lower().splitlines()[part::int(os.environ["AWS_BATCH_JOB_ARRAY_SIZE"])]
counts = collections.Counter(re.findall("[a-z]+", "\\n".join(lines)))
json.dump(counts, open(f"{out}/{part}", "w"))
print(f"part {part}: {counts.total()} words")
"""
ADD = """
import collections, json, pathlib, sys
parts = [collections.Counter(json.loads(part.read_text())) for part in pathlib.Path(sys.argv[2]).iterdir()]
for word, number in sum(parts, collections.Counter()).most_common(5):
    print(f"{number:6} {word}")
"""

batch, logs = boto3.client("batch"), boto3.client("logs")


def main(text: str) -> None:
    queue = make_queue()
    definition = batch.register_job_definition(
        jobDefinitionName="python",
        type="container",
        parameters={"text": text},
        containerProperties={
            "image": "host",  # this machine: the command runs here, as a process
            "command": ["python3", "-c", COUNT, "Ref::text", "Ref::out"],
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}],
        },
        retryStrategy={"attempts": 2},
        timeout={"attemptDurationSeconds": 60},
    )["jobDefinitionArn"]
    with tempfile.TemporaryDirectory() as out:
        common = {"jobQueue": queue, "jobDefinition": definition, "parameters": {"out": out}}
        count = batch.submit_job(jobName="count", arrayProperties={"size": PARTS}, **common)["jobId"]
        add = batch.submit_job(
            jobName="add",
            dependsOn=[{"jobId": count}],
            containerOverrides={"command": ["python3", "-c", ADD, "Ref::text", "Ref::out"]},
            **common,
        )["jobId"]
        wait([count, add])
    for job in [f"{count}:{index}" for index in range(PARTS)] + [add]:
        print(said(job), end="")


def make_queue() -> str:
    """All of this machine, by the name `words`; made if it is not there."""
    if not batch.describe_job_queues(jobQueues=["words"])["jobQueues"]:
        batch.create_compute_environment(
            computeEnvironmentName="words", type="UNMANAGED", serviceRole="arn:aws:iam::123456789012:role/any"
        )
        order = [{"order": 1, "computeEnvironment": "words"}]
        batch.create_job_queue(jobQueueName="words", priority=1, computeEnvironmentOrder=order)
    return "words"


def wait(ids: list[str]) -> None:
    """Until all have succeeded; the first that fails is shown."""
    while True:
        jobs = batch.describe_jobs(jobs=ids)["jobs"]
        if failed := [job for job in jobs if job["status"] == "FAILED"]:
            sys.exit(json.dumps({name: failed[0][name] for name in ("jobId", "statusReason", "attempts")}, indent=2))
        if all(job["status"] == "SUCCEEDED" for job in jobs):
            return
        time.sleep(0.2)


def said(job: str) -> str:
    """All that the job has written: pages until the same token comes back."""
    stream = batch.describe_jobs(jobs=[job])["jobs"][0]["container"]["logStreamName"]
    lines, token = "", {}
    while True:
        page = logs.get_log_events(logGroupName="/aws/batch/job", logStreamName=stream, startFromHead=True, **token)
        lines += "".join(event["message"] + "\n" for event in page["events"])
        if token == {"nextToken": page["nextForwardToken"]}:
            return lines
        token = {"nextToken": page["nextForwardToken"]}


if __name__ == "__main__":
    main(str(Path(sys.argv[1]).resolve()))
