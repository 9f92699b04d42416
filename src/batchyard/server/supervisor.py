"""Keeps api, engine, observe and runner alive: what ``serve`` does once it holds the data directory.

The runner lives in a session of its own, outlives the others, and is started only if none lives. The others inherit
the data directory's lock, so the next ``serve`` waits until the last of them is gone, and a pipe whose end tells them
that ``serve`` died.
"""

from __future__ import annotations

import fcntl
import http.client
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from batchyard.config import Settings
from batchyard.doctor import engines
from batchyard.server.failures import ServeError

log = logging.getLogger("batchyard.serve")

READY_WAIT_S = 30.0
TICK_S = 0.2
STOP_WAIT_S = 5.0
RESTART_WAIT_S = (0.0, 0.1, 0.5, 2.0, 5.0)  # after so many early ends in a row
STAYS_UP_S = 10.0


class Child:
    """One supervised process and when to start it (again)."""

    def __init__(self, name: str, start: Callable[[], subprocess.Popen], says_why: Path | None = None):
        self.name = name
        self._hint = f"; {says_why} says why" if says_why else ""
        self._start = start
        self.process: subprocess.Popen | None = None
        self._started_s = 0.0
        self._failures = 0
        self._due_s = 0.0

    def tend(self) -> None:
        """Start it if it is not running and its time has come."""
        if self.process is not None and self.process.poll() is not None:
            stayed = time.monotonic() - self._started_s > STAYS_UP_S
            self._failures = 0 if stayed else self._failures + 1
            wait_s = RESTART_WAIT_S[min(self._failures, len(RESTART_WAIT_S) - 1)]
            self._due_s = time.monotonic() + wait_s
            log.warning(
                "%s ended (%s); starting it again in %.1f s%s", self.name, self.process.returncode, wait_s, self._hint
            )
            self.process = None
        if self.process is None and time.monotonic() >= self._due_s:
            self._started_s = time.monotonic()
            self.process = self._start()

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def ask_to_end(self) -> None:
        if self.alive():
            self.process.terminate()

    def end(self, wait_s: float) -> None:
        if self.process is None:
            return
        try:
            self.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Supervisor:
    """Keeps api, engine and runner alive."""

    def __init__(self, settings: Settings, lock: int, listener: socket.socket):
        self._settings = settings
        self._lock = lock
        self._listener = listener
        self._lifeline, self._held = os.pipe()  # we hold the writing end and never write
        self._wake, self._ring = os.pipe()
        for descriptor in (self._wake, self._ring):
            os.set_blocking(descriptor, False)
        self._runner = Child("runner", self._spawn_runner, settings.data_path / "runner" / "runner.log")
        self._observe = Child("observe", lambda: self._spawn("observe"))
        self._children = [
            self._observe,
            Child("engine", lambda: self._spawn("engine")),
            Child("api", lambda: self._spawn("api")),
        ]
        self._ending = False

    def run(self, ready: Callable[[], None]) -> None:
        """Until SIGTERM or SIGINT."""
        self._catch_signals()
        told = False
        deadline = time.monotonic() + READY_WAIT_S
        while not self._ending:
            self._tend_runner()
            for child in self._children:
                if told or child is not self._observe:  # callers first: what happens meanwhile is in the journal
                    child.tend()
            if not told and self._answers():
                told = True
                ready()
            if not told and time.monotonic() > deadline:
                raise ServeError(
                    f"The api did not answer within {READY_WAIT_S:.0f} s.", "Run with --log-level debug to see why."
                )
            select.select([self._wake], [], [], TICK_S if told else 0.01)
            self._drain()

    def stop(self) -> None:
        """End api, engine and observe, in this order, and the runner with its jobs if set."""
        for child in reversed(self._children):
            child.ask_to_end()
        os.close(self._held)
        for child in reversed(self._children):
            child.end(STOP_WAIT_S)
        if self._settings.quit_runner:
            self._quit_runner()

    def _catch_signals(self) -> None:
        def end(*_: object) -> None:
            self._ending = True

        signal.set_wakeup_fd(self._ring, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # wakes the loop when a child ends

    def _drain(self) -> None:
        try:
            os.read(self._wake, 4096)
        except BlockingIOError:
            pass

    def _answers(self) -> bool:
        host, port = self._listener.getsockname()[:2]
        connection = http.client.HTTPConnection(host, port, timeout=1)
        try:
            connection.request("GET", "/x/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def _spawn(self, role: str) -> subprocess.Popen:
        """Start `role` with the settings on its command line; its standard input is the lifeline."""
        environ = dict(os.environ)
        inherited = [self._lock]
        if role == "api":
            inherited.append(self._listener.fileno())
        else:
            environ.pop("BATCHYARD_SECRET_ACCESS_KEY", None)
        dumped = _remembered(self._settings.dump())  # not on the command line, which everybody may read
        inherited.append(dumped)
        try:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "batchyard.server", role, str(dumped), str(self._listener.fileno())],
                stdin=self._lifeline,
                pass_fds=inherited,
                env=environ,
            )
        finally:
            os.close(dumped)

    def _tend_runner(self) -> None:
        """Keep a runner alive; one left by an earlier server goes on, and holds the lock."""
        if self._runner.alive() or not _is_locked(self._settings.data_path / "runner" / "lock"):
            self._runner.tend()

    def _spawn_runner(self) -> subprocess.Popen:
        """In a session of its own and with next to no environment: it outlives us, and jobs must not inherit ours."""
        keep = ("PATH", "LANG", "PYTHONPATH")
        data, hours = str(self._settings.data_path), str(self._settings.work_keep_hours)
        hide = [word for path in self._settings.hidden for word in ("--hide", path)]
        sockets = [self._settings.engine_socket] if self._settings.engine_socket else engines.usual(os.environ)
        engine = ["--executor", self._settings.executor, *(f"--engine-socket={path}" for path in sockets)]
        said = ["--log-level", self._settings.log_level, "--log-format", self._settings.log_format]
        command = [sys.executable, "-P", "-m", "batchyard.executors.runner", "--data", data]
        return subprocess.Popen(
            [*command, "--work-keep-hours", hours, *hide, *engine, *said],
            stdin=subprocess.DEVNULL,
            env={name: os.environ[name] for name in keep if name in os.environ},
            start_new_session=True,
            cwd="/",
        )

    def _quit_runner(self) -> None:
        from batchyard.executors.process import ProcessExecutor

        executor = ProcessExecutor(self._settings)
        executor.quit()
        deadline = time.monotonic() + STOP_WAIT_S
        while _is_locked(self._settings.data_path / "runner" / "lock") and time.monotonic() < deadline:
            time.sleep(0.01)
        self._runner.end(1.0)


def _remembered(text: str) -> int:
    """A nameless file that holds `text`, to be read by a child."""
    descriptor = os.memfd_create("settings")
    os.pwrite(descriptor, text.encode(), 0)
    return descriptor


def _is_locked(path: Path) -> bool:
    """Whether another process holds the lock file."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
