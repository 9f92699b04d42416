"""``batchyard admin``: a backup while the server runs, bringing one back, and checking what is stored."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import sys
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from batchyard import config
from batchyard.cli import render
from batchyard.cli.catalogue import catalogue
from batchyard.cli.client import Problem, Unreachable, connect, connection_options, wrong_setting
from batchyard.cli.instances import instances, interrupt

CHUNK = 1 << 18  # bytes
WIDTH = 120  # columns of a report
NAMES, WORDS = 11, 6


@click.group()
def admin() -> None:
    """Look after the server: backup, restore, check; instances and their types, interrupting Spot."""


admin.add_command(catalogue)
admin.add_command(instances)
admin.add_command(interrupt)


# -- backup --------------------------------------------------------------------------------------------------------


@admin.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@connection_options
def backup(file: Path, force: bool, data: str | None, endpoint: str | None) -> None:
    """Write all that the server knows into FILE, while it runs.

    FILE appears whole, on disk and readable by you alone, or not at all. It holds jobs, queues, definitions and what
    became of them, with the environments of jobs; it holds no access key and no logs of jobs.
    """
    from batchyard.store import restore as archive

    if file.exists() and not force:
        raise _is_there(file)
    client = connect(data, endpoint)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        _receive(client.stream("/x/admin/backup"), draft)
        manifest = archive.inspect(draft)
        size = draft.stat().st_size
        _keep(draft, file, force)
    except archive.BadArchive as error:
        raise Problem(f"What the server sent is not whole: {error}.", "Try again.") from None
    except OSError as error:
        raise Problem(f"{file} cannot be written: {error.strerror}.", "Choose another place.") from None
    finally:
        with suppress(OSError):
            draft.unlink()
    click.echo(f"{file}: {size / (1 << 20):.1f} MiB, as things stood at {render.instant(manifest.taken_ms)}.")
    click.echo(f"To bring it back: batchyard admin restore {shlex.quote(str(file))} --data DIR")


def _is_there(file: Path) -> Problem:
    return Problem(f"{file} is there already.", "Choose another name, or give --force to replace it.")


def _receive(response: Any, draft: Path) -> None:
    """Write the answer into `draft`, which is on disk afterwards. OSError, Problem."""
    announced = int(response.headers["content-length"])
    received = 0
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as kept:
        while chunk := response.read(CHUNK):
            kept.write(chunk)
            received += len(chunk)
        kept.flush()
        os.fsync(kept.fileno())
    if received != announced:
        raise Problem(f"The server stopped sending after {received} of {announced} bytes.", "Try again.")


def _keep(draft: Path, file: Path, force: bool) -> None:
    """Give the finished draft its name; without `force` only if nobody has it."""
    if force:
        os.replace(draft, file)
    else:
        try:
            os.link(draft, file)
        except FileExistsError:
            raise _is_there(file) from None
    descriptor = os.open(file.absolute().parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# -- restore -------------------------------------------------------------------------------------------------------


@admin.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--data", metavar="DIR", help="The new data directory: empty, or not there yet (or BATCHYARD_DATA).")
def restore(file: Path, data: str | None) -> None:
    """Make a data directory from a backup. No server need run, and none may run on DIR.

    Jobs that waited when the backup was taken wait again. Of those that ran then, the retry rules decide: nobody knows
    how they ended. End the old server and its jobs before you start one on DIR, or they run twice.
    """
    from batchyard.store import restore as archive

    try:
        target = Path(config.load({"data": data}).data)
        manifest = archive.restore(file, target)
    except config.SettingError as error:
        raise wrong_setting(error) from None
    except archive.BadArchive as error:
        raise Problem(f"{error}.", "Nothing was written.") from None
    except OSError as error:
        raise Problem(f"{error.filename or file}: {error.strerror}.", "Nothing was written.") from None
    click.echo(f"{target} holds what was stored at {render.instant(manifest.taken_ms)}.")
    click.echo(f"Start it: batchyard serve --data {shlex.quote(str(target))}")


# -- check ---------------------------------------------------------------------------------------------------------


@admin.command()
@connection_options
@click.option("--json", "as_json", is_flag=True, help="A JSON list instead of lines.")
def check(data: str | None, endpoint: str | None, as_json: bool) -> None:
    """Check that the stored files are sound and agree with each other; exit 1 if they do not.

    The server is asked, and goes on beside it; where none runs, this command reads the data directory itself.
    """
    findings = []
    for finding in _findings(data, endpoint):
        findings.append(finding)
        if not as_json:
            click.echo(_line(finding))
    if as_json:
        click.echo(json.dumps(findings, indent=2))
    sys.exit(0 if all(finding["word"] == "ok" for finding in findings) else 1)


def _findings(data: str | None, endpoint: str | None) -> Iterator[dict[str, Any]]:
    try:
        response = connect(data, endpoint).stream("/x/admin/check")
    except Unreachable:
        if endpoint or os.environ.get("BATCHYARD_ENDPOINT"):
            raise
        yield from _read_here(data)
        return
    for line in response:
        yield json.loads(line)


def _read_here(data: str | None) -> Iterator[dict[str, Any]]:
    from batchyard.store.audit import audit

    path = Path(config.load({"data": data}).data)
    if not path.is_dir():
        raise Problem(f"There is no data directory {path}.", "Name one with --data.")
    for finding in audit(path, rest=False):
        yield finding._asdict()


def _line(finding: dict[str, Any]) -> str:
    indent = " " * (NAMES + WORDS + 4)
    head = f"{finding['name']:<{NAMES}}  {render.status(finding['word'], WORDS)}  "
    first, *rest = textwrap.wrap(finding["sentence"], WIDTH - len(indent), break_long_words=False) or [""]
    lines = [head + first, *(indent + line for line in rest)]
    if finding["remedy"]:
        lines.append(f"{indent}-> {finding['remedy']}")
    return "\n".join(lines)
