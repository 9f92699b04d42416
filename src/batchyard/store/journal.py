"""The journal as it is followed, and observe.db with the cursors of those who follow it.

The numbers of the journal grow by one with each row, and only retention deletes some (``sql/state.sql``): a number that
is missing between two rows is an entry that was deleted.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from batchyard.ports.journal import Cursor, Entry, FollowerRow
from batchyard.store import columns
from batchyard.store.queries import queries
from batchyard.store.sqlite import OBSERVE, STATE, open_reader, open_writer

log = logging.getLogger(__name__)

_JOURNAL = queries("journal")
_FOLLOWERS = queries("followers")

_NOTHING: dict[str, Any] = {}


class SqliteJournal:
    """ports.journal.Journal. One for each thread that follows."""

    def __init__(self, data_path: Path | str):
        self._state = open_reader(data_path, STATE)

    def close(self) -> None:
        self._state.close()

    def newest(self) -> int:
        return self._state.execute(_JOURNAL.newest).fetchone()[0]

    def after(self, n: int, limit: int) -> list[Entry]:
        return [_entry(row) for row in self._state.execute(_JOURNAL.after, (n, limit))]


def _entry(row: tuple) -> Entry:
    *known, detail, before = row
    return Entry(*known, _NOTHING if detail is None else columns.decode(detail), before)


class SqliteCursors:
    """ports.journal.Cursors. The one writer of observe.db; calls from several threads take turns."""

    def __init__(self, data_path: Path | str):
        self._db = open_writer(data_path, OBSERVE)
        self._db.execute("PRAGMA synchronous = NORMAL")  # what a crash takes back is followed once more
        self._turn = threading.Lock()

    def close(self) -> None:
        self._db.close()

    def load(self, name: str) -> Cursor:
        with self._turn:
            row = self._db.execute(_FOLLOWERS.cursor, (name,)).fetchone()
        if row is None:
            raise KeyError(name)
        return Cursor(*row)

    def move(self, name: str, n: int, lost: int = 0, memo: bytes | None = None) -> None:
        with self._turn:
            self._db.execute(_FOLLOWERS.move, (n, lost, memo, name))

    def note(self, name: str, failure: str | None, since_ms: int | None) -> None:
        with self._turn:
            self._db.execute(_FOLLOWERS.note, (failure, since_ms, name))

    def enrol(self, followers: Mapping[str, int]) -> None:
        """These follow and no others: new ones begin after the entry that is given."""
        with self._turn:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(_FOLLOWERS.dismiss, (columns.encode(list(followers)),))
            self._db.executemany(_FOLLOWERS.enrol, followers.items())
            self._db.commit()

    def fall_back(self, newest: int) -> list[str]:
        """Nobody stands after `newest`; the names of those who did, which another journal has told of."""
        with self._turn:
            return [name for (name,) in self._db.execute(_FOLLOWERS.fall_back, (newest,)).fetchall()]


class SqliteFollowers:
    """How those are who follow the journal, for the api process. Calls from several threads take turns."""

    def __init__(self, data_path: Path | str):
        self._observe = open_reader(data_path, OBSERVE)
        self._state = open_reader(data_path, STATE)
        self._turn = threading.Lock()

    def __call__(self) -> list[FollowerRow]:
        with self._turn:
            newest = self._state.execute(_JOURNAL.newest).fetchone()[0]
            rows = self._observe.execute(_FOLLOWERS.all).fetchall()
        return [FollowerRow(name, max(0, newest - n), *rest) for name, n, *rest in rows]


def enrol(data_path: Path | str, from_now: Iterable[str], from_the_start: Iterable[str]) -> None:
    """Say who follows the journal from here on; others are forgotten. Before the engine and the observe process start.

    Who is new begins with the next entry (`from_now`) or with the oldest that there is.
    """
    journal, cursors = SqliteJournal(data_path), SqliteCursors(data_path)
    try:
        newest = journal.newest()
        oldest = next(iter(journal.after(0, 1)), None)
        for name in cursors.fall_back(newest):
            log.warning("%s had followed another journal (an older backup was restored?): it goes on from here", name)
        start = newest if oldest is None else oldest.n - 1
        cursors.enrol(dict.fromkeys(from_now, newest) | dict.fromkeys(from_the_start, start))
    finally:
        journal.close()
        cursors.close()
