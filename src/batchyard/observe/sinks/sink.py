"""A sink: a follower that hands each state change to one place, in order, and goes on only once it is there."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from batchyard.observe.follow import Mark, Stopped
from batchyard.observe.state_changes import StateChange, Teller
from batchyard.ports.journal import Entry, Forgotten

log = logging.getLogger(__name__)


class Place(Protocol):
    """Where events go."""

    name: str  # tells it apart from all others, and holds no secret: it is shown and logged
    most: int  # events it takes at a time

    def deliver(self, events: Sequence[StateChange], stop: threading.Event) -> None:
        """Returns once all of them are there to stay. Raises Failed if some may not be: it is given all again.

        It may block for a bounded time, less once `stop` is set.
        """


class Sink:
    """ports: a Follower (``follow.py``). What it remembers is how many events of a long entry were delivered."""

    def __init__(self, place: Place, open_teller: Callable[[], Teller]):
        self.name = place.name
        self._place = place
        self._open_teller = open_teller
        self._part: tuple[int, int] = (0, 0)  # (number of an entry, how many of its events are delivered)

    def resume(self, memo: bytes | None, stop: threading.Event) -> None:
        self._teller = self._open_teller()
        self._stop = stop
        if memo is not None:
            number, delivered = json.loads(memo)
            self._part = (number, delivered)

    def follow(self, entries: Sequence[Entry], mark: Mark) -> None:
        batch: list[StateChange] = []
        forgotten = 0
        for entry in entries:
            delivered = self._part[1] if self._part[0] == entry.n else 0
            try:
                for place, change in enumerate(self._teller.changes(entry)):
                    if place < delivered:
                        continue
                    batch.append(change)
                    if len(batch) >= self._place.most:
                        self._deliver(batch)
                        self._part = (entry.n, place + 1)
                        mark(entry.n - 1, json.dumps(self._part).encode(), forgotten)
                        batch, forgotten = [], 0
            except Forgotten:
                forgotten += 1
        self._deliver(batch)
        if entries and forgotten:
            mark(entries[-1].n, lost=forgotten)

    def _deliver(self, batch: list[StateChange]) -> None:
        if self._stop.is_set():
            raise Stopped
        if batch:
            self._place.deliver(batch, self._stop)
