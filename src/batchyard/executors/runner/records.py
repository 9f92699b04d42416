"""Exit records: one file an attempt in ``runner/exits``. An empty one is a claim, a whole one tells how it ended.

A claim is made by exclusive creation, so no attempt can start twice; the whole record replaces it by rename after a
sync. A claim whose slot is gone is a lost attempt. Files go when the server has recorded the ending.
"""

from __future__ import annotations

import json
import os

VERSION = 1


def claim(exits: int, attempt: str) -> bool:
    """Claim `attempt` in the directory behind descriptor `exits`; False if somebody did so before."""
    try:
        os.close(os.open(attempt, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=exits))
    except FileExistsError:
        return False
    return True


def write(exits: int, record: dict) -> None:
    """Put the whole record in the claim's place, on disk before it appears."""
    attempt = record["attempt"]
    draft = f".{attempt}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600, dir_fd=exits)
    try:
        os.write(descriptor, json.dumps({"version": VERSION, **record}, separators=(",", ":")).encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(draft, attempt, src_dir_fd=exits, dst_dir_fd=exits)


def read(exits: int, attempt: str) -> dict | None:
    """The whole record; None for a mere claim, or no file."""
    try:
        descriptor = os.open(attempt, os.O_RDONLY | os.O_CLOEXEC, dir_fd=exits)
    except FileNotFoundError:
        return None
    try:
        content = os.read(descriptor, 1 << 16)
    finally:
        os.close(descriptor)
    try:
        return json.loads(content) if content else None
    except ValueError:
        return None


def exists(exits: int, attempt: str) -> bool:
    try:
        os.stat(attempt, dir_fd=exits, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def forget(exits: int, attempt: str) -> None:
    try:
        os.unlink(attempt, dir_fd=exits)
    except FileNotFoundError:
        pass


def attempts(exits: int) -> list[str]:
    """All attempts with a claim or a record."""
    return sorted(name for name in os.listdir(exits) if not name.startswith("."))
