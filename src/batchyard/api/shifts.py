"""Work that may last, done beside the event loop in short shifts, so that nobody's submission waits for a wide page.

A thread alone would not do: one that computes keeps the interpreter to itself for milliseconds whenever the loop, or
the store's writer, comes back from the system, and a submission does so several times. So long work is a generator
that stops often, one thread does all of it, and after SHIFT_S it lets the loop have its turn. What waits takes turns,
so a small page waits for one shift of each large one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import perf_counter
from typing import TypeVar

T = TypeVar("T")
Steps = Generator[None, None, T]  # stops where it could go on later; each step takes about a millisecond at most

SHIFT_S = 0.001


class Shifts:
    """One thread for all long work of a process."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "shifts")

    async def do(self, steps: Steps[T]) -> T:
        """What `steps` returns, or raises. A caller that is cancelled ends it at its next stop."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                done, value = await loop.run_in_executor(self._thread, _shift, steps)
                if done:
                    return value
        finally:
            with suppress(ValueError):  # the thread is in it still: what it has open goes with it
                steps.close()


def _shift(steps: Steps[T]) -> tuple[bool, T | None]:
    """Whether it is done, and then what it returned."""
    until_s = perf_counter() + SHIFT_S
    try:
        while perf_counter() < until_s:
            next(steps)
    except StopIteration as end:
        return True, end.value
    return False, None
