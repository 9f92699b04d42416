"""Opens the files with the pragmas that make a commit durable, and brings their schema up to date."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from batchyard.store.queries import text

REQUESTS = "requests"
STATE = "state"
OBSERVE = "observe"
METRICS = "metrics"
VERSION = {REQUESTS: 9, STATE: 17, OBSERVE: 2, METRICS: 1}  # a higher number needs sql/migrations/<file>-<number>.sql
# Small, and there since version 1.
_FIRST_TABLE = {REQUESTS: "meta", STATE: "meta", OBSERVE: "followers", METRICS: "counted"}

_BUSY_S = 5.0


class StoreError(Exception):
    """The files are not what they must be; the message says which, and what to do next."""


class BrokenFile(StoreError):
    """SQLite cannot use it; its error is the cause."""

    def __init__(self, path: Path, error: sqlite3.Error):
        super().__init__(f"{path} cannot be used: {error}.")
        self.path = path
        self.error = error


class NewerFile(StoreError):
    """A newer Batchyard wrote it."""

    def __init__(self, message: str, next_step: str):
        super().__init__(f"{message} {next_step}")
        self.message = message
        self.next_step = next_step


def path_of(data_path: Path | str, which: str) -> Path:
    """Where `requests`, `state`, `observe` or `metrics` lies."""
    return Path(data_path) / f"{which}.db"


def migrate(data_path: Path | str) -> None:
    """Create the files, or bring older ones to this version's schema; whoever holds the data directory's lock may.

    Raises NewerFile for a file written by a newer Batchyard, BrokenFile for one that is none or cannot be written.
    """
    for which in VERSION:
        path = path_of(data_path, which)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # bodies may hold secrets; -wal and -shm follow suit
        db = _connect(path, "rw")
        try:
            db.execute("PRAGMA journal_mode = WAL")
            _upgrade(db, which, path)
            db.execute(f"SELECT 1 FROM {_FIRST_TABLE[which]} LIMIT 1").fetchall()  # it is one of ours, and can be read
        except sqlite3.Error as error:
            raise BrokenFile(path, error) from error
        finally:
            db.close()


def _upgrade(db: sqlite3.Connection, which: str, path: Path) -> None:
    version, attached = _version(db), None
    if version > VERSION[which]:
        raise NewerFile(
            f"{path} has schema version {version}, this Batchyard knows up to {VERSION[which]}.",
            "Start the newer Batchyard that wrote it, or use another data directory.",
        )
    while version < VERSION[which]:
        script = text(f"{which}.sql") if version == 0 else text(f"migrations/{which}-{version + 1}.sql")
        version = VERSION[which] if version == 0 else version + 1
        try:
            if which == STATE and not attached:  # a migration may have to look up what was asked
                attached = db.execute("ATTACH ? AS asked", (f"file:{_quoted(path.with_stem(REQUESTS))}?mode=rw",))
            db.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {version};\nCOMMIT;")
        except sqlite3.Error:
            db.rollback()
            raise


def open_writer(data_path: Path | str, which: str) -> sqlite3.Connection:
    """The connection of the file's one writing process. Transactions are explicit: BEGIN IMMEDIATE, then commit().

    A commit returns when the write-ahead log is on the disk (synchronous=FULL). Raises StoreError if the file was
    not migrated.
    """
    path = path_of(data_path, which)
    db = _connect(path, "rw")
    for pragma in (
        "synchronous = FULL",
        "foreign_keys = OFF",
        "temp_store = MEMORY",
        "cache_size = -16384",  # KiB
        "journal_size_limit = 67108864",  # bytes the log keeps on disk after a checkpoint
    ):
        db.execute(f"PRAGMA {pragma}")
    return db


def open_reader(data_path: Path | str, which: str) -> sqlite3.Connection:
    """A connection that cannot write. A transaction begun with BEGIN sees one snapshot from its first SELECT on."""
    path = path_of(data_path, which)
    db = _connect(path, "ro")
    if _version(db) != VERSION[which]:
        db.close()
        raise StoreError(f"{path} is not at schema version {VERSION[which]}: migrate the data directory first.")
    return db


def attached(data_path: Path | str, which: str, others: Mapping[str, str]) -> sqlite3.Connection:
    """A connection that cannot write, to one file and, by the names given, to others.

    Within a transaction each file's snapshot begins with the first SELECT from it.
    """
    db = open_reader(data_path, which)
    for name, other in others.items():
        db.execute(f"ATTACH DATABASE ? AS {name}", (f"file:{_quoted(path_of(data_path, other))}?mode=ro",))
    return db


def last_ms(data_path: Path | str) -> int:
    """The latest time (epoch ms) that either file holds: no clock may begin before it."""
    latest = 0
    for which in (STATE, REQUESTS):
        db = open_reader(data_path, which)
        latest = max(latest, db.execute("SELECT last_ms FROM meta").fetchone()[0])
        db.close()
    return latest


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    try:
        return sqlite3.connect(
            f"file:{_quoted(path)}?mode={mode}",
            uri=True,
            timeout=_BUSY_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
    except sqlite3.OperationalError as error:
        raise StoreError(f"{path} cannot be opened ({error}): migrate the data directory first.") from None


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _version(db: sqlite3.Connection) -> int:
    return db.execute("PRAGMA user_version").fetchone()[0]
