"""Jobs of a queue by what was asked of them, newest first, in steps whose work is bounded however many jobs there are.

Times lead to numbers by bisection, since numbers are given in order of time. Names are looked for job by job in a
stretch of the queue: an index of names would make every submission dearer by far more than it saves
(docs/decisions/20261125-list-jobs-filters.md).
"""

from __future__ import annotations

import heapq
import sqlite3
from itertools import islice
from operator import itemgetter
from typing import NamedTuple

from batchyard.ports import JobFilter, NameMatch
from batchyard.store.queries import queries

_SUBMISSIONS = queries("submissions")

SCANNED = 10_000  # names looked at in one step: some 10 ms

_NO_BOUND = 2**63 - 1
_ANY_LENGTH = 1_000_000


class Found(NamedTuple):
    """Rows as ``submissions.sql`` has them; `rest` is the number below which to go on, None if there is no more."""

    rows: list[tuple]
    rest: int | None


class _Stretch(NamedTuple):
    """A part of a queue: from one number up to, not including, another."""

    queue: int
    first: int
    before: int


def search(asked: sqlite3.Connection, queue: int, wanted: JobFilter, before: int | None, limit: int) -> Found:
    """At most `limit` jobs that are wanted, below the number `before`; there may be fewer though `rest` is given."""
    stretch = _within_times(asked, queue, wanted, _NO_BOUND if before is None else before)
    statement, matches = _named(wanted)
    if matches is None:
        return _page(_select(asked, statement, stretch, limit + 1), limit, None)
    oldest = asked.execute(_SUBMISSIONS.oldest_seen, (queue, stretch.before, SCANNED // max(len(matches), 1)))
    row = oldest.fetchone()
    rest = row[0] if row is not None and row[0] > stretch.first else None
    if rest is not None:
        stretch = stretch._replace(first=rest)
    found = [_select(asked, statement, stretch, limit + 1, _values(match)) for match in matches]
    merged = heapq.merge(*found, key=itemgetter(0), reverse=True)
    unique = {row[0]: row for row in islice(merged, (limit + 1) * len(found))}
    return _page(list(unique.values()), limit, rest)


def _named(wanted: JobFilter) -> tuple[str, tuple[NameMatch, ...] | None]:
    """How to find jobs by what they name, and what that may be; None: it may be anything."""
    if wanted.names is not None:
        return _SUBMISSIONS.between_named, wanted.names
    if wanted.definitions is not None:
        return _SUBMISSIONS.between_defined, wanted.definitions
    if wanted.shares is not None:
        return _SUBMISSIONS.between_shares, wanted.shares
    return _SUBMISSIONS.between, None


def _select(asked: sqlite3.Connection, statement: str, stretch: _Stretch, limit: int, more: dict | None = None) -> list:
    values = {"queue": stretch.queue, "from": stretch.first, "before": stretch.before, "limit": limit}
    return asked.execute(statement, values | (more or {})).fetchall()


def _values(match: NameMatch) -> dict:
    length = _ANY_LENGTH if match.whole else len(match.text)
    return {"text": match.text, "length": length, "revision": match.revision}


def _page(rows: list[tuple], limit: int, rest: int | None) -> Found:
    return Found(rows, rest) if len(rows) <= limit else Found(rows[:limit], rows[limit - 1][0])


def _within_times(asked: sqlite3.Connection, queue: int, wanted: JobFilter, before: int) -> _Stretch:
    first = 0
    if wanted.created_after_ms is not None:
        first = _first_created(asked, wanted.created_after_ms + 1)
    if wanted.created_before_ms is not None:
        before = min(before, _first_created(asked, wanted.created_before_ms))
    return _Stretch(queue, first, before)


def _first_created(asked: sqlite3.Connection, at_ms: int) -> int:
    """A number such that jobs from it on, and no others, were created at `at_ms` or later."""
    low, high = asked.execute(_SUBMISSIONS.bounds).fetchone()
    if low is None:
        return 0
    high += 1
    while low < high:
        middle = (low + high) // 2
        seq, created_ms = asked.execute(_SUBMISSIONS.created_from, (middle,)).fetchone()
        if created_ms >= at_ms:
            high = middle
        else:
            low = seq + 1
    return low
