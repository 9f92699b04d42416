"""Calls that wait for other servers, made beside the event loop: few at a time, and not without end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from batchyard.errors import Unavailable

T = TypeVar("T")

AT_ONCE = 16
WAITING_MOST = 1_000


class Beside:
    """Threads of its own, so that a server which does not answer holds up nobody who asks something else."""

    def __init__(self, name: str) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, name)
        self._waiting = 0

    async def do(self, call: Callable[[], T]) -> T:
        """What `call` returns, or raises; Unavailable if so many wait that it would be long."""
        if self._waiting >= WAITING_MOST:
            raise Unavailable(f"{WAITING_MOST} tasks wait for what they asked.", "Ask again in a moment.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        finally:
            self._waiting -= 1
