"""Counts the journal, exactly: each entry and each submission once, whatever process is killed at whatever moment.

What was counted and how far the counting came are one transaction. Retention waits for it (``store/retention.py``), but
not for ever: entries that were gone before they were counted are told as missed, and what lives is taken from rows.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Protocol

from batchyard.model.figures import HOLDING, Around, Inventory, Kept, Reading
from batchyard.observe.tally import Series, Tallies, Tally

log = logging.getLogger(__name__)

ENTRIES = 5000  # counted in one transaction
EVERY_S = 1.0
FAILED_S = 5.0


class Figures(Protocol):
    """Reads what is counted. Never writes, and holds nobody up."""

    def read(self, after: int, asked_after: int, limit: int) -> Reading:
        """At most `limit` entries above `after`, and every submission above `asked_after`."""

    def stand(self, after: int | None, asked_after: int | None) -> tuple[Reading, Inventory]:
        """How everything stands, with what happened until then: all of it above `after` and `asked_after`, or None."""

    def complete(self) -> bool:
        """Whether the journal has every entry since the first, as this version writes them."""

    def knows(self, n: int, stamp: tuple[int, int] | None) -> bool:
        """Whether this is the journal whose entry `n` had that stamp."""

    def stamp(self, n: int) -> tuple[int, int] | None:
        """Time and job of an entry, by which it is known again; None if it is not there."""


class Expose(Protocol):
    """Told what was counted, when all there is was counted."""

    def __call__(self, series: Series, around: Around, oldest: dict[int, int], missed: int) -> None: ...


class Counting:
    """Used from one thread. After an exception it goes on from what was kept."""

    def __init__(self, figures: Figures, tallies: Tallies, expose: Expose):
        self._figures = figures
        self._tallies = tallies
        self._expose = expose
        self._kept: Kept | None = None
        self._series = Series()

    def step(self) -> None:
        """Count what there is, and expose it."""
        try:
            if self._kept is None:
                self._kept = self._resume()
            around = self._catch_up(self._kept)
            self._expose(self._series, around, self._tallies.oldest(), self._kept.missed)
        except BaseException:
            self._kept = None
            raise

    # -- where to begin --------------------------------------------------------------------------------------------

    def _resume(self) -> Kept:
        found = self._tallies.load()
        if found is not None:
            kept, series = found
            if self._figures.knows(kept.n, kept.stamp):
                self._series = Series(series)
                return kept
            log.warning("state.db is not the one whose journal was counted (a backup was restored?): counting anew")
        return self._begin()

    def _begin(self) -> Kept:
        """With the first entry if there are all; else what lives is taken from rows, and counters begin at zero."""
        self._series = Series()
        if self._figures.complete():
            kept, inventory = Kept(0, None, 0, 0, False), None
        else:
            inventory = self._figures.stand(None, None)[1]
            kept = Kept(inventory.n, self._figures.stamp(inventory.n), inventory.asked_seq, 0, False)
        with self._tallies.step():
            self._tallies.clear()
            if inventory is not None:
                Tally(self._series, self._tallies).stand(inventory)
            self._tallies.keep(kept, self._series.take_changed())
        return kept

    # -- and on ----------------------------------------------------------------------------------------------------

    def _catch_up(self, kept: Kept) -> Around:
        """Count until there is nothing more."""
        while True:
            reading, inventory = self._figures.read(kept.n, kept.asked_seq, ENTRIES), None
            more = len(reading.entries) == ENTRIES
            if not more and (kept.adrift or _missed(kept, reading) or _torn(reading)):
                reading, inventory = self._figures.stand(kept.n, kept.asked_seq)
            kept = self._kept = self._count(kept, reading, inventory)
            if not more:
                return reading.around

    def _count(self, kept: Kept, reading: Reading, inventory: Inventory | None) -> Kept:
        """One transaction, or none if nothing happened."""
        known = reading.around.queues.keys() | reading.around.environments.keys()
        gone = self._series.owners() - known
        if not (reading.entries or reading.asked or gone or inventory):
            return kept
        after = _after(kept, reading, inventory)
        with self._tallies.step():
            tally = Tally(self._series, self._tallies)
            for _, queue, size in reading.asked:
                tally.asked(queue, size)
            for entry in reading.entries:
                tally.told(entry)
            if inventory is not None:
                tally.stand(inventory)
            for owner in self._series.owners() - known:
                self._series.forget(owner)
                self._tallies.forget(owner)
            self._tallies.keep(after, self._series.take_changed())
        if after.missed > kept.missed:
            log.warning(
                "%d entries of the journal were deleted before they were counted: counters lack them",
                after.missed - kept.missed,
            )
        return after


def _missed(kept: Kept, reading: Reading) -> int:
    """Numbers of the journal grow by one: those that are missing were deleted."""
    return reading.entries[-1].n - kept.n - len(reading.entries) if reading.entries else 0


def _torn(reading: Reading) -> bool:
    """Whether rows of the journal's jobs are gone already, whose entries will follow."""
    return any(
        entry.kind != "deleted"
        and (entry.queue is None or (entry.kind in HOLDING and None in (entry.environment, entry.needs)))
        for entry in reading.entries
    )


def _after(kept: Kept, reading: Reading, inventory: Inventory | None) -> Kept:
    """How far the counting is after `reading`."""
    missed = _missed(kept, reading)
    last = reading.entries[-1] if reading.entries else None
    return Kept(
        n=last.n if last else kept.n,
        stamp=(last.at_ms, last.job) if last else kept.stamp,
        asked_seq=reading.asked[-1][0] if reading.asked else kept.asked_seq,
        missed=kept.missed + missed,
        adrift=inventory is None and (kept.adrift or missed > 0 or _torn(reading)),
    )


def keep_counting(counting: Callable[[], Counting], stop: threading.Event) -> None:
    """Once a second until `stop` is set. What fails is tried again: nothing is lost meanwhile."""
    current, failing = None, False
    while not stop.is_set():
        begun = time.monotonic()
        try:
            current = current or counting()
            current.step()
        except Exception as error:
            if not failing:
                _say_why(error)
            failing = True
            stop.wait(FAILED_S)
            continue
        if failing:
            log.warning("metrics are written again")
            failing = False
        stop.wait(max(0.0, EVERY_S - (time.monotonic() - begun)))


def _say_why(error: Exception) -> None:
    """The disk's fault in a sentence, ours in full."""
    expected = isinstance(error, sqlite3.OperationalError | OSError)
    log.warning(
        "metrics cannot be written (%s); they are tried again every %.0f s", error, FAILED_S, exc_info=not expected
    )
