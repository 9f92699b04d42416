"""An executor that is not there: attempts take virtual time, news is late or repeated, the connection breaks.

It outlives the engine as the runner does, and it is the witness: it counts real starts of every attempt and what ran
at the same time.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from batchyard.model.events import Ending
from batchyard.model.jobs import AttemptSpec
from batchyard.model.needs import Needs
from batchyard.ports import Began, Ended, Lost, News, Survey

EXITED = "Essential container in task exited"


class Crash(Exception):
    """The engine process dies here."""


@dataclass
class Running:
    spec: AttemptSpec
    started_ms: int
    ends_ms: int
    exit_code: int


class Machine:
    """ports.Executor under a virtual clock."""

    def __init__(self, rng: random.Random, clock, room: Needs, fault_percent: int):
        self.rng = rng
        self.clock = clock
        self.room = room
        self.fault_percent = fault_percent
        self.connected = False
        self.running: dict[str, Running] = {}
        self.ended: dict[str, Ending | None] = {}  # None: lost with its slot; kept until released, like an exit record
        self.starts: dict[str, int] = {}
        self.started_order: list[str] = []
        self.exits: dict[str, int | None] = {}  # how each attempt really ended; None: lost
        self.news: list[tuple[int, News]] = []
        self.crash_on_order = False

    # -- the port -------------------------------------------------------------------------------------------------

    def fileno(self) -> int:
        return -1

    def start(self, spec: AttemptSpec) -> None:
        self._maybe_crash()
        if not self.connected:
            return
        if spec.attempt in self.running:
            self._say(Began(spec.attempt, self.running[spec.attempt].started_ms))
            return
        if spec.attempt in self.ended:
            self._say(self._ending_news(spec.attempt))
            return
        self.starts[spec.attempt] = self.starts.get(spec.attempt, 0) + 1
        self.started_order.append(spec.attempt)
        now = self.clock.now_ms()
        exit_code = 0 if self.rng.random() < 0.8 else self.rng.choice([1, 2])
        self.running[spec.attempt] = Running(spec, now, now + self.rng.randrange(1, 400), exit_code)
        self._check_room()
        self._say(Began(spec.attempt, now))

    def stop(self, attempt: str) -> None:
        self._maybe_crash()
        running = self.running.get(attempt)
        if self.connected and running is not None:
            running.ends_ms = min(running.ends_ms, self.clock.now_ms() + self.rng.randrange(1, 40))
            running.exit_code = self.rng.choice([143, 137, 0])

    def release(self, attempt: str) -> None:
        self._maybe_crash()
        if self.connected:
            self.ended.pop(attempt, None)

    def flush(self) -> None:
        self._maybe_crash()

    def observe(self) -> list[News]:
        if not self.connected:
            if self._fault(50):
                return []
            self._connect()
        due = [news for at_ms, news in self.news if at_ms <= self.clock.now_ms()]
        self.news = [(at_ms, news) for at_ms, news in self.news if at_ms > self.clock.now_ms()]
        return due

    # -- what happens by itself -----------------------------------------------------------------------------------

    def pass_time(self) -> None:
        """End what has run its time, lose an attempt now and then, break the connection now and then."""
        now = self.clock.now_ms()
        for attempt, running in list(self.running.items()):
            if self._fault(1):
                self._end(attempt, None)
            elif running.ends_ms <= now:
                self._end(attempt, running.exit_code)
        if self.connected and self._fault(3):
            self.disconnect()

    def disconnect(self) -> None:
        """What was on its way is lost; the survey after the next connection makes up for it."""
        self.connected = False
        self.news = []

    def _connect(self) -> None:
        self.connected = True
        for attempt in self.ended:
            self._say(self._ending_news(attempt))
        self._say(Survey(frozenset(self.running)))

    def _end(self, attempt: str, exit_code: int | None) -> None:
        running = self.running.pop(attempt)
        now = self.clock.now_ms()
        self.exits[attempt] = exit_code
        ending = None if exit_code is None else Ending(exit_code, EXITED, None, running.started_ms, now)
        self.ended[attempt] = ending
        if self.connected:
            self._say(self._ending_news(attempt))

    def _ending_news(self, attempt: str) -> News:
        ending = self.ended[attempt]
        return Lost(attempt) if ending is None else Ended(attempt, ending)

    def _say(self, news: News) -> None:
        """News keeps its order on a connection; some of it is repeated much later."""
        now = self.clock.now_ms()
        latest = max([at_ms for at_ms, _ in self.news[-1:]] + [now])
        self.news.append((latest + (self.rng.randrange(0, 30) if self._fault(30) else 0), news))
        if not isinstance(news, Survey) and self._fault(10):
            self.news.append((now + self.rng.randrange(100, 2000), news))
            self.news.sort(key=lambda item: item[0])

    def _fault(self, percent: int) -> bool:
        return self.rng.randrange(10_000) < percent * self.fault_percent

    def _maybe_crash(self) -> None:
        if self.crash_on_order and self.rng.random() < 0.3:
            self.crash_on_order = False
            raise Crash

    def _check_room(self) -> None:
        used = Needs(0, 0, 0)
        for running in self.running.values():
            used = used.plus(running.spec.needs)
        assert used.fits(self.room), f"{used} runs on a machine of {self.room}"
