"""Reads the logs of attempts: lines of a file are events, and the index beside it says when they were written.

The slot appends a job's output to ``logs/DAY/ATTEMPT.log`` and samples (time, size) into ``.idx``. A line gets the
time of the first sample that covers its end, so times never decrease and lie within the attempt.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from datetime import UTC, datetime
from pathlib import Path

from batchyard.ports import LogEvent

EVENT_MAX = 256 * 1024  # bytes of one event; a longer line is told in pieces (CloudWatch's bound)


class FileLogs:
    """ports.LogStore over the files that slots write."""

    def __init__(self, data: Path | str):
        self._logs = Path(data) / "logs"

    def path(self, attempt: str, opened_ms: int) -> Path:
        """The log's file; its name is made by executors.process in the same way."""
        day = datetime.fromtimestamp(opened_ms / 1000, UTC).strftime("%Y-%m-%d")
        return self._logs / day / f"{attempt}.log"

    def size(self, attempt: str, opened_ms: int) -> int | None:
        try:
            return self.path(attempt, opened_ms).stat().st_size
        except FileNotFoundError:
            return None

    def read_forward(
        self, attempt: str, opened_ms: int, offset: int, limit: int, max_bytes: int, closed: bool
    ) -> list[LogEvent]:
        chunk = self._bytes(attempt, opened_ms, offset, max_bytes)
        whole = closed and self._is_end(attempt, opened_ms, offset + len(chunk))
        return self._events(attempt, opened_ms, chunk, offset, whole)[:limit]

    def read_backward(
        self, attempt: str, opened_ms: int, offset: int, limit: int, max_bytes: int, closed: bool
    ) -> list[LogEvent]:
        start = max(0, offset - max_bytes)
        chunk = self._bytes(attempt, opened_ms, start, offset - start)
        if start > 0:  # we may have begun within a line
            cut = chunk.find(b"\n") + 1
            if cut:
                start, chunk = start + cut, chunk[cut:]
        whole = closed and self._is_end(attempt, opened_ms, start + len(chunk))
        events = self._events(attempt, opened_ms, chunk, start, whole)
        return events[-limit:] if limit else []

    def _bytes(self, attempt: str, opened_ms: int, offset: int, count: int) -> bytes:
        try:
            descriptor = os.open(self.path(attempt, opened_ms), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return b""
        try:
            return os.pread(descriptor, max(0, count), offset)
        finally:
            os.close(descriptor)

    def _is_end(self, attempt: str, opened_ms: int, offset: int) -> bool:
        return offset >= (self.size(attempt, opened_ms) or 0)

    def _events(self, attempt: str, opened_ms: int, chunk: bytes, offset: int, whole: bool) -> list[LogEvent]:
        """Lines of `chunk`, which lies at `offset`; an unfinished last line only if `whole` or long."""
        if not chunk:
            return []
        offsets, times = self._samples(attempt, opened_ms)
        events, at = [], 0
        while at < len(chunk):
            end = chunk.find(b"\n", at, at + EVENT_MAX)
            if end >= 0:
                stop, after = end, end + 1
            elif len(chunk) - at >= EVENT_MAX:
                stop = after = at + EVENT_MAX
            elif whole:
                stop = after = len(chunk)
            else:
                break
            text = chunk[at:stop].decode("utf-8", "replace").removesuffix("\r")
            sample = bisect_left(offsets, offset + after)
            time_ms = times[min(sample, len(times) - 1)] if times else opened_ms
            events.append(LogEvent(time_ms, text, offset + at, offset + after))
            at = after
        return events

    def _samples(self, attempt: str, opened_ms: int) -> tuple[list[int], list[int]]:
        """Offsets and times of the index, in order; empty if there is none yet."""
        try:
            lines = self.path(attempt, opened_ms).with_suffix(".idx").read_bytes().splitlines()
        except FileNotFoundError:
            return [], []
        offsets, times = [], []
        for line in lines:
            parts = line.split()
            if len(parts) == 2 and all(part.isdigit() for part in parts):
                times.append(int(parts[0]))
                offsets.append(int(parts[1]))
        return offsets, times
