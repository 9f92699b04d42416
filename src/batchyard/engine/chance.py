"""The only source of chance: whether Spot capacity is interrupted. What it draws reaches decisions as an event."""

from __future__ import annotations

from collections.abc import Callable
from math import exp
from random import Random

from batchyard.model.events import InterruptionsDrawn

DAY_MS = 86_400_000
EVERY_MS = 1000  # how often it draws
LONGEST_MS = 60_000  # what passed while nobody drew counts as no more


class Chance:
    """Draws for each piece of Spot capacity that there is, so that each is interrupted `per_day` times on average."""

    def __init__(self, per_day: int = 0, random: Random | None = None):
        self._per_day = per_day
        self._random = random or Random()
        self._drawn_ms: int | None = None

    def draw(self, now_ms: int, pieces: Callable[[], int]) -> InterruptionsDrawn | None:
        """What is interrupted now of so many `pieces`, if anything is; call it as often as you like."""
        if self._drawn_ms is None:
            self._drawn_ms = now_ms
        elapsed_ms = min(now_ms - self._drawn_ms, LONGEST_MS)
        if not self._per_day or elapsed_ms < EVERY_MS:
            return None
        self._drawn_ms = now_ms
        within = 1 - exp(-self._per_day * elapsed_ms / DAY_MS)
        picks = tuple(place for place in range(pieces()) if self._random.random() < within)
        return InterruptionsDrawn(picks) if picks else None
