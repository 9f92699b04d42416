"""The kernel's own count of a slot's memory: a control group for each slot, where the machine lets us make one.

A slot stays in its group for good, since moving a process between groups costs milliseconds; what the slot itself uses
is added to each job's limit. So the kernel, when it kills for want of memory, could choose the slot: jobs are made its
first choice, and a slot that it kills all the same (the job's processes may be dying already, or have made themselves
as dear) is told of by the runner, which reads the same counts. Without a group, ``job.py`` looks at the processes'
memory from time to time instead.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

MOUNT = "/sys/fs/cgroup"
DELEGATED = "server"  # DelegateSubgroup of deploy/*.service
FIRST_CHOICE = b"1000"  # the highest oom_score_adj; whoever has it is killed before all others


class Files(NamedTuple):
    """Names of the same things in the two versions of control groups."""

    limit: str
    usage: str
    peak: str
    events: str  # has a line `oom_kill N`


VERSION_1 = Files("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control")
VERSION_2 = Files("memory.max", "memory.current", "memory.peak", "memory.events")


def make_base(data: str) -> str | None:
    """A directory in which groups can be made, for the slots of `data`; None where the machine refuses."""
    name = "batchyard-" + hashlib.blake2b(data.encode(), digest_size=6).hexdigest()
    with suppress(OSError):
        if os.path.isdir(f"{MOUNT}/memory"):
            return _tried(os.path.join(f"{MOUNT}/memory", _own_group("memory").lstrip("/"), name))
        above = _above()
        _write(f"{above}/cgroup.subtree_control", "+memory")
        base = _tried(f"{above}/{name}")
        _write(f"{base}/cgroup.subtree_control", "+memory")
        return base
    return None


def _above() -> str:
    """Where our groups go: beside our own in what a service manager has delegated, else at the top (root's right).

    A group whose children have a memory controller holds no processes, so a delegated group is of use only if we were
    put into one below it.
    """
    service, own = os.path.split(_own_group(""))
    return f"{MOUNT}{service}".rstrip("/") if own == DELEGATED else MOUNT


def _own_group(controller: str) -> str:
    with open("/proc/self/cgroup") as file:
        for line in file:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            if controller in controllers.split(","):
                return path
    raise FileNotFoundError(controller)


def _tried(base: str) -> str:
    os.makedirs(base, exist_ok=True)
    trial = f"{base}/trial-{os.getpid()}"
    os.mkdir(trial)
    os.rmdir(trial)
    return base


def remove(base: str, name: str) -> None:
    """The slot is gone and, with it, its group."""
    with suppress(OSError):
        os.rmdir(f"{base}/{name}")


def remove_stale(base: str, living: set[str]) -> None:
    """Groups of slots that no runner saw the end of."""
    for name in os.listdir(base):
        if os.path.isdir(f"{base}/{name}") and name not in living:
            remove(base, name)


def remove_base(base: str) -> None:
    """All slots are gone."""
    remove_stale(base, set())
    with suppress(OSError):
        os.rmdir(base)


def oom_kills(base: str, name: str) -> int:
    """How often the kernel has killed in the slot's group for want of memory; 0 if there is no such group."""
    for files in (VERSION_1, VERSION_2):
        with suppress(OSError), open(f"{base}/{name}/{files.events}") as file:
            return _count_of_kills(file.read())
    return 0


def _count_of_kills(events: str) -> int:
    for line in events.splitlines():
        key, _, count = line.partition(" ")
        if key == "oom_kill":
            return int(count)
    return 0


@contextmanager
def first_choice() -> Iterator[None]:
    """What is spawned within is the first that the kernel kills for want of memory, and so is all that it spawns.

    We ourselves are what we were, afterwards. Where that may not be set, nothing changes.
    """
    file, ours = -1, b"0"
    with suppress(OSError):
        file = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
        ours = os.read(file, 16)
        os.pwrite(file, FIRST_CHOICE, 0)
    try:
        yield
    finally:
        if file >= 0:
            with suppress(OSError):
                os.pwrite(file, ours, 0)
            os.close(file)


class Group:
    """The group that this process has joined; opened before /sys becomes unchangeable for the slot."""

    def __init__(self, base: str, name: str):
        path = f"{base}/{name}"
        os.makedirs(path, exist_ok=True)
        self._directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._files = VERSION_1 if os.path.exists(f"{path}/{VERSION_1.limit}") else VERSION_2
        self._own_bytes = 0
        self.kills = 0  # as counted when the job began
        self._set("cgroup.procs", "0")

    def begin(self, limit_mib: int) -> None:
        """A job begins: `limit_mib` above what is used now (0: no limit), and the peak is counted from here."""
        self._own_bytes = int(self._get(self._files.usage))
        limit = str(self._own_bytes + (limit_mib << 20)) if limit_mib else "-1" if self._files is VERSION_1 else "max"
        self._set(self._files.limit, limit)
        with suppress(OSError):  # older kernels cannot reset the peak of version 2
            self._set(self._files.peak, "0")
        self.kills = _count_of_kills(self._get(self._files.events))

    def end(self) -> tuple[int, bool]:
        """Peak of the job's memory in bytes, and whether the kernel killed for want of memory."""
        peak = int(self._get(self._files.peak)) - self._own_bytes
        return max(0, peak), _count_of_kills(self._get(self._files.events)) > self.kills

    def _get(self, name: str) -> str:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory)
        try:
            return os.read(descriptor, 4096).decode()
        finally:
            os.close(descriptor)

    def _set(self, name: str, value: str) -> None:
        descriptor = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=self._directory)
        try:
            os.write(descriptor, value.encode())
        finally:
            os.close(descriptor)


def _write(path: str, value: str) -> None:
    with open(path, "w") as file:
        file.write(value)
