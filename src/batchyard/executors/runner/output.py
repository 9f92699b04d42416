"""What a job writes: from its pipe to its log, with an index of times, within a bound.

A pipe and not the file itself: a program that opens /dev/stderr anew would truncate a file, and nobody could bound it.
The kernel moves the data (splice), so a slot spends next to nothing on it. The file holds the head and, once the bound
is met, the tail: the middle is cut, and a line says how much.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable

CHUNK = 1 << 20
ROUNDS = 16  # chunks moved before others get their turn
PAUSE_S = 0.01  # a trickle is gathered for so long, or a chatty job would wake us for every line
FLOOD_BYTES = 1 << 18  # from here on it is no trickle
F_SETPIPE_SZ = 1031

OpenFile = Callable[[str, int], int]  # (suffix, more flags) -> descriptor of the file beside the log


class Output:
    """The reading end of a job's output. `pipe` is -1 once every writer has closed it."""

    def __init__(self, open_file: OpenFile, remove_file: Callable[[str], None], bound_bytes: int, now_ms: int):
        self._open_file = open_file
        self._remove_file = remove_file
        self._head_bytes = max(CHUNK, bound_bytes // 2)
        self._tail_bytes = max(CHUNK, bound_bytes // 4)
        self._log = open_file("log", 0)
        self._index = -1  # made with the first output: most short jobs say nothing
        self._began_ms = self._noted_ms = now_ms
        self._tails: list[tuple[str, int]] = []  # the tail is the last two of these files, older first
        self._in_tail = 0  # bytes in the newer one
        self._cut = 0
        self._size = self._told = 0
        self.pause_until_s = 0.0
        self.pipe, self.writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.pipe, False)
        try:
            fcntl.fcntl(self.pipe, F_SETPIPE_SZ, CHUNK)
        except OSError:
            pass  # an ordinary user has only so much; the default does

    def started(self) -> None:
        """The job has its end now."""
        os.close(self.writer)
        self.writer = -1

    def drain(self, now_s: float) -> None:
        """Move what is there."""
        moved = self._drain(ROUNDS)
        self.pause_until_s = 0.0 if moved >= FLOOD_BYTES else now_s + PAUSE_S

    def _drain(self, rounds: int) -> int:
        moved = 0
        while rounds and self.pipe >= 0:
            rounds -= 1
            try:
                count = self._move()
            except BlockingIOError:
                break
            if not count:
                os.close(self.pipe)
                self.pipe = -1
                break
            moved += count
        return moved

    def _move(self) -> int:
        """One chunk to the head, or to the tail when that is full. A full disk costs output, never the job."""
        target, room = self._target()
        try:
            count = os.splice(self.pipe, target, min(CHUNK, room), flags=os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            raise
        except OSError as error:
            data = os.read(self.pipe, 1 << 16)
            if error.errno != errno.EINVAL or not _write(target, data):  # EINVAL: a file system that cannot splice
                self._cut += len(data)
                return len(data)
            count = len(data)
        if self._tails:
            self._in_tail += count
        else:
            self._size += count
        return count

    def _target(self) -> tuple[int, int]:
        if self._size < self._head_bytes:
            return self._log, self._head_bytes - self._size
        if not self._tails or self._in_tail >= self._tail_bytes:
            self._turn_tail()
        return self._tails[-1][1], self._tail_bytes - self._in_tail

    def _turn_tail(self) -> None:
        """Begin a new tail file; of three the oldest goes."""
        if len(self._tails) == 2:
            name, descriptor = self._tails.pop(0)
            self._cut += os.fstat(descriptor).st_size
            os.close(descriptor)
        else:
            name = f"tail{len(self._tails)}"
        self._tails.append((name, self._open_file(name, os.O_TRUNC)))
        self._in_tail = 0

    def sample(self, now_ms: int) -> None:
        """Note in the index how much was there by now."""
        if self._size != self._told:
            self._write_index(now_ms, "")

    def finish(self, now_ms: int) -> None:
        """Nobody writes any more: take the rest, join head and tail, close."""
        self._drain(-1)
        for name, descriptor in self._tails:
            self._join(name, descriptor)
        if self._size:
            self._write_index(now_ms, " end")
        for descriptor in (self.pipe, self.writer, self._log, self._index):
            if descriptor >= 0:
                os.close(descriptor)
        self.pipe = self.writer = -1

    def _join(self, name: str, descriptor: int) -> None:
        """Append one tail file to the log, after the line that tells of the cut."""
        if self._cut:
            line = f"\n[batchyard: {self._cut} bytes of output were cut here]\n".encode()
            self._size += len(line) if _write(self._log, line) else 0
            self._cut = 0
        size = os.fstat(descriptor).st_size
        at = 0
        while at < size:
            try:
                sent = os.sendfile(self._log, descriptor, at, size - at)
            except OSError:
                break
            if not sent:
                break
            at += sent
        self._size += at
        os.close(descriptor)
        self._remove_file(name)

    def _write_index(self, now_ms: int, mark: str) -> None:
        self._noted_ms = max(self._noted_ms, now_ms)  # whatever became of the clock: who reads by time bisects
        line = f"{self._noted_ms} {self._size}{mark}\n"
        if self._index < 0:
            self._index = self._open_file("idx", os.O_APPEND)
            line = f"{self._began_ms} 0\n" + line
        self._told = self._size
        _write(self._index, line.encode())


def _write(descriptor: int, data: bytes) -> bool:
    """Whether it could be written: a full disk costs timestamps and output, not the job."""
    try:
        os.write(descriptor, data)
    except OSError:
        return False
    return True
