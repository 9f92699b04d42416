"""A slot: runs one job at a time, writes its exit record, then says so. Outlives the runner that forked it."""

from __future__ import annotations

import gc
import json
import logging
import os
import resource
import select
import signal
import socket
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from setproctitle import setproctitle

from batchyard import loglines
from batchyard.executors.runner import memory, sandbox
from batchyard.executors.runner.desk import Desk
from batchyard.executors.runner.files import Claimed
from batchyard.executors.runner.job import Job, Room
from batchyard.executors.runner.volumes import KEPT_IN
from batchyard.executors.runner.wire import EngineAbout, Lines, boot_s

if TYPE_CHECKING:
    from batchyard.executors.runner.containers.task import Hall, Task

log = logging.getLogger("batchyard.slot")

RECORD_RETRY_MS = 1000
ORPHAN_S = 15.0  # how long an idle slot waits for a new runner

SHARED = ("/dev/shm", "/dev/mqueue")  # where processes of different jobs could meet

_LISTENER = 3  # our descriptor of the listening socket


class Place(NamedTuple):
    """Where slots live and what they hide; the same for all slots of a runner."""

    data: str
    isolation: str  # one of sandbox.KINDS
    hidden: tuple[str, ...]
    soft_files: int  # the limit of open files that jobs start with
    groups: str | None = None  # where slots have their control groups (memory.py); None: nowhere
    engine: EngineAbout | None = None  # that runs containers; None: there is none, or none is wanted


def begin(name: str, listener: socket.socket, place: Place, identity: sandbox.Identity | None) -> NoReturn:
    """In a child forked by the runner: become a slot and serve until it is over; never returns.

    Without an identity it is one for containers: it hides nothing from itself, since it runs nothing but our code.
    """
    try:
        loglines.rename("slot")
        gc.freeze()  # the runner's objects name descriptors that are no longer theirs: they must never be closed
        os.dup2(listener.fileno(), _LISTENER, inheritable=False)
        os.closerange(_LISTENER + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        if identity is None:
            os.setsid()
            setproctitle(f"batchyard slot {place.data}")
            hall = _hall(place)
            Slot(hall).serve()
            hall.close()
            os._exit(0)
        group = _joined(place, name)
        if place.isolation == sandbox.SESSION:
            os.setsid()
            sandbox.adopt_orphans()
        else:
            sandbox.separate(place.isolation)
            if os.fork():
                os._exit(0)
            os.setsid()
        setproctitle(f"batchyard slot {place.data}")
        Slot(furnished_room(name, place, identity, group)).serve()
    except BaseException as error:
        log.error("slot %s ended: %s: %s", name, type(error).__name__, error)
        os._exit(1)
    os._exit(0)


def _joined(place: Place, name: str) -> memory.Group | None:
    """The slot's own control group, if it can have one."""
    try:
        return memory.Group(place.groups, name) if place.groups else None
    except OSError:
        return None


def _hall(place: Place) -> Hall:
    from batchyard.executors.runner.containers.task import Hall  # not before: it takes a while, and is not for everyone

    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    exits, logs, orders = (
        os.open(os.path.join(place.data, path), os.O_RDONLY | os.O_DIRECTORY)
        for path in ("runner/exits", "logs", "runner/orders")
    )
    return Hall(place.data, exits, logs, orders, place.engine)


def furnished_room(name: str, place: Place, identity: sandbox.Identity, group: memory.Group | None) -> Room:
    """Open what the slot needs, hide the rest, give up what jobs must not have."""
    exits, logs, work, volumes = (
        os.open(os.path.join(place.data, path), os.O_RDONLY | os.O_DIRECTORY)
        for path in ("runner/exits", "logs", "work", KEPT_IN)
    )
    os.umask(0o022)
    isolated = place.isolation != sandbox.SESSION
    devices = {path: os.stat(path).st_dev for path in SHARED if os.path.isdir(path)}
    if isolated:
        sandbox.furnish(place.isolation)
        sandbox.cover(place.data, place.hidden)
        sandbox.drop_capabilities()
    if os.geteuid() == 0 and place.isolation != sandbox.USER_NAMESPACES:
        sandbox.become(identity)
    sandbox.hide_memory()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (place.soft_files, hard))
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    own = [path for path, device in devices.items() if os.path.isdir(path) and os.stat(path).st_dev != device]
    own += [place.data, f"{place.data}/work"] if isolated else []
    own_proc = isolated and os.readlink("/proc/self") == "1"
    watched = {path: os.listdir(path) for path in own}
    desk = Desk(work, name, identity)
    return Room(place.data, exits, logs, name, isolated, own_proc, identity, desk, group, watched, work, volumes)


class Slot:
    """The loop: orders from the runner, the end of the job, the clock."""

    def __init__(self, room: Room | Hall):
        self._room = room
        self._listener = socket.socket(fileno=_LISTENER)
        self._listener.listen(4)
        self._runner: Lines | None = None
        self._job: Job | Task | None = None
        self._announced = False  # whether it was told that the job began
        self._unwritten: tuple[Job | Task, bytes] | None = None  # a record that waits for room on the disk
        self._orphan_s = boot_s()
        self._dirty = False

    def serve(self) -> None:
        """Until told to end, or alone and idle for ORPHAN_S, or unfit for another job."""
        while not self._over():
            ready = self._wait()
            if self._listener.fileno() in ready:
                self._meet()
            if self._runner is not None and self._runner.fileno() in ready:
                self._obey()
            if self._job is not None:
                self._job.attend(ready)
                self._follow()
            elif self._unwritten is not None:
                self._record()

    def _over(self) -> bool:
        if self._job is not None or self._unwritten is not None:
            return False
        return self._dirty or (self._runner is None and boot_s() - self._orphan_s > ORPHAN_S)

    def _wait(self) -> set[int]:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        if self._runner is not None:
            poll.register(self._runner, select.POLLIN)
        timeout_ms: float | None = None if self._runner is not None else ORPHAN_S * 1000 + 100
        if self._job is not None:
            for descriptor in self._job.sources():
                poll.register(descriptor, select.POLLIN)
            timeout_ms = self._job.patience_ms()
        elif self._unwritten is not None:
            timeout_ms = RECORD_RETRY_MS
        return {descriptor for descriptor, _ in poll.poll(timeout_ms)}

    def _meet(self) -> None:
        """A new runner: whatever an old one still had to say is void. It learns our pid, whatever its namespace."""
        if self._runner is not None:
            self._runner.close()
        self._runner = Lines(self._listener.accept()[0])
        attempt = self._job.attempt if self._job else self._unwritten[0].attempt if self._unwritten else None
        hello = {"op": "hello", "attempt": attempt, "started_ms": self._job.started_ms if self._job else None}
        hello |= {"identity": self._room.identity, "oom_kills": self._job.oom_kills_before if self._job else 0}
        myself = os.pidfd_open(os.getpid())
        try:
            self._runner.send_with_descriptor(json.dumps(hello).encode(), myself)
        except OSError:
            pass  # gone again; receive will tell
        os.close(myself)

    def _obey(self) -> None:
        assert self._runner is not None
        for line in self._runner.receive():
            order = json.loads(line)
            if order["op"] in ("start", "resume"):
                self._start(order)
            elif order["op"] == "stop" and self._job is not None and self._job.attempt == order["attempt"]:
                self._job.stop(order.get("grace_s"))
            elif order["op"] == "quit":
                self._quit()
        if not self._runner.open:
            self._runner.close()
            self._runner = None
            self._orphan_s = boot_s()

    def _start(self, order: dict) -> None:
        job = self._room.job(order)
        try:
            job.start()
        except Claimed:
            self._tell({"op": "refused", "attempt": job.attempt})
            return
        self._job, self._announced = job, False
        self._follow()

    def _follow(self) -> None:
        """Tell of the job what can be told by now."""
        job = self._job
        assert job is not None
        if job.started_ms is not None and not self._announced:
            self._announced = True
            started = {"op": "started", "attempt": job.attempt, "at_ms": job.started_ms}
            self._tell(started | {"oom_kills": job.oom_kills_before})
        if job.over:
            self._end()

    def _end(self) -> None:
        assert self._job is not None
        job, self._job = self._job, None
        record = job.finish()
        if record is None:
            self._tell({"op": "lost", "attempt": job.attempt})
            job.recorded()
            return
        self._unwritten = (job, record)
        self._record()
        self._dirty = not self._room.is_clean()

    def _record(self) -> None:
        """Write the record, and only then report it."""
        assert self._unwritten is not None
        job, record = self._unwritten
        try:
            self._room.write_record(job.attempt, record)
        except OSError:
            return  # no room on the disk: tried again later
        self._unwritten = None
        self._orphan_s = boot_s()
        if self._runner is not None:
            self._runner.send(record)
            self._runner.flush()
        job.recorded()

    def _tell(self, news: dict) -> None:
        if self._runner is not None:
            self._runner.send(json.dumps(news, separators=(",", ":")).encode())
            self._runner.flush()

    def _quit(self) -> NoReturn:
        """End at once, and the job with us: it counts as lost. Of one that has ended nothing stays to be removed."""
        if self._job is not None:
            self._job.abandon()
        self._room.close()
        os._exit(0)
