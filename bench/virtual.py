"""A workload through the very scheduler under a virtual clock: nothing runs, and no time passes but in numbers."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from heapq import heapify, heappop, heappush
from pathlib import Path
from typing import NamedTuple

from batchyard.model.actions import StartAttempt
from batchyard.model.environments import Timing
from batchyard.model.events import AttemptEnded, AttemptStarted, Ending, Event, JobSubmitted, ProviderSized, TimingSet
from batchyard.model.needs import Needs
from batchyard.scheduler.scheduler import Scheduler
from batchyard.store.commits import SqliteCommits

ENDED = Ending(0, "Essential container in task exited")


class Start(NamedTuple):
    at_ms: int
    job: int
    index: int


class Workload(NamedTuple):
    """What was asked of a server, and of what machine: all that decisions are made of, but for run times."""

    rooms: dict[str, Needs]
    timing: Timing
    requests: list[tuple[int, Event]]  # (when, what), in the order of their numbers


class Ran(NamedTuple):
    """How a workload went: every start in order, how long each job ran, and when the last one ended."""

    starts: list[Start]
    ran_ms: dict[tuple[int, int], int]
    last_ms: int

    @property
    def makespan_ms(self) -> int:
        return self.last_ms - self.starts[0].at_ms


def recorded(data: Path) -> tuple[Workload, Ran]:
    """What the data directory of a server that is stopped says: of jobs without dependencies that ran once each."""
    commits = SqliteCommits(data)
    snapshot = commits.load()
    events = commits.requests(0, 1 << 30, lambda seq: True)
    commits.close()
    asked = sqlite3.connect(f"file:{data / 'requests.db'}?mode=ro", uri=True)
    created = dict(asked.execute("SELECT seq, created_ms FROM jobs"))
    changed = dict(asked.execute("SELECT seq, at_ms FROM changes"))
    asked.close()
    requests = [
        (created[event.seq] if isinstance(event, JobSubmitted) else changed[event.seq], event) for event in events
    ]
    return Workload(snapshot.providers, snapshot.timing, requests), _journal(data)


def _journal(data: Path) -> Ran:
    starts: list[Start] = []
    opened: dict[tuple[int, int], int] = {}
    ran_ms: dict[tuple[int, int], int] = {}
    last_ms = 0
    state = sqlite3.connect(f"file:{data / 'state.db'}?mode=ro", uri=True)
    told = "SELECT kind, at_ms, job, idx FROM journal WHERE kind IN ('opened', 'closed') ORDER BY n"
    for kind, at_ms, job, index in state.execute(told):
        if kind == "opened":
            starts.append(Start(at_ms, job, index))
            opened[job, index] = at_ms
        else:
            ran_ms[job, index] = at_ms - opened[job, index]
            last_ms = at_ms
    state.close()
    return Ran(starts, ran_ms, last_ms)


def run(workload: Workload, run_ms: Callable[[int, int], int]) -> Ran:
    """Let every job run for so long, by number and index."""
    driver = _Driver(workload, run_ms)
    while driver.turn():
        pass
    return Ran(driver.starts, driver.ran_ms, driver.now_ms)


class _Driver:
    def __init__(self, workload: Workload, run_ms: Callable[[int, int], int]):
        self.run_ms = run_ms
        self.scheduler = Scheduler()
        first_ms = workload.requests[0][0]
        given: list[Event] = [ProviderSized(name, room) for name, room in workload.rooms.items()]
        given.append(TimingSet(workload.timing))
        self.waiting = [(at_ms, n, event) for n, (at_ms, event) in enumerate(_in_order(workload.requests), len(given))]
        self.waiting += [(first_ms, n, event) for n, event in enumerate(given)]
        heapify(self.waiting)
        self.n = len(self.waiting)
        self.now_ms = first_ms
        self.due_ms: int | None = None
        self.more = False
        self.starts: list[Start] = []
        self.ran_ms: dict[tuple[int, int], int] = {}

    def turn(self) -> bool:
        """Go on to the next instant at which something happens; False if nothing ever does."""
        if not self.waiting and not self.more:  # what is due by itself from here on is the end of idle instances
            return False
        if not self.more:
            self.now_ms = min([self.waiting[0][0], *([] if self.due_ms is None else [self.due_ms])])
        events = []
        while self.waiting and self.waiting[0][0] <= self.now_ms:
            events.append(heappop(self.waiting)[2])
        decision = self.scheduler.turn(self.now_ms, events)
        self.more, self.due_ms = decision.more, decision.due_ms
        for action in decision.actions:
            if isinstance(action, StartAttempt):
                self._start(action)
        return True

    def _start(self, order: StartAttempt) -> None:
        run_ms = self.ran_ms[order.job, order.index] = self.run_ms(order.job, order.index)
        self.starts.append(Start(self.now_ms, order.job, order.index))
        self._later(self.now_ms, AttemptStarted(order.job, order.index, order.number, self.now_ms))
        self._later(self.now_ms + run_ms, AttemptEnded(order.job, order.index, order.number, ENDED))

    def _later(self, at_ms: int, event: Event) -> None:
        heappush(self.waiting, (at_ms, self.n, event))
        self.n += 1


def _in_order(requests: Iterable[tuple[int, Event]]) -> Iterator[tuple[int, Event]]:
    """Times that never go back: numbers are the order of arrival."""
    latest = 0
    for at_ms, event in requests:
        latest = max(latest, at_ms)
        yield latest, event
