"""An executor that is not there: attempts take virtual time, news is late or repeated, the connection breaks.

It outlives the engine as the runner does, and it is the witness: it counts real starts of every attempt, knows how
each one really ended, and checks what runs at the same time. Orders are gathered and sent by ``flush``; when the
engine dies or the connection breaks in between, some of them were sent and some were not.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from batchyard.model.events import Ending
from batchyard.model.jobs import AttemptSpec
from batchyard.model.needs import Needs
from batchyard.ports import Began, Ended, Lost, News, Survey

EXITED = "Essential container in task exited"
NOT_STARTED = "Task failed to start"
TIMED_OUT = "Job attempt duration exceeded timeout"
LONG_MS = 6000  # what a terminate must cut short
FAILURES = (
    Ending(1, EXITED),
    Ending(1, EXITED),
    Ending(2, EXITED),
    Ending(137, EXITED, "OutOfMemoryError: Container killed due to memory usage"),
    Ending(None, NOT_STARTED, "CannotStartContainerError: exec: no such file"),
)


class Crash(Exception):
    """The engine process dies here."""


@dataclass
class Running:
    spec: AttemptSpec
    started_ms: int
    ends_ms: int
    ending: Ending  # without its times


class Machine:
    """ports.Executor under a virtual clock."""

    def __init__(self, rng: random.Random, clock, room: Needs, fault_percent: int):
        self.rng = rng
        self.clock = clock
        self.room = room
        self.fault_percent = fault_percent
        self.connected = False
        self.surveyed = False  # whether the survey of this connection was observed
        self.running: dict[str, Running] = {}
        self.ended: dict[str, Ending | None] = {}  # None: lost with its slot; kept until released, like an exit record
        self.starts: dict[str, int] = {}
        self.killed: set[str] = set()  # those that lived when they were told to die at once
        self.endings: dict[str, Ending | None] = {}  # how each attempt really ended; None: lost
        self.news: list[tuple[int, News]] = []  # in the order in which it was said
        self.echoes: list[tuple[int, News]] = []  # the same again, later
        self.orders: list[tuple] = []
        self.crash_after: int | None = None  # so many more orders (or flushes) until the engine dies

    # -- the port -------------------------------------------------------------------------------------------------

    def fileno(self) -> int:
        return -1

    def start(self, spec: AttemptSpec) -> None:
        """Dropped before the survey, which is older than the order: the attempt would seem unknown and may run."""
        self._order(self._start, spec, self.surveyed)

    def stop(self, attempt: str, grace_ms: int | None = None) -> None:
        self._order(self._kill if grace_ms == 0 else self._stop, attempt)

    def release(self, attempt: str) -> None:
        self._order(self._release, attempt)

    def flush(self) -> None:
        self._maybe_crash()
        self._send(len(self.orders))

    def observe(self) -> list[News]:
        if not self.connected:
            if self._fault(50):
                return []
            self._connect()
        now = self.clock.now_ms()
        due = [news for at_ms, news in [*self.news, *self.echoes] if at_ms <= now]
        self.news = [said for said in self.news if said[0] > now]
        self.echoes = [said for said in self.echoes if said[0] > now]
        self.surveyed = self.surveyed or any(isinstance(news, Survey) for news in due)
        return due

    # -- orders ---------------------------------------------------------------------------------------------------

    def _order(self, carry_out, what, sent: bool = True) -> None:
        self._maybe_crash()
        if self.connected and sent:
            self.orders.append((carry_out, what))

    def _maybe_crash(self) -> None:
        if self.crash_after is None:
            return
        self.crash_after -= 1
        if self.crash_after < 0:
            self.crash_after = None
            raise Crash

    def _send(self, count: int) -> None:
        orders, self.orders = self.orders[:count], []
        for carry_out, what in orders:
            carry_out(what)

    def _start(self, spec: AttemptSpec) -> None:
        if spec.attempt in self.running:
            self._say(Began(spec.attempt, self.running[spec.attempt].started_ms))
            return
        if spec.attempt in self.ended:
            self._say(self._ending_news(spec.attempt))
            return
        self.starts[spec.attempt] = self.starts.get(spec.attempt, 0) + 1
        now = self.clock.now_ms()
        ending = Ending(0, EXITED) if self.rng.random() < 0.85 else self.rng.choice(FAILURES)
        takes_ms = LONG_MS if self.rng.random() < 0.015 else self.rng.randrange(1, 400)
        if spec.timeout_s is not None and self.rng.random() < 0.5:
            takes_ms = spec.timeout_s * 1000
            ending = Ending(137, TIMED_OUT, timed_out=True)
        self.running[spec.attempt] = Running(spec, now, now + takes_ms, ending)
        self._check_room()
        if ending.status_reason == NOT_STARTED:
            self._end(spec.attempt, ending)
        else:
            self._say(Began(spec.attempt, now))

    def _stop(self, attempt: str) -> None:
        running = self.running.get(attempt)
        ends_ms = self.clock.now_ms() + self.rng.randrange(1, 40)
        if running is not None and ends_ms < running.ends_ms:
            running.ends_ms = ends_ms
            running.ending = Ending(self.rng.choice([143, 137, 0]), EXITED)

    def _kill(self, attempt: str) -> None:
        running = self.running.get(attempt)
        if running is not None and self.clock.now_ms() < running.ends_ms:
            running.ends_ms, running.ending = self.clock.now_ms(), Ending(137, EXITED)
            self.killed.add(attempt)

    def _release(self, attempt: str) -> None:
        self.ended.pop(attempt, None)

    # -- what happens by itself -----------------------------------------------------------------------------------

    def pass_time(self) -> None:
        """End what has run its time, lose an attempt now and then, break the connection now and then."""
        now = self.clock.now_ms()
        for attempt, running in list(self.running.items()):
            if self._fault(1):
                self._end(attempt, None)
            elif running.ends_ms <= now:
                self._end(attempt, running.ending._replace(started_ms=running.started_ms))
        if self.connected and self._fault(3):
            self.disconnect()

    def disconnect(self) -> None:
        """Some orders got through; news on its way is lost, which the next connection's survey makes up for."""
        self._send(self.rng.randrange(len(self.orders) + 1))
        self.connected = self.surveyed = False
        self.news, self.echoes = [], []

    def _connect(self) -> None:
        self.connected = True
        for attempt in self.ended:
            self._say(self._ending_news(attempt))
        self._say(Survey(frozenset(self.running)))

    def _end(self, attempt: str, ending: Ending | None) -> None:
        del self.running[attempt]
        self.endings[attempt] = None if ending is None else ending._replace(stopped_ms=self.clock.now_ms())
        self.ended[attempt] = self.endings[attempt]
        if self.connected:
            self._say(self._ending_news(attempt))

    def _ending_news(self, attempt: str) -> News:
        ending = self.ended[attempt]
        return Lost(attempt) if ending is None else Ended(attempt, ending)

    def _say(self, news: News) -> None:
        """News keeps its order on a connection; some of it is repeated much later."""
        at_ms = max(self.clock.now_ms(), self.news[-1][0] if self.news else 0)
        at_ms += self.rng.randrange(0, 500 if isinstance(news, Survey) else 50) if self._fault(30) else 0
        self.news.append((at_ms, news))
        if not isinstance(news, Survey) and self._fault(10):
            self.echoes.append((at_ms + self.rng.randrange(100, 2000), news))

    def _fault(self, percent: int) -> bool:
        return self.rng.randrange(10_000) < percent * self.fault_percent

    def _check_room(self) -> None:
        used = Needs(0, 0, 0)
        for running in self.running.values():
            used = used.plus(running.spec.needs)
        assert used.fits(self.room), f"{used} runs on a machine of {self.room}"
