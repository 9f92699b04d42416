"""A slot: the init of its own namespaces, running one job after another; it outlives the runner.

It listens on a socket of its own in ``runner/slots``, so that a new runner can adopt it. Busy, it finishes its job and
writes the exit record whether anybody listens or not; idle without a runner it ends after ORPHAN_S.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path

import setproctitle

from batchyard.executors.runner import isolation, records
from batchyard.executors.runner.job import Job
from batchyard.executors.runner.lines import Lines, encode
from batchyard.executors.runner.places import Places

ORPHAN_S = 15.0


class Slot:
    """Runs in its own process; `run` returns when the slot is to end."""

    def __init__(self, places: Places, listener: socket.socket, own_namespace: bool):
        self._places = places
        self._listener = listener
        self._own_namespace = own_namespace
        self._runner: Lines | None = None
        self._job: Job | None = None
        self._alone_since = time.monotonic()
        self._dirty = False

    def run(self) -> None:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        while True:
            wait_s = self._job.wait_s() if self._job else ORPHAN_S if self._runner is None else None
            poll_job = self._job.descriptor if self._job else -1
            if poll_job >= 0:
                poll.register(poll_job, select.POLLIN)
            ready = poll.poll(None if wait_s is None else wait_s * 1000)
            if poll_job >= 0:
                poll.unregister(poll_job)
            for descriptor, _ in ready:
                if descriptor == self._listener.fileno():
                    self._accept(poll)
                elif self._runner is not None and descriptor == self._runner.fileno():
                    self._hear(poll)
                elif self._job is not None and descriptor == self._job.descriptor:
                    self._main_ended()
            if self._job is not None:
                self._job.tick() if not ready else None
                self._reap()
            if self._over():
                return

    def _over(self) -> bool:
        if self._job is not None:
            return False
        if self._dirty:
            return True
        return self._runner is None and time.monotonic() - self._alone_since >= ORPHAN_S

    # -- the runner -----------------------------------------------------------------------------------------------

    def _accept(self, poll: select.poll) -> None:
        """A runner connects: the newest one counts. It is told what we do."""
        sock, _ = self._listener.accept()
        if self._runner is not None:
            poll.unregister(self._runner)
            self._runner.close()
        self._runner = Lines(sock)
        poll.register(self._runner, select.POLLIN)
        job = self._job
        self._tell({"event": "slot", "attempt": job.attempt if job else None, "at_ms": job.started_ms if job else None})

    def _hear(self, poll: select.poll) -> None:
        assert self._runner is not None
        for line in self._runner.take():
            message = json.loads(line)
            if message["op"] == "start":
                self._start(message)
            elif message["op"] == "stop" and self._job is not None and self._job.attempt == message["attempt"]:
                self._job.stop()
            elif message["op"] == "leave" and self._job is None:
                self._dirty = True
        if self._runner.closed:
            poll.unregister(self._runner)
            self._runner.close()
            self._runner, self._alone_since = None, time.monotonic()

    def _tell(self, message: dict) -> None:
        if self._runner is not None:
            self._runner.put(encode(message))
            self._runner.flush()

    # -- jobs -----------------------------------------------------------------------------------------------------

    def _start(self, order: dict) -> None:
        attempt = order["attempt"]
        if self._job is not None or not records.claim(self._places.exits, attempt):
            self._tell({"event": "refused", "attempt": attempt})
            return
        self._job = Job(self._places, order)
        if self._job.start():
            self._tell({"event": "began", "attempt": attempt, "at_ms": self._job.started_ms})
        else:
            self._finish(None, None, 0)

    def _main_ended(self) -> None:
        assert self._job is not None
        _, status, usage = os.wait4(self._job.pid, 0)
        self._finish(status, usage, self._kill_leftovers())

    def _finish(self, status, usage, survivors: int) -> None:
        assert self._job is not None
        record = self._job.finish(status, usage, survivors)
        self._job = None
        self._dirty = self._dirty or not self._clean()
        self._tell({"event": "ended", "record": record, "leaves": self._dirty})

    def _reap(self) -> None:
        """Orphans of the job become our children; collect those that have ended, never the main process."""
        while self._job is not None:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None or found.si_pid == self._job.pid:
                return
            os.waitpid(found.si_pid, 0)

    def _kill_leftovers(self) -> int:
        """Kill whatever the job left behind and see it gone; how many there were."""
        killed = 0
        while True:
            if self._own_namespace:
                assert os.getpid() == 1, "kill(-1) anywhere but in a namespace of our own would kill the user's session"
                try:
                    os.kill(-1, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            else:
                _kill_descendants(os.getpid())
            try:
                os.waitpid(-1, 0)
                killed += 1
            except ChildProcessError:
                return killed

    def _clean(self) -> bool:
        """Whether the slot may run another job: nothing of this one is left in shared memory or IPC."""
        if not self._own_namespace:
            return True
        if os.listdir("/dev/shm"):
            return False
        return all(Path(f"/proc/sysvipc/{kind}").read_bytes().count(b"\n") <= 1 for kind in ("shm", "sem", "msg"))


def _kill_descendants(root: int) -> None:
    """Without a namespace: every process below `root`, found by walking the children the kernel lists."""
    for task in Path(f"/proc/{root}/task").iterdir():
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in map(int, children):
            _kill_descendants(child)
            try:
                os.kill(child, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass


def main(data: Path, name: str, level: str, ready: int) -> None:
    """Become a slot: called in a fresh child of the runner that is already in its namespaces. Never returns.

    `ready` is closed once the slot listens.
    """
    try:
        setproctitle.setproctitle("batchyard slot")
        own = level != isolation.SESSION
        if own:
            isolation.make_mounts_private()
            isolation.mount_proc()
        else:
            isolation.adopt_orphans()
        places = Places(data, hidden=own)
        listener = _listen(data, name)
        if own:
            places.hide()
            isolation.mount_shared_memory()
        isolation.drop_capabilities()
        isolation.hide_memory()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.umask(0o022)
        os.close(ready)
        Slot(places, listener, own).run()
    except BaseException as error:
        print(f"slot {name} ends: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    os._exit(0)


def _listen(data: Path, name: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    directory = os.open(data / "runner" / "slots", os.O_PATH)
    listener.bind(f"/proc/self/fd/{directory}/{name}.sock")
    os.close(directory)
    listener.listen(4)
    return listener
