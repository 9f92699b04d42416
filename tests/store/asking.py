"""Requests with sensible values, so that a test names only what it is about."""

from __future__ import annotations

import uuid as uuids
from typing import NamedTuple

from batchyard.model.jobs import (
    Deletion,
    EnvironmentChange,
    NewDefinition,
    NewEnvironment,
    NewJob,
    NewQueue,
    QueueChange,
    RetryPolicy,
    Wish,
)
from batchyard.model.needs import Needs
from batchyard.store.intake import SqliteIntake
from batchyard.store.reader import SqliteReader

REGION = "us-east-1"
BODY = b'{"container":{"image":"busybox","command":["true"]},"parameters":{}}'
NEEDS = Needs(1000, 512, 0)


class Yard(NamedTuple):
    """Numbers of one environment, queue and definition."""

    environment: int
    queue: int
    definition: int


def environment(name="here", **given):
    values = {"region": REGION, "name": name, "uuid": str(uuids.uuid4()), "kind": "UNMANAGED", "provider": "local"}
    return NewEnvironment(**(values | {"enabled": True, "body": b'{"type":"UNMANAGED"}', "created_ms": 1} | given))


def queue(environments, name="q", **given):
    values = {"region": REGION, "name": name, "priority": 10, "enabled": True, "environments": tuple(environments)}
    return NewQueue(**(values | {"body": b'{"priority":10}', "created_ms": 2} | given))


def environment_change(name="here", **given):
    return EnvironmentChange(**({"region": REGION, "name": name, "at_ms": 5, "idempotency": None} | given))


def queue_change(name="q", **given):
    return QueueChange(**({"region": REGION, "name": name, "at_ms": 5, "idempotency": None} | given))


def deletion(name, at_ms=6, idempotency=None):
    return Deletion(REGION, name, at_ms, idempotency)


def definition(name="hello", **given):
    return NewDefinition(**({"region": REGION, "name": name, "body": BODY, "created_ms": 3} | given))


def job(yard: Yard, **given) -> NewJob:
    values = {"uuid": str(uuids.uuid4()), "region": REGION, "name": "job", "queue": yard.queue}
    values |= {"definition": yard.definition, "created_ms": 1_700_000_000_000, "size": 0, "needs": NEEDS}
    values |= {"retry": RetryPolicy(), "timeout_s": None, "upstreams": (), "body": BODY}
    return NewJob(**(values | given))


def wish(uuid, index=-1, kind=2, reason="enough", at_ms=9):
    return Wish(uuid, index, kind, reason, at_ms)


async def furnish(intake: SqliteIntake, data) -> Yard:
    """An environment, a queue on it and a definition."""
    place = await intake.create_environment(environment())
    line = await intake.create_queue(queue([place]))
    revision = await intake.register_definition(definition())
    reader = SqliteReader(data)
    try:
        return Yard(place, line, reader.definition(REGION, "hello", revision).id)
    finally:
        reader.close()
