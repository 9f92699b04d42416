"""Slots as the runner sees them: what it knows of each, how it finds those that live, whether one is dead."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

from batchyard.executors.runner import sandbox
from batchyard.executors.runner.wire import Lines, connect

ADOPT_S = 30.0  # how long a living slot may take to answer a new runner


class Seat:
    """A slot as the runner sees it."""

    def __init__(self, name: str, lines: Lines, identity: sandbox.Identity | None):
        self.name = name
        self.lines = lines
        self.identity = identity  # None: it holds containers
        self.pidfd: int | None = None  # known from its hello on
        self.attempt: str | None = None
        self.order: bytes = b""  # kept until it is claimed for sure
        self.tries = 1
        self.given_s = 0.0  # when the attempt was given to it
        self.stop: bytes = b""  # the order to stop it, if there was one
        self.started: bytes | None = None  # the news of the running attempt, as the slot told it
        self.idle_since_s = time.monotonic()


def living(slots: int, exits: int) -> Iterator[tuple[str, Lines, dict, int]]:
    """(name, connection, hello, pidfd) of the slots that live on from an earlier runner, by their sockets in `slots`.

    Those that do not answer are ended, and what dead ones left in the two open directories is removed.
    """
    deadline = time.monotonic() + ADOPT_S
    found: list[tuple[str, socket.socket]] = []
    for name in os.listdir(slots):
        try:
            found.append((name, connect(slots, name)))
        except OSError:
            for left, directory in ((name, slots), (f".{name}", exits)):
                with suppress(FileNotFoundError):
                    os.unlink(left, dir_fd=directory)
    for name, connection in found:
        pid = peer(connection)[0]
        lines = Lines(connection)
        told, pidfd = greeting(lines, deadline)
        if told and pidfd is not None:
            yield name, lines, json.loads(told[0]), pidfd
            continue
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        lines.close()


def identity_of(hello: dict) -> sandbox.Identity | None:
    """Whom the jobs of the slot run as; None: in containers."""
    if hello["identity"] is None:
        return None
    uid, gid, groups = hello["identity"]
    return sandbox.Identity(uid, gid, tuple(groups))


def peer(connection: socket.socket) -> tuple[int, int, int]:
    """(pid, uid, gid) of the other side."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    numbers = memoryview(raw).cast("i")
    return numbers[0], numbers[1], numbers[2]


def greeting(lines: Lines, deadline: float) -> tuple[list[bytes], int | None]:
    """A slot's hello and its pidfd; nothing if it does not come in time."""
    poll = select.poll()
    poll.register(lines, select.POLLIN)
    while lines.open and poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        told, pidfd = lines.receive_with_descriptor()
        if told:
            return told, pidfd
    return [], None


def ended(pidfd: int, wait_s: float) -> bool:
    """Whether the process is dead, after so long at most."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(max(0.0, wait_s) * 1000))


def pid_of(pidfd: int) -> int:
    """The process of a pidfd; -1 once it is dead and reaped."""
    with open(f"/proc/self/fdinfo/{pidfd}") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pid:"))


def ancestors(pid: int) -> list[int]:
    """Its parent, its parent's parent and so on."""
    found = []
    while pid > 1:
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                pid = int(file.read().rpartition(b")")[2].split()[1])
        except OSError:
            break
        found.append(pid)
    return found
