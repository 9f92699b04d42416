"""metrics.db: what was counted, kept in one transaction a step with how far the counting came."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from batchyard.model.figures import Kept
from batchyard.store import columns
from batchyard.store.queries import queries
from batchyard.store.sqlite import METRICS, StoreError, open_reader, open_writer

_TALLIES = queries("tallies")


class SqliteTallies:
    """observe.tally.Tallies: the one writer of metrics.db, used from one thread."""

    def __init__(self, data_path: Path | str):
        self._db = open_writer(data_path, METRICS)

    def close(self) -> None:
        self._db.close()

    def load(self) -> tuple[Kept, list[tuple[str, int, str, Any]]] | None:
        """How far the counting is, and the series; None if it never began."""
        row = self._db.execute(_TALLIES.counted).fetchone()
        if row is None:
            return None
        n, at_ms, job, asked_seq, missed, adrift = row
        stamp = None if at_ms is None else (at_ms, job)
        series = [(*key, columns.decode(value)) for *key, value in self._db.execute(_TALLIES.series)]
        return Kept(n, stamp, asked_seq, missed, bool(adrift)), series

    @contextmanager
    def step(self) -> Iterator[None]:
        """One transaction."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.commit()
        except BaseException:
            self._db.rollback()
            raise

    def keep(self, kept: Kept, series: Iterable[tuple[str, int, str, Any]]) -> None:
        """These series have changed."""
        rows = [(metric, owner, label, columns.encode(value)) for metric, owner, label, value in series]
        self._db.executemany(_TALLIES.set_series, rows)
        at_ms, job = kept.stamp or (None, None)
        self._db.execute(_TALLIES.set_counted, (kept.n, at_ms, job, kept.asked_seq, kept.missed, int(kept.adrift)))

    def clear(self) -> None:
        """Nothing was ever counted."""
        for statement in (_TALLIES.uncount, _TALLIES.clear_series, _TALLIES.nobody_waits):
            self._db.execute(statement)

    def forget(self, owner: int) -> None:
        """A queue or environment is gone, and its series with it."""
        self._db.execute(_TALLIES.forget_series, (owner,))

    # -- who waits -------------------------------------------------------------------------------------------------

    def wait(self, job: int, lo: int, hi: int, queue: int, since_ms: int) -> None:
        """Children lo..hi-1 wait from here on; a range costs one row, however long it is."""
        self._db.execute(_TALLIES.wait, (job, lo, hi, queue, since_ms))

    def waited(self, job: int, lo: int, hi: int) -> list[tuple[int, int]]:
        """They wait no longer; (how many, since when) as far as it is known."""
        db, told = self._db, []
        for row, first, last, queue, since_ms in db.execute(_TALLIES.waiting_at, (job, lo, hi)).fetchall():
            told.append((min(last, hi) - max(first, lo), since_ms))
            if first < lo:
                db.execute(_TALLIES.cut_back, (lo, row))
                if last > hi:
                    self.wait(job, hi, last, queue, since_ms)
            elif last > hi:
                db.execute(_TALLIES.cut_front, (hi, row))
            else:
                db.execute(_TALLIES.wait_no_more, (row,))
        return told

    def nobody_waits(self) -> None:
        self._db.execute(_TALLIES.nobody_waits)

    def oldest(self) -> dict[int, int]:
        """Since when the first of each queue waits: two look-ups a queue, however many wait."""
        found: dict[int, int] = {}
        queue = -1
        while (row := self._db.execute(_TALLIES.waiting_queues, (queue,)).fetchone())[0] is not None:
            queue = row[0]
            found[queue] = self._db.execute(_TALLIES.oldest, (queue,)).fetchone()[0]
        return found


class Counted:
    """How far the counting is, as another process sees it."""

    def __init__(self, data_path: Path | str):
        self._data_path = data_path
        self._db: sqlite3.Connection | None = None

    def __call__(self) -> int:
        """Every entry of the journal up to this one is counted; 0 if counting never began, or the file says nothing."""
        try:
            self._db = self._db or open_reader(self._data_path, METRICS)
            row = self._db.execute(_TALLIES.counted).fetchone()
        except (sqlite3.Error, StoreError):
            self._db = None
            return 0
        return 0 if row is None else row[0]
