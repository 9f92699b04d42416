"""Log streams as the reader lists them: a stream is an attempt that began, under the place where it logs, or one of its
containers that logs for itself.

A listing by name or by end looks at a bounded number of attempts a step, so that a hundred thousand streams of another
group cost many short answers and never a long one. By end there are two sections: attempts that *ended*, in the order
of their ends, and *open* ones, by job, child and number. What went on at a time is told by one index alone, of which
the part after that time is gone through: 5 ms for a hundred thousand attempts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from batchyard.model import ids
from batchyard.model.logplaces import split_stream
from batchyard.model.tasks import own_log
from batchyard.ports import GoingOn, StreamPage, StreamPosition, StreamRow
from batchyard.store import columns
from batchyard.store.queries import queries

_LOGS = queries("logs")
_REMOVALS = queries("removals")

SCANNED = 5_000  # attempts looked at in one step: some 10 ms
WINDOW = 200  # streams that one call may have to read, besides those that ran at its time
AFTERMATH_MS = 5_000  # the last of an attempt's output may be told so much after its end

ENDED, OPEN = 0, 1  # the first part of a position
_LAST = 2**63 - 1
_START = StreamPosition(ENDED, -1, -1, -1, -1, -2, -1)
_END = StreamPosition(OPEN, _LAST, _LAST, _LAST, _LAST, _LAST, _LAST)
_HIGHEST = "\U0010ffff"


class _Seen(NamedTuple):
    """A row of ``logs.sql``."""

    job: int
    index: int
    number: int
    uuid: bytes
    opened_ms: int
    started_ms: int | None
    stopped_ms: int | None
    beginning: str
    group: int
    log: int
    container: str  # "": the attempt itself

    @property
    def key(self) -> tuple[int, int, int]:
        return self[:3]


class _Files(NamedTuple):
    state: sqlite3.Connection
    asked: sqlite3.Connection


def named(files: _Files, group: int, name: str) -> StreamRow | None:
    """The stream of this name."""
    parts = split_stream(name)
    place = parts and files.state.execute(_LOGS.place, (group, parts[0])).fetchone()
    if not place:
        return None
    task = bytes.fromhex(parts[1])
    rows = files.state.execute(_LOGS.streams, (place[0], task, task))
    return next(iter(_streams(files, (_Seen._make(row[:-1]) for row in rows))), None)


# -- by name ---------------------------------------------------------------------------------------------------------


def by_name(files: _Files, group: int, prefix: str, after: str, descending: bool, limit: int) -> list[StreamRow]:
    """Streams whose names begin with `prefix`, from the one that follows `after` on; all if that is empty."""
    found: list[_Seen] = []
    last_beginning, last_task = split_stream(after) or ("", "")
    statement = _LOGS.streams_down if descending else _LOGS.streams
    for place, beginning, low, high in _ranges(files.state, group, prefix, last_beginning, descending):
        if beginning == last_beginning:
            low, high = _beyond(bytes.fromhex(last_task), low, high, descending)
        for row in files.state.execute(statement, (place, low, high)):
            seen = _Seen._make(row[:-1])  # less the task id, by which they are ordered
            if seen.started_ms is not None:
                found.append(seen)
                if len(found) == limit:
                    return _streams(files, found)
    return _streams(files, found)


def _ranges(
    state: sqlite3.Connection, group: int, prefix: str, start: str, descending: bool
) -> Iterator[tuple[int, str, bytes, bytes]]:
    """Places in order from `start` on, each with the lowest and highest task id of names that begin with `prefix`."""
    within, slash, rest = prefix.rpartition("/")
    inner = _task_range(rest) if slash and rest else None
    if descending:
        upper = min(start or _HIGHEST, prefix + _HIGHEST)
        rows: Iterable = state.execute(_LOGS.places_down, (group, upper))
    else:
        rows = state.execute(_LOGS.places, (group, max(start, within + slash if inner else prefix)))
    for place, beginning in rows:
        if beginning.startswith(prefix):
            yield place, beginning, bytes(16), b"\xff" * 16
        elif inner and beginning == within + slash:
            yield place, beginning, *inner
        elif beginning < (within + slash if inner else prefix) if descending else beginning > prefix:
            return  # beyond all that can match


def _task_range(rest: str) -> tuple[bytes, bytes] | None:
    if len(rest) > 32 or not set(rest) <= set("0123456789abcdef"):
        return None
    return bytes.fromhex(rest.ljust(32, "0")), bytes.fromhex(rest.ljust(32, "f"))


def _beyond(task: bytes, low: bytes, high: bytes, descending: bool) -> tuple[bytes, bytes]:
    """The range without what came up to `task`; an empty one if nothing is left."""
    number = int.from_bytes(task)
    if descending:
        return (low, min(high, (number - 1).to_bytes(16))) if number else (b"\xff" * 17, b"")
    return max(low, (number + 1).to_bytes(17)[1:]) if number + 1 < 2**128 else b"\xff" * 17, high


# -- by time ---------------------------------------------------------------------------------------------------------


def by_end(files: _Files, group: int, descending: bool, after: StreamPosition | None, limit: int) -> StreamPage:
    """Those that ended, by their ends, and those that have not, which come last; or all of that the other way."""
    rows = _downward(files.state, after or _END) if descending else _upward(files.state, after or _START)
    found: list[_Seen] = []
    for scanned, (position, row) in enumerate(rows, 1):
        if row.group == group and row.started_ms is not None:
            found.append(row)
        if len(found) == limit or scanned == SCANNED:
            return StreamPage(_streams(files, found), position)
    return StreamPage(_streams(files, found), None)


_Placed = tuple[StreamPosition, _Seen]


def _upward(state: sqlite3.Connection, start: StreamPosition) -> Iterator[_Placed]:
    if start.section == ENDED:
        yield from _placed(ENDED, state.execute(_LOGS.ended_up, start[1:]))
        start = StreamPosition(OPEN, *_START[1:])
    yield from _placed(OPEN, state.execute(_LOGS.open_up, (*start[4:], start.log)))


def _downward(state: sqlite3.Connection, start: StreamPosition) -> Iterator[_Placed]:
    if start.section == OPEN:
        yield from _placed(OPEN, state.execute(_LOGS.open_down, (*start[4:], start.log)))
        start = StreamPosition(ENDED, *_END[1:])
    yield from _placed(ENDED, state.execute(_LOGS.ended_down, start[1:]))


def _placed(section: int, rows: Iterable[tuple]) -> Iterator[_Placed]:
    for row in map(_Seen._make, rows):
        yield StreamPosition(section, row.stopped_ms or 0, row.opened_ms, row.log, *row.key), row


def going_on(files: _Files, group: int, prefix: str, at_ms: int, until_ms: int) -> GoingOn:
    """Streams that may have events from `at_ms` on, and were opened before `until_ms`, in the order of opening.

    There are at least as many as may have one at `at_ms` itself, and about as many again that were opened later.
    """
    several = files.state.execute(_LOGS.several_groups).fetchone()[0]
    within, slash, _ = prefix.rpartition("/")
    given = {"from": at_ms - AFTERMATH_MS, "until": until_ms, "any": not (several or prefix), "group": group}
    given |= {"low": within + slash or prefix, "high": prefix + _HIGHEST}
    limit = WINDOW
    while True:
        rows = [_Seen._make(row) for row in files.state.execute(_LOGS.going_on, given | {"limit": limit + 1})]
        if len(rows) <= limit or rows[-1].opened_ms > at_ms:
            break
        limit *= 4
    next_ms = rows[-1].opened_ms if len(rows) > limit else None
    wanted = (row for row in rows[:limit] if row.group == group and row.started_ms is not None)
    return GoingOn(_streams(files, [row for row in wanted if _name(row).startswith(prefix)]), next_ms)


def _streams(files: _Files, seen: Iterable[_Seen]) -> list[StreamRow]:
    """Without those whose jobs are on their way out."""
    rows = list(seen)
    listed = columns.encode(list({row.job for row in rows}))
    gone = {job for (job,) in files.asked.execute(_REMOVALS.gone, (listed,))} if rows else ()
    return [StreamRow(_log(row), _name(row), row.opened_ms, row.stopped_ms) for row in rows if row.job not in gone]


def _attempt(row: _Seen) -> str:
    return ids.attempt_id(columns.unpack_uuid(row.uuid), row.index, row.number)


def _log(row: _Seen) -> str:
    return own_log(_attempt(row), row.container)


def _name(row: _Seen) -> str:
    return row.beginning + ids.task_id(_attempt(row))
