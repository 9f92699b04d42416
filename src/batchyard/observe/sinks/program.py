"""The sink `on_event`: a program of the operator's, run for each event with the event as JSON on its standard input.

One at a time and in order, never through a shell, with a small environment of its own. A program that fails is run
again a few times; then the event is skipped, so that one event that a program cannot take does not hold up the rest.
What it started ends with it: its process group is killed, and what left that on purpose is found by a mark in its
environment when the program is stopped, or left over by an observe process that was killed.
"""

from __future__ import annotations

import logging
import os
import selectors
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from io import FileIO
from pathlib import Path

from batchyard.observe.follow import Failed, Stopped
from batchyard.observe.sinks.webhook import fingerprint
from batchyard.observe.state_changes import StateChange

log = logging.getLogger(__name__)

AGAIN_S = (1.0, 5.0)  # before it is run again for an event
GRACE_S = 2.0  # between SIGTERM and SIGKILL when its time is over
BLOCK = 1 << 16
LOOK_S = 0.1  # how soon it is noticed that we are to stop
SAID_MAX = 500  # characters of what it said last that are logged
PASSED = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")
MARK = "BATCHYARD_ON_EVENT"  # the variable by which its processes are known


class Program:
    """sink.Place: the program of `command`, as a shell would split it. `of` tells whose programs its processes are."""

    most = 1

    def __init__(self, command: str, timeout_s: int, environ: Mapping[str, str], of: str):
        self._words = shlex.split(command)
        self._timeout_s = timeout_s
        mark = fingerprint(of)
        self._environ = {name: environ[name] for name in PASSED if name in environ} | {MARK: mark}
        self._mark = f"{MARK}={mark}".encode()
        self.name = f"on_event {os.path.basename(self._words[0])} {fingerprint(command)}"
        self._begun = False

    def deliver(self, events: Sequence[StateChange], stop: threading.Event) -> None:
        if not self._begun:
            self._kill_marked()
            self._begun = True
        for event in events:
            self._take(event, stop)

    def _take(self, event: StateChange, stop: threading.Event) -> None:
        for wait_s in (*AGAIN_S, None):
            failure = self._run(event.whole, stop)
            if failure is None:
                return
            if wait_s is None:
                log.warning("%s: event %s of %s is skipped: %s", self.name, event.id, event.arns[0], failure)
            elif stop.wait(wait_s):
                raise Stopped

    def _run(self, event: bytes, stop: threading.Event) -> str | None:
        """Run it once; what went wrong, None if nothing did. Raises Failed if there is no such program."""
        given = os.memfd_create("event")
        said, says = os.pipe()
        try:
            os.write(given, event + b"\n")
            os.lseek(given, 0, os.SEEK_SET)
            process = subprocess.Popen(
                self._words,
                stdin=given,
                stdout=says,
                stderr=says,
                env=self._environ,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            os.close(said)
            raise Failed(f"{self._words[0]} cannot be started: {error.strerror}") from None
        finally:
            os.close(given)
            os.close(says)
        with open(said, "rb", buffering=0) as output:
            return self._attend(process, output, stop)

    def _attend(self, process: subprocess.Popen, output: FileIO, stop: threading.Event) -> str | None:
        """Until it ends, its time is over, or we are to stop; then nothing of it is left, and it is waited for."""
        os.set_blocking(output.fileno(), False)
        deadline, late, last = time.monotonic() + self._timeout_s, False, b""
        ended = os.pidfd_open(process.pid)
        alive = True
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(ended, selectors.EVENT_READ)
                selector.register(output, selectors.EVENT_READ)
                while alive and time.monotonic() < deadline + GRACE_S:
                    for key, _ in selector.select(LOOK_S):
                        if key.fileobj is not output:
                            alive = False
                        elif more := output.read(BLOCK):
                            last = (last + more)[-BLOCK:]
                        else:
                            selector.unregister(output)  # nobody can write any more
                    if stop.is_set():
                        raise Stopped
                    if alive and not late and time.monotonic() >= deadline:
                        late = True
                        _signal_group(process.pid, signal.SIGTERM)
        finally:
            os.close(ended)
            _signal_group(process.pid, signal.SIGKILL)  # before it is waited for: the number is still its own
            if alive or late:
                self._kill_marked()
            process.wait()
        last += output.read(BLOCK) or b""
        return self._failure(process.returncode, late, last.decode(errors="replace").strip()[-SAID_MAX:])

    def _failure(self, code: int, late: bool, said: str) -> str | None:
        if late:
            failure = f"it took longer than {self._timeout_s} s"
        elif code:
            failure = f"it ended with {code}" if code > 0 else f"it was killed by {signal.Signals(-code).name}"
        else:
            return None
        return f"{failure}; it said: {said}" if said else failure

    def _kill_marked(self) -> None:
        """Kill whatever carries our mark."""
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and self._mark in (entry / "environ").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)
            except OSError:
                continue  # gone, or somebody else's


def _signal_group(leader: int, number: signal.Signals) -> None:
    """Signal all processes of the group, if there still are any."""
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        pass
