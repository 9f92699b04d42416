"""Consumable resources as they are wished: created, granted more or less of, deleted; and what jobs ask for of them.

The units of the api's writer, as in ``configuration``. A number stands for a name for good. What of a resource was
consumed since its creation (`born`) is the engine's to know, and only grows: `granted` counts everything granted since
then, so that what there is in all is the difference, whenever the engine comes to apply a change.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import NamedTuple

from batchyard.errors import ClientError
from batchyard.model.consumables import ADD, MOST, SET, Asks, ConsumableChange, NewConsumable
from batchyard.model.jobs import Deletion, NewJob
from batchyard.store import columns
from batchyard.store.columns import CONSUMABLE, ConsumableValue
from batchyard.store.queries import queries

_SQL = queries("consumables")
_CHANGES = queries("changes")
_TAGS = queries("tags")

EXIST_MOST = 50_000  # in a region; reference "Quotas"


class _Consumable(NamedTuple):
    id: int
    region: str
    name: str
    replenishable: int
    granted: int
    born: int
    body: str
    created_ms: int | None


class Consumables:
    """`number` gives out request numbers; `consumed` tells what the engine has recorded as consumed of a resource since
    it was created by a request of the second number."""

    def __init__(self, number: Callable[[int], int], consumed: Callable[[int, int], int]):
        self._number = number
        self._consumed = consumed

    def create(self, new: NewConsumable, db: sqlite3.Connection) -> None:
        if _known(db, new.idempotency, 0):
            return
        row = _find(db, new.region, new.name)
        if row is not None and row.created_ms is not None:
            raise ClientError("Object already exists")
        if db.execute(_SQL.count, (new.region,)).fetchone()[0] >= EXIST_MOST:
            raise ClientError(
                f"There are {EXIST_MOST} consumable resources in {new.region}, which is the most there can be.",
                "Delete one first.",
            )
        seq = self._number(new.created_ms)
        subject = seq if row is None else row.id
        value = (int(new.replenishable), new.total, new.body.decode(), new.created_ms)
        if row is None:
            db.execute(_SQL.insert, (seq, new.region, new.name, *value))
        else:
            db.execute(_SQL.create, (row.id, seq, *value))
        _record(db, seq, subject, ConsumableValue(1, *value[:2], seq), new.created_ms, new.idempotency)

    def update(self, change: ConsumableChange, db: sqlite3.Connection) -> int | None:
        """What there is to be in all; None if there is no such resource."""
        row = _find(db, change.region, change.name)
        if row is None or row.created_ms is None:
            return None
        consumed = self._consumed(row.id, row.born)
        total = max(0, row.granted - consumed)
        if _known(db, change.idempotency, change.valid_from_ms):
            return total
        if change.operation == SET:
            total = change.quantity
        else:
            total += change.quantity if change.operation == ADD else -change.quantity
        if total < 0:
            raise ClientError("totalQuantity cannot be a negative number.")
        if total > MOST:
            raise ClientError(
                f"totalQuantity of {change.name} would be {total}, and {MOST} is the most there can be.", "ADD less."
            )
        seq = self._number(change.at_ms)
        db.execute(_SQL.grant, (row.id, seq, total + consumed))
        value = ConsumableValue(1, row.replenishable, total + consumed, row.born)
        _record(db, seq, row.id, value, change.at_ms, change.idempotency)
        return total

    def delete(self, deletion: Deletion, db: sqlite3.Connection) -> bool:
        if _known(db, deletion.idempotency, 0):
            return True
        row = _find(db, deletion.region, deletion.name)
        if row is None or row.created_ms is None:
            return False
        seq = self._number(deletion.at_ms)
        db.execute(_SQL.delete, (row.id, seq))
        db.execute(_TAGS.delete, (row.id,))
        value = ConsumableValue(0, row.replenishable, row.granted, row.born)
        _record(db, seq, row.id, value, deletion.at_ms, deletion.idempotency)
        return True

    def numbered(self, db: sqlite3.Connection, job: NewJob) -> Asks:
        """What the job asks for, by number; a name that was never heard before gets one."""
        asks = []
        for name, quantity in job.consumables:
            row = _find(db, job.region, name)
            number = self._number(job.created_ms) if row is None else row.id
            if row is None:
                db.execute(_SQL.insert, (number, job.region, name, 1, 0, "{}", None))
            asks.append((number, quantity))
        return tuple(sorted(asks))


def record_asks(db: sqlite3.Connection, job: int, asks: Asks) -> None:
    """So that the jobs of a resource are found."""
    db.executemany(_SQL.ask, [(number, job, quantity) for number, quantity in asks])


def _find(db: sqlite3.Connection, region: str, name: str) -> _Consumable | None:
    row = db.execute(_SQL.by_name, (region, name)).fetchone()
    return None if row is None else _Consumable(*row)


def _known(db: sqlite3.Connection, idempotency: bytes | None, valid_from_ms: int) -> bool:
    """Whether a call with this key was carried out before; one that was too long ago is forgotten."""
    row = None if idempotency is None else db.execute(_CHANGES.by_idempotency, (idempotency,)).fetchone()
    if row is not None and row[1] < valid_from_ms:
        db.execute(_CHANGES.forget_key, (idempotency,))
        return False
    return row is not None


def _record(
    db: sqlite3.Connection, seq: int, subject: int, value: ConsumableValue, at_ms: int, idempotency: bytes | None
) -> None:
    db.execute(_CHANGES.insert, (seq, subject, CONSUMABLE, columns.encode(value), at_ms, idempotency))
