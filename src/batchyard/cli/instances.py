"""``batchyard admin instances`` and ``batchyard admin interrupt``: the instances there are, and having Spot go."""

from __future__ import annotations

import json
from typing import Any

import click

from batchyard.cli import render
from batchyard.cli.client import connect, connection_options


@click.command()
@connection_options
@click.option("--json", "as_json", is_flag=True, help="JSON, as /x/instances words it.")
def instances(data: str | None, endpoint: str | None, as_json: bool) -> None:
    """List the instances that managed environments have, and which of them are to go."""
    found = connect(data, endpoint).get("/x/instances")["instances"]
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    if not found:
        click.echo("No managed environment has an instance now.")
    for each in found:
        click.echo(_line(each))


def _line(each: dict[str, Any]) -> str:
    where = f"{each['instance']}  {each['instanceType']:<14} {each['type']:<5} {each['environment']}"
    jobs = f"{len(each['jobs'])} job{'' if len(each['jobs']) == 1 else 's'}"
    if each["state"] != "LEAVING":
        return f"{where}: {each['state']}, {jobs}"
    return f"{where}: LEAVING at {render.instant(each['reclaimAt'])}, {jobs} ({each['reason']})"


@click.command()
@connection_options
@click.option("--json", "as_json", is_flag=True, help="JSON, as /x/admin/interrupt words it.")
@click.argument("target")
def interrupt(data: str | None, endpoint: str | None, as_json: bool, target: str) -> None:
    """Have Spot capacity interrupted, as the cloud would: TARGET is warned now, and goes two minutes later.

    TARGET is an instance (i-..., see batchyard admin instances), the id of a job on Fargate Spot, or a compute
    environment of type SPOT or FARGATE_SPOT. How long the warning lasts is the setting spot_warning_s.
    """
    told = connect(data, endpoint).post("/x/admin/interrupt", target=target)
    if as_json:
        click.echo(json.dumps(told, indent=2))
        return
    for line in _said(told):
        click.echo(line)


def _said(told: dict[str, Any]) -> list[str]:
    instances, leaving, jobs = told["instances"], told["leaving"], told["jobs"]
    if not instances and not jobs:
        return [f"{told['environment']} holds nothing now: there is nothing to interrupt."]
    lines = [f"{each} was warned before; it goes no sooner." for each in leaving]
    fresh = [each for each in instances if each not in leaving]
    within = f"within {told['warningSeconds']} s"
    lines += [f"{each} is warned: it takes no more jobs and goes {within}, at once if it is idle." for each in fresh]
    if instances:
        lines += [f"Job {each} runs there; what is left of it then is killed." for each in jobs]
    else:
        lines += [f"Job {each} is told to end, and killed {within}." for each in jobs]
    return lines
