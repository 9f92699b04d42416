"""Runs attempts on this machine, as processes or in containers: the server's end of the runner's socket."""

from __future__ import annotations

import json
import os
import select
import time

from batchyard.config import Settings
from batchyard.executors import contract
from batchyard.executors.gpus import Gpu
from batchyard.executors.granting import Granting
from batchyard.executors.runner.wire import SOCKET, UNDERSTOOD, VERSION, Lines, connect
from batchyard.model.jobs import AttemptSpec
from batchyard.ports import Began, Ended, Lost, News, Survey


class RunnerMismatch(Exception):
    """The runner speaks another version of the protocol; the message says what to do."""


class ProcessExecutor:
    """Implements ``ports.Executor``. Never blocks; reconnects inside `observe`.

    Orders given while there is no runner are dropped: after each reconnection a Survey says what lives, and whoever
    gave the orders gives them again. `isolation` and `weaker` (what jobs do without on this machine) are known once
    connected.
    """

    def __init__(self, settings: Settings, gpus: tuple[Gpu, ...] = (), granting: Granting | None = None):
        self._settings = settings
        self._gpus = gpus  # those of this machine
        self._granting = granting  # what tasks may ask of the server; None: nothing
        self._lines: Lines | None = None
        self._outdated = False  # whether a runner as this server would start it would be another one
        self._surveyed = False  # whether the runner has said, on this connection, what lives
        self.isolation = ""
        self.weaker: tuple[str, ...] = ()
        self.memory_groups = False  # whether the kernel bounds the memory of each job
        self.engine: contract.Engine | None = None  # that containers run on; None: jobs are processes

    # -- orders ---------------------------------------------------------------------------------------------------

    def start(self, spec: AttemptSpec) -> None:
        """Dropped before the survey, which would be older than the order and so would deny the attempt."""
        if self._surveyed:
            order = contract.order(spec, self._settings, os.environ, self._gpus, self._granting, self.engine)
            self._send(order)

    def stop(self, attempt: str, grace_ms: int | None = None) -> None:
        grace = {} if grace_ms is None else {"grace_s": grace_ms / 1000}
        self._send({"op": "stop", "attempt": attempt} | grace)

    def release(self, attempt: str) -> None:
        self._send({"op": "release", "attempt": attempt})

    def flush(self) -> None:
        if self._lines is not None:
            self._lines.flush()

    def quit(self, wait_s: float = 5.0) -> bool:
        """Make the runner leave and end its slots and jobs; True once it is gone (or there was none)."""
        if self._lines is None and not self._connect():
            return True
        assert self._lines is not None
        self._send({"op": "quit"})
        poll = select.poll()
        poll.register(self._lines, select.POLLIN)
        deadline = time.monotonic() + wait_s
        while self._lines.open and time.monotonic() < deadline:
            self._lines.flush()
            if poll.poll(50):
                self._lines.receive()
        gone = not self._lines.open
        self._disconnect()
        return gone

    def _send(self, order: dict) -> None:
        if self._lines is not None:
            self._lines.send(json.dumps(order, separators=(",", ":")).encode())

    # -- news -----------------------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        return self._lines is not None

    def fileno(self) -> int:
        return -1 if self._lines is None else self._lines.fileno()

    def observe(self) -> list[News]:
        """News since the last call. Raises RunnerMismatch for a runner of another version."""
        if self._lines is None and not self._connect():
            return []
        assert self._lines is not None
        self._lines.flush()
        news = [told for line in self._lines.receive() if (told := self._translate(json.loads(line))) is not None]
        if not self._lines.open:
            self._disconnect()
        return news

    def _translate(self, told: dict) -> News | None:
        op = told["op"]
        if op == "started":
            return Began(told["attempt"], told["at_ms"])
        if op == "ended":
            return Ended(told["attempt"], contract.ending(told))
        if op == "lost":
            return Lost(told["attempt"])
        if op == "survey":
            if self._outdated and not told["living"]:
                self._send({"op": "quit"})  # whoever keeps it alive starts one that is as we want it
                return None
            self._surveyed = True
            return Survey(frozenset(told["living"]))
        if op == "hello":
            self._greet(told)
        return None

    def _greet(self, hello: dict) -> None:
        if hello["version"] not in UNDERSTOOD:
            raise RunnerMismatch(
                f"The runner of {self._settings.data} speaks protocol {hello['version']}, this server {VERSION}. "
                "Let its jobs end with the version that started them, or stop it: it leaves by itself 10 s after."
            )
        self._outdated = hello["version"] != VERSION or not self._is_as_set(hello)
        self.isolation, self.weaker = hello["isolation"], tuple(hello["weaker"])
        self.memory_groups = hello["memory_groups"]
        self.engine = contract.Engine(**hello["engine"]) if hello.get("engine") else None

    def _is_as_set(self, hello: dict) -> bool:
        """Whether the runner looks for engines as our settings say: it may have been started under others."""
        socket = self._settings.engine_socket
        return hello.get("executor") == self._settings.executor and (not socket or hello["sockets"] == [socket])

    def _connect(self) -> bool:
        """Try once; the runner answers the inventory with all that it knows, and last with a survey."""
        try:
            directory = os.open(f"{self._settings.data}/runner", os.O_PATH | os.O_DIRECTORY)
        except OSError:
            return False
        try:
            self._lines = Lines(connect(directory, SOCKET))
        except OSError:
            return False
        finally:
            os.close(directory)
        self._surveyed = False
        self._send({"op": "inventory"})
        self._lines.flush()
        return True

    def _disconnect(self) -> None:
        if self._lines is not None:
            self._lines.close()
        self._lines = None
