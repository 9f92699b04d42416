"""From the log that an engine keeps of a container to ours: live, whole after a restart, and within a bound.

The engine writes its file whether anybody reads or not, so a container never waits for us, and a slot that dies loses
nothing: how far it had come stands in ATTEMPT.pos, and the next one goes on from there. The engine's file is bounded
(`log_config`) and begun anew when it is full; we hold the old one open and read it to its end first.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

from batchyard.executors.runner.containers.lines import Run, is_known, lost, mark_of, parse
from batchyard.executors.runner.containers.telling import Answers
from batchyard.executors.runner.output import Log, OpenFile, RemoveFile
from batchyard.executors.runner.wire import EngineAbout

log = logging.getLogger("batchyard.slot")

CHUNK = 1 << 20
TURN_S = 0.02  # then others get their turn
PATIENCE_S = 0.1  # how long one stream's line that is begun may hold up the lines of the other
OPEN_FILES = 4  # of the engine's that we hold while we lag behind: they take room on the disk
PREDECESSORS = 9  # looked for behind an engine's file: .1, .2, ...
FIRST_BYTES = 1 << 17  # in which the first line of a file ends: 16 KiB, each byte of which may be six
MARK_BYTES = 1024  # written at once, so a mark is whole, or the one before is
LOOKS = 5  # for a file that should be there
LEAST_BYTES = 16 << 20
MISSING = b"\n[batchyard: output may be missing here: the engine had thrown it away by then]\n"

Position = tuple[str, int]  # (name of a file, bytes of it)


def log_config(engine: str, log_bytes: int) -> dict[str, Any]:
    """LogConfig of a create request, so that a job that writes for ever fills no disk.

    conmon keeps one file, docker as many as it is told, and both count bytes as they write them. What they throw away
    is lost only to a slot that was dead meanwhile. Docker's `local` costs it a third of what `json-file` does, and
    keeps bytes as they are.
    """
    if engine == "podman":
        return {"Type": "k8s-file", "Config": {"max-size": str(max(4 * LEAST_BYTES, log_bytes // 2))}}
    size = max(LEAST_BYTES, log_bytes // 4)
    config = {"max-size": str(size), "max-file": "3", "compress": "false", "mode": "blocking"}
    return {"Type": "local", "Config": config}


def source_of(inspected: Mapping[str, Any], engine: EngineAbout) -> Source:
    """Where to read what a container writes, by what the engine says of it once it was started.

    Its own file where there is one that we may read, which costs the engine nothing; else what the engine tells.
    """
    told = Answers(engine, inspected["Id"], follow=engine.name == "docker")
    path = inspected.get("LogPath") or _local_path(inspected)
    return Files(path, told) if engine.local and _is_readable(path) else told


def _local_path(inspected: Mapping[str, Any]) -> str:
    """Docker does not say where the files of its driver `local` are: beside what it does tell of.

    A container that shares the network of another one has that one's file of hosts.
    """
    directory = os.path.dirname(os.path.dirname(inspected.get("HostsPath") or inspected.get("ResolvConfPath") or ""))
    return os.path.join(directory, inspected["Id"], "local-logs", "container.log")


def _is_readable(path: str) -> bool:
    for _ in range(LOOKS):
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
            return True
        except FileNotFoundError:
            time.sleep(0.01)  # just being begun anew
        except OSError:
            break
    return False


class Elsewhere(Exception):
    """The log must be read at `source`."""

    def __init__(self, source: Source):
        super().__init__()
        self.source = source


class Source(Protocol):
    """Where an engine's log is read."""

    @property
    def position(self) -> Any:
        """As JSON: all before it has been read."""

    def go_on_from(self, position: Any) -> bool:
        """Go on from a former `position`; False if what followed it is there no more. May raise Elsewhere."""

    def read(self, last: bool) -> list[Run]:
        """What came next; nothing when there is no more for now. With `last` the container has ended.

        May raise Elsewhere.
        """

    def close(self) -> None: ...


class Reading:
    """The log of one container. `attach`, then `take` every now and then, then `finish`.

    The files are those of runner.output; if there is a mark beside them, it goes on from there.
    """

    def __init__(self, open_file: OpenFile, remove_file: RemoveFile, log_bytes: int, now_ms: int):
        self._remove_file = remove_file
        self._marks = open_file("pos", 0)
        self._mark = self._stored()
        self._log = Log(open_file, remove_file, log_bytes, now_ms, self._mark["log"] if self._mark else None)
        self._source: Source | None = None
        self._failed = False
        self.more = False  # there is more to take at once

    def attach(self, source: Source) -> None:
        """Read from here on; what was read before is passed over."""
        try:
            if self._mark is not None and not source.go_on_from(self._mark["at"]):
                self._log.put(MISSING, 0)
        except Elsewhere as other:
            source = other.source
            source.go_on_from(self._mark["at"])
        except OSError as error:
            log.warning("the engine's log cannot be read: %s", error)
        self._source = source  # last: others may take already

    def take(self, now_ms: int) -> None:
        """What has come by now, or a turn's worth of it, with the times that the engine gave it."""
        self.more = self._take(now_ms, last=False, turn_s=TURN_S)

    def finish(self, now_ms: int) -> None:
        """All the rest; to be called when the engine calls the container ended, since by then its log is whole."""
        while self._take(now_ms, last=True, turn_s=None):
            pass
        if self._source is not None:
            self._source.close()
        self._log.note_put()
        self._log.finish(now_ms)
        os.close(self._marks)
        self._remove_file("pos")

    def _take(self, now_ms: int, last: bool, turn_s: float | None) -> bool:
        """Whether there may be more."""
        if self._source is None:
            return False
        begun_s = time.monotonic()
        try:
            while runs := self._source.read(last):
                for at_ms, data in runs:
                    self._log.put(data, min(at_ms, now_ms))
                self._log.mark(self._keep)
                if turn_s is not None and time.monotonic() - begun_s > turn_s:
                    return True
        except Elsewhere as other:
            self._source.close()
            self._source = other.source
            return True
        except OSError as error:
            if not self._failed:
                log.warning("the engine's log cannot be read: %s", error)
            self._failed = True
        return False

    def _keep(self, mark: dict[str, Any]) -> None:
        assert self._source is not None
        line = json.dumps({"log": mark, "at": self._source.position}, separators=(",", ":")).encode()
        try:
            os.pwrite(self._marks, line.ljust(MARK_BYTES), 0)
        except OSError:
            pass  # no room on the disk: a slot that follows goes on from where that was possible

    def _stored(self) -> dict[str, Any] | None:
        """The mark of a slot before us; None where it got to none."""
        try:
            return json.loads(os.pread(self._marks, MARK_BYTES, 0))
        except ValueError:
            return None


class Files:
    """The file that an engine writes, and those that it wrote before, oldest first."""

    def __init__(self, path: str, told: Source):
        self._path = path
        self._told = told  # to be asked where the format is none that we know
        self._files: deque[_File] = deque()
        self._done: Position | None = None  # where we are in a file that was read to its end, or is no more
        self._held: tuple[int, float] = (-1, 0.0)  # the place that we do not go beyond for now, and since when
        self._lost = 0  # bytes

    @property
    def position(self) -> Position | None:
        return self._files[0].position if self._files and self._files[0].offset else self._done

    def go_on_from(self, position: Position | None) -> bool:
        self._look()
        if position is None:
            return True
        if not isinstance(position[0], str):
            raise Elsewhere(self._told)
        self._done = name, offset = tuple(position)
        for number, file in enumerate(self._files):
            if file.name() == name:
                file.offset = offset
                for _ in range(number):
                    os.close(self._files.popleft().descriptor)
                return True
        return False

    def read(self, last: bool) -> list[Run]:
        self._look()
        if self._lost:
            size, self._lost = self._lost, 0
            return [(0, lost(size))]
        while self._files:
            newest = len(self._files) == 1
            runs = self._read(self._files[0], last, newest)
            if runs or newest:
                return runs
            self._drop()
        return []

    def _read(self, file: _File, last: bool, newest: bool) -> list[Run]:
        """What the next chunk of a file says."""
        chunk = os.pread(file.descriptor, CHUNK, file.offset)
        if not chunk:
            return []
        if not file.offset and self._done is None and not is_known(chunk):
            raise Elsewhere(self._told)
        at_end = len(chunk) < CHUNK  # no record is as long
        final = at_end and (last or not newest)
        batch = parse(file.first(), chunk, not final, final)
        if not batch.used:
            if at_end and self._is_patient(file.offset):
                return []
            batch = parse(file.first(), chunk, False, final or not at_end)
        file.offset += batch.used
        return batch.runs

    def _is_patient(self, offset: int) -> bool:
        """Whether to wait for the end of the line that stands at `offset`."""
        now_s = time.monotonic()
        if self._held[0] != offset:
            self._held = (offset, now_s)
        return now_s - self._held[1] < PATIENCE_S

    def _look(self) -> None:
        """Open what the engine has begun since; it may have begun more than one."""
        newest = self._files[-1].identity if self._files else None
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return  # not yet, or it is being renamed
        if (status.st_dev, status.st_ino) == newest:
            return
        found: list[_File] = []
        for path in [self._path, *(f"{self._path}.{number}" for number in range(1, PREDECESSORS))]:
            file = _opened(path)
            if file is None:
                continue  # they are being renamed just now, each to the next name
            if file.identity == newest:
                os.close(file.descriptor)
                break
            if found and file.identity == found[-1].identity:
                os.close(file.descriptor)
                continue
            found.append(file)
        self._files.extend(reversed(found))
        while len(self._files) > OPEN_FILES:
            self._lost += os.fstat(self._files[0].descriptor).st_size - self._files[0].offset
            self._drop()

    def _drop(self) -> None:
        """Done with the oldest file."""
        file = self._files.popleft()
        self._done = file.position if file.offset else self._done
        os.close(file.descriptor)

    def close(self) -> None:
        while self._files:
            os.close(self._files.pop().descriptor)


class _File:
    """A file of an engine, open."""

    def __init__(self, descriptor: int):
        status = os.fstat(descriptor)
        self.descriptor = descriptor
        self.identity = status.st_dev, status.st_ino
        self.offset = 0
        self._name = ""

    @property
    def position(self) -> Position:
        return self.name(), self.offset

    def first(self) -> int:
        """Its first byte, which tells the format."""
        return os.pread(self.descriptor, 1, 0)[0]

    def name(self) -> str:
        if not self._name:
            mark = mark_of(os.pread(self.descriptor, FIRST_BYTES, 0))
            self._name = hashlib.blake2b(mark, digest_size=12).hexdigest() if mark else ""
        return self._name


def _opened(path: str) -> _File | None:
    try:
        return _File(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except FileNotFoundError:
        return None
