"""Logs of attempts."""

from __future__ import annotations

from typing import Protocol

from batchyard.model.streams import LogEvent, LogState


class LogStore(Protocol):
    """Reads attempt logs; lines are events."""

    def read_forward(
        self, attempt: str, opened_ms: int, offset: int, limit: int, max_bytes: int, closed: bool
    ) -> list[LogEvent]:
        """Whole lines from `offset` on. A last line without its end is returned only if the attempt is `closed`."""

    def read_backward(
        self, attempt: str, opened_ms: int, offset: int, limit: int, max_bytes: int, closed: bool
    ) -> list[LogEvent]:
        """The last lines that end at or before `offset`, oldest first; of an unfinished last line as above."""

    def size(self, attempt: str, opened_ms: int) -> int | None:
        """Bytes written so far; None if there is no log."""

    def state(self, attempt: str, opened_ms: int) -> LogState | None:
        """None if there is no log."""

    def offset_at(self, attempt: str, opened_ms: int, at_ms: int) -> int:
        """A line's beginning (of a line longer than a MiB, some place in it) before which no event has the time
        `at_ms` or a later one; reading on from there, the first events may be older."""

    def remove(self, attempt: str, opened_ms: int) -> None:
        """The job is known no more: its log goes. Nothing happens if there is none."""
