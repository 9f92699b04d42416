"""What the operations are given: the adapters behind the ports, and the facts of one call."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar

from batchyard.access.authenticate import Directory
from batchyard.admission.compiled import CompiledDefinition, compile_definition
from batchyard.api.arns import Arns
from batchyard.config import Settings
from batchyard.ports import Clock, DefinitionRow, Intake, LogStore, Reader

NAMES_KEPT = 10_000
DEFINITIONS_KEPT = 2_000

Row = TypeVar("Row")


@dataclass
class Context:
    """All that outlives a call. `directory` knows the access keys; `wall_s` is wall time in seconds, by which
    signatures are judged; `mint` makes a new UUID in its usual text form."""

    settings: Settings
    intake: Intake
    reader: Reader
    logs: LogStore
    directory: Directory
    clock: Clock
    wall_s: Callable[[], float]
    mint: Callable[[], str]
    names: Names = field(init=False)

    def __post_init__(self) -> None:
        self.names = Names(self.reader)

    def tags(self, number: int, body: dict[str, Any]) -> dict[str, str]:
        """The tags, as they are now, of the environment, queue, definition or job with this number and body."""
        changed = self.reader.changed_tags(number)
        return (body.get("tags") or {}) if changed is None else changed

    @property
    def vcpus(self) -> int:
        """vCPUs that jobs may hold together."""
        return self.settings.vcpus or os.cpu_count() or 1


class Names:
    """What rows that never change are called, by their numbers, and definitions made ready for use."""

    def __init__(self, reader: Reader):
        self._reader = reader
        self.queue = lru_cache(NAMES_KEPT)(self._queue)
        self.definition = lru_cache(NAMES_KEPT)(self._definition)
        self.environment = lru_cache(NAMES_KEPT)(self._environment)
        self._compiled: dict[int, CompiledDefinition] = {}

    def compiled(self, row: DefinitionRow) -> CompiledDefinition:
        """The definition of `row` as ``admission.jobs`` takes it; the last few thousand are kept."""
        found = self._compiled.get(row.id)
        if found is None:
            if len(self._compiled) >= DEFINITIONS_KEPT:
                del self._compiled[next(iter(self._compiled))]
            found = self._compiled[row.id] = compile_definition(row.body)
        return found

    def _queue(self, number: int) -> str:
        """The queue's name."""
        return _there(self._reader.queue_by_id(number), "queue", number).name

    def _definition(self, number: int) -> tuple[str, int]:
        """Name and revision."""
        row = _there(self._reader.definition_by_id(number), "job definition", number)
        return row.name, row.revision

    def _environment(self, number: int) -> tuple[str, str]:
        """Name and UUID."""
        row = _there(self._reader.environment_by_id(number), "compute environment", number)
        return row.name, row.uuid


def _there(row: Row | None, kind: str, number: int) -> Row:
    if row is None:
        raise LookupError(f"a job names {kind} number {number}, which is not stored")
    return row


@dataclass(slots=True)
class Call:
    """The facts of one call: stamped once, the same for everything it does."""

    request_id: str
    now_ms: int
    arns: Arns
    key_id: str
    headers: dict[str, str]
    body: bytes

    @property
    def region(self) -> str:
        return self.arns.region
