"""Jobs as they stood when something happened, from the rows as they are now and the entry that tells of it.

Nothing is replayed. What an entry leaves open is in rows that later entries only add to: attempts with higher numbers,
what an attempt knows of its start and end, stops with higher numbers (``apply.py`` is the other side of this). So an
event costs a few reads, however long the life of its job or the array it belongs to.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from batchyard.model import ids
from batchyard.model.states import FAILED, NAMES, RUNNABLE, SUCCEEDED, TERMINAL
from batchyard.ports import AttemptRow, JobRow, Standing
from batchyard.ports.journal import Entry, Forgotten
from batchyard.store import columns
from batchyard.store.queries import queries
from batchyard.store.reader import Progress, job_row
from batchyard.store.sqlite import REQUESTS, STATE, open_reader

_JOURNAL = queries("journal")
_SUBMISSIONS = queries("submissions")

JOBS_KEPT = 2_000  # whose requests are kept at hand
STOPPED_KEPT = 2_000  # whose stops are

_MOVES = frozenset({"added", "moved", "opened", "began", "closed"})
_BLOCKED = "blocked"
_EVERY = 2**31  # above any attempt's number


_UNTOLD = AttemptRow._fields.index("cpu_ms") - 3  # of an attempt that is open: its start, its end and what it used


class SqlitePast:
    """ports.journal.Past over state.db and requests.db. For one thread."""

    def __init__(self, data_path: Path | str):
        self._state = open_reader(data_path, STATE)
        self._requests = open_reader(data_path, REQUESTS)
        self._stops = _Stops(self._state)
        self._asked = lru_cache(JOBS_KEPT)(self._read_asked)

    def close(self) -> None:
        self._state.close()
        self._requests.close()

    def standings(self, entry: Entry) -> Iterator[Standing]:
        if entry.kind == _BLOCKED:
            entry = entry._replace(status=RUNNABLE)  # which it stays
        elif entry.kind not in _MOVES:
            return
        # State first: whoever's request is there afterwards was whole when its state was read.
        attempts = self._attempts(entry)
        counts = self._child_counts(entry)
        tags = self._tags(entry.job)
        job = self._asked(entry.job)
        tags = job.body.get("tags") or {} if tags is None else tags
        lo = ids.WHOLE if entry.index == ids.WHOLE else entry.index
        for index in range(lo, entry.hi):
            whose_stop = ids.WHOLE if index >= ids.NODES else index
            row = _row(job, entry, index, attempts[index], self._stops.kind(entry.job, whose_stop, entry.n))
            if index == ids.WHOLE and job.nodes is not None:
                yield Standing(row, tuple(attempts[index]), tags)
                row = row._replace(index=ids.NODES + job.nodes.main)  # the main node is told of as a node, too
            if index == ids.WHOLE and job.size:
                yield Standing(row, tuple(attempts[index]), tags, counts, entry.at_ms)
            else:
                yield Standing(row, tuple(attempts[index]), tags)
        if entry.kind == "added":
            others = range(job.nodes.count) if job.nodes is not None else ()
            nodes = [ids.NODES + number for number in others if number != job.nodes.main]
            for index in (*range(job.size), *nodes):
                yield Standing(job._replace(index=index, status=entry.detail["child_status"]), (), tags)

    def _attempts(self, entry: Entry) -> dict[int, list[AttemptRow]]:
        """Attempts by index, as they were then."""
        found: dict[int, list[AttemptRow]] = defaultdict(list)
        quiet = entry.kind == "moved" and entry.status not in TERMINAL and not entry.number
        if entry.kind == "added" or quiet or entry.number == 0:
            return found  # no job goes on to PENDING or RUNNABLE in this way once it was tried, but a node
        up_to = _EVERY if entry.number is None else entry.number
        for index, *row, ended in self._state.execute(_JOURNAL.attempts, (entry.job, entry.index, entry.hi, up_to)):
            found[index].append(AttemptRow(*row, containers=columns.unpack_endings(ended)))
        if entry.number is None:
            return found
        rows = found[entry.index]
        if not rows or rows[-1].number != entry.number:
            raise Forgotten(entry.job)
        if entry.kind in ("opened", "began"):
            open_one = AttemptRow(*rows[-1][:4], *(None,) * _UNTOLD)
            rows[-1] = open_one._replace(started_ms=entry.at_ms) if entry.kind == "began" else open_one
        return found

    def _child_counts(self, entry: Entry) -> Sequence[int]:
        """Of the children of an array whose parent moved: all alike at first, all over at the end."""
        counts = [0] * len(NAMES)
        if entry.index != ids.WHOLE:
            return counts
        if entry.kind == "added":
            counts[entry.detail.get("child_status", 0)] = entry.detail.get("size", 0)
            return counts
        job = self._asked(entry.job) if entry.kind == "moved" else None
        if job is not None and job.size:
            row = self._state.execute(_JOURNAL.outcome, (entry.job,)).fetchone()
            if row is None or row[0] is None:
                raise Forgotten(entry.job)
            counts[SUCCEEDED], counts[FAILED] = row[0], job.size - row[0]
        return counts

    def _tags(self, job: int) -> dict[str, str] | None:
        """Its tags if they were changed; Forgotten if it is no longer there."""
        row = self._requests.execute(_SUBMISSIONS.still_there, (job,)).fetchone()
        if row is None:
            raise Forgotten(job)
        return None if row[0] is None else columns.decode(row[0])

    def _read_asked(self, job: int) -> JobRow:
        row = self._requests.execute(_SUBMISSIONS.by_seq, (job,)).fetchone()
        if row is None:
            raise Forgotten(job)
        return job_row(row, ids.WHOLE, Progress())


def _row(job: JobRow, entry: Entry, index: int, attempts: list[AttemptRow], stop_kind: int | None) -> JobRow:
    """The job or child right after the entry."""
    over = entry.status in TERMINAL
    ended_ms = entry.detail["stopped_ms"] if entry.kind == "closed" else entry.at_ms
    starts = [attempt.started_ms for attempt in attempts if attempt.started_ms is not None]
    return job._replace(
        index=index,
        status=entry.status,
        status_reason=entry.detail.get("status_reason"),
        started_ms=starts[-1] if starts else None,
        stopped_ms=ended_ms if over else None,
        stop_kind=stop_kind,
        attempts=attempts[-1].number if attempts else 0,
    )


class _Stops:
    """When jobs and children were cancelled or terminated, read on from where it was read to."""

    def __init__(self, state: sqlite3.Connection):
        self._state = state
        self._known: OrderedDict[int, tuple[int, dict[int, list[tuple[int, int]]]]] = OrderedDict()

    def kind(self, job: int, index: int, n: int) -> int | None:
        """The latest stop before entry `n`: CANCEL, TERMINATE or None."""
        read_to, stops = self._known.pop(job, (0, {}))
        if read_to < n - 1:
            for at, lo, hi, kind in self._state.execute(_JOURNAL.stops, (job, read_to, n)).fetchall():
                for each in range(lo, hi):
                    stops.setdefault(each, []).append((at, kind))
            read_to = n - 1
        self._known[job] = read_to, stops
        if len(self._known) > STOPPED_KEPT:
            self._known.popitem(last=False)
        before = [kind for at, kind in stops.get(index, ()) if at < n]
        return before[-1] if before else None
