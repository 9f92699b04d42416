"""The only reader of clocks for decisions and stored times: one SteadyClock a process.

It starts at max(wall, what was last stored), advances by CLOCK_BOOTTIME (which counts suspended time and is not set
by anybody) and is slewed towards wall time by at most 1 part in 100, so it never goes back and never jumps.
"""

from __future__ import annotations

import time
from collections.abc import Callable

SLEW = 100  # at most 1 ns of correction in so many ns


def wall_ns() -> int:
    return time.time_ns()


def boot_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class SteadyClock:
    """Epoch milliseconds that never go back (ports.Clock)."""

    def __init__(self, last_ms: int = 0, wall: Callable[[], int] = wall_ns, boot: Callable[[], int] = boot_ns):
        self._wall = wall
        self._boot = boot
        self._boot_seen = boot()
        self._now_ns = max(wall(), last_ms * 1_000_000)

    def now_ms(self) -> int:
        boot = self._boot()
        elapsed = max(0, boot - self._boot_seen)
        self._boot_seen = boot
        ahead = self._now_ns + elapsed
        correction = self._wall() - ahead
        bound = elapsed // SLEW
        self._now_ns = ahead + max(-bound, min(bound, correction))
        return self._now_ns // 1_000_000
