"""How long the engine takes: counts by duration, in whole microseconds, since the engine started.

The engine keeps them in memory and shows them as a view (``Commits.show``) under the name ENGINE.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

ENGINE = "engine"  # the view's name

# Upper bounds, inclusive. Changing them changes what dashboards compare: they are part of the metrics' contract.
BOUNDS_US = (
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
)  # fmt: skip


class Timing:
    """Durations by bound. `counts` has one number for each of BOUNDS_US and a last one for all that took longer."""

    __slots__ = ("counts", "sum_us")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_US) + 1)
        self.sum_us = 0

    def note(self, duration_us: int) -> None:
        self.counts[bisect_left(BOUNDS_US, duration_us)] += 1
        self.sum_us += duration_us


class EngineTimings:
    """A turn is everything from gathering news to giving orders; a commit is the part of it that waits for the disk."""

    __slots__ = ("started_ms", "turn", "commit")

    def __init__(self, started_ms: int):
        self.started_ms = started_ms
        self.turn = Timing()
        self.commit = Timing()

    def view(self) -> dict[str, Any]:
        """What is shown."""
        parts = {"turn": self.turn, "commit": self.commit}
        told = {name: {"counts": each.counts, "sum_us": each.sum_us} for name, each in parts.items()}
        return {"started_ms": self.started_ms, "bounds_us": BOUNDS_US, **told}
