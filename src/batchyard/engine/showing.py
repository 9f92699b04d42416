"""What the engine shows between turns: how long they take, what goes on in queues, and why jobs wait.

Bounded: at most once a second, and of queues and classes only so many as a few milliseconds allow; the next time goes
on with the others, those that were never shown first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any

from batchyard.engine.fronts import Fronts
from batchyard.model.consumables import Asks
from batchyard.model.facts import AttemptOpened, Fact
from batchyard.model.needs import Needs
from batchyard.model.shown import (
    MINUTE_MS,
    STARTS_KEPT_MIN,
    LineShown,
    ShareShown,
    Starts,
    gang_name,
    line_name,
    verdict_name,
)
from batchyard.model.timings import ENGINE, EngineTimings
from batchyard.model.verdicts import Verdict
from batchyard.ports import Commits
from batchyard.scheduler.scheduler import Scheduler
from batchyard.scheduler.verdicts import Look

SHOW_EVERY_MS = 1000
SLICE_S = 0.006  # for queues and classes, each time
FRONTS_SLICE_S = 0.003  # for the fronts of queues

Line = tuple[int, str | None]  # a queue's number and a share
Asked = tuple[Needs, Asks]  # with the queue, a class


class Showing:
    """Knows what was shown, so that only what changed is written."""

    def __init__(
        self, scheduler: Scheduler, commits: Commits, now_ms: int, seconds: Callable[[], float] = perf_counter
    ):
        self._scheduler = scheduler
        self._commits = commits
        self._seconds = seconds
        self.timings = EngineTimings(now_ms)
        self._starts = StartCounts(now_ms)
        self._due_ms = 0
        self._changed = True  # since the timings were shown
        self._round = Round()
        self._unlooked = True  # something changed since the round under way began
        self.shown: dict[str, int] = {}  # views of queues and classes, by a digest of what they tell
        self._fronts = Fronts(scheduler)

    @property
    def busy(self) -> bool:
        """Whether some queues or classes are still to be looked at."""
        return self._unlooked or bool(self._round) or bool(self._fronts)

    def note(self, now_ms: int, facts: Iterable[Fact]) -> None:
        """A turn was taken, and decided this."""
        self._changed = self._unlooked = True
        self._fronts.note()
        for fact in facts:
            if type(fact) is AttemptOpened:
                line = self._scheduler.line_of(fact.job)
                if line is not None:
                    self._starts.note(now_ms, line)

    def show(self, now_ms: int) -> None:
        """Tell what changed, if anything did and not too often."""
        if now_ms < self._due_ms or not (self._changed or self.busy):
            return
        views: dict[str, Any] = {ENGINE: self.timings.view()} if self._changed else {}
        self._look(views)
        until = self._seconds() + FRONTS_SLICE_S
        self._fronts.look(now_ms, views, lambda: self._seconds() >= until)
        self._due_ms = now_ms + SHOW_EVERY_MS
        if self._commits.show(now_ms, views):
            self._changed = False
        else:
            self._changed = self._unlooked = True
            self._round = Round()
            self.shown.clear()
            self._fronts.begin_anew()

    def _look(self, views: dict[str, Any]) -> None:
        """Add the views of queues and classes that changed, as far as time allows; None stands for one that goes."""
        until = self._seconds() + SLICE_S
        look = self._scheduler.look()
        if not self._round and self._unlooked:
            self._round = Round(look, self.shown)
            self._unlooked = False
            for name in self._round.gone:
                views[name] = None
                del self.shown[name]
        for name, queue, asked in self._round:
            view = self._view(look, queue, asked)
            digest = hash(view)
            if view is not None and self.shown.get(name) != digest:
                views[name], self.shown[name] = view, digest
            if self._seconds() >= until:
                return

    def _view(self, look: Look, queue: int, asked: Asked | int | None) -> LineShown | Verdict | None:
        """Of a queue, of a class of jobs in it, or of one multi-node job."""
        if asked is None:
            return self._line(look, queue)
        return look.verdict_on_gang(asked) if isinstance(asked, int) else look.verdict_on(queue, *asked)

    def _line(self, look: Look, queue: int) -> LineShown | None:
        found = look.line(queue)
        if found is None:
            return None
        shares = tuple(
            ShareShown(share.id, share.weight, share.held_cpu_milli, share.head, self._starts.of((queue, share.id)))
            for share in found.shares
        )
        return LineShown(found.head, self._starts.of_queue(queue), shares)


class Round:
    """All queues and classes of which jobs wait, each once; those that were never shown first. True while some are
    left."""

    def __init__(self, look: Look | None = None, shown: Iterable[str] = ()):
        known = set(shown)
        found: dict[str, tuple[int, Asked | int | None]] = {}
        for queue, *asked in look.classes() if look is not None else ():
            found[line_name(queue)] = queue, None
            found[verdict_name(queue, *asked)] = queue, asked
        for seq in look.first_gangs() if look is not None else ():
            found[gang_name(seq)] = 0, seq
        self.gone = known - found.keys()
        self._left = deque(sorted(((name, *of) for name, of in found.items()), key=lambda each: each[0] in known))

    def __bool__(self) -> bool:
        return bool(self._left)

    def __iter__(self) -> Round:
        return self

    def __next__(self) -> tuple[str, int, Asked | int | None]:
        if not self._left:
            raise StopIteration
        return self._left.popleft()


class StartCounts:
    """Attempts that started, by line and minute, of the last minutes."""

    def __init__(self, since_ms: int):
        self._since_ms = since_ms
        self._minutes: dict[Line, deque[tuple[int, int]]] = {}

    @property
    def busy(self) -> bool:
        """Whether some queues or classes are still to be looked at."""
        return self._unlooked or bool(self._round)

    def note(self, now_ms: int, line: Line) -> None:
        """An attempt of the line starts."""
        self._count(now_ms, line)
        if line[1] is not None:
            self._count(now_ms, (line[0], None))

    def _count(self, now_ms: int, line: Line) -> None:
        minute = now_ms - now_ms % MINUTE_MS
        minutes = self._minutes.setdefault(line, deque(maxlen=STARTS_KEPT_MIN + 1))
        if minutes and minutes[-1][0] == minute:
            minutes[-1] = minute, minutes[-1][1] + 1
        else:
            minutes.append((minute, 1))

    def of_queue(self, queue: int) -> Starts:
        """Of all its shares together."""
        return self.of((queue, None))

    def of(self, line: Line) -> Starts:
        return Starts(self._since_ms, tuple(self._minutes.get(line, ())))
