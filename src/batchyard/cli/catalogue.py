"""``batchyard admin catalogue``: which instance types there are, how large, how dear."""

from __future__ import annotations

import json
import sys
from typing import IO, Any

import click

from batchyard.cli.client import connect, connection_options

NAMED = 10  # types of a kind of change that are named
KINDS = ("added", "removed", "altered")


@click.command()
@connection_options
@click.option("--show", is_flag=True, help="Print the catalogue that is in force.")
@click.option("--default", "ours", is_flag=True, help="Go back to the one that comes with Batchyard.")
@click.option("--json", "as_json", is_flag=True, help="All that changed, as JSON.")
@click.argument("file", type=click.File("r", encoding="utf-8"), required=False)
def catalogue(
    data: str | None, endpoint: str | None, show: bool, ours: bool, as_json: bool, file: IO[str] | None
) -> None:
    """Have the instance types in FILE from now on: CSV with the columns that --show prints; - is standard input.

    The file is checked as a whole, and replaces the catalogue or changes nothing. Environments that are created or
    updated from then on use it; those that exist, and their instances, stay as they are.
    """
    if show + ours + (file is not None) != 1:
        raise click.UsageError("Give a FILE, or --show, or --default.")
    client = connect(data, endpoint)
    if show:
        sys.stdout.write(client.get("/x/admin/catalogue")["csv"])
        return
    told = client.post("/x/admin/catalogue", csv=None if file is None else _read(file))
    if as_json:
        click.echo(json.dumps(told, indent=2))
        return
    for line in _said(told):
        click.echo(line)


def _read(file: IO[str]) -> str:
    try:
        return file.read()
    except UnicodeDecodeError:
        raise click.BadParameter("it must be text in UTF-8", param_hint="FILE") from None


def _said(told: dict[str, Any]) -> list[str]:
    if not any(told[kind] for kind in KINDS):
        return ["Nothing changed: these are the types that there were."]
    lines = [f"{len(told[kind])} {kind}: {_names(told[kind])}" for kind in KINDS if told[kind]]
    return [*lines, "Environments that are created or updated from now on use it; those that exist stay as they are."]


def _names(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
