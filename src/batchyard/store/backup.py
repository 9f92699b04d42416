"""Backups: what all files held at one moment, as one tar archive that begins with a manifest.

The order of reading is that of the store: who follows the journal first, then ``state``, then ``requests``. So no
cursor is ahead of the journal, and whatever the state has applied has its request; requests that it has not applied
are applied by the first engine after a restore. The snapshots are opened within a moment of each other and held, so
how long the copying takes does not matter; meanwhile both writers go on.

The archive holds no access key, no logs of jobs and no working directories.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import batchyard
from batchyard.errors import Unavailable
from batchyard.store.sqlite import REQUESTS, STATE, VERSION, open_reader, path_of

FORMAT = "batchyard-backup"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
ORDER = (*(which for which in VERSION if which not in (STATE, REQUESTS)), STATE, REQUESTS)

PAGES = 512  # copied at a time: a few milliseconds
CHUNK = 1 << 18  # bytes read at a time
SPOOL = "backup-"  # begins the name of a directory that holds copies while they are sent
SNAPSHOTS_TRIED = 20
_TRY_LATER = "Make room in the data directory's disk, or lower what is kept (jobs_keep_days, jobs_keep_most)."


class Archive:
    """A finished backup, to be read once from its beginning and closed."""

    def __init__(self, spool: Path, manifest: dict[str, Any]):
        self._spool = spool
        described = json.dumps(manifest, indent=1).encode()
        self._parts: list[bytes | Path] = [_header(MANIFEST, len(described)), described + _padding(len(described))]
        for file in manifest["files"]:
            self._parts += [_header(file["name"], file["size"]), spool / file["name"], _padding(file["size"])]
        self._parts.append(bytes(2 * tarfile.BLOCKSIZE))
        self.size = sum(part.stat().st_size if isinstance(part, Path) else len(part) for part in self._parts)

    def chunks(self) -> Iterator[bytes]:
        """Its bytes; blocks for the disk alone."""
        for part in self._parts:
            if isinstance(part, bytes):
                if part:
                    yield part
                continue
            with part.open("rb") as file:
                while chunk := file.read(CHUNK):
                    yield chunk

    def close(self) -> None:
        shutil.rmtree(self._spool, ignore_errors=True)


def take(data_path: Path, now_ms: int, reserve_bytes: int = 0) -> Archive:
    """Copy all files as they are now. Blocks for seconds per gigabyte: not for an event loop.

    Raises Unavailable if the disk has no room for the copies beside `reserve_bytes`.
    """
    spool = Path(tempfile.mkdtemp(prefix=SPOOL, dir=data_path))
    try:
        with ExitStack() as held:
            snapshots = _snapshots(data_path, held)
            _demand_room(data_path, snapshots, reserve_bytes)
            for which in ORDER:
                _copy(snapshots[which], path_of(spool, which))
        return Archive(spool, _manifest(spool, now_ms))
    except (OSError, sqlite3.Error) as error:
        shutil.rmtree(spool, ignore_errors=True)
        step = "See what batchyard admin check says of the files, and whether their disk has room."
        raise Unavailable(f"The backup could not be taken ({error}).", step) from error
    except BaseException:
        shutil.rmtree(spool, ignore_errors=True)
        raise


def forget_spools(data_path: Path) -> None:
    """Remove copies that a server which died has left; nobody may be taking a backup."""
    for left in data_path.glob(f"{SPOOL}*"):
        shutil.rmtree(left, ignore_errors=True)


def _snapshots(data_path: Path, held: ExitStack) -> dict[str, sqlite3.Connection]:
    """Connections that each see one moment until they are closed, in the order of ORDER.

    A finished job that is proposed to go and goes between two of those moments would leave its state without its
    request: then the moments are chosen anew.
    """
    for _ in range(SNAPSHOTS_TRIED):
        with ExitStack() as tried:
            found = {}
            for which in ORDER:
                db = found[which] = tried.enter_context(closing(open_reader(data_path, which)))
                db.execute("BEGIN")
                db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            with closing(open_reader(data_path, STATE)) as later:
                if _retiring(later) <= _retiring(found[STATE]):
                    held.enter_context(tried.pop_all())
                    return found
        time.sleep(0.05)
    raise Unavailable("Finished jobs are being removed too fast for a backup.", "Try again in a few seconds.")


def _retiring(state: sqlite3.Connection) -> set[int]:
    return {seq for (seq,) in state.execute("SELECT seq FROM retiring")}


def _demand_room(data_path: Path, snapshots: dict[str, sqlite3.Connection], reserve_bytes: int) -> None:
    needed = sum(
        db.execute("PRAGMA page_count").fetchone()[0] * db.execute("PRAGMA page_size").fetchone()[0]
        for db in snapshots.values()
    )
    free = shutil.disk_usage(data_path).free
    if free < needed + reserve_bytes:
        raise Unavailable(
            f"A backup needs {needed >> 20} MiB for a while beside the data, and {free >> 20} MiB are free.", _TRY_LATER
        )


def _copy(source: sqlite3.Connection, path: Path) -> None:
    """Copy a held snapshot, a bounded part at a time; between two parts the disk is left to the writers."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with closing(sqlite3.connect(path, isolation_level=None)) as copy:
        copy.execute("PRAGMA synchronous = OFF")  # who receives the archive makes it last
        began_s = time.monotonic()

        def rest(_status: int, _remaining: int, _total: int) -> None:
            nonlocal began_s
            time.sleep(min(0.05, time.monotonic() - began_s))
            began_s = time.monotonic()

        source.backup(copy, pages=PAGES, progress=rest)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
    for suffix in ("-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            os.unlink(f"{path}{suffix}")


def _manifest(spool: Path, now_ms: int) -> dict[str, Any]:
    files = []
    for which in ORDER:
        path = path_of(spool, which)
        files.append(
            {
                "name": path.name,
                "size": path.stat().st_size,
                "sha256": digest(path),
                "schemaVersion": VERSION[which],
            }
        )
    written = {"format": FORMAT, "formatVersion": FORMAT_VERSION, "version": batchyard.__version__, "takenAt": now_ms}
    return written | {"files": files}


def digest(path: Path) -> str:
    """The SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _header(name: str, size: int) -> bytes:
    about = tarfile.TarInfo(name)
    about.size, about.mode = size, 0o600
    return about.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
