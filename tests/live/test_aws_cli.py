"""The aws command line, unmodified, from nothing to a job's output."""

from __future__ import annotations

import json
import subprocess


def aws(site, *arguments: str) -> dict:
    done = subprocess.run(["aws", *arguments, "--output", "json"], env=site.environ(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else {}


def refused(site, *arguments: str) -> str:
    done = subprocess.run(["aws", *arguments], env=site.environ(), capture_output=True, text=True)
    assert done.returncode != 0, done.stdout
    return done.stderr


def test_from_nothing_to_a_jobs_output(site):
    made = aws(site, "batch", "create-compute-environment", "--compute-environment-name", "cli", "--type", "UNMANAGED",
               "--service-role", "arn:aws:iam::123456789012:role/batch")  # fmt: skip
    assert made["computeEnvironmentArn"] == "arn:aws:batch:us-east-1:123456789012:compute-environment/cli"
    aws(site, "batch", "create-job-queue", "--job-queue-name", "cli", "--priority", "1",
        "--compute-environment-order", "order=1,computeEnvironment=cli")  # fmt: skip
    container = {"image": "busybox", "command": ["sh", "-c", "echo from the $0", "Ref::what"], "vcpus": 1, "memory": 16}
    registered = aws(site, "batch", "register-job-definition", "--job-definition-name", "cli", "--type", "container",
                     "--container-properties", json.dumps(container))  # fmt: skip
    assert registered["revision"] == 1
    job = aws(site, "batch", "submit-job", "--job-name", "cli", "--job-queue", "cli", "--job-definition", "cli:1",
              "--parameters", "what=command line")["jobId"]  # fmt: skip
    site.finished(job)
    detail = aws(site, "batch", "describe-jobs", "--jobs", job)["jobs"][0]
    assert detail["status"] == "SUCCEEDED"
    stream = detail["container"]["logStreamName"]
    events = aws(site, "logs", "get-log-events", "--log-group-name", "/aws/batch/job", "--log-stream-name", stream)
    assert [event["message"] for event in events["events"]] == ["from the command line"]
    listed = aws(site, "batch", "list-jobs", "--job-queue", "cli", "--job-status", "SUCCEEDED")["jobSummaryList"]
    assert [summary["jobId"] for summary in listed] == [job]


def test_the_command_line_shows_our_errors(site):
    said = refused(site, "batch", "submit-job", "--job-name", "x", "--job-queue", "none", "--job-definition", "none")
    assert "An error occurred (ClientException) when calling the SubmitJob operation: JobQueue none not found." in said
    said = refused(site, "batch", "create-compute-environment", "--compute-environment-name", "m", "--type", "MANAGED",
                   "--compute-resources", "type=EC2,maxvCpus=4,minvCpus=0,subnets=s-1,instanceRole=r")  # fmt: skip
    assert "(ClientException)" in said
    assert "Security group ids are required." in said
    said = refused(
        site, "logs", "get-log-events", "--log-group-name", "/aws/batch/job", "--log-stream-name", "no/such/one"
    )
    assert "(ResourceNotFoundException)" in said
