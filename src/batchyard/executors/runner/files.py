"""What every slot writes below the data directory: claims, exit records and logs."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field

OpenFile = Callable[[str, int], int]  # (suffix, more flags) -> descriptor of the file of that suffix
RemoveFile = Callable[[str], None]


class Claimed(Exception):
    """The attempt was started before, here or in another slot."""


@dataclass
class Files:
    """`exits` and `logs` are open directories."""

    data: str
    exits: int
    logs: int
    _day: str = field(default="", init=False)
    _day_directory: int = field(default=-1, init=False)

    def close(self) -> None:
        """The slot ends: nothing is left to be done here."""

    def claim(self, attempt: str) -> None:
        """From now on nobody else starts it. Raises Claimed if somebody has."""
        try:
            os.close(os.open(attempt, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=self.exits))
        except FileExistsError:
            raise Claimed(attempt) from None

    def write_record(self, attempt: str, record: bytes) -> None:
        """Fill the claim with the record: on disk when this returns. Raises OSError when the disk is full.

        In place, since creating and renaming files is what costs most; a record that is not whole is a mere claim.
        """
        file = os.open(attempt, os.O_WRONLY | os.O_TRUNC, dir_fd=self.exits)
        try:
            if os.write(file, record) != len(record):
                os.ftruncate(file, 0)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file)
        finally:
            os.close(file)

    def log_files(self, day: str, name: str) -> tuple[OpenFile, RemoveFile]:
        """What opens and removes the files of the log `name` of that day, by their suffixes."""
        logs = self._logs_of(day)
        return (
            lambda suffix, flags: os.open(f"{name}.{suffix}", os.O_RDWR | os.O_CREAT | flags, 0o600, dir_fd=logs),
            lambda suffix: os.unlink(f"{name}.{suffix}", dir_fd=logs),
        )

    def _logs_of(self, day: str) -> int:
        """The day's directory of logs, which is made if it does not exist."""
        if day != self._day:
            try:
                os.mkdir(day, 0o700, dir_fd=self.logs)
            except FileExistsError:
                pass
            if self._day_directory >= 0:
                os.close(self._day_directory)
            self._day_directory = os.open(day, os.O_PATH | os.O_DIRECTORY, dir_fd=self.logs)
            self._day = day
        return self._day_directory
