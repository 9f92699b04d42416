"""A descriptor that turns readable at a given time: Linux's timerfd, which Python has from 3.13 on."""

from __future__ import annotations

import ctypes
import os
import time

_libc = ctypes.CDLL(None, use_errno=True)


class _Times(ctypes.Structure):
    """struct itimerspec: seconds and nanoseconds of the interval, then of the first time."""

    _fields_ = [(name, ctypes.c_long) for name in ("interval_s", "interval_ns", "value_s", "value_ns")]


class Timer:
    """Readable once, `set` seconds later, and until it is `set` again."""

    def __init__(self) -> None:
        self._descriptor = _libc.timerfd_create(time.CLOCK_BOOTTIME, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")

    def fileno(self) -> int:
        return self._descriptor

    def set(self, wait_ms: int | None) -> None:
        """Turn readable in so many milliseconds, at once for 0 and less; None: not any more."""
        seconds, rest_ms = divmod(max(wait_ms or 0, 0), 1000)
        nanoseconds = rest_ms * 1_000_000
        if wait_ms is not None:
            nanoseconds = max(nanoseconds, 0 if seconds else 1)  # all zero would mean never
        times = _Times(0, 0, seconds, nanoseconds)
        if _libc.timerfd_settime(self._descriptor, 0, ctypes.byref(times), None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1
