"""Orders of container attempts, kept from their claim to their record: ``runner/orders/ATTEMPT``.

A container outlives the slot that watches it. Whoever takes over finds here what was asked, which engine runs it, and
notes of what had come of it. The first line is the head, each further line a note. Secrets are never in it.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any, NamedTuple

from batchyard.executors.runner.wire import EngineAbout


class Kept(NamedTuple):
    """`notes` in the order in which they were made, each with the container's `name`."""

    order: dict[str, Any]
    engine: EngineAbout
    notes: list[dict[str, Any]]


def keep(directory: int, attempt: str, order: dict[str, Any], engine: EngineAbout) -> int:
    """Write the head; returns the file, open for notes."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
    file = os.open(attempt, flags, 0o600, dir_fd=directory)
    note(file, {"boot": _boot(), "engine": engine._asdict(), "order": order})
    return file


def note(file: int, told: dict[str, Any]) -> None:
    """Add a note. A full disk costs the note, never the job."""
    with suppress(OSError):
        os.write(file, json.dumps(told, separators=(",", ":")).encode() + b"\n")


def reopen(directory: int, attempt: str) -> int:
    """The file of an attempt, open for more notes. Raises FileNotFoundError."""
    return os.open(attempt, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, dir_fd=directory)


def read(directory: int, attempt: str) -> Kept | None:
    """None if there is none, or the machine has been started anew since: then nothing of the attempt runs."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        file = os.open(attempt, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
        with open(file, "rb") as lines:
            head, *notes = [json.loads(line) for line in lines if line.endswith(b"\n")]
        if head["boot"] == _boot():
            return Kept(head["order"], EngineAbout(**head["engine"]), notes)
    return None


def forget(directory: int, attempt: str) -> None:
    """The attempt has its record."""
    with suppress(FileNotFoundError):
        os.unlink(attempt, dir_fd=directory)


def _boot() -> str:
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()
