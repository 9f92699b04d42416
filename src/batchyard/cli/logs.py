"""``batchyard logs``: what a job has said, now or as it comes."""

from __future__ import annotations

import json
import sys

import click

from batchyard.cli import follow
from batchyard.cli.client import Client, Problem, connect, connection_options
from batchyard.cli.run import PATIENCE_S


@click.command()
@connection_options
@click.option("-f", "--follow", "keep_on", is_flag=True, help="Go on until the job has ended.")
@click.option("--container", "only", metavar="NAME", help="Of several containers this one alone.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object for each line, with its time in ms.")
@click.argument("job_id", metavar="ID")
def logs(data: str | None, endpoint: str | None, keep_on: bool, only: str | None, as_json: bool, job_id: str) -> None:
    """Print the log of a job's latest attempt. A child of an array is ID:0, ID:1 and so on.

    Of a job of several containers each line begins with the name of the one that wrote it.
    """
    client = connect(data, endpoint, PATIENCE_S if keep_on else 0)
    job = follow.describe(client, job_id)
    size = follow.array_size(job)
    if size:
        raise Problem(
            f"{job_id} is an array of {size} jobs, each with its own log.",
            f"Name one: batchyard logs {job_id}:0 to batchyard logs {job_id}:{size - 1}.",
        )
    if not keep_on:
        print_log(client, job, as_json, only)
        return
    try:
        with follow.interruptible():
            for item in follow.follow(client, job_id, only):
                if isinstance(item, follow.Said):
                    _print(item, as_json)
                else:
                    job = item
    except follow.Interrupted as interrupted:  # the job goes on: it was only watched
        sys.exit(128 + interrupted.signum)
    if job["status"] == "FAILED":
        click.echo(f"batchyard: job {job_id} FAILED: {follow.failure(job)}", err=True)


def print_log(client: Client, job: dict, as_json: bool = False, only: str | None = None) -> None:
    """Print what the job's latest attempt has said so far; Problem if no attempt has begun."""
    places = follow.log_places(job, only)
    if not places:
        why = f": {job['statusReason']}" if job.get("statusReason") else ""
        ended = job["status"] in follow.TERMINAL
        raise Problem(
            f"Job {job['jobId']} has no log: it {'ended before it started' if ended else 'is ' + job['status']}{why}.",
            None if ended else f"batchyard logs -f {job['jobId']} waits for it.",
        )
    for line in follow.LogReader(client, places).lines():
        _print(line, as_json)


def _print(line: follow.Said, as_json: bool) -> None:
    if as_json:
        told = {name: value for name, value in line._asdict().items() if name != "container" or value}
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        click.echo(f"{line.container} | {line.message}" if line.container else line.message)
