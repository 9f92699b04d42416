"""What is left of environments, queues and definitions that nobody uses any more goes, too, in bounded steps.

- A **change** goes when a later one of the same thing is in force: the engine starts from the latest applied one.
- The row of a **deleted** environment or queue goes when every job that was asked for before its deletion is gone.
  Only such a job can have to do with it, and the numbers of requests say which those are: nothing is searched.
- A wish to have Spot capacity **interrupted** goes when it was applied.
- The name of a **consumable resource** that does not exist goes when no job that is known asks for it.
- An **INACTIVE** revision of a definition goes by the same rule, after as long as AWS keeps one.

None goes before it is a day old, and what was deleted stays as long as finished jobs do: a call that is repeated finds
its first try, and a backup whose files were read one after the other still fits together.

``Leftovers`` is the api's part, in requests.db. What state.db has of a deleted environment or queue the engine deletes
afterwards (``retention.Retirement``): until then the name is free and a start knows that there is nothing to start.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from batchyard.store.queries import queries
from batchyard.store.retention import DAY_MS

_SQL = queries("leftovers")
_TAGS = queries("tags")

INACTIVE_MS = 180 * DAY_MS  # reference "Job definitions": how long AWS keeps an INACTIVE revision

EVERY_MS = 60_000  # between two rounds
EXAMINED = 500  # changes looked at in one transaction
REMOVED = 100  # environments and queues, and likewise definitions, removed in one

_FOR_EVER = 1 << 62


class Leftovers:
    """Units of the api's writer. `keep_ms`: how long finished jobs are kept; `gone` tells whether the engine says that
    nothing of an environment or queue lives; `applied` is the number up to which it knows all requests."""

    def __init__(self, keep_ms: int, gone: Callable[[int], bool], applied: Callable[[], int]):
        self._keep_ms = max(keep_ms, DAY_MS)
        self._gone = gone
        self._applied = applied
        self._examined = 0  # changes up to this number were looked at in this round
        self._next_ms = 0

    def due(self, now_ms: int) -> bool:
        return now_ms >= self._next_ms

    def unit(self, now_ms: int, db: sqlite3.Connection) -> int:
        """Remove some; how many. Once there is nothing more to look at, the next round is in a while."""
        before_ms = now_ms - self._keep_ms
        oldest = db.execute(_SQL.oldest_job).fetchone()[0]
        bound = _FOR_EVER if oldest is None else oldest
        removed = self._remove_places(db, before_ms, bound)
        removed += _remove_definitions(db, now_ms - INACTIVE_MS, bound)
        went, over = self._remove_superseded(db, before_ms)
        wishes = {"applied": self._applied(), "before": before_ms, "most": REMOVED}
        removed += db.execute(_SQL.delete_interruptions, wishes).rowcount
        removed += _remove_consumables(db, wishes)
        if over and removed < REMOVED:
            self._next_ms = now_ms + EVERY_MS
        return removed + went

    def _remove_places(self, db: sqlite3.Connection, before_ms: int, bound: int) -> int:
        removed = 0
        for listed, delete in (
            (_SQL.environments, _SQL.delete_environment),
            (_SQL.queues, _SQL.delete_queue),
        ):
            rows = db.execute(listed, (before_ms, bound, REMOVED)).fetchall()
            going = [row for row in rows if self._gone(row[0])]
            for statement in (_SQL.delete_changes, _TAGS.delete, delete):
                db.executemany(statement, going)
            removed += len(going)
        return removed

    def _remove_superseded(self, db: sqlite3.Connection, before_ms: int) -> tuple[int, bool]:
        """How many went, and whether the round is over."""
        rows = db.execute(_SQL.changes, (self._examined, EXAMINED)).fetchall()
        old = [{"seq": seq, "subject": subject} for seq, subject, at_ms in rows if at_ms < before_ms]
        told = {"applied": self._applied(), "before": before_ms}
        went = db.executemany(_SQL.delete_superseded, [row | told for row in old]).rowcount if old else 0
        over = len(rows) < EXAMINED or len(old) < len(rows)
        self._examined = 0 if over else rows[-1][0]
        return went, over


def _remove_consumables(db: sqlite3.Connection, told: dict[str, int]) -> int:
    going = db.execute(_SQL.consumables, told).fetchall()
    for statement in (_SQL.delete_changes, _SQL.delete_consumable):
        db.executemany(statement, going)
    return len(going)


def _remove_definitions(db: sqlite3.Connection, before_ms: int, bound: int) -> int:
    going = db.execute(_SQL.definitions, (before_ms, bound, REMOVED)).fetchall()
    for statement in (_TAGS.delete, _SQL.delete_definition):
        db.executemany(statement, going)
    return len(going)
