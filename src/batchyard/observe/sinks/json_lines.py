"""The sink `event_file`: each event is a line of JSON at the end of a file.

A batch of lines is on the disk before the next one begins. A line that a crash left unfinished is removed before more
is appended, since its event comes again: every line is whole. When the file was moved away or removed, as tools that
rotate files do, a new one is begun.
"""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Sequence

from batchyard.observe.follow import Failed
from batchyard.observe.state_changes import StateChange

BLOCK = 1 << 16


class JsonLines:
    """sink.Place over the file at `path`; it belongs to its owner alone, since events hold what jobs were given."""

    most = 1000

    def __init__(self, path: str):
        self.name = f"event_file {path}"
        self._path = path
        self._file = -1

    def deliver(self, events: Sequence[StateChange], stop: threading.Event) -> None:
        try:
            self._open()
            self._append(b"".join([event.whole + b"\n" for event in events]))
        except OSError as error:
            self._close()
            raise Failed(f"cannot be written: {error.strerror}") from error

    def _open(self) -> None:
        """Have the file that the path names now open, its last line whole."""
        if self._file >= 0 and not self._is_elsewhere():
            return
        self._close()
        # Without waiting: a pipe that nobody reads is refused.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        self._file = os.open(self._path, flags, 0o600)
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            raise Failed("cannot be written: it is not a regular file")
        _make_last_line_whole(self._file)

    def _is_elsewhere(self) -> bool:
        try:
            named = os.stat(self._path)
        except FileNotFoundError:
            return True
        return not os.path.samestat(named, os.fstat(self._file))

    def _append(self, lines: bytes) -> None:
        size = os.fstat(self._file).st_size
        rest = memoryview(lines)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fdatasync(self._file)
        except OSError:
            os.ftruncate(self._file, size)
            raise

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _make_last_line_whole(file: int) -> None:
    """Remove what stands after the last line end, unless it is a whole event that lacks only that."""
    size = os.fstat(file).st_size
    start, tail = size, b""
    while start > 0 and b"\n" not in tail:
        end, start = start, max(0, start - BLOCK)
        tail = os.pread(file, end - start, start) + tail
    tail = tail[tail.rfind(b"\n") + 1 :]
    if not tail:
        return
    try:
        json.loads(tail)
    except ValueError:
        os.ftruncate(file, size - len(tail))
    else:
        os.write(file, b"\n")
