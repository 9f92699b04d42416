"""How server, runner and slots speak: one JSON object a line over unix stream sockets.

========== =========================================================================================================
direction  lines (`op` and what comes with it)
========== =========================================================================================================
to runner  ``inventory`` · ``start`` (an order, see ``contract.order``) · ``stop`` attempt, grace_s ·
           ``release`` attempt · ``quit``
from it    ``hello`` version, isolation, weaker, engine, engine_failure · ``started`` attempt, at_ms ·
           ``ended`` (the exit record) · ``lost`` attempt · ``survey`` living
to slot    ``start`` · ``stop`` · ``quit``, as they came · ``resume`` attempt: a container attempt whose slot died
from it    ``hello`` attempt, started (with its pidfd) · ``started`` · ``ended`` · ``refused`` attempt
========== =========================================================================================================
"""

from __future__ import annotations

import os
import socket
import time
from typing import Any, NamedTuple

VERSION = 3  # 2: `stop` with grace_s, `start` with deny; 3: `start` with how, for containers
UNDERSTOOD = (2, VERSION)  # by the server: a runner of the version before goes on until its jobs are over
SOCKET = "runner.sock"
RECEIVE_BYTES = 1 << 18


class EngineAbout(NamedTuple):
    """A container engine that has shown that it runs containers here; told as it is."""

    name: str  # docker or podman
    version: str
    socket: str  # its path
    rootless: bool
    cgroups: int  # version of control groups: 1 or 2
    local: bool  # its processes are this machine's: they can be watched, and its files read
    api: str  # version of Docker's API to speak
    ulimits: list[dict[str, Any]]  # that it gives where none are asked for, as it tells them


class Lines:
    """One end of a connection: never blocks, gives whole lines, gathers what is sent until `flush`."""

    def __init__(self, connection: socket.socket):
        connection.setblocking(False)
        self._socket = connection
        self._received = bytearray()
        self._unsent = bytearray()
        self.open = True

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, line: bytes) -> None:
        """Queue a line (without its end)."""
        self._unsent += line
        self._unsent += b"\n"

    def flush(self) -> bool:
        """Send what the other side takes now; True when nothing is left. A broken connection takes everything."""
        try:
            while self._unsent:
                sent = self._socket.send(self._unsent)
                del self._unsent[:sent]
        except BlockingIOError:
            return False
        except OSError:
            self._unsent.clear()  # that the other side is gone is found by receive
        return True

    def receive(self) -> list[bytes]:
        """All lines that are there. Sets `open` to False when the other side is gone."""
        try:
            while True:
                data = self._socket.recv(RECEIVE_BYTES)
                self._received += data
                if not data:
                    self.open = False
                if len(data) < RECEIVE_BYTES:
                    break
        except BlockingIOError:
            pass
        except OSError:
            self.open = False
        return self._take()

    def receive_with_descriptor(self) -> tuple[list[bytes], int | None]:
        """Like `receive`, for a first line that brings an open file with it."""
        descriptors: list[int] = []
        try:
            data, descriptors, _, _ = socket.recv_fds(self._socket, RECEIVE_BYTES, 1)
            self._received += data
            self.open = bool(data)
        except BlockingIOError:
            pass
        except OSError:
            self.open = False
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        return self._take(), descriptors[0] if descriptors else None

    def send_with_descriptor(self, line: bytes, descriptor: int) -> None:
        """Send a first line at once, and an open file with it."""
        socket.send_fds(self._socket, [line + b"\n"], [descriptor])

    def close(self) -> None:
        self.open = False
        self._socket.close()

    def _take(self) -> list[bytes]:
        if b"\n" not in self._received:
            return []
        *lines, rest = bytes(self._received).split(b"\n")
        self._received = bytearray(rest)
        return lines


def boot_s() -> float:
    """Seconds that never go back and count the time that the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def record(attempt: str, **known: Any) -> dict[str, Any]:
    """A whole exit record; `known` are the members that are not as for an attempt that never ran."""
    empty = {
        "op": "ended",
        "version": VERSION,
        "attempt": attempt,
        "pid": 0,
        "started_ms": None,
        "stopped_ms": time.time_ns() // 1_000_000,
        "exit_code": None,
        "signal": None,
        "oom": False,
        "timed_out": False,
        "start_error": None,  # of a process
        "not_started": None,  # of a container: the whole reason, as ECS words it
        "containers": None,  # of a task of several: name, exit_code and reason of each
        "peak_memory_bytes": None,
        "cpu_ms": 0,
    }
    assert known.keys() <= empty.keys() | {"refused"}, f"no members of an exit record: {sorted(known)}"
    return empty | known


def connect(directory: int, name: str) -> socket.socket:
    """Connect to the socket `name` in an open directory. By descriptor: a socket's own path holds only 107 bytes.

    Raises OSError when nobody listens.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(f"/proc/self/fd/{directory}/{name}")
    except OSError:
        connection.close()
        raise
    return connection


def listen(directory: int, name: str, backlog: int) -> socket.socket:
    """Listen on the socket `name`, readable and writable by its owner only; replaces one that is left over."""
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        pass
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(f"/proc/self/fd/{directory}/{name}")
    finally:
        os.umask(before)
    listener.listen(backlog)
    return listener
