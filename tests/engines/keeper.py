"""Clears away what is left of an engine, also when the tests that it was for have been killed.

As a program it waits until the other end of its standard input is gone, and then clears the directory KEPT.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

PATIENCE_S = 30.0


def processes(base: Path) -> list[int]:
    """Those that name the engine's directory: of the engine itself, and those that hold its containers."""
    mark, found = str(base).encode(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                if mark in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found


def clear(base: Path) -> None:
    """End these, undo the mounts, remove the files."""
    deadline = time.monotonic() + PATIENCE_S
    while (left := processes(base)) and time.monotonic() < deadline:
        # Whoever holds a container is its parent; the container does not end with it.
        held = [child for holder in left for child in _children(holder)]
        for pid in held + left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    for place in reversed(_mounts_below(base)):
        subprocess.run(["umount", "-l", place], check=False)
    shutil.rmtree(base, ignore_errors=True)


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    return []


def _mounts_below(directory: Path) -> list[str]:
    """Mount points at the directory or below it, in the order in which they were made."""
    places = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [place for place in places if place == str(directory) or place.startswith(f"{directory}/")]


def main() -> None:
    sys.stdin.buffer.read()
    base = Path(os.environ["KEPT"])
    if base.exists():
        clear(base)


if __name__ == "__main__":
    main()
