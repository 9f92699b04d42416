"""Room on the disk: when little is left nothing new is taken or decided, so that what runs can still be recorded.

A job cannot start on a full disk: it would fail for want of a working directory and not wait. Its end, its output
and the removal of old jobs (which makes room) may use the reserve.
"""

from __future__ import annotations

import os
from pathlib import Path


class Disk:
    """The disk of the data directory. `reserve_bytes` 0: whatever it takes is right."""

    def __init__(self, data_path: Path | str, reserve_bytes: int = 0):
        self._data_path = data_path
        self._reserve_bytes = reserve_bytes

    def has_room(self) -> bool:
        """Whether more than the reserve is free. A microsecond or two."""
        if not self._reserve_bytes:
            return True
        disk = os.statvfs(self._data_path)
        return disk.f_bavail * disk.f_frsize > self._reserve_bytes
