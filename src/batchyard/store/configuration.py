"""Compute environments and job queues as they are wished: created, changed, marked as to be deleted.

Each function is a unit of the api's writer and checks its guards in the transaction that writes. Every change is told
in two places: the row has the value that holds now, for readers, and ``changes`` has one row a change, for the engine.
A name is taken until state.db says that its last holder is gone (``gone``), which once true stays true: it may be read
on another connection.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import NamedTuple

from batchyard.errors import ClientError
from batchyard.model.jobs import Deletion, EnvironmentChange, NewEnvironment, NewQueue, QueueChange
from batchyard.store import columns
from batchyard.store.columns import ENVIRONMENT, QUEUE, EnvironmentValue, QueueValue
from batchyard.store.queries import queries

_CHANGES = queries("changes")
_ENVIRONMENTS = queries("environments")
_QUEUES = queries("queues")
_POLICIES = queries("policies")
_BY_NAME = {
    ENVIRONMENT: (_ENVIRONMENTS.to_change, _ENVIRONMENTS.leaving_to_change),
    QUEUE: (_QUEUES.to_change, _QUEUES.leaving_to_change),
}

Gone = Callable[[int], bool]
Number = Callable[[int], int]  # the next request number, given the time of the request


class _Environment(NamedTuple):
    id: int
    provider: str
    uuid: str
    enabled: int
    body: str
    deleted_ms: int | None


class _Queue(NamedTuple):
    id: int
    priority: int
    enabled: int
    environments: str
    body: str
    policy: int | None
    deleted_ms: int | None


class Configuration:
    """The units. `number` gives out request numbers."""

    def __init__(self, number: Number, gone: Gone):
        self._number = number
        self._gone = gone

    # -- compute environments ----------------------------------------------------------------------------------

    def create_environment(self, new: NewEnvironment, db: sqlite3.Connection) -> int:
        known = _known(db, new.idempotency)
        if known is not None:
            return known
        self._refuse_taken(db, ENVIRONMENT, new.region, new.name)
        seq = self._number(new.created_ms)
        body = new.body.decode()
        row = (seq, new.region, new.name, new.uuid, new.kind, new.provider, int(new.enabled), body, new.created_ms)
        db.execute(_ENVIRONMENTS.insert, row)
        value = _environment_value(new.provider, new.uuid, int(new.enabled), 0, body, fresh=True)
        _record(db, seq, seq, ENVIRONMENT, value, new.created_ms, new.idempotency)
        return seq

    def update_environment(self, change: EnvironmentChange, db: sqlite3.Connection) -> bool:
        if _known(db, change.idempotency) is not None:
            return True
        row = self._environment(db, change.region, change.name)
        if row is None:
            return False
        _refuse_in_flux(row, "update")
        _refuse_overtaken(row.body, change)
        enabled = row.enabled if change.enabled is None else int(change.enabled)
        seq = self._number(change.at_ms)
        fresh = "capacity" in change.members
        if fresh:  # the environment is UPDATING until the engine has applied this
            change = change._replace(members=dict(change.members) | {columns.RESOURCES_SEQ: seq})
        body = _merged(row.body, change)
        db.execute(_ENVIRONMENTS.update, (seq, enabled, body, row.id))
        value = _environment_value(row.provider, row.uuid, enabled, 0, body, fresh=fresh)
        _record(db, seq, row.id, ENVIRONMENT, value, change.at_ms, change.idempotency)
        return True

    def delete_environment(self, deletion: Deletion, db: sqlite3.Connection) -> bool:
        if _known(db, deletion.idempotency) is not None:
            return True
        row = self._environment(db, deletion.region, deletion.name)
        if row is None:
            return False
        _refuse_in_flux(row, "delete")
        if row.enabled:
            raise ClientError(
                f"Cannot delete, state must be DISABLED: compute environment {deletion.name} is ENABLED.",
                "Disable it with UpdateComputeEnvironment first.",
            )
        if any(not self._gone(queue) for (queue,) in db.execute(_QUEUES.naming, (row.id,)).fetchall()):
            raise ClientError("Cannot delete, found existing JobQueue relationship")
        seq = self._number(deletion.at_ms)
        db.execute(_ENVIRONMENTS.delete, (seq, deletion.at_ms, row.id))
        value = _environment_value(row.provider, row.uuid, 0, 1, row.body, fresh=False)
        _record(db, seq, row.id, ENVIRONMENT, value, deletion.at_ms, deletion.idempotency)
        return True

    # -- job queues --------------------------------------------------------------------------------------------

    def create_queue(self, new: NewQueue, db: sqlite3.Connection) -> int:
        known = _known(db, new.idempotency)
        if known is not None:
            return known
        self._refuse_taken(db, QUEUE, new.region, new.name)
        _check_environments(db, new.environments)
        _check_policy(db, new.policy)
        seq = self._number(new.created_ms)
        environments = columns.encode(new.environments)
        row = (seq, new.region, new.name, new.priority, int(new.enabled), environments, new.body.decode())
        db.execute(_QUEUES.insert, (*row, new.created_ms, new.policy))
        limits = columns.queue_limits(new.body.decode())
        value = QueueValue(new.priority, int(new.enabled), 0, new.environments, limits, new.policy)
        _record(db, seq, seq, QUEUE, value, new.created_ms, new.idempotency)
        return seq

    def update_queue(self, change: QueueChange, db: sqlite3.Connection) -> bool:
        if _known(db, change.idempotency) is not None:
            return True
        row = self._queue(db, change.region, change.name)
        if row is None:
            return False
        _refuse_in_flux(row, "update")
        priority = row.priority if change.priority is None else change.priority
        enabled = row.enabled if change.enabled is None else int(change.enabled)
        environments = tuple(columns.decode(row.environments)) if change.environments is None else change.environments
        if change.environments is not None:
            _check_environments(db, environments)
        policy = row.policy if change.policy is None else change.policy
        _check_policy(db, change.policy)
        seq = self._number(change.at_ms)
        body = _merged(row.body, change)
        db.execute(_QUEUES.update, (seq, priority, enabled, columns.encode(environments), body, policy, row.id))
        value = QueueValue(priority, enabled, 0, environments, columns.queue_limits(body), policy)
        _record(db, seq, row.id, QUEUE, value, change.at_ms, change.idempotency)
        return True

    def delete_queue(self, deletion: Deletion, db: sqlite3.Connection) -> bool:
        if _known(db, deletion.idempotency) is not None:
            return True
        row = self._queue(db, deletion.region, deletion.name)
        if row is None:
            return False
        _refuse_in_flux(row, "delete")
        if row.enabled:
            raise ClientError(
                f"Cannot delete, state must be DISABLED: job queue {deletion.name} is ENABLED.",
                "Disable it with UpdateJobQueue first.",
            )
        seq = self._number(deletion.at_ms)
        db.execute(_QUEUES.delete, (seq, deletion.at_ms, row.id))
        value = QueueValue(row.priority, 0, 1, tuple(columns.decode(row.environments)), policy=row.policy)
        _record(db, seq, row.id, QUEUE, value, deletion.at_ms, deletion.idempotency)
        return True

    # -- names -------------------------------------------------------------------------------------------------

    def _find(self, db: sqlite3.Connection, kind: str, region: str, name: str) -> tuple | None:
        """The row that has the name now: a live one, or one that is being deleted and not gone yet."""
        live, leaving = (db.execute(statement, (region, name)).fetchone() for statement in _BY_NAME[kind])
        if live is None and leaving is not None and not self._gone(leaving[0]):
            return leaving
        return live

    def _environment(self, db: sqlite3.Connection, region: str, name: str) -> _Environment | None:
        row = self._find(db, ENVIRONMENT, region, name)
        return None if row is None else _Environment(*row)

    def _queue(self, db: sqlite3.Connection, region: str, name: str) -> _Queue | None:
        row = self._find(db, QUEUE, region, name)
        return None if row is None else _Queue(*row)

    def _refuse_taken(self, db: sqlite3.Connection, kind: str, region: str, name: str) -> None:
        if self._find(db, kind, region, name) is not None:
            raise ClientError("Object already exists")


def _known(db: sqlite3.Connection, idempotency: bytes | None) -> int | None:
    """The number of what an earlier try of the same call created, changed or marked."""
    row = None if idempotency is None else db.execute(_CHANGES.by_idempotency, (idempotency,)).fetchone()
    return None if row is None else row[0]


def _record(
    db: sqlite3.Connection, seq: int, subject: int, kind: str, value: tuple, at_ms: int, idempotency: bytes | None
) -> None:
    db.execute(_CHANGES.insert, (seq, subject, kind, columns.encode(value), at_ms, idempotency))


def _refuse_in_flux(row: _Environment | _Queue, verb: str) -> None:
    if row.deleted_ms is not None:
        raise ClientError(f"Cannot {verb}, resource is being modified")


def _refuse_overtaken(body: str, change: EnvironmentChange) -> None:
    """New members were made of old ones; another call may have changed those meanwhile."""
    if change.seen:
        there = columns.decode(body)
        if any(there.get(name) != value for name, value in change.seen.items()):
            raise ClientError("Cannot update, resource is being modified")


def _check_environments(db: sqlite3.Connection, numbers: tuple[int, ...]) -> None:
    """One that is being deleted runs nothing more; once it is gone its number names nothing."""
    for number in numbers:
        row = db.execute(_ENVIRONMENTS.deletion, (number,)).fetchone()
        if row is None or row[0] is not None:
            raise ClientError("Compute Environments must be created and valid before attaching them to a job queue")


def _check_policy(db: sqlite3.Connection, number: int | None) -> None:
    if number is not None and db.execute(_POLICIES.there, (number,)).fetchone() is None:
        raise ClientError(
            f"Scheduling policy number {number} was deleted in this very moment.", "Name one that exists."
        )


def _merged(body: str, change: EnvironmentChange | QueueChange) -> str:
    return columns.encode(columns.decode(body) | dict(change.members)) if change.members else body


def _environment_value(
    provider: str, uuid: str, enabled: int, deleting: int, body: str, *, fresh: bool
) -> EnvironmentValue:
    """What the engine is told, as far as it stands in the body. `fresh`: this very request brings the capacity; what
    it wants to be had right now is not wanted again by later ones."""
    told = columns.environment_body(body)
    capacity = told.capacity
    if capacity is not None and not fresh:
        capacity = capacity._replace(desired_cpu_milli=0)
    cpu_milli = 0 if capacity is not None else (told.unmanagedvCpus or 0) * 1000
    return EnvironmentValue(provider, uuid, enabled, deleting, told.room, capacity, cpu_milli)
