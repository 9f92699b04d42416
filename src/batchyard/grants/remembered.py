"""What was asked elsewhere a moment ago: a thousand tasks that start together ask once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from batchyard.ports.grants import NotGranted

FAILURE_S = 2.0  # how long a failure is remembered
MOST = 10_000

Key = TypeVar("Key")
Value = TypeVar("Value")


class Remembered(Generic[Key, Value]):
    """Answers by what was asked. Who asks for what another thread is asking waits for its answer."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic):
        self._now_s = monotonic_s
        self._lock = threading.Lock()
        self._known: dict[Key, tuple[Future[Value], float]] = {}  # with the time until which it is good

    def get(self, key: Key, ask: Callable[[], tuple[Value, float]]) -> Value:
        """What is remembered, else what `ask` returns with the seconds for which that is good. Raises what it raises,
        which must be NotGranted."""
        with self._lock:
            future, until_s = self._known.get(key, (None, 0.0))
            mine = future is None or self._now_s() >= until_s
            if mine:
                self._forget()
                future = Future()
                self._known[key] = future, float("inf")
        assert future is not None
        if mine:
            self._ask(key, future, ask)
        try:
            return future.result()
        except NotGranted as error:
            raise NotGranted(*error.args) from None  # each of those who wait has a traceback of its own

    def _ask(self, key: Key, future: Future[Value], ask: Callable[[], tuple[Value, float]]) -> None:
        good_s = FAILURE_S
        try:
            value, good_s = ask()
            future.set_result(value)
        except BaseException as error:
            future.set_exception(error)
        with self._lock:
            self._known[key] = future, self._now_s() + good_s

    def _forget(self) -> None:
        """What is good no more, so that no secret stays longer than it serves; the oldest of too many."""
        now_s = self._now_s()
        for key in [key for key, (_, until_s) in self._known.items() if until_s <= now_s]:
            del self._known[key]
        while len(self._known) >= MOST:
            del self._known[next(iter(self._known))]
