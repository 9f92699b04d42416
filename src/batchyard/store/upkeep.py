"""ports.Upkeep over the files of a data directory: one backup and one check at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from batchyard.errors import Unavailable
from batchyard.ports.upkeep import Finding
from batchyard.store import backup
from batchyard.store.audit import audit


class SqliteUpkeep:
    """`now_ms` dates backups; copies leave `reserve_bytes` free on the disk."""

    def __init__(self, data_path: Path, now_ms: Callable[[], int], reserve_bytes: int = 0):
        self._data_path = data_path
        self._now_ms = now_ms
        self._reserve_bytes = reserve_bytes
        self._backing_up = threading.Lock()
        self._checking = threading.Lock()
        backup.forget_spools(data_path)

    def backup(self) -> LentArchive:
        if not self._backing_up.acquire(blocking=False):
            raise Unavailable("A backup is being taken already.", "Try again when it is done.")
        try:
            archive = backup.take(self._data_path, self._now_ms(), self._reserve_bytes)
        except BaseException:
            self._backing_up.release()
            raise
        return LentArchive(archive, self._backing_up.release)

    def check(self) -> Iterator[Finding]:
        if not self._checking.acquire(blocking=False):
            raise Unavailable("The data is being checked already.", "Try again when that is done.")
        try:
            yield from audit(self._data_path)
        finally:
            self._checking.release()


class LentArchive:
    """An archive whose end lets the next backup begin."""

    def __init__(self, archive: backup.Archive, done: Callable[[], None]):
        self._archive = archive
        self._done = done
        self.size = archive.size

    def chunks(self) -> Iterator[bytes]:
        return self._archive.chunks()

    def close(self) -> None:
        """May be called again."""
        done, self._done = self._done, lambda: None
        self._archive.close()
        done()
