"""What a job writes: from its pipe, or piece by piece, to its log, with an index of times, within a bound.

A process writes to a pipe and not to the file: a program that opens /dev/stderr anew would truncate a file, and nobody
could bound it. The kernel moves the data (splice), so a slot spends next to nothing on it. What a container writes
comes as bytes that its engine has given a time. The file holds the head and, once the bound is met, the tail: the
middle is cut, and a line says how much.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from typing import Any

CHUNK = 1 << 20
ROUNDS = 16  # chunks moved before others get their turn
PAUSE_S = 0.01  # a trickle is gathered for so long, or a chatty job would wake us for every line
FLOOD_BYTES = 1 << 18  # from here on it is no trickle
TAILS = ("tail0", "tail1", "tail2", "tail3")  # in turn: two are the tail, the others those of the last mark
F_SETPIPE_SZ = 1031

OpenFile = Callable[[str, int], int]  # (suffix, more flags) -> descriptor of the file beside the log
RemoveFile = Callable[[str], None]  # (suffix)


class Log:
    """One attempt's log: head and tail of what is written, and when how much of it was there.

    `mark` tells where it stands, and a Log made with such a mark goes on from there, whatever was written since.
    """

    def __init__(
        self,
        open_file: OpenFile,
        remove_file: RemoveFile,
        bound_bytes: int,
        now_ms: int,
        mark: dict[str, Any] | None = None,
    ):
        self._open_file = open_file
        self._remove_file = remove_file
        self._head_bytes = max(CHUNK, bound_bytes // 2)
        self._tail_bytes = max(CHUNK, bound_bytes // 4)
        self._log = open_file("log", os.O_TRUNC if mark is None else 0)
        self._index = -1  # made with the first output: most short jobs say nothing
        self._began_ms = self._noted_ms = now_ms
        self._put_ms = 0  # when the last piece was written
        self._tails: list[tuple[str, int]] = []  # the tail is the last two of these files, older first
        self._in_tail = 0  # bytes in the newer one
        self._cut = 0
        self._size = self._told = 0
        self._marked = mark is not None
        self._dropped: list[str] = []  # tails that the last mark still names
        if mark is not None:
            self._resume(mark)

    # -- what is written ------------------------------------------------------------------------------------------

    def splice(self, pipe: int) -> int:
        """One chunk from a pipe; how much, 0 at its end. Raises BlockingIOError when nothing is there.

        A full disk costs output, never the job.
        """
        target, room = self._target()
        try:
            count = os.splice(pipe, target, min(CHUNK, room), flags=os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            raise
        except OSError as error:
            data = os.read(pipe, 1 << 16)
            written = _write(target, data) if error.errno == errno.EINVAL else 0  # a file system that cannot splice
            self._count(written)
            self._cut += len(data) - written
            return len(data)
        self._count(count)
        return count

    def put(self, data: bytes, at_ms: int) -> None:
        """Bytes that were written at `at_ms`, epoch milliseconds; they are told with this time.

        A clock that went back is passed over: who reads by time bisects.
        """
        if at_ms > self._put_ms:
            if self._size != self._told:
                self._write_index(self._put_ms, "")
            self._put_ms = at_ms
        rest = memoryview(data)
        while rest:
            target, room = self._target()
            piece = rest[:room]
            written = _write(target, piece)
            self._count(written)
            self._cut += len(piece) - written
            rest = rest[len(piece) :]

    def _count(self, count: int) -> None:
        if self._tails:
            self._in_tail += count
        else:
            self._size += count

    def _target(self) -> tuple[int, int]:
        """The file that is written now, the head or the newer tail, and its room in bytes."""
        if self._size < self._head_bytes and not self._tails:
            return self._log, self._head_bytes - self._size
        if not self._tails or self._in_tail >= self._tail_bytes:
            self._turn_tail()
        return self._tails[-1][1], self._tail_bytes - self._in_tail

    def _turn_tail(self) -> None:
        """Begin a new tail file; of three the oldest goes, but not before a mark that names it is replaced."""
        if len(self._tails) == 2:
            name, descriptor = self._tails.pop(0)
            self._cut += os.fstat(descriptor).st_size
            os.close(descriptor)
            self._dropped.append(name)
            if not self._marked:
                self._forget_dropped()
        newest = TAILS.index(self._tails[-1][0]) if self._tails else -1
        name = TAILS[(newest + 1) % len(TAILS)]
        self._dropped = [each for each in self._dropped if each != name]
        self._tails.append((name, self._open_file(name, os.O_TRUNC)))
        self._in_tail = 0

    def _forget_dropped(self) -> None:
        for name in self._dropped:
            self._remove_file(name)
        self._dropped.clear()

    # -- when it was written --------------------------------------------------------------------------------------

    def sample(self, now_ms: int) -> None:
        """Note in the index how much was there by now."""
        if self._size != self._told:
            self._write_index(now_ms, "")

    def note_put(self) -> None:
        """Note in the index when the last piece was written, for those who follow."""
        self.sample(self._put_ms)

    def _write_index(self, now_ms: int, mark: str) -> None:
        self._noted_ms = max(self._noted_ms, now_ms)  # whatever became of the clock: who reads by time bisects
        line = f"{self._noted_ms} {self._size}{mark}\n"
        if self._index < 0:
            self._index = self._open_file("idx", os.O_APPEND | os.O_TRUNC)
            line = f"{self._began_ms} 0\n" + line
        self._told = self._size
        _write(self._index, line.encode())

    # -- going on after a restart ---------------------------------------------------------------------------------

    def mark(self, keep: Callable[[dict[str, Any]], None]) -> None:
        """Have `keep` store where the log stands, as JSON: for a Log that goes on from there.

        To be called at least whenever as much was written as a tail file holds.
        """
        self._marked = True
        self.note_put()
        keep(
            {
                "size": self._size,
                "tails": [(name, os.fstat(descriptor).st_size) for name, descriptor in self._tails],
                "cut": self._cut,
                "index": os.fstat(self._index).st_size if self._index >= 0 else -1,
                "began_ms": self._began_ms,
                "noted_ms": self._noted_ms,
            }
        )
        self._forget_dropped()

    def _resume(self, mark: dict[str, Any]) -> None:
        """Back to where the mark was made; what is missing of it was cut by a full disk, or lost with the machine."""
        self._began_ms, self._noted_ms, self._cut = mark["began_ms"], mark["noted_ms"], mark["cut"]
        self._size = self._told = self._back_to(self._log, mark["size"])
        if mark["index"] >= 0:
            self._index = self._open_file("idx", os.O_APPEND)
            self._back_to(self._index, mark["index"])
        for name, size in mark["tails"]:
            descriptor = self._open_file(name, 0)
            self._in_tail = self._back_to(descriptor, size)
            self._cut += size - self._in_tail
            self._tails.append((name, descriptor))

    @staticmethod
    def _back_to(descriptor: int, size: int) -> int:
        """Cut a file off at `size`, and write on from its end; returns what it has by then."""
        if os.fstat(descriptor).st_size > size:
            os.ftruncate(descriptor, size)
        return os.lseek(descriptor, 0, os.SEEK_END)

    # -- the end --------------------------------------------------------------------------------------------------

    def finish(self, now_ms: int) -> None:
        """Nobody writes any more: join head and tail, close."""
        for name, descriptor in self._tails:
            self._join(name, descriptor)
        self._forget_dropped()
        self._tell_cut()
        if self._size:
            self._write_index(now_ms, " end")
        for descriptor in (self._log, self._index):
            if descriptor >= 0:
                os.close(descriptor)

    def _join(self, name: str, descriptor: int) -> None:
        """Append one tail file to the log, after the line that tells of the cut."""
        self._tell_cut()
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

    def _tell_cut(self) -> None:
        if self._cut:
            self._size += _write(self._log, f"\n[batchyard: {self._cut} bytes of output were cut here]\n".encode())
            self._cut = 0


class Output:
    """The reading end of a process's output, and its log. `pipe` is -1 once every writer has closed it."""

    def __init__(self, open_file: OpenFile, remove_file: RemoveFile, bound_bytes: int, now_ms: int):
        self._log = Log(open_file, remove_file, bound_bytes, now_ms)
        self.sample = self._log.sample
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
                count = self._log.splice(self.pipe)
            except BlockingIOError:
                break
            if not count:
                os.close(self.pipe)
                self.pipe = -1
                break
            moved += count
        return moved

    def finish(self, now_ms: int) -> None:
        """Nobody writes any more: take the rest, join head and tail, close."""
        self._drain(-1)
        self._log.finish(now_ms)
        for descriptor in (self.pipe, self.writer):
            if descriptor >= 0:
                os.close(descriptor)
        self.pipe = self.writer = -1


def _write(descriptor: int, data: bytes | memoryview) -> int:
    """How much of it could be written: a full disk costs timestamps and output, not the job."""
    written = 0
    try:
        while written < len(data):
            written += os.write(descriptor, data[written:] if written else data)
    except OSError:
        pass
    return written
