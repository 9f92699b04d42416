"""Retention: finished jobs go when they are old or too many, in bounded steps that a crash may interrupt anywhere.

Each file keeps its one writer, so a job goes in three moves. The engine *proposes* it, by a row of ``retiring`` in
state.db. The api's writer then removes the request from requests.db: that one commit makes the job unknown, whole as
it was before. Only when the request is seen gone does the engine delete what state.db holds of it, logs first.

State outlives request because submissions go on meanwhile. One that names the job may be acknowledged at any time
before the request goes, and the engine will ask the rows how its upstream ended. So a proposal says up to which
number the engine knows that no live job waits (``checked_seq``), the writer looks through those after it in the very
transaction that removes, and the engine withdraws a proposal when such a job turns up.

``Awaited`` and ``Retirement`` are the engine's part, driven by ``commits.py``; ``Removal`` is the api's, driven by
``intake.py`` and ``keep_removing``.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from batchyard.errors import Unavailable
from batchyard.model import facts as f
from batchyard.model import ids
from batchyard.model.events import JobSubmitted
from batchyard.model.states import TERMINAL
from batchyard.model.tasks import own_log
from batchyard.store import columns
from batchyard.store.logplaces import NOWHERE, LogPlaces
from batchyard.store.queries import queries

log = logging.getLogger(__name__)

_RETIRING = queries("retiring")
_REMOVALS = queries("removals")
_LEFTOVERS = queries("leftovers")
_INSTANCES = queries("instances")
_TAGS = queries("tags")
_CONSUMABLES = queries("consumables")

DAY_MS = 86_400_000
_ALL = -1  # as a LIMIT

# Of one step in the engine: a few milliseconds between two turns.
ROWS = 1000  # deleted at most
ROWS_OF_ATTEMPT = 10  # what an attempt counts for: its log is two files
EXAMINED = 2000  # finished jobs looked at
COUNTED = 5000  # finished jobs counted
OUTSTANDING = 500  # proposals at a time

HELD_MOST = 1_000_000  # entries of the journal that wait for being counted; from there on nothing waits any more

# Of one transaction in the api.
REMOVED = 200
UNCHECKED = 10_000  # requests after checked_seq; when there are more, the engine is behind and removal waits for it

BUSY_S = 0.05  # between two removals
IDLE_S = 1.0


class Retention(NamedTuple):
    """What is kept of finished jobs; AWS keeps them for at least seven days (reference "Job life cycle")."""

    keep_ms: int = 7 * DAY_MS
    keep_jobs: int = 1_000_000  # an array counts its children


class Awaited:
    """The jobs that live jobs wait on, whatever became of them: an index over the upstreams of live jobs' requests."""

    def __init__(self) -> None:
        self._upstreams: dict[int, frozenset[int]] = {}  # of each live job that waits on others
        self._downstreams: dict[int, int] = {}  # how many those are, by upstream

    def __contains__(self, seq: int) -> bool:
        return seq in self._downstreams

    def note(self, job: JobSubmitted) -> None:
        """The job is live, or will be in a moment."""
        if job.upstreams and job.seq not in self._upstreams:
            named = self._upstreams[job.seq] = frozenset(up.seq for up in job.upstreams if up.seq)
            for seq in named:
                self._downstreams[seq] = self._downstreams.get(seq, 0) + 1

    def follow(self, recorded: Sequence[f.Fact]) -> None:
        """Jobs that are over wait on nothing."""
        if self._upstreams:
            for fact in recorded:
                if _ends_a_job(fact):
                    self._forget(fact.job)

    def _forget(self, job: int) -> None:
        for seq in self._upstreams.pop(job, ()):
            self._downstreams[seq] -= 1
            if not self._downstreams[seq]:
                del self._downstreams[seq]


def _ends_a_job(fact: f.Fact) -> bool:
    if isinstance(fact, f.JobMoved | f.AttemptClosed):
        return fact.index == ids.WHOLE and fact.to in TERMINAL
    return isinstance(fact, f.JobAdded) and fact.status in TERMINAL


class _Place(NamedTuple):
    """A finished job in the order of ends."""

    changed_ms: int
    seq: int


_START = _Place(-1, 0)


class Retirement:
    """Proposes jobs and deletes those whose requests are gone. Steps run inside an open transaction of state.db.

    What it remembers besides rows is where it is: a failed commit makes it useless, as it does the whole engine.
    `forget_log` removes a log, by its name and when its attempt was opened (ms); it may be told twice. `counted` tells
    up to which entry the journal is counted: a job stays until all that was told of it is, though not for ever.
    """

    def __init__(
        self,
        state: sqlite3.Connection,
        requests: sqlite3.Connection,
        awaited: Awaited,
        keep: Retention,
        forget_log: Callable[[str, int], None],
        counted: Callable[[], int],
        places: LogPlaces,
    ):
        self._state = state
        self._places = places
        self._requests = requests
        self._awaited = awaited
        self._keep = keep
        self._forget_log = forget_log
        self._journal_counted = counted
        self._counted = _START  # jobs up to here are counted
        self._finished = 0  # their number, children counted, less those that are retiring
        self._examined = _START  # jobs up to here were looked at in this round

    def step(self, now_ms: int) -> bool:
        """Do a bounded part of what is to do; True if it is worth while to go on soon."""
        sizes = {seq: (size, uuid) for seq, size, uuid in self._state.execute(_RETIRING.outstanding)}
        gone = self._gone(sizes)
        left = ROWS
        for seq in sorted(gone):
            left -= self._delete(seq, sizes[seq][1], left)
            if left <= 0:
                break
        more = left < ROWS
        if not self._count(now_ms, sizes):
            return True
        self._withdraw({seq: size for seq, (size, _) in sizes.items() if seq not in gone})
        more = self._propose(now_ms, sizes, OUTSTANDING - len(sizes)) or more
        self._forget_places(now_ms)
        self._state.execute(_RETIRING.checked)
        self._state.execute(_INSTANCES.forget, (now_ms - self._keep.keep_ms, EXAMINED))
        return more

    def _forget_places(self, now_ms: int) -> None:
        """Of queues and environments that requests.db knows no more, nothing is to be known here (leftovers.py)."""
        before_ms = now_ms - max(self._keep.keep_ms, DAY_MS)
        old = [number for (number,) in self._state.execute(_RETIRING.deleted_before, (before_ms, OUTSTANDING))]
        if not old:
            return
        newest, told_last = self._state.execute(_RETIRING.told_last).fetchone() or (0, None)
        uncounted = self._uncounted(newest)
        for (number,) in self._requests.execute(_LEFTOVERS.gone, (columns.encode(old),)).fetchall():
            told = self._state.execute(_RETIRING.told_until, (number,)).fetchone()[0]
            if number != told_last and not (uncounted and told >= uncounted):
                self._state.execute(_RETIRING.delete_journal, (number, _ALL))
                self._state.execute(_RETIRING.forget_deleted, (number,))

    def _gone(self, outstanding: Iterable[int]) -> set[int]:
        listed = columns.encode(list(outstanding))
        return {seq for (seq,) in self._requests.execute(_REMOVALS.gone, (listed,))}

    def _withdraw(self, waiting: dict[int, int]) -> None:
        """A live job that came since waits on the job: it stays."""
        for seq, size in waiting.items():
            if seq in self._awaited:
                self._state.execute(_RETIRING.withdraw, (seq,))
                self._finished += _weight(size)

    def _count(self, now_ms: int, retiring: Collection[int]) -> bool:
        """Count what ended since; whether all is counted. Of this very millisecond more may come: it waits."""
        rows = self._state.execute(_RETIRING.ended, (*self._counted, now_ms, COUNTED)).fetchall()
        self._finished += sum(_weight(size) for _, seq, size in rows if seq not in retiring)
        if rows:
            self._counted = _Place(*rows[-1][:2])
        return len(rows) < COUNTED

    def _propose(self, now_ms: int, retiring: Collection[int], room: int) -> bool:
        """Oldest first. A round over all that may go goes on where the last step left it; True if it is not over."""
        if room <= 0:
            return False
        rows = self._state.execute(_RETIRING.ended, (*self._examined, now_ms, EXAMINED)).fetchall()
        newest, told_last = self._state.execute(_RETIRING.told_last).fetchone() or (0, None)  # the newest row must stay
        uncounted = self._uncounted(newest)
        found = 0
        for changed_ms, seq, size in rows:
            if changed_ms >= now_ms - self._keep.keep_ms and self._finished <= self._keep.keep_jobs:
                break
            if found == room:
                return True
            if uncounted and self._state.execute(_RETIRING.told_until, (seq,)).fetchone()[0] >= uncounted:
                break  # those that ended later are not counted either
            self._examined = _Place(changed_ms, seq)
            if seq in retiring or seq in self._awaited or seq == told_last or self._is_open(seq):
                continue
            self._state.execute(_RETIRING.propose, (seq,))
            self._finished -= _weight(size)
            found += 1
        else:
            if len(rows) == EXAMINED:
                return True
        self._examined = _START
        return False

    def _is_open(self, seq: int) -> bool:
        return self._state.execute(_RETIRING.still_open, (seq,)).fetchone() is not None

    def _uncounted(self, newest: int) -> int | None:
        """The first entry that is to be counted before its job goes; None if there is none."""
        counted = self._journal_counted()
        return counted + 1 if newest - HELD_MOST <= counted < newest else None

    def _delete(self, seq: int, uuid: bytes, most: int) -> int:
        """Delete rows of a job, the job's own last; about how many went, `most` or a little more if not all."""
        state, name = self._state, columns.unpack_uuid(uuid)
        attempts = state.execute(_RETIRING.delete_attempts, (seq, -(-most // ROWS_OF_ATTEMPT))).fetchall()
        places, went = {log for *_, log in attempts}, len(attempts) * ROWS_OF_ATTEMPT
        for index, number, opened_ms, _ in attempts:
            logs = state.execute(_RETIRING.delete_logs, (seq, index, number)).fetchall() or [("", NOWHERE)]
            places.update(log for _, log in logs)
            went += len(logs) - 1
            for container, _ in logs:
                self._forget_log(own_log(ids.attempt_id(name, index, number), container), opened_ms)
        self._places.forget_unused(places)
        for statement in (_RETIRING.delete_children, _RETIRING.delete_journal):
            if went >= most:
                return went
            went += state.execute(statement, (seq, most - went)).rowcount
        if went < most:
            state.execute(_RETIRING.delete_job, (seq,))
            state.execute(_RETIRING.withdraw, (seq,))
            went += 2
        return went


def _weight(size: int) -> int:
    return max(size, 1)


class Removal:
    """Removes requests that the engine proposed, as units of the api's writer, which knows state.db by reading only."""

    def __init__(self, open_state: Callable[[], sqlite3.Connection], forget_text: Callable[[bytes], None]):
        self._open_state = open_state
        self._state: sqlite3.Connection | None = None
        self._forget_text = forget_text
        self._removed: set[int] = set()  # what the engine has yet to follow

    def proposed(self) -> tuple[list[int], int]:
        """Jobs to remove, and the number up to which no live job waits on one of them."""
        if self._state is None:
            self._state = self._open_state()
        rows = self._state.execute(_RETIRING.proposed).fetchall()
        self._removed &= {seq for seq, _ in rows}
        return [seq for seq, _ in rows if seq not in self._removed], rows[0][1] if rows else 0

    def unit(self, proposed: list[int], checked_seq: int, last_seq: int, db: sqlite3.Connection) -> list[int]:
        """Remove some, with wishes, changed tags and bodies that no other job has; which are not there any more."""
        if last_seq - checked_seq > UNCHECKED:
            return []
        there = dict(db.execute(_REMOVALS.there, (columns.encode(proposed),)))
        waited_on = {
            up.seq
            for (upstreams,) in db.execute(_REMOVALS.waiting_after, (checked_seq,))
            for up in columns.unpack_upstreams(upstreams)
        }
        going = [seq for seq in there if seq not in waited_on][:REMOVED]
        for statement in (_REMOVALS.delete_wishes, _TAGS.delete, _CONSUMABLES.asks_no_more, _REMOVALS.delete_job):
            db.executemany(statement, [(seq,) for seq in going])
        for text in sorted({there[seq] for seq in going}):
            if db.execute(_REMOVALS.delete_text, (text,)).rowcount:
                self._forget_text(text)
        return [seq for seq in proposed if seq not in there] + going

    def carried_out(self, jobs: Iterable[int]) -> None:
        """These are not there any more, which is on disk."""
        self._removed.update(jobs)

    def close(self) -> None:
        if self._state is not None:
            self._state.close()


async def keep_removing(remove: Callable[[], Awaitable[int]]) -> None:
    """Call `remove`, which tells how much it removed, again and again; a full disk is waited out."""
    while True:
        try:
            removed = await remove()
        except (Unavailable, sqlite3.Error) as error:
            log.warning("what is kept no longer could not be removed: %s", error)
            removed = 0
        await asyncio.sleep(BUSY_S if removed else IDLE_S)
