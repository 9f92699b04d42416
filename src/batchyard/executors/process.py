"""Jobs as processes of this machine: the engine's end of the connection to the runner.

Orders given while there is no connection are dropped: after each connection the runner's survey makes the engine give
the needed ones again.
"""

from __future__ import annotations

import json
import logging
import os
import select
import socket
from datetime import UTC, datetime
from pathlib import Path

from batchyard.config import Settings
from batchyard.executors import contract
from batchyard.executors.runner.lines import PROTOCOL, Lines, encode
from batchyard.model.jobs import AttemptSpec
from batchyard.ports import Began, Ended, Lost, News, Survey

log = logging.getLogger(__name__)

SEND_WAIT_S = 5.0


def log_name(attempt: str, opened_ms: int) -> str:
    """Where an attempt's log lies below logs/: DAY/ATTEMPT.log, by the UTC day on which it was opened."""
    day = datetime.fromtimestamp(opened_ms / 1000, UTC).strftime("%Y-%m-%d")
    return f"{day}/{attempt}.log"


class ProcessExecutor:
    """ports.Executor over the runner's socket."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._lines: Lines | None = None
        self._base = {"PATH": settings.process_path}
        self._base |= {name: os.environ[name] for name in settings.process_pass_env if name in os.environ}
        self.isolation: str | None = None  # as the runner said; None before the first connection

    # -- orders ---------------------------------------------------------------------------------------------------

    def fileno(self) -> int:
        return -1 if self._lines is None else self._lines.fileno()

    def start(self, spec: AttemptSpec) -> None:
        self._order(
            {
                "op": "start",
                "attempt": spec.attempt,
                "argv": contract.command(spec),
                "env": contract.environment(spec, self._base),
                "log": log_name(spec.attempt, spec.opened_ms),
                "timeout_s": spec.timeout_s,
                "grace_s": self._settings.stop_grace_s,
                "user": spec.container.get("user"),
                "memory_mib": spec.needs.memory_mib,
            }
        )

    def stop(self, attempt: str) -> None:
        self._order({"op": "stop", "attempt": attempt})

    def release(self, attempt: str) -> None:
        self._order({"op": "release", "attempt": attempt})

    def quit(self) -> None:
        """Make the runner leave at once, ending its slots and jobs; nothing happens if there is none."""
        if self._lines is None:
            self._connect()
        self._order({"op": "quit"})
        self.flush()

    def flush(self) -> None:
        """Send; the runner always reads, so waiting for it is short."""
        lines = self._lines
        while lines is not None and lines.unsent:
            lines.flush()
            if lines.unsent and not select.select([], [lines], [], SEND_WAIT_S)[1]:
                self._disconnect()
                return

    def _order(self, message: dict) -> None:
        if self._lines is not None:
            self._lines.put(encode(message))

    # -- news -----------------------------------------------------------------------------------------------------

    def observe(self) -> list[News]:
        if self._lines is None:
            self._connect()
        if self._lines is None:
            return []
        news: list[News] = []
        for line in self._lines.take():
            told = self._news(json.loads(line))
            if told is not None:
                news.append(told)
        if self._lines.closed:
            self._disconnect()
        return news

    def _news(self, message: dict) -> News | None:
        event = message["event"]
        if event == "began":
            return Began(message["attempt"], message["at_ms"])
        if event == "ended":
            return Ended(message["record"]["attempt"], contract.ending(message["record"]))
        if event == "lost":
            return Lost(message["attempt"])
        if event == "living":
            return Survey(frozenset(message["attempts"]))
        if event == "hello":
            self.isolation = message["isolation"]
            if message["version"] != PROTOCOL:
                log.warning("the runner speaks protocol %s, we speak %s", message["version"], PROTOCOL)
        return None

    def _connect(self) -> None:
        """Try once; the engine asks again soon."""
        directory = -1
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            directory = os.open(Path(self._settings.data) / "runner", os.O_PATH)
            sock.connect(f"/proc/self/fd/{directory}/runner.sock")
        except OSError:
            sock.close()
            return
        finally:
            if directory >= 0:
                os.close(directory)
        self._lines = Lines(sock)
        self._order({"op": "hello", "version": PROTOCOL})
        self.flush()

    def _disconnect(self) -> None:
        if self._lines is not None:
            self._lines.close()
            self._lines = None
