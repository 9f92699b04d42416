"""The scheduler alone on a large site: 10,000 instances, 70 percent of them in use, 500 shares in 3 queues, and jobs of
10,000 different sizes that come, start and end. Then a site that is full, with 10,000 jobs in line and with a million.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Iterator

from batchyard.model.actions import StartAttempt
from batchyard.model.environments import BEST_FIT_PROGRESSIVE, EC2, Capacity, InstanceType
from batchyard.model.events import (
    AttemptEnded,
    AttemptStarted,
    Ending,
    EnvironmentChanged,
    JobSubmitted,
    PolicyChanged,
    ProviderSized,
    QueueChanged,
)
from batchyard.model.jobs import RetryPolicy
from batchyard.model.needs import Needs
from batchyard.model.shares import SharePolicy
from batchyard.scheduler.scheduler import Scheduler
from bench.measure import Measure, rounds, seconds

INSTANCES = 10_000
VCPUS, MEMORY_MIB = 16, 32_768
QUEUES = 3
SHARES = 500
CLASSES = 10_000
OCCUPIED = 0.7
TURNS = 400
PER_TURN = 50  # jobs that come, start and end in each
FEW, MANY = 10_000, 1_000_000
ONCE = RetryPolicy()
ENDED = Ending(0, "Essential container in task exited")


class Bench:
    """A scheduler with its site, driven by hand."""

    def __init__(self, seed: int, instances: int):
        self.random = random.Random(seed)
        self.scheduler = Scheduler()
        self.seq, self.now_ms, self.spent_s = 2 + QUEUES, 1_000, 0.0
        self.running: list[StartAttempt] = []
        self.classes = [Needs(250 * (1 + n % 32), 100 + n // 32) for n in range(CLASSES)]
        room = Needs(instances * VCPUS * 1000, instances * MEMORY_MIB)
        kind = InstanceType("c5.4xlarge", Needs(VCPUS * 1000, MEMORY_MIB), MEMORY_MIB - 1300, 680_000, 0, 0)
        capacity = Capacity(EC2, room.cpu_milli, strategy=BEST_FIT_PROGRESSIVE, types=(kind,))
        site = EnvironmentChanged(1, 1, "local", "i-0", True, capacity=capacity)
        policy = SharePolicy(decay_s=3600, weights=tuple((f"s{n}", 5000 + n * 10) for n in range(SHARES // 2)))
        queues = [QueueChanged(2 + n, 2 + n, n, True, (1,), policy=2) for n in range(1, QUEUES + 1)]
        self.turn([ProviderSized("local", room), site, PolicyChanged(2, 2, policy), *queues])

    def turn(self, events: list) -> int:
        """How many attempts were started."""
        self.now_ms += 5
        decided = []
        self.spent_s += seconds(lambda: decided.append(self.scheduler.turn(self.now_ms, events)))
        started = [action for action in decided[0].actions if isinstance(action, StartAttempt)]
        self.running += started
        self.more = decided[0].more
        return len(started)

    def job(self) -> JobSubmitted:
        self.seq += 1
        n = self.random.randrange(SHARES)
        needs = self.classes[self.random.randrange(CLASSES)]
        uuid = f"00000000-0000-4000-8000-{self.seq:012d}"
        return JobSubmitted(self.seq, uuid, 3 + n % QUEUES, 0, needs, ONCE, (), f"s{n}", self.random.randrange(3))

    def endings(self, count: int) -> list[AttemptEnded]:
        ended = []
        for _ in range(count):
            place = self.random.randrange(len(self.running))
            self.running[place], last = self.running[-1], self.running[place]
            self.running.pop()
            ended.append(AttemptEnded(last.job, last.index, last.number, ENDED))
        return ended

    def used(self) -> float:
        """How much of the vCPUs is in use."""
        state = self.scheduler.state
        free = sum(each.free.cpu_milli for each in state.instances.values())
        return 1 - free / max(1, sum(each.room.cpu_milli for each in state.instances.values()))

    def fill(self) -> None:
        """As many instances as there can be, and so much of them in use."""
        self._run_until(lambda: len(self.scheduler.state.instances) >= INSTANCES)
        while self.used() > OCCUPIED:
            self.turn(self.endings(1000))

    def _run_until(self, done) -> None:
        while not done():
            self.turn([self.job() for _ in range(1000)])

    def queue_up(self, count: int) -> None:
        while len(self.scheduler.state.jobs) - len(self.running) < count:
            self.turn([self.job() for _ in range(5000)])
        while self.more:
            self.turn([])


def measure() -> Iterator[Measure]:
    rates = []
    bench = Bench(1, INSTANCES)
    bench.fill()
    for _ in rounds(3, 5, 30):
        rates.append(_steady(bench))
    used = f"{len(bench.scheduler.state.instances)} instances, {100 * bench.used():.0f} percent in use"
    notes = (used, f"{len(bench.scheduler.state.classes)} kinds of needs, {PER_TURN} jobs come, start and end a turn")
    yield Measure("placements.rate", "placements/s", tuple(rates), (), notes)
    few, many = Bench(2, INSTANCES // 10), Bench(2, INSTANCES // 10)
    few.queue_up(FEW)
    many.queue_up(MANY)
    gc.freeze()  # as the engine does
    costs: dict[int, list[float]] = {FEW: [], MANY: []}
    for _ in rounds(3, 5, 40):
        for waiting, bench in ((FEW, few), (MANY, many)):
            costs[waiting].append(_full(bench))
    gc.unfreeze()
    ratios = tuple(more / less for more, less in zip(costs[MANY], costs[FEW], strict=True))
    yield Measure("placements.few", "us", tuple(costs[FEW]), (), (f"{FEW} wait, {INSTANCES // 10} instances are full",))
    yield Measure("placements.many", "us", tuple(costs[MANY]), (), (f"{MANY} wait",))
    yield Measure("placements.growth", "of the cost with few", ratios)


def _steady(bench: Bench) -> float:
    """Placements a second while jobs come, start and end; each has begun before it ends."""
    bench.spent_s, placed = 0.0, 0
    for _ in range(TURNS):
        begun = [AttemptStarted(each.job, each.index, each.number, bench.now_ms) for each in bench.running[-PER_TURN:]]
        placed += bench.turn(begun + bench.endings(PER_TURN) + [bench.job() for _ in range(PER_TURN)])
    return placed / bench.spent_s


def _full(bench: Bench) -> float:
    """us a placement where as many jobs come as start, and nobody starts before somebody ends."""
    bench.spent_s, placed = 0.0, 0
    for _ in range(TURNS // 4):
        started = bench.turn(bench.endings(PER_TURN))
        placed += started
        bench.turn([bench.job() for _ in range(started)])
    return 1e6 * bench.spent_s / max(1, placed)
