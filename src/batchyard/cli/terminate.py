"""``batchyard terminate``: end a job, whatever state it is in."""

from __future__ import annotations

import json

import click

from batchyard.cli import follow
from batchyard.cli.client import connect, connection_options

REASON = "Terminated at batchyard terminate"
REASON_MAX = 1024  # characters, as the API takes them


@click.command()
@connection_options
@click.option("--reason", metavar="TEXT", default=REASON, show_default=True, help="Becomes the job's status reason.")
@click.option("--json", "as_json", is_flag=True, help="JSON, as the API words it.")
@click.argument("job_id", metavar="ID")
def terminate(data: str | None, endpoint: str | None, reason: str, as_json: bool, job_id: str) -> None:
    """End the job ID: what waits fails at once, what runs is sent SIGTERM and, after a while, SIGKILL.

    An array is ended with all of its children; a single child is ID:0, ID:1 and so on.
    """
    if not 0 < len(reason) <= REASON_MAX:
        raise click.BadParameter(f"1 to {REASON_MAX} characters, not {len(reason)}", param_hint="--reason")
    client = connect(data, endpoint)
    job = follow.describe(client, job_id)  # TerminateJob itself is silent about an unknown id
    asked = job["status"] not in follow.TERMINAL
    if asked:
        client.call("TerminateJob", jobId=job_id, reason=reason)
    if as_json:
        said = {"jobId": job["jobId"], "status": job["status"], "terminating": asked}
        click.echo(json.dumps(said, indent=2))
    elif asked:
        click.echo(f"{_named(job)} is being terminated.")
    else:
        click.echo(f"{_named(job)} has already ended: {job['status']}.")


def _named(job: dict) -> str:
    size = follow.array_size(job)
    return f"Array {job['jobId']} ({size} jobs)" if size else f"Job {job['jobId']}"
