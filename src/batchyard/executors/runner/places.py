"""The directories a slot keeps hold of after it has hidden them from its jobs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from batchyard.executors.runner import isolation


class Places:
    """Descriptors of exits/, logs/ and work/, opened inside the slot's own mount namespace and before covering."""

    def __init__(self, data: Path, hidden: bool):
        self._data = data
        self._hidden = hidden  # whether the data directory gets covered, so that work must be shown through
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        self.exits = os.open(data / "runner" / "exits", flags)
        self._logs = os.open(data / "logs", flags)
        self._work = os.open(data / "work", flags)
        self._days: dict[str, int] = {}

    def hide(self) -> None:
        """Cover the data directory; from now on a job sees of it its own working directory only."""
        isolation.cover(str(self._data))
        os.mkdir(self._data / "work", 0o755)

    def enter_work(self, attempt: str) -> str:
        """Make the attempt's working directory and show it at its usual path, which is returned."""
        path = str(self._data / "work" / attempt)
        os.mkdir(attempt, 0o755, dir_fd=self._work)
        os.mkdir(f"{attempt}/tmp", 0o755, dir_fd=self._work)
        if self._hidden:
            os.mkdir(path)
            isolation.bind(f"/proc/self/fd/{self._work}/{attempt}", path)
        return path

    def leave_work(self, attempt: str) -> None:
        """Hide the working directory again; it stays on disk unless the job left it empty."""
        path = str(self._data / "work" / attempt)
        if self._hidden:
            isolation.detach(path)
            os.rmdir(path)
        for name in (f"{attempt}/tmp", attempt):
            try:
                os.rmdir(name, dir_fd=self._work)
            except OSError:
                return

    def open_log(self, name: str) -> int:
        """Open DAY/FILE below logs/ for appending."""
        day, _, file = name.partition("/")
        if day not in self._days:
            try:
                os.mkdir(day, 0o700, dir_fd=self._logs)
            except FileExistsError:
                pass
            if len(self._days) > 3:
                os.close(self._days.pop(next(iter(self._days))))
            self._days[day] = os.open(day, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._logs)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(file, flags, 0o600, dir_fd=self._days[day])


def remove_old_work(data: Path, before_s: float, living: set[str]) -> int:
    """Remove working directories last changed before `before_s` (epoch seconds), none of `living`; how many went."""
    removed = 0
    for entry in os.scandir(data / "work"):
        if entry.name in living:
            continue
        if entry.is_dir(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime < before_s:
            shutil.rmtree(entry.path, ignore_errors=True)
            removed += 1
    return removed
