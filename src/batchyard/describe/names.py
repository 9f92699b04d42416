"""What queues, definitions and environments are called, by the numbers that rows give them."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar

from batchyard.ports import Reader

NAMES_KEPT = 10_000

Row = TypeVar("Row")


class Names:
    """What rows that never change are called, by their numbers."""

    def __init__(self, reader: Reader):
        self._reader = reader
        self.queue = lru_cache(NAMES_KEPT)(self._queue)
        self.definition = lru_cache(NAMES_KEPT)(self._definition)
        self.environment = lru_cache(NAMES_KEPT)(self._environment)

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
