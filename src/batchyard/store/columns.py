"""How values of the model lie in columns: UUIDs as 16 bytes, policies and lists as JSON or NULL."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from batchyard.model import ids
from batchyard.model.blocked import TimeLimit, code_of
from batchyard.model.consumables import Asks
from batchyard.model.environments import Capacity, HeldInstance, Leaving
from batchyard.model.events import ConsumableChanged, EnvironmentChanged, PolicyChanged, QueueChanged
from batchyard.model.jobs import Nodes, RetryPolicy
from batchyard.model.needs import Needs
from batchyard.model.shares import SharePolicy
from batchyard.model.tasks import ContainerEnding

decode = msgspec.json.decode
_encode = msgspec.json.Encoder().encode


class StoredUpstream(NamedTuple):
    """One dependsOn entry as a row keeps it; `named` is the job id that the caller gave, None if none."""

    seq: int
    index: int
    kind: int
    named: str | None


class EnvironmentValue(NamedTuple):
    """What the engine is told of a compute environment; `room` is that of a provider of its own."""

    provider: str
    uuid: str
    enabled: int
    deleting: int
    room: Needs | None
    capacity: Capacity | None = None
    unmanaged_cpu_milli: int = 0


class QueueValue(NamedTuple):
    """What the engine is told of a job queue."""

    priority: int
    enabled: int
    deleting: int
    environments: tuple[int, ...]
    limits: tuple[TimeLimit, ...] = ()
    policy: int | None = None


class ConsumableValue(NamedTuple):
    """What the engine is told of a consumable resource."""

    there: int
    replenishable: int
    granted: int
    born: int


class EnvironmentBody(msgspec.Struct):
    """What of a compute environment's body the engine is told."""

    room: Needs | None = None
    capacity: Capacity | None = None
    unmanagedvCpus: int | None = None
    resources_seq: int = 0


class TimeLimitAction(msgspec.Struct):
    """A jobStateTimeLimitAction, as far as the engine is told."""

    reason: str
    maxTimeSeconds: int


class QueueBody(msgspec.Struct):
    """What of a job queue's body the engine is told."""

    jobStateTimeLimitActions: list[TimeLimitAction] = []


ENVIRONMENT, QUEUE, CONSUMABLE, POLICY = "environment", "queue", "consumable", "policy"
RESOURCES_SEQ = "resources_seq"  # in an environment's body: number of the latest change of what it may hold

_environment_decoder = msgspec.json.Decoder(EnvironmentValue)
environment_body = msgspec.json.Decoder(EnvironmentBody).decode
_queue_body_decoder = msgspec.json.Decoder(QueueBody)
_queue_decoder = msgspec.json.Decoder(QueueValue)
_policy_decoder = msgspec.json.Decoder(SharePolicy | None)
_consumable_decoder = msgspec.json.Decoder(ConsumableValue)
_asks_decoder = msgspec.json.Decoder(Asks)
_upstreams_decoder = msgspec.json.Decoder(tuple[StoredUpstream, ...])
_endings_decoder = msgspec.json.Decoder(tuple[ContainerEnding, ...])
_nodes_decoder = msgspec.json.Decoder(Nodes)
_retry_decoder = msgspec.json.Decoder(RetryPolicy)
_ONCE = RetryPolicy()


def queue_limits(body: str) -> tuple[TimeLimit, ...]:
    """The time limits in a job queue's body."""
    actions = _queue_body_decoder.decode(body).jobStateTimeLimitActions
    return tuple(TimeLimit(code_of(action.reason), action.maxTimeSeconds * 1000) for action in actions)


def environment_told(body: dict[str, Any]) -> EnvironmentBody:
    """What the engine is told of a compute environment, of a body that is decoded already."""
    return msgspec.convert(body, EnvironmentBody)


def encode(value: Any) -> str:
    """Compact JSON text."""
    return _encode(value).decode()


def pack_uuid(uuid: str) -> bytes:
    """The 16 bytes of a UUID; ValueError for a text that is none."""
    packed = bytes.fromhex(uuid.replace("-", ""))
    if len(packed) != 16:
        raise ValueError(f"{uuid!r} is not a UUID")
    return packed


def unpack_uuid(packed: bytes) -> str:
    """The UUID in its usual form, lower case."""
    digits = packed.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def pack_task(uuid: str, index: int, number: int) -> bytes:
    """The 16 bytes of the attempt's task id."""
    return bytes.fromhex(ids.task_id(ids.attempt_id(uuid, index, number)))


def pack_retry(retry: RetryPolicy) -> str | None:
    return None if retry == _ONCE else encode(retry)


@lru_cache(maxsize=1024)
def unpack_retry(text: str | None) -> RetryPolicy:
    return _ONCE if text is None else _retry_decoder.decode(text)


def pack_nodes(nodes: Nodes | None) -> str | None:
    return None if nodes is None else encode(nodes)


@lru_cache(maxsize=1024)
def _unpack_nodes(text: str) -> Nodes:
    return _nodes_decoder.decode(text)


def unpack_nodes(text: str | None) -> Nodes | None:
    return None if text is None else _unpack_nodes(text)


def unpack_upstreams(text: str | None) -> tuple[StoredUpstream, ...]:
    return () if text is None else _upstreams_decoder.decode(text)


def pack_devices(devices: tuple[int, ...]) -> str | None:
    return encode(devices) if devices else None


def unpack_devices(text: str | None) -> tuple[int, ...]:
    return () if text is None else tuple(decode(text))


def pack_endings(endings: tuple[ContainerEnding, ...]) -> str | None:
    return encode(endings) if endings else None


def unpack_endings(text: str | None) -> tuple[ContainerEnding, ...]:
    return () if text is None else _endings_decoder.decode(text)


@lru_cache(maxsize=1024)
def unpack_asks(text: str | None) -> Asks:
    """What a job asks for of consumable resources."""
    return () if text is None else _asks_decoder.decode(text)


def unpack_instance(row: tuple) -> HeldInstance:
    """A row of ``instances`` that exists."""
    number, name, environment, kind, cpu_milli, memory_mib, gpus, *rest = row
    usable_mib, launched, ready, idle, reserved, devices, warned, *leaves = rest
    leaving = None if warned is None else Leaving(warned, *leaves)
    room, held = Needs(cpu_milli, memory_mib, gpus), unpack_devices(devices)
    return HeldInstance(
        number, name, environment, kind, room, usable_mib, launched, ready, idle, reserved, held, leaving
    )


def unpack_change(
    seq: int, subject: int, kind: str, value: str
) -> EnvironmentChanged | PolicyChanged | QueueChanged | ConsumableChanged:
    """A row of ``changes`` as the engine is told it."""
    if kind == CONSUMABLE:
        there, replenishable, granted, born = _consumable_decoder.decode(value)
        return ConsumableChanged(seq, subject, bool(there), bool(replenishable), granted, born)
    if kind == QUEUE:
        priority, enabled, deleting, environments, limits, policy = _queue_decoder.decode(value)
        return QueueChanged(seq, subject, priority, bool(enabled), environments, bool(deleting), policy, limits)
    if kind == POLICY:
        return PolicyChanged(seq, subject, _policy_decoder.decode(value))
    told = _environment_decoder.decode(value)
    return EnvironmentChanged(
        seq=seq,
        environment=subject,
        provider=told.provider,
        instance=ids.machine_instance_id(told.uuid),
        enabled=bool(told.enabled),
        room=told.room,
        deleting=bool(told.deleting),
        capacity=told.capacity,
        unmanaged_cpu_milli=told.unmanaged_cpu_milli,
    )
