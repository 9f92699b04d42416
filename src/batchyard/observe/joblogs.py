"""Reads the logs of attempts: lines of a file are events, and the index beside it says when they were written.

The slot appends a job's output to ``logs/DAY/ATTEMPT.log`` and samples (time, size) into ``.idx``. A line gets the
time of the first sample that covers its end, so times never decrease and lie within the attempt.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from batchyard.model.streams import LogEvent, LogState
from batchyard.observe.logindex import Index, Sample

log = logging.getLogger(__name__)

LOOK_BACK = 1 << 20  # bytes before a place in which the beginning of its line is looked for
BESIDE = (".idx", ".pos", ".tail0", ".tail1", ".tail2", ".tail3")  # all but the first only where a slot was killed
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

    def state(self, attempt: str, opened_ms: int) -> LogState | None:
        size = self.size(attempt, opened_ms)
        if size is None:
            return None
        with self._index(attempt, opened_ms) as index:
            last = index.last()
            if last is None or not last.size:
                return LogState(size, 0, None, None)
            first = index.first_with_output()
            first_ms = max(first.at_ms if first else last.at_ms, opened_ms)
            return LogState(size, last.size, first_ms, max(last.at_ms, opened_ms))

    def offset_at(self, attempt: str, opened_ms: int, at_ms: int) -> int:
        if at_ms <= opened_ms:
            return 0
        with self._index(attempt, opened_ms) as index:
            offset = index.before(at_ms)
        with self._open(attempt, opened_ms) as file:
            begin = max(0, offset - LOOK_BACK)
            return begin + file.read(begin, offset - begin).rfind(b"\n") + 1 if offset else 0

    def remove(self, attempt: str, opened_ms: int) -> None:
        # Days' directories stay: slots keep some open, and there is one a day.
        path = self.path(attempt, opened_ms)
        for each in (path, *(path.with_suffix(suffix) for suffix in BESIDE)):
            try:
                each.unlink(missing_ok=True)
            except OSError as error:
                log.warning("%s could not be removed: %s", each, error.strerror)

    def read_forward(
        self, attempt: str, opened_ms: int, offset: int, limit: int, max_bytes: int, closed: bool
    ) -> list[LogEvent]:
        with self._open(attempt, opened_ms) as file:
            chunk = file.read(offset, max_bytes + EVENT_MAX + 1)
            pieces = _pieces(chunk, offset, whole=closed and offset + len(chunk) >= file.size)
            room = offset + max_bytes
            wanted = enumerate(islice(pieces, limit))
            kept = [piece for number, piece in wanted if not number or piece.end <= room]
        return self._events(attempt, opened_ms, kept)

    def read_backward(
        self, attempt: str, opened_ms: int, offset: int, limit: int, max_bytes: int, closed: bool
    ) -> list[LogEvent]:
        with self._open(attempt, opened_ms) as file:
            offset = min(offset, file.size)
            start = max(0, offset - max_bytes)
            chunk = file.read(start, offset - start)
            cut = chunk.find(b"\n", 0, -1) + 1
            if start and cut:
                start, chunk = start + cut, chunk[cut:]  # we may have begun within a line
            elif start:
                start, chunk = _within_long_line(file, offset, max_bytes)  # all we read is one line
            skipped = _before_last(chunk, limit)
            pieces = list(_pieces(chunk[skipped:], start + skipped, whole=closed or offset < file.size))
        return self._events(attempt, opened_ms, pieces[-limit:] if limit else [])

    @contextmanager
    def _open(self, attempt: str, opened_ms: int) -> Iterator[_Log]:
        descriptor = _open(self.path(attempt, opened_ms))
        try:
            yield _Log(descriptor, os.fstat(descriptor).st_size if descriptor >= 0 else 0)
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    def _events(self, attempt: str, opened_ms: int, pieces: list[_Piece]) -> list[LogEvent]:
        """The pieces with the time of the first sample that covers their end; at the last, of the last sample.

        None has a time before the opening of its attempt, whatever became of the clock in between.
        """
        if not pieces:
            return []
        events = []
        with self._index(attempt, opened_ms) as index:
            samples = index.covering(pieces[0].end)
            sample = next(samples, None) or index.last() or Sample(opened_ms, 0)
            for content, offset, end in pieces:
                while sample.size < end and (later := next(samples, None)) is not None:
                    sample = later
                text = content.decode("utf-8", "replace").removesuffix("\r")
                events.append(LogEvent(max(sample.at_ms, opened_ms), text, offset, end))
        return events

    @contextmanager
    def _index(self, attempt: str, opened_ms: int) -> Iterator[Index]:
        descriptor = _open(self.path(attempt, opened_ms).with_suffix(".idx"))
        try:
            yield Index(descriptor)
        finally:
            if descriptor >= 0:
                os.close(descriptor)


class _Log(NamedTuple):
    """An open log; descriptor -1 is one that does not exist."""

    descriptor: int
    size: int

    def read(self, offset: int, count: int) -> bytes:
        return os.pread(self.descriptor, max(0, count), offset) if self.descriptor >= 0 else b""


class _Piece(NamedTuple):
    """A line without its end, or a part of a long one; `end` is where the next begins."""

    content: bytes
    offset: int
    end: int


def _open(path: Path) -> int:
    """A descriptor to read from; -1 if there is no such file."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return -1


def _before_last(chunk: bytes, limit: int) -> int:
    """How much of `chunk` lies before its last `limit` lines and so need not be cut up."""
    at = len(chunk)
    for _ in range(limit + 1):
        at = chunk.rfind(b"\n", 0, at)
        if at < 0:
            return 0
    return at + 1


def _pieces(chunk: bytes, offset: int, whole: bool) -> Iterator[_Piece]:
    """Cut `chunk`, which begins a line or piece at `offset`; a rest without its end counts only if `whole`."""
    at = 0
    while at < len(chunk):
        end = chunk.find(b"\n", at, at + EVENT_MAX + 1)
        if end >= 0:
            stop, after = end, end + 1
        elif len(chunk) - at > EVENT_MAX:
            stop = after = at + _cut(chunk[at : at + EVENT_MAX + 1])
        elif whole:
            stop = after = len(chunk)
        else:
            break
        yield _Piece(chunk[at:stop], offset + at, offset + after)
        at = after


def _cut(line: bytes) -> int:
    """Where a line of more than EVENT_MAX bytes is cut: after EVENT_MAX at most, and not within a character."""
    end = EVENT_MAX
    while end > EVENT_MAX - 3 and line[end] & 0xC0 == 0x80:
        end -= 1
    return end


def _within_long_line(file: _Log, offset: int, max_bytes: int) -> tuple[int, bytes]:
    """The last pieces, of `max_bytes` in all, of a long line that reaches to `offset`; where they begin, and they.

    Where a line is cut depends on where it begins, so that is looked for, block by block.
    """
    at = offset - 1
    while at > 0:
        block = max(0, at - EVENT_MAX)
        found = file.read(block, at - block).rfind(b"\n")
        if found >= 0:
            at = block + found + 1
            break
        at = block
    while offset - at > max(max_bytes, EVENT_MAX + 1):
        at += _cut(file.read(at, EVENT_MAX + 1))
    return at, file.read(at, offset - at)
