"""Reads of consumable resources and of the jobs that ask for them; for ``reader``, within its snapshots."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator
from itertools import islice

from batchyard.model.states import RUNNING, STARTING
from batchyard.ports import NameMatch
from batchyard.ports.consumables import ConsumableRow
from batchyard.store import columns
from batchyard.store.queries import queries

_SQL = queries("consumables")
_CONSUMED = queries("consumed")
_STATES = queries("states")
_SUBMISSIONS = queries("submissions")

SCANNED = 5_000  # jobs looked at in one step: some 10 ms
_ABOVE = "\x7f"  # sorts after every character of a name
_SOON = frozenset({STARTING, RUNNING})


def named(state: sqlite3.Connection, asked: sqlite3.Connection, region: str, name: str) -> ConsumableRow | None:
    row = asked.execute(_SQL.by_name, (region, name)).fetchone()
    return None if row is None or row[-1] is None else _with_use(state, [row])[0]


def page(
    state: sqlite3.Connection,
    asked: sqlite3.Connection,
    region: str,
    names: tuple[NameMatch, ...] | None,
    after: str,
    limit: int,
) -> list[ConsumableRow]:
    """By name in any case; each name of a filter is a range of the index."""
    found = []
    for match in (NameMatch("", False),) if names is None else names:
        least = match.text.lower()
        bound = least + ("\x00" if match.whole else _ABOVE)
        values = {"region": region, "least": least, "bound": bound, "after_folded": after.lower(), "after_name": after}
        found.append(asked.execute(_SQL.page, values | {"limit": limit}).fetchall())
    merged = heapq.merge(*found, key=lambda row: (row[2].lower(), row[2]))
    unique = {row[0]: row for row in islice(merged, limit * len(found))}
    return _with_use(state, list(unique.values())[:limit])


def _with_use(state: sqlite3.Connection, rows: list[tuple]) -> list[ConsumableRow]:
    listed = columns.encode([row[0] for row in rows])
    used = {number: rest for number, *rest in state.execute(_CONSUMED.used, (listed,))}
    return [_row(*row, *used.get(row[0], (0, 0, 0))) for row in rows]


def _row(number, region, name, replenishable, granted, born, body, created_ms, held, consumed, of) -> ConsumableRow:
    total = max(0, granted - (consumed if of == born else 0))
    return ConsumableRow(number, region, name, bool(replenishable), total, held, created_ms, columns.decode(body))


def asking(
    state: sqlite3.Connection,
    asked: sqlite3.Connection,
    consumable: int,
    names: tuple[NameMatch, ...] | None,
    statuses: frozenset[int],
    before: int,
    limit: int,
) -> tuple[list[tuple[int, int]], int | None]:
    """(job, quantity) of those wanted, newest first, and the number below which to go on."""
    rest = None
    if statuses and statuses <= _SOON:  # few run, however many ask
        running = [job for (job,) in state.execute(_STATES.running_below, (before,))]
        rows = asked.execute(_SQL.asking_of, (consumable, columns.encode(running))).fetchall()
    else:
        most = limit + 1 if names is None and not statuses else SCANNED
        rows = asked.execute(_SQL.asking, (consumable, before, most)).fetchall()
        rest = rows[-1][0] if len(rows) == most else None
    kept = list(islice(_wanted(state, asked, rows, names, statuses), limit + 1))
    return (kept[:limit], kept[limit - 1][0]) if len(kept) > limit else (kept, rest)


def _wanted(
    state: sqlite3.Connection,
    asked: sqlite3.Connection,
    rows: list[tuple[int, int]],
    names: tuple[NameMatch, ...] | None,
    statuses: frozenset[int],
) -> Iterator[tuple[int, int]]:
    """A job that the state does not know is SUBMITTED, and is looked up as state 0."""
    for start in range(0, len(rows), 500):
        some = rows[start : start + 500]
        listed = columns.encode([job for job, _ in some])
        told = dict(state.execute(_STATES.statuses, (listed,))) if statuses else {}
        called = dict(asked.execute(_SUBMISSIONS.names, (listed,))) if names is not None else {}
        for job, quantity in some:
            if statuses and told.get(job, 0) not in statuses:
                continue
            if names is None or any(_matches(match, called[job]) for match in names):
                yield job, quantity


def _matches(match: NameMatch, name: str) -> bool:
    text, name = match.text.lower(), name.lower()
    return name == text if match.whole else name.startswith(text)
