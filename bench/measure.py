"""What a scenario yields, how rounds are run, and on what machine."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

BUSY = 0.2  # cores used by others from which on absolute figures are worth little


class Measure(NamedTuple):
    """One measured quantity; `name` is its line in budgets.toml."""

    name: str
    unit: str
    rounds: tuple[float, ...]
    baselines: tuple[tuple[str, tuple[float, ...]], ...] = ()  # (what, rounds) in the same unit, the same run
    notes: tuple[str, ...] = ()
    steady: bool = True  # False: the baselines disagree, so others used the machine meanwhile; not to be noted

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)


def rounds(least: int, most: int, budget_s: float) -> Iterator[int]:
    """Count rounds: at least `least`, at most `most`, and none begun when `budget_s` seconds are spent."""
    begun = time.monotonic()
    for number in range(most):
        if number >= least and time.monotonic() - begun > budget_s:
            return
        yield number


def seconds(act: Callable[[], object]) -> float:
    """How long `act()` takes."""
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def machine() -> str:
    """The machine in one line: processor, cores, memory, kernel, Python, SQLite, and how long a sync takes."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{_processor()}, {len(os.sched_getaffinity(0))} cores, {memory_gib:.0f} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, sync {_sync_us():.0f} us, "
        f"load {os.getloadavg()[0]:.1f}"
    )


def short_machine(busy: float) -> str:
    """The same for a line of budgets.toml; `busy` as of ``busy_cores``."""
    told = f", {busy:.1f} busy otherwise" if busy >= BUSY else ""
    return f"{_processor()}, {len(os.sched_getaffinity(0))} cores{told}"


def busy_cores() -> float:
    """How many processors other processes keep busy just now; looked at for a second, while we do nothing."""
    before = _busy_ticks()
    time.sleep(1)
    return (_busy_ticks() - before) / os.sysconf("SC_CLK_TCK")


def _busy_ticks() -> int:
    with open("/proc/stat") as file:
        user, nice, system, _idle, _wait, *interrupts = map(int, file.readline().split()[1:8])
    return user + nice + system + sum(interrupts)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def _sync_us() -> float:
    """Median time of a 4 KiB append with fdatasync where the measurements keep their data."""
    with tempfile.NamedTemporaryFile() as file:
        times = []
        for _ in range(50):
            file.write(bytes(4096))
            file.flush()
            times.append(seconds(lambda: os.fdatasync(file.fileno())))
    return statistics.median(times) * 1e6
