"""``batchyard explain``: why a job is not running, in one sentence; then where it could, and what to do."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import click

from batchyard.cli.client import Client, Problem, Refused, connect, connection_options

WIDTH = 100


@click.command()
@connection_options
@click.option("--json", "as_json", is_flag=True, help="All that is known, as JSON.")
@click.argument("job_id", metavar="ID")
def explain(data: str | None, endpoint: str | None, as_json: bool, job_id: str) -> None:
    """Say why the job ID (a child of an array is ID:0, ID:1 and so on) is not running, and what would change it."""
    found = explanation(connect(data, endpoint), job_id)
    click.echo(json.dumps(found, indent=2) if as_json else told(found))


def explanation(client: Client, job_id: str) -> dict[str, Any]:
    """What the server knows; Problem if there is no such job."""
    try:
        return client.get(f"/x/explain/{quote(job_id, safe='')}")
    except Refused as refused:
        if refused.code != "ClientException":
            raise
        raise Problem(f"There is no job {job_id}.", "batchyard jobs lists those that there are.") from None


def told(found: dict[str, Any]) -> str:
    """For a person: the sentence, what stands in the way environment by environment, or job by job, and what to do."""
    environments = [(each["computeEnvironment"], each["sentence"]) for each in found.get("computeEnvironments", ())]
    jobs = [(each["jobId"], f"{each['status']}. {each['sentence']}") for each in found.get("waitsFor", ())]
    parts = [_wrapped(found["sentence"]), _table("ENVIRONMENT", environments), _table("WAITS FOR", jobs)]
    if found.get("nextStep"):
        parts.append("\n".join([_wrapped(f"Next: {found['nextStep']}"), *(f"  {each}" for each in found["commands"])]))
    return "\n\n".join(part for part in parts if part)


def _table(heading: str, rows: Sequence[tuple[str, str]]) -> str:
    """Names on the left, sentences beside them; "" without rows."""
    if not rows:
        return ""
    column = max(len(name) for name, _ in (*rows, (heading, ""))) + 2
    lines = [f"{heading:<{column}}WHY"]
    for name, text in rows:
        first, *rest = _lines(text, max(30, WIDTH - column))
        lines += [f"{name:<{column}}{first}", *(" " * column + line for line in rest)]
    return "\n".join(lines)


def _wrapped(text: str) -> str:
    return "\n".join(_lines(text, WIDTH))


def _lines(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
