"""The front of each queue as it is shown: who goes next, and since when each stands where it stands."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from batchyard.model.shown import FrontJob, FrontShown, front_name
from batchyard.scheduler.scheduler import Scheduler


class Fronts:
    """Looks at queue after queue, as far as time allows; true while some are left to be looked at."""

    def __init__(self, scheduler: Scheduler):
        self._scheduler = scheduler
        self._left: deque[int] = deque()
        self._unlooked = True  # something changed since the round under way began
        self._shown: dict[int, int] = {}  # by queue, a digest of what was told
        self._places: dict[int, dict[tuple[str, int], tuple[int, int]]] = {}  # of its jobs: where, since when

    def __bool__(self) -> bool:
        return self._unlooked or bool(self._left)

    def note(self) -> None:
        """Something may have changed."""
        self._unlooked = True

    def begin_anew(self) -> None:
        """What was told is lost."""
        self._left.clear()
        self._shown.clear()
        self._unlooked = True

    def look(self, now_ms: int, views: dict[str, Any], late: Callable[[], bool]) -> None:
        """Add the views that changed until it is `late`; None stands for one that goes."""
        if not self._left and self._unlooked:
            queues = self._scheduler.queues
            self._left.extend(sorted(queues, key=lambda number: number in self._shown))
            self._left.extend(number for number in self._shown if number not in queues)
            self._unlooked = False
        while self._left:
            self._tell(self._left.popleft(), now_ms, views)
            if late():
                return

    def _tell(self, number: int, now_ms: int, views: dict[str, Any]) -> None:
        front = self._scheduler.front(number)
        if front is None:
            self._places.pop(number, None)
            if self._shown.pop(number, None) is not None:
                views[front_name(number)] = None
            return
        view = FrontShown(self._dated(number, front.jobs, now_ms), *front[1:])
        digest = hash(view)
        if self._shown.get(number) != digest:
            views[front_name(number)], self._shown[number] = view, digest

    def _dated(self, number: int, jobs: tuple[tuple[str, int], ...], now_ms: int) -> tuple[FrontJob, ...]:
        """Since when each stands at its place, as far as it was looked at."""
        before = self._places.get(number, {})
        places = {}
        for place, job in enumerate(jobs):
            known = before.get(job)
            places[job] = known if known is not None and known[0] == place else (place, now_ms)
        self._places[number] = places
        return tuple(FrontJob(*job, since_ms) for job, (_, since_ms) in places.items())
