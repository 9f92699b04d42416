"""The slot's second thread: does what waits for the engine, one thing after the other, while the slot listens."""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable

Work = Callable[[], None]
Then = Callable[[BaseException | None], None]


class Hands:
    """`give` work, watch `fileno`, `collect` what is done: `then` is called by whoever collects."""

    def __init__(self) -> None:
        self._todo: queue.SimpleQueue[tuple[Work, Then]] = queue.SimpleQueue()
        self._done: deque[tuple[Then, BaseException | None]] = deque()
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._given = 0
        self._thread = threading.Thread(target=self._work, name="hands", daemon=True)
        self._thread.start()

    def fileno(self) -> int:
        """Readable when there is something to collect."""
        return self._bell

    def give(self, work: Work, then: Then) -> None:
        self._given += 1
        self._todo.put((work, then))

    @property
    def busy(self) -> bool:
        return self._given > 0

    def collect(self) -> None:
        try:
            os.eventfd_read(self._bell)
        except BlockingIOError:
            return
        while self._done:
            then, error = self._done.popleft()
            self._given -= 1
            then(error)

    def _work(self) -> None:
        while True:
            work, then = self._todo.get()
            error: BaseException | None = None
            try:
                work()
            except BaseException as raised:
                error = raised
            self._done.append((then, error))
            os.eventfd_write(self._bell, 1)
