"""What the kernel counts of one container: memory, processor time, and whether it killed for want of memory.

An engine removes a container's control group some milliseconds after its end. So its files are opened at the start and
read at the very moment at which the main process ends; what was last read before counts where the group is gone. Podman
does not tell of kills for want of memory in version 1 of control groups, and there the kernel rings a bell for us.
"""

from __future__ import annotations

import os
from contextlib import suppress

MOUNT = "/sys/fs/cgroup"


class Counts:
    """Opened for a living process of the container of that id; `sample` now and then, `last` once, `close`."""

    def __init__(self, pid: int, container: str):
        self.peak_bytes = 0
        self.cpu_ms = 0
        self.oom = False
        self.bell = -1  # readable when the kernel has killed (or, in version 1, the group is gone)
        self._files: dict[str, int] = {}
        groups = {name: path for name, path in _groups(pid).items() if container in path}
        self.found = bool(groups)  # whether the process is in groups of this container
        if "memory" in groups:
            memory = f"{MOUNT}/memory{groups['memory']}"
            self._open("peak", f"{memory}/memory.max_usage_in_bytes")
            self._open("events", f"{memory}/memory.oom_control")
            self._open("cpu_ns", _cpu_file(groups))
            self._hang_bell(memory)
        elif "" in groups:
            group = f"{MOUNT}{groups['']}"
            self._open("peak", f"{group}/memory.peak")
            self._open("events", f"{group}/memory.events")
            self._open("cpu", f"{group}/cpu.stat")

    def _open(self, name: str, path: str) -> None:
        with suppress(OSError):
            self._files[name] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def _hang_bell(self, group: str) -> None:
        with suppress(OSError):
            bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            try:
                with open(f"{group}/cgroup.event_control", "w") as control:
                    control.write(f"{bell} {self._files['events']}")
            except (OSError, KeyError):
                os.close(bell)
                return
            self.bell = bell

    def ring(self) -> None:
        """The bell rang. The removal of the group rings it once, and so does each kill: while the group is there it
        was a kill, and two rings hold one at least."""
        with suppress(OSError):
            rings = os.eventfd_read(self.bell)
            self.oom = self.oom or rings > 1 or self._read("events") is not None

    def sample(self) -> None:
        """Note what can be read by now."""
        peak, cpu_ns = self._read("peak"), self._read("cpu_ns")
        if peak:
            self.peak_bytes = max(self.peak_bytes, int(peak))
        if cpu_ns:
            self.cpu_ms = max(self.cpu_ms, int(cpu_ns) // 1_000_000)
        used_us = _value(self._read("cpu"), "usage_usec")
        self.cpu_ms = max(self.cpu_ms, used_us // 1000)

    def last(self) -> None:
        """The main process has just ended."""
        if _value(self._read("events"), "oom_kill"):
            self.oom = True
        if self.bell >= 0:
            self.ring()
        self.sample()

    def _read(self, name: str) -> str | None:
        """None once the group is gone."""
        with suppress(OSError, KeyError):
            return os.pread(self._files[name], 4096, 0).decode()
        return None

    def close(self) -> None:
        for descriptor in [*self._files.values(), *([self.bell] if self.bell >= 0 else [])]:
            os.close(descriptor)
        self._files, self.bell = {}, -1


def _groups(pid: int) -> dict[str, str]:
    """The process's groups by controller; that of version 2 has no name."""
    found: dict[str, str] = {}
    with suppress(OSError), open(f"/proc/{pid}/cgroup") as file:
        for line in file:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            found |= dict.fromkeys(controllers.split(","), path)
    return found


def _cpu_file(groups: dict[str, str]) -> str:
    mounts = [MOUNT + "/cpuacct", MOUNT + "/cpu,cpuacct"]
    mount = next((path for path in mounts if os.path.isdir(path)), mounts[0])
    return f"{mount}{groups.get('cpuacct', '/')}/cpuacct.usage"


def _value(text: str | None, key: str) -> int:
    for line in (text or "").splitlines():
        name, _, value = line.partition(" ")
        if name == key:
            return int(value)
    return 0
