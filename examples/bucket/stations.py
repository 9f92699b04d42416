#!/usr/bin/env python3
"""What stations measured, summed up in parallel: input lies in S3, each child of an array takes one, output goes there.

`work` and `gather` run in jobs and know S3 by the usual variables; `submit` is yours: it puts the input, submits both
jobs, waits, and prints the output.
"""

import csv
import io
import json
import math
import os
import random
import sys
import time

import boto3

STATIONS, DAYS = 6, 30
BUCKET = os.environ["BUCKET"]
IMAGE = "stations"
ROLE = "arn:aws:iam::123456789012:role/stations"  # whose credentials the jobs get


def submit() -> None:
    s3, batch = boto3.client("s3"), boto3.client("batch")
    for station in range(STATIONS):
        s3.put_object(Bucket=BUCKET, Key=f"input/{station}.csv", Body=measured(station))
    definition = register(batch)
    common = {"jobQueue": "default", "jobDefinition": definition}
    array = batch.submit_job(jobName="stations", arrayProperties={"size": STATIONS}, **common)["jobId"]
    gather = batch.submit_job(
        jobName="all-stations",
        dependsOn=[{"jobId": array}],
        containerOverrides={"command": ["stations", "gather"]},
        **common,
    )["jobId"]
    while (job := batch.describe_jobs(jobs=[gather])["jobs"][0])["status"] not in ("SUCCEEDED", "FAILED"):
        time.sleep(0.5)
    if job["status"] == "FAILED":
        sys.exit(f"job {gather} failed: {job['statusReason']}")
    print(_get(s3, "output/summary.csv"), end="")


def register(batch) -> str:
    return batch.register_job_definition(
        jobDefinitionName="stations",
        type="container",
        containerProperties={
            "image": IMAGE,
            "command": ["stations", "work"],
            "jobRoleArn": ROLE,
            "environment": [{"name": "BUCKET", "value": BUCKET}],
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "256"}],
        },
        retryStrategy={"attempts": 2},
    )["jobDefinitionArn"]


def measured(station: int) -> bytes:
    """A month of hours, in a made-up but steady climate."""
    chance, mean = random.Random(station), 8 + 2 * station
    lines = ["hour,celsius"]
    for hour in range(24 * DAYS):
        celsius = mean + 6 * math.sin((hour % 24 - 9) * math.pi / 12) + chance.gauss(0, 1.5)
        lines.append(f"{hour},{celsius:.1f}")
    return "\n".join(lines).encode() + b"\n"


def work() -> None:
    """One child: its station's lowest, highest and mean temperature, and the days with a frost."""
    s3, station = boto3.client("s3"), int(os.environ["AWS_BATCH_JOB_ARRAY_INDEX"])
    hours = [float(row["celsius"]) for row in csv.DictReader(io.StringIO(_get(s3, f"input/{station}.csv")))]
    frost = sum(min(hours[day : day + 24]) < 0 for day in range(0, len(hours), 24))
    found = {"lowest": min(hours), "highest": max(hours), "mean": round(sum(hours) / len(hours), 2), "frost": frost}
    s3.put_object(Bucket=BUCKET, Key=f"output/{station}.json", Body=json.dumps(found).encode())
    print(f"station {station}: {len(hours)} hours")


def gather() -> None:
    s3, out = boto3.client("s3"), io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["station", "lowest", "highest", "mean", "days with frost"])
    for station in range(STATIONS):
        table.writerow([station, *json.loads(_get(s3, f"output/{station}.json")).values()])
    s3.put_object(Bucket=BUCKET, Key="output/summary.csv", Body=out.getvalue().encode())


def _get(s3, key: str) -> str:
    return s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()


if __name__ == "__main__":
    {"submit": submit, "work": work, "gather": gather}[sys.argv[1]]()
