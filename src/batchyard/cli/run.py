"""``batchyard run -- COMMAND``: a command becomes a job; its output, Ctrl-C and exit code behave as if it were not."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import click

from batchyard.cli import follow, render
from batchyard.cli.client import Client, Problem, Refused, connect, connection_options
from batchyard.cli.explain import explanation
from batchyard.doctor import about

DEFINITION = "batchyard-run"
IMAGE = "host"  # the API demands an image; these jobs run on the host, and no notice is needed to say so
ENVIRONMENT, QUEUE = "local", "default"
OWN_FAILURE = 125  # the command did not get so far as to have an exit code (as with `docker run`)
SLOW_S = 2.0  # after which a waiting user is told what the job waits for
PATIENCE_S = 30.0  # how long a server may be away (a restart) before following is given up


def ensure_default_queue(client: Client) -> None:
    """Make the queue `default` on the environment `local` (this machine) if there is no such queue."""
    if client.call("DescribeJobQueues", jobQueues=[QUEUE])["jobQueues"]:
        return
    _create(
        client,
        "CreateComputeEnvironment",
        computeEnvironmentName=ENVIRONMENT,
        type="UNMANAGED",
        serviceRole="arn:aws:iam::123456789012:role/batchyard",  # the API demands one; nothing uses it
    )
    order = [{"order": 1, "computeEnvironment": ENVIRONMENT}]
    _create(client, "CreateJobQueue", jobQueueName=QUEUE, priority=1, computeEnvironmentOrder=order)


def _create(client: Client, operation: str, **params: Any) -> None:
    try:
        client.call(operation, **params)
    except Refused as refused:
        if "already exists" not in refused.message:  # two commands may be the first at the same time
            raise


def ensure_definition(client: Client, name: str, image: str = IMAGE) -> str:
    """The ARN of the definition that this command's jobs use; registered if there is none, or another one."""
    wanted = {
        "image": image,
        "command": [],
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}],
    }
    answer = client.call("DescribeJobDefinitions", jobDefinitionName=name, status="ACTIVE")
    for found in answer["jobDefinitions"][:1]:  # the newest revision
        properties = found.get("containerProperties", {})
        if all(properties.get(member) == value for member, value in wanted.items()):
            return found["jobDefinitionArn"]
    return client.call("RegisterJobDefinition", jobDefinitionName=name, type="container", containerProperties=wanted)[
        "jobDefinitionArn"
    ]


def in_caller_place(command: Sequence[str], directory: str, path: str | None) -> list[str]:
    """`command` as a job's command that runs in `directory` with `path` as its PATH.

    One shell line, so that empty arguments survive (the API allows none), and so does the text ``Ref::`` (the API
    would replace it).
    """
    exported = f"export PATH={shlex.quote(path)}; " if path else ""
    line = f"cd {shlex.quote(directory)} || exit {OWN_FAILURE}; {exported}exec {shlex.join(command)}"
    return ["/bin/sh", "-c", line.replace("Ref::", "Ref:'':")]


def job_name(command: Sequence[str]) -> str:
    """A job name made of the command's own name."""
    cleaned = re.sub(r"[^A-Za-z0-9_-]+", "-", os.path.basename(command[0])).strip("-_")
    return cleaned[:128] or "job"


@click.command()
@connection_options
@click.option("--vcpus", type=click.IntRange(1), default=1, show_default=True, help="vCPUs of the job.")
@click.option("--memory", type=click.IntRange(4), default=2048, show_default=True, metavar="MIB", help="Its memory.")
@click.option(
    "--array",
    "size",
    type=click.IntRange(2, 10_000),
    metavar="N",
    help="Run N children, see AWS_BATCH_JOB_ARRAY_INDEX.",
)
@click.option("--name", metavar="NAME", help="Name of the job.  [default: the command's]")
@click.option("--queue", default=QUEUE, show_default=True, metavar="NAME", help="Queue to submit to.")
@click.option("--timeout", type=click.IntRange(60), metavar="SECONDS", help="End the job after so long (60 or more).")
@click.option("--env", "variables", multiple=True, metavar="NAME=VALUE", help="Variable of the job; may be repeated.")
@click.option("--detach", is_flag=True, help="Print the job's id and leave; batchyard logs -f ID follows it.")
@click.option("--json", "as_json", is_flag=True, help="With --detach: JSON, as the API words it.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(data: str | None, endpoint: str | None, detach: bool, as_json: bool, **asked: Any) -> None:
    """Run COMMAND as a job, follow its output, exit with its exit code.

    It runs in this directory with this PATH; of the other variables it sees those given by --env. Ctrl-C terminates
    the job. Exit code 125: Batchyard itself failed; that of an array is 1 if a child failed.

    \b
    batchyard run -- make -j2
    batchyard run --array 8 -- sh -c 'echo child $AWS_BATCH_JOB_ARRAY_INDEX'
    """
    if as_json and not detach:
        raise click.UsageError("--json goes with --detach: without it the output is the job's own.")
    try:
        with follow.interruptible():
            client = connect(data, endpoint)
            with follow.deferred():
                job_id = submit(client, asked)
            if detach:
                click.echo(json.dumps({"jobId": job_id}) if as_json else job_id)
                return
            sys.exit(_attend(client, job_id, asked["size"]))
    except follow.Interrupted as interrupted:
        sys.exit(128 + interrupted.signum)
    except Problem as problem:
        problem.exit_code = OWN_FAILURE
        raise


def submit(client: Client, asked: Mapping[str, Any]) -> str:
    """Submit what the options of `run` ask for; returns the job's id."""
    if asked["queue"] == QUEUE:
        ensure_default_queue(client)
    request: dict[str, Any] = {
        "jobName": asked["name"] or job_name(asked["command"]),
        "jobQueue": asked["queue"],
        "jobDefinition": ensure_definition(client, DEFINITION),
        "containerOverrides": {
            "command": in_caller_place(asked["command"], os.getcwd(), os.environ.get("PATH")),
            "environment": [_variable(text) for text in asked["variables"]],
            "resourceRequirements": [
                {"type": "VCPU", "value": str(asked["vcpus"])},
                {"type": "MEMORY", "value": str(asked["memory"])},
            ],
        },
    }
    if asked["size"]:
        request["arrayProperties"] = {"size": asked["size"]}
    if asked["timeout"]:
        request["timeout"] = {"attemptDurationSeconds": asked["timeout"]}
    return client.call("SubmitJob", **request)["jobId"]


def _variable(text: str) -> dict[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        if name not in os.environ:
            raise Problem(f"--env {name}: it has no value here.", f"Write --env {name}=VALUE.")
        value = os.environ[name]
    return {"name": name, "value": value}


def _attend(client: Client, job_id: str, size: int | None) -> int:
    """Follow the job to its end and return the exit code; whatever interrupts this terminates the job."""
    client.patience_s = PATIENCE_S
    try:
        return _attend_array(client, job_id, size) if size else _attend_job(client, job_id)
    except (follow.Interrupted, BrokenPipeError) as cut:
        client.close()
        client.patience_s = 0
        try:
            client.call("TerminateJob", jobId=job_id, reason="Interrupted at batchyard run")
            click.echo(f"batchyard: job {job_id} is being terminated", err=True)
        except Problem as problem:
            raise Problem(
                f"Job {job_id} was not terminated: {problem.message}",
                f"It goes on; when the server answers again: batchyard terminate {job_id}",
            ) from None
        if isinstance(cut, BrokenPipeError):
            raise
        return 128 + cut.signum


def _attend_job(client: Client, job_id: str) -> int:
    _tell_notices(client, job_id)
    began_s, told, job = time.monotonic(), False, {}
    for item in follow.follow(client, job_id):
        if isinstance(item, follow.Said):
            click.echo(item.message)
            continue
        job = item
        if not told and job["status"] in ("SUBMITTED", "PENDING", "RUNNABLE") and time.monotonic() - began_s > SLOW_S:
            told = True
            click.echo(f"batchyard: job {job_id} waits. {explanation(client, job_id)['sentence']}", err=True)
    return _exit_code(job)


def _tell_notices(client: Client, job_id: str) -> None:
    """Say on standard error what the job asked for and does not get; not what is the same for every job."""
    for notice in client.get(f"/x/jobs/{job_id}").get("notices") or ():
        if not notice.startswith((f"image {IMAGE} ", about.HERE)):
            click.echo(f"batchyard: {notice}", err=True)


def _exit_code(job: dict[str, Any]) -> int:
    """The job's exit code, and a word on standard error when it did not simply exit."""
    code = job.get("container", {}).get("exitCode")
    if job["status"] == "SUCCEEDED":
        return 0
    reason = job.get("container", {}).get("reason") or job.get("statusReason") or "no reason was given"
    if code is None or reason != follow.PLAIN_EXIT:
        click.echo(f"batchyard: job {job['jobId']} FAILED: {reason}", err=True)
    return code or OWN_FAILURE


def _attend_array(client: Client, job_id: str, size: int) -> int:
    _tell_notices(client, job_id)
    click.echo(f"batchyard: array {job_id}, {size} jobs", err=True)
    parent = follow.describe(client, job_id)
    with render.progress(sys.stderr) as shown:
        shown.add(job_id, parent["jobName"], size)
        for parent in follow.watch_array(client, job_id):
            shown.update(job_id, *follow.ended_children(parent))
    if parent["status"] == "SUCCEEDED":
        return 0
    tell_failures(client, parent)
    return 1


def tell_failures(client: Client, parent: dict[str, Any], most: int = 5) -> None:
    """Say on standard error which children failed and why, the first `most` of them."""
    job_id, failed = parent["jobId"], follow.ended_children(parent)[1]
    click.echo(
        f"batchyard: {failed} of {follow.array_size(parent)} jobs FAILED: {parent.get('statusReason')}", err=True
    )
    listed = client.call("ListJobs", arrayJobId=job_id, jobStatus="FAILED", maxResults=most)["jobSummaryList"]
    for child in listed:
        container = child.get("container", {})
        exited = [f"exit code {container['exitCode']}"] if "exitCode" in container else []
        reason = container.get("reason") or child.get("statusReason") or ""
        said = ", ".join(exited + [reason] if reason != follow.PLAIN_EXIT or not exited else exited)
        click.echo(f"  {child['jobId']}  {said}", err=True)
    if listed:
        click.echo(f"  batchyard logs {listed[0]['jobId']} shows what the first one said", err=True)
