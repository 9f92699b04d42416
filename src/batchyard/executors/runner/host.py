"""The runner: relays orders to slots and their news to the engine, makes slots on demand, adopts living ones.

It holds no truth of its own: what lives is told by the slots, what ended by the exit records, so a new runner knows
what the old one knew.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import struct
import time
from pathlib import Path

from batchyard.executors.runner import isolation, records, slot
from batchyard.executors.runner.lines import PROTOCOL, Lines, encode
from batchyard.executors.runner.places import remove_old_work

LONELY_S = 10.0  # without a server and without a job the runner leaves
SWEEP_S = 600.0


class SlotLink:
    """The runner's end of a slot. `attempt` is None while it is idle."""

    def __init__(self, name: str, lines: Lines, pid: int):
        self.name = name
        self.lines = lines
        self.pid = pid  # in our PID namespace
        self.process = os.pidfd_open(pid)
        self.attempt: str | None = None
        self.at_ms: int | None = None
        self.known = False  # whether it has said what it does


class Runner:
    def __init__(self, data: Path, keep_hours: float):
        self._data = data
        self._keep_s = keep_hours * 3600
        self._level = isolation.best_level()
        self._exits = os.open(data / "runner" / "exits", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._poll = select.poll()
        self._links: dict[int, SlotLink] = {}  # by descriptor
        self._busy: dict[str, SlotLink] = {}  # by attempt
        self._idle: list[SlotLink] = []
        self._engine: Lines | None = None
        self._told_s = time.monotonic()
        self._swept_s = 0.0
        self._numbers = 0
        self._listener = self._listen()
        self._leaving = False

    def _listen(self) -> socket.socket:
        path = self._data / "runner" / "runner.sock"
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        directory = os.open(path.parent, os.O_PATH)
        listener.bind(f"/proc/self/fd/{directory}/{path.name}")
        os.close(directory)
        os.chmod(path, 0o600)
        listener.listen(8)
        self._poll.register(listener, select.POLLIN)
        return listener

    def run(self) -> None:
        """Until told to quit, or lonely."""
        self._adopt()
        while not self._leaving and not self._lonely():
            for descriptor, _ in self._poll.poll(1000):
                if descriptor == self._listener.fileno():
                    self._accept()
                elif self._engine is not None and descriptor == self._engine.fileno():
                    self._hear_engine()
                elif descriptor in self._links:
                    self._hear_slot(self._links[descriptor])
            self._flush()
            self._sweep()
        for link in self._idle:
            link.lines.put(encode({"op": "leave"}))
            link.lines.flush()

    def _lonely(self) -> bool:
        if self._engine is not None:
            self._told_s = time.monotonic()
        return not self._busy and time.monotonic() - self._told_s > LONELY_S

    def _sweep(self) -> None:
        if time.monotonic() - self._swept_s > SWEEP_S:
            self._swept_s = time.monotonic()
            remove_old_work(self._data, time.time() - self._keep_s, set(self._busy))

    def _flush(self) -> None:
        """Send what is queued; ask to be woken where the other end is slow."""
        for lines in [link.lines for link in self._links.values()] + ([self._engine] if self._engine else []):
            if lines.unsent:
                lines.flush()
                self._poll.modify(lines, select.POLLIN | (select.POLLOUT if lines.unsent else 0))

    # -- the engine -----------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        """An engine connects: the newest one counts. It hears all endings that are kept, then what lives."""
        sock, _ = self._listener.accept()
        if self._engine is not None:
            self._drop_engine()
        self._engine = Lines(sock)
        self._poll.register(self._engine, select.POLLIN)

    def _drop_engine(self) -> None:
        assert self._engine is not None
        self._poll.unregister(self._engine)
        self._engine.close()
        self._engine = None

    def _hear_engine(self) -> None:
        assert self._engine is not None
        for line in self._engine.take():
            message = json.loads(line)
            op = message["op"]
            if op == "start":
                self._start(message["attempt"], line)
            elif op == "release":
                if message["attempt"] not in self._busy:
                    records.forget(self._exits, message["attempt"])
            elif op == "stop":
                link = self._busy.get(message["attempt"])
                if link is not None:
                    link.lines.put(line + b"\n")
            elif op == "hello":
                self._take_stock()
            elif op == "quit":
                self._quit()
                return
        if self._engine.closed:
            self._drop_engine()

    def _tell(self, message: dict) -> None:
        if self._engine is not None:
            self._engine.put(encode(message))

    def _take_stock(self) -> None:
        self._tell({"event": "hello", "version": PROTOCOL, "isolation": self._level})
        for attempt in records.attempts(self._exits):
            if attempt not in self._busy:
                self._tell_ending(attempt)
        for attempt, link in self._busy.items():
            if link.at_ms is not None:
                self._tell({"event": "began", "attempt": attempt, "at_ms": link.at_ms})
        self._tell({"event": "living", "attempts": sorted(self._busy)})

    def _tell_ending(self, attempt: str) -> None:
        """Of an attempt that was claimed and is held by no slot."""
        record = records.read(self._exits, attempt)
        self._tell({"event": "lost", "attempt": attempt} if record is None else {"event": "ended", "record": record})

    def _start(self, attempt: str, line: bytes) -> None:
        link = self._busy.get(attempt)
        if link is not None:
            if link.at_ms is not None:
                self._tell({"event": "began", "attempt": attempt, "at_ms": link.at_ms})
        elif records.exists(self._exits, attempt):
            self._tell_ending(attempt)
        else:
            link = self._idle.pop() if self._idle else self._make_slot()
            link.attempt, self._busy[attempt] = attempt, link
            link.lines.put(line + b"\n")

    # -- slots ----------------------------------------------------------------------------------------------------

    def _make_slot(self) -> SlotLink:
        """Fork a slot into namespaces of its own; returns when it listens."""
        self._numbers += 1
        name = f"{os.getpid()}-{self._numbers}"
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            self._become_slot(name, writing)
        os.close(writing)
        os.waitpid(child, 0)
        with os.fdopen(reading, "rb") as pipe:
            pid = int(pipe.readline())
            pipe.readline()  # ends when the slot listens, or died
        link = self._connect(name, pid)
        if link is None:
            raise OSError(f"slot {name} did not come up")
        return link

    def _become_slot(self, name: str, writing: int) -> None:
        """In a child: enter the namespaces; the grandchild is the slot. Never returns."""
        try:
            for lines in [link.lines for link in self._links.values()] + ([self._engine] if self._engine else []):
                lines.sock.close()
            self._listener.close()
            os.setsid()
            if self._level != isolation.SESSION:
                isolation.unshare(self._level)
            pid = os.fork()
            if pid == 0:
                slot.main(self._data, name, self._level, writing)
            os.write(writing, f"{pid}\n".encode())
        finally:
            os._exit(0)

    def _connect(self, name: str, pid: int | None = None) -> SlotLink | None:
        """Connect to a slot's socket; None if nobody listens there any more (its file is removed)."""
        directory = os.open(self._data / "runner" / "slots", os.O_PATH)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(f"/proc/self/fd/{directory}/{name}.sock")
            if pid is None:
                credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
                pid = struct.unpack("3i", credentials)[0]
            link = SlotLink(name, Lines(sock), pid)
        except OSError:
            sock.close()
            (self._data / "runner" / "slots" / f"{name}.sock").unlink(missing_ok=True)
            return None
        finally:
            os.close(directory)
        self._links[link.lines.fileno()] = link
        self._poll.register(link.lines, select.POLLIN)
        return link

    def _adopt(self) -> None:
        """Connect to the slots that an earlier runner left and wait until each has said what it does."""
        for path in sorted((self._data / "runner" / "slots").glob("*.sock")):
            self._connect(path.stem)
        deadline = time.monotonic() + 5
        while any(not link.known for link in self._links.values()) and time.monotonic() < deadline:
            for descriptor, _ in self._poll.poll(100):
                if descriptor in self._links:
                    self._hear_slot(self._links[descriptor])

    def _hear_slot(self, link: SlotLink) -> None:
        for line in link.lines.take():
            message = json.loads(line)
            event = message["event"]
            if event == "began":
                link.at_ms = message["at_ms"]
                self._relay(line)
            elif event == "ended":
                self._relay(line)
                self._free(link, message["leaves"])
            elif event == "slot":
                self._introduced(link, message)
            elif event == "refused":
                self._busy.pop(message["attempt"], None)
                self._free(link, False)
                self._tell_ending(message["attempt"])
        if link.lines.closed:
            self._gone(link)

    def _relay(self, line: bytes) -> None:
        if self._engine is not None:
            self._engine.put(line + b"\n")

    def _introduced(self, link: SlotLink, message: dict) -> None:
        if link.known or link.attempt is not None:
            return
        link.known, link.attempt, link.at_ms = True, message["attempt"], message["at_ms"]
        if link.attempt is None:
            self._idle.append(link)
        else:
            self._busy[link.attempt] = link

    def _free(self, link: SlotLink, leaves: bool) -> None:
        if link.attempt is not None:
            self._busy.pop(link.attempt, None)
        link.attempt = link.at_ms = None
        if not leaves:
            self._idle.append(link)

    def _gone(self, link: SlotLink) -> None:
        """A slot ended. Before its attempt is called lost it is destroyed with all in its namespace, and seen empty."""
        self._poll.unregister(link.lines)
        del self._links[link.lines.fileno()]
        link.lines.close()
        self._destroy(link)
        (self._data / "runner" / "slots" / f"{link.name}.sock").unlink(missing_ok=True)
        if link in self._idle:
            self._idle.remove(link)
        if link.attempt is not None:
            self._busy.pop(link.attempt, None)
            self._tell_ending(link.attempt)

    def _destroy(self, link: SlotLink) -> None:
        """Kill the slot, and with it its namespace; wait until the kernel says that it is gone."""
        try:
            signal.pidfd_send_signal(link.process, signal.SIGKILL)
        except ProcessLookupError:
            pass
        waiting = select.poll()
        waiting.register(link.process, select.POLLIN)
        waiting.poll(10_000)
        os.close(link.process)
        try:
            os.waitpid(link.pid, os.WNOHANG)
        except ChildProcessError:
            pass

    def _quit(self) -> None:
        """Leave at once, ending slots and jobs."""
        self._leaving = True
        for link in list(self._links.values()):
            self._destroy(link)
            (self._data / "runner" / "slots" / f"{link.name}.sock").unlink(missing_ok=True)
        self._idle = []


def hold_lock(data: Path) -> int | None:
    """The lock that only one runner of the data directory holds; None if another one does."""
    lock = os.open(data / "runner" / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
