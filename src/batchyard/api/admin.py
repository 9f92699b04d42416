"""Looking after the server's data: a backup as one archive, and a check of all files. Neither names a path."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator

import msgspec

from batchyard.api.context import Context
from batchyard.api.streamed import Stream
from batchyard.ports.upkeep import Finding

BACKUP = "/x/admin/backup"
CHECK = "/x/admin/check"


async def backup(context: Context) -> Stream:
    """The archive; Unavailable before anything is sent if it cannot be made."""
    archive = await asyncio.to_thread(context.upkeep.backup)
    return Stream(b"application/x-tar", archive.chunks(), archive.close, archive.size)


async def check(context: Context) -> Stream:
    """A line of JSON for each check, as soon as it is done."""
    findings = context.upkeep.check()
    first = await asyncio.to_thread(next, findings)  # raises what keeps it from beginning
    lines = _lines(itertools.chain([first], findings))
    return Stream(b"application/x-ndjson", lines, getattr(findings, "close", lambda: None))


def _lines(findings: Iterator[Finding]) -> Iterator[bytes]:
    for finding in findings:
        yield msgspec.json.encode(finding._asdict()) + b"\n"
