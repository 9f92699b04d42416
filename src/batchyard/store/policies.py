"""Scheduling policies as they are wished: created, changed, deleted.

The units of the api's writer, as in ``configuration``. A policy has no life of its own: nothing waits for it, so its
name is free as soon as it is deleted, which it can be when no queue goes by it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import NamedTuple

from batchyard.errors import ClientError
from batchyard.model.jobs import Deletion
from batchyard.model.shares import NewPolicy, PolicyChange, SharePolicy
from batchyard.store import columns
from batchyard.store.columns import POLICY
from batchyard.store.queries import queries

_SQL = queries("policies")
_CHANGES = queries("changes")
_TAGS = queries("tags")


class _Policy(NamedTuple):
    id: int
    region: str
    name: str
    body: str


class Policies:
    """`number` gives out request numbers; `gone` tells whether the engine says that nothing of a queue lives."""

    def __init__(self, number: Callable[[int], int], gone: Callable[[int], bool]):
        self._number = number
        self._gone = gone

    def create(self, new: NewPolicy, db: sqlite3.Connection) -> int:
        known = _known(db, new.idempotency)
        if known is not None:
            return known
        if _find(db, new.region, new.name) is not None:
            raise ClientError("Object already exists")
        seq = self._number(new.created_ms)
        db.execute(_SQL.insert, (seq, new.region, new.name, new.body.decode(), new.created_ms))
        _record(db, seq, seq, new.value, new.created_ms, new.idempotency)
        return seq

    def update(self, change: PolicyChange, db: sqlite3.Connection) -> bool:
        if _known(db, change.idempotency) is not None:
            return True
        row = _find(db, change.region, change.name)
        if row is None:
            return False
        seq = self._number(change.at_ms)
        body = columns.decode(row.body) | dict(change.members)
        db.execute(_SQL.update, (seq, columns.encode(body), row.id))
        _record(db, seq, row.id, change.value, change.at_ms, change.idempotency)
        return True

    def delete(self, deletion: Deletion, db: sqlite3.Connection) -> bool:
        if _known(db, deletion.idempotency) is not None:
            return True
        row = _find(db, deletion.region, deletion.name)
        if row is None:
            return False
        for queue, name in db.execute(_SQL.queues, (row.id,)).fetchall():
            if not self._gone(queue):
                raise ClientError(
                    f"Cannot delete, found existing JobQueue relationship: job queue {name} uses it.",
                    "Have the queue use another policy, or delete it first.",
                )
        seq = self._number(deletion.at_ms)
        for statement in (_SQL.delete, _TAGS.delete):
            db.execute(statement, (row.id,))
        _record(db, seq, row.id, None, deletion.at_ms, deletion.idempotency)
        return True


def _find(db: sqlite3.Connection, region: str, name: str) -> _Policy | None:
    row = db.execute(_SQL.by_name, (region, name)).fetchone()
    return None if row is None else _Policy(*row)


def _known(db: sqlite3.Connection, idempotency: bytes | None) -> int | None:
    """The number of what an earlier try of the same call created, changed or deleted."""
    row = None if idempotency is None else db.execute(_CHANGES.by_idempotency, (idempotency,)).fetchone()
    return None if row is None else row[0]


def _record(
    db: sqlite3.Connection, seq: int, subject: int, value: SharePolicy | None, at_ms: int, idempotency: bytes | None
) -> None:
    db.execute(_CHANGES.insert, (seq, subject, POLICY, columns.encode(value), at_ms, idempotency))
