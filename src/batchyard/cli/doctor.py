"""``batchyard doctor``: what this machine can do for jobs, and what would enable more."""

from __future__ import annotations

import json
import os
import textwrap
from pathlib import Path
from typing import Any

import click

import batchyard
from batchyard import config
from batchyard.cli import render
from batchyard.cli.client import Unreachable, connect, connection_options, wrong_setting

WIDTH = 120  # columns of the report


@click.command()
@connection_options
@click.option("--json", "as_json", is_flag=True, help="JSON, as GET /x/doctor words it.")
def doctor(data: str | None, endpoint: str | None, as_json: bool) -> None:
    """Say what this machine can do for jobs, what is weaker than it could be, and what would enable more.

    The server is asked; where none runs, this command looks for itself.
    """
    found = examination(data, endpoint)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    where = f"the server at {found['server']}" if found["server"] else "no server runs: looked from here, as this user"
    click.echo(f"Batchyard {found['version']}, {where}; data in {found['data']}\n")
    click.echo(report(found["checks"]))


def examination(data: str | None, endpoint: str | None) -> dict[str, Any]:
    """What the server says of its machine, or else what this process sees; `server` is its URL or None.

    Unreachable if a server was named that does not answer: its machine need not be this one.
    """
    try:
        client = connect(data, endpoint)
        return {"server": client.endpoint, **client.get("/x/doctor")}
    except Unreachable:
        if endpoint or os.environ.get("BATCHYARD_ENDPOINT"):
            raise
    from batchyard.doctor import checks

    try:
        path = Path(config.load({"data": data}).data)
    except config.SettingError as error:
        raise wrong_setting(error) from None
    looked = [check._asdict() for check in checks.examine(path)]
    return {"server": None, "version": batchyard.__version__, "data": str(path), "checks": looked}


def report(checks: list[dict[str, Any]]) -> str:
    """A line for each check and, below what could be better, what would help."""
    names, words = (max(len(check[column]) for check in checks) for column in ("name", "word"))
    indent = " " * (names + words + 4)
    lines = []
    for check in checks:
        head = f"{check['name']:<{names}}  {render.status(check['word'], words)}  "
        first, *rest = textwrap.wrap(check["sentence"], WIDTH - len(indent), break_long_words=False) or [""]
        lines += [head + first, *(indent + line for line in rest)]
        if check["remedy"]:
            lines.append(f"{indent}-> {check['remedy']}")
    return "\n".join(lines)
