"""The scheduler and the store's commit on their own: an empty turn, a submission, a life cycle, one job each."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from batchyard.model.events import (
    AttemptEnded,
    AttemptStarted,
    Ending,
    EnvironmentChanged,
    JobSubmitted,
    ProviderSized,
    QueueChanged,
)
from batchyard.model.jobs import RetryPolicy
from batchyard.model.needs import Needs
from batchyard.scheduler.scheduler import Scheduler
from batchyard.store import sqlite
from batchyard.store.commits import SqliteCommits
from bench.measure import Measure, seconds

WAITING = 10_000
RUNNING = 8
TURNS = 2_000
ROUNDS = 5
NEEDS, ONCE = Needs(1000, 64), RetryPolicy()
ENDED = Ending(0, "Essential container in task exited")


class Bench:
    """A scheduler with a machine of eight vCPUs, driven by hand."""

    def __init__(self, commits: SqliteCommits | None = None):
        self.scheduler = Scheduler()
        self.commits = commits
        self.seq = 2
        self.now_ms = 1_000
        self.spent_s = 0.0  # in turns alone
        self.committed_s = 0.0
        queue = QueueChanged(2, 2, 1, True, (1,))
        machine = EnvironmentChanged(1, 1, "local", "i-0", True)
        self.turn([ProviderSized("local", Needs(RUNNING * 1000, 1 << 20)), machine, queue])

    def turn(self, events: list) -> list:
        """One turn and its commit; the actions."""
        self.now_ms += 1
        decided = []
        self.spent_s += seconds(lambda: decided.append(self.scheduler.turn(self.now_ms, events)))
        if self.commits is not None:
            self.committed_s += seconds(lambda: self.commits.commit(self.now_ms, decided[0].facts))
        return decided[0].actions

    def submit(self, size: int = 0) -> list:
        self.seq += 1
        uuid = f"00000000-0000-4000-8000-{self.seq:012d}"
        return self.turn([JobSubmitted(self.seq, uuid, 2, size, NEEDS, ONCE)])


def measure() -> Iterator[Measure]:
    empty, submitted, lived, stored = [], [], [], []
    for _ in range(ROUNDS):
        bench = Bench()
        for _ in range(WAITING):
            bench.submit()
        submitted.append(1e6 * bench.spent_s / WAITING)
        bench.spent_s = 0.0
        for _ in range(TURNS):
            bench.turn([])
        empty.append(1e6 * bench.spent_s / TURNS)
        lived.append(_life_cycles(Bench())[0])
        with tempfile.TemporaryDirectory(prefix="batchyard-bench-") as data:
            sqlite.migrate(Path(data))
            commits = SqliteCommits(Path(data))
            stored.append(_life_cycles(Bench(commits))[1])
            commits.close()
    yield Measure("turns.empty", "us", tuple(empty), (), (f"{WAITING} jobs wait, {RUNNING} run",))
    yield Measure("turns.submit", "us", tuple(submitted), (), ("one job a turn, scheduler alone",))
    yield Measure("turns.life", "us", tuple(lived), (), ("opened, began, ended, eight in a turn; scheduler alone",))
    yield Measure("turns.stored", "us", tuple(stored), (), ("the commits of the same, syncs included",))


def _life_cycles(bench: Bench) -> tuple[float, float]:
    """us of scheduler and of commits for each child of an array that runs from beginning to end."""
    orders = bench.submit(WAITING)
    bench.spent_s = bench.committed_s = 0.0
    done = 0
    while orders:
        started = [AttemptStarted(each.job, each.index, each.number, bench.now_ms) for each in orders]
        bench.turn(started)
        ended = [AttemptEnded(each.job, each.index, each.number, ENDED) for each in orders]
        done += len(orders)
        orders = [action for action in bench.turn(ended) if type(action).__name__ == "StartAttempt"]
    assert done == WAITING, f"{done} of {WAITING} children ran"
    return 1e6 * bench.spent_s / done, 1e6 * bench.committed_s / done
