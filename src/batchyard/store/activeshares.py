"""How many share identifiers of a queue are active, as far as a submission must know: no more than 500 may be.

The engine has a row for each active share of the jobs that it took; of the jobs that it has yet to take, the api's
writer remembers the shares. Together, as of one snapshot of state.db, they are all there are.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Callable

from batchyard.errors import ClientError
from batchyard.store.queries import queries

ACTIVE_MAX = 500  # of a queue; reference "Quotas"

_SHARES = queries("shares")
_SUBMISSIONS = queries("submissions")
_STATES = queries("states")
_QUEUES = queries("queues")

Asked = dict[int, OrderedDict[str, int]]  # by queue: shares and the numbers of their latest jobs, in order of those


class ActiveShares:
    """For the api's writer. `state` gives a connection to state.db."""

    def __init__(self, state: Callable[[], sqlite3.Connection]):
        self._state = state
        self._asked: Asked | None = None  # None: to be read from the file

    def forget(self) -> None:
        """What was written may have been undone."""
        self._asked = None

    def note(self, queue: int, share: str, seq: int) -> None:
        """A job of the share has this number."""
        if self._asked is not None:
            shares = self._asked.setdefault(queue, OrderedDict())
            shares[share] = seq
            shares.move_to_end(share)

    def check(self, db: sqlite3.Connection, queue: int, share: str) -> None:
        """ClientError if the share is not active, and the queue has as many as it may have."""
        state = self._state()
        if state.execute(_SHARES.known, (queue, share)).fetchone() is not None:
            return
        state.execute("BEGIN")
        try:
            applied = state.execute(_STATES.meta).fetchone()[0]
            active = {name for (name,) in state.execute(_SHARES.of_queue, (queue,))}
        finally:
            state.rollback()
        waiting = self._waiting(db, queue, applied)
        if share not in waiting and share not in active and len(active | waiting.keys()) >= ACTIVE_MAX:
            name = db.execute(_QUEUES.by_id, (queue,)).fetchone()[2]
            raise ClientError(
                f"Job queue {name} has {ACTIVE_MAX} active share identifiers, and {share} would be one more.",
                "Submit with one that is active, or wait until the jobs of another are over and out of the window.",
            )

    def _waiting(self, db: sqlite3.Connection, queue: int, applied: int) -> OrderedDict[str, int]:
        """The shares of jobs that the engine has yet to take."""
        if self._asked is None:
            self._asked = {}
            for of, share, seq in sorted(db.execute(_SUBMISSIONS.shares_after, (applied,)), key=lambda row: row[2]):
                self._asked.setdefault(of, OrderedDict())[share] = seq
        shares = self._asked.setdefault(queue, OrderedDict())
        while shares and next(iter(shares.values())) <= applied:
            shares.popitem(last=False)
        return shares
