"""One storm: a seed decides everything. Callers submit, cancel and terminate; api, engine and connection die.

The api side runs on an event loop that is stopped at any await; the engine side dies before a commit, after it, and
between two orders. Afterwards the weather calms down, everything runs to its end, and the auditor judges.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from pathlib import Path

import msgspec

from batchyard.engine.chance import Chance
from batchyard.engine.engine import Engine
from batchyard.model import ids
from batchyard.model.consumables import NewConsumable
from batchyard.model.environments import (
    BEST_FIT_PROGRESSIVE,
    BEST_FIT_PROGRESSIVE_ORDERED,
    EC2,
    FARGATE,
    FARGATE_SPOT,
    SPOT,
    Capacity,
    Timing,
)
from batchyard.model.jobs import NewDefinition, NewEnvironment, NewQueue
from batchyard.model.needs import Needs
from batchyard.store import sqlite
from batchyard.store.audit import OK, audit
from batchyard.store.commits import SqliteCommits
from batchyard.store.intake import SqliteIntake
from tests.storm.auditor import Auditor
from tests.storm.callers import LICENCE, LICENCES, REGION, Callers
from tests.storm.machine import Crash, Machine
from tests.storm.operators import TYPES, Operators


class VirtualClock:
    def __init__(self) -> None:
        self.ms = 1_000_000

    def now_ms(self) -> int:
        return self.ms


class InlineLoop(asyncio.SelectorEventLoop):
    """Runs what would go to a thread (COMMIT) in a later step of its own, so that a seed repeats."""

    def __init__(self) -> None:
        super().__init__()
        self.dies: str | None = None  # at the next COMMIT: "before" it, or "after" it and before anybody hears
        self.died = False

    def run_in_executor(self, executor, call, *arguments):
        future = self.create_future()

        def step() -> None:
            self.died = self.died or self.dies == "before"
            if self.died:
                return
            try:
                result = call(*arguments)
                self.died = self.dies == "after"
                if self.died:
                    return
            except BaseException as error:
                if not future.done():
                    future.set_exception(error)
            else:
                if not future.done():
                    future.set_result(result)

        self.call_soon(step)
        return future

    def steps(self, count: int) -> None:
        for _ in range(0 if self.died else count):
            self.call_soon(self.stop)
            self.run_forever()


class NoBell:
    def fileno(self) -> int:
        return -1

    def drain(self) -> bool:
        return False


class CrashingCommits:
    """The store's engine face; dies at a commit boundary when told to."""

    def __init__(self, data: Path):
        self.inner = SqliteCommits(data)
        self.crash: str | None = None

    def commit(self, now_ms, facts) -> None:
        if self.crash == "before":
            raise Crash
        self.inner.commit(now_ms, facts)
        if self.crash == "after":
            raise Crash

    def __getattr__(self, name):
        return getattr(self.inner, name)


class Storm:
    def __init__(self, seed: int):
        self.seed = seed
        self.rng = rng = random.Random(seed)
        self.data = Path(
            tempfile.mkdtemp(prefix=f"storm-{seed}-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        )
        sqlite.migrate(self.data)
        self.clock = VirtualClock()
        self.vcpus = rng.randrange(1, 9)
        self.fault_percent = rng.choice([0, 5, 20, 50, 100])  # share of each fault's full rate
        self.jobs_wanted = rng.randrange(5, 60)
        self.crash_rate = rng.choice([0, 0.01, 0.05, 0.15])
        self.length = rng.randrange(50, 600)  # ticks of bad weather at least
        self.knobs = (
            f"seed {seed}: {self.vcpus} vCPUs, {self.jobs_wanted} jobs, faults {self.fault_percent} %, "
            f"crashes {self.crash_rate}"
        )
        room = Needs(self.vcpus * 1000, 8192)
        self.machine = Machine(rng, self.clock, room, self.fault_percent)
        self.room = room
        self.timing = Timing(
            boot_ms=rng.choice([0, 0, 150]),
            linger_ms=rng.choice([1, 100, 1000, 10**6]),
            blocked_ms=rng.choice([0, 300]),
            warning_ms=rng.choice([0, 20, 300]),
            full_ms=rng.choice([0, 1000, 10**6]),
            passing=rng.random() < 0.3,
        )
        self.chance = Chance(rng.choice([0, 0, 5_000, 20_000]), rng)
        self.callers = Callers(rng, self.clock, self.vcpus)
        own = random.Random(f"gangs {seed}")  # so that what else a seed does stays as it was
        self.callers.gangs = own if own.random() < 0.4 else None
        self.operators = Operators(rng, self.clock, self.callers)
        self.changes = rng.choice([0, 0.01, 0.04])  # how often somebody changes a queue or an environment
        self.auditor = Auditor(self.data, self.callers, self.machine)
        self.crashes = 0
        self.turns = 0
        self._open_api()
        self._open_engine()

    # -- processes ------------------------------------------------------------------------------------------------

    def _open_api(self) -> None:
        self.loop = InlineLoop()
        self.intake = SqliteIntake(self.data, self._ring)
        self.calls: list[asyncio.Task] = []

    def _crash_api(self) -> None:
        """Stop at whatever await the loop is at; what was not committed is gone."""
        self.crashes += 1
        self._abandon_api()
        self._open_api()

    def _abandon_api(self) -> None:
        """As a killed process does it: nothing of it takes another step, and its file lock is gone."""
        self.intake._writer._drop()
        for call in self.calls:
            call._log_destroy_pending = False
            call.get_coro().close()
        self.loop.close()

    def _open_engine(self) -> None:
        self.commits = CrashingCommits(self.data)
        machines, rooms = {"local": self.machine}, {"local": self.room}
        self.engine = Engine(
            self.commits.load(), self.commits, machines, rooms, self.clock, NoBell(), self.timing, self.chance
        )

    def _crash_engine(self) -> None:
        self.crashes += 1
        self.commits.inner.close()
        self.machine.disconnect()
        self.machine.crash_after = None
        self._open_engine()

    def _ring(self) -> None:
        if self.rng.randrange(100) >= self.fault_percent // 4:  # a ring may be lost
            self.engine.inbox.rung = True

    async def _set_up(self) -> None:
        intake, rng, queues = self.intake, self.rng, self.callers.queues
        environments = []
        for number in range(rng.randrange(1, 3)):
            made = self._environment()
            body = msgspec.json.encode(made)
            environment = NewEnvironment(REGION, f"e{number}", f"uuid-{number}", "KIND", "local", True, body, 1)
            environments.append(await intake.create_environment(environment))
            if made:
                self.operators.capacities[environments[-1]] = made["capacity"]
        for number in range(rng.randrange(1, 4)):
            order = tuple(rng.sample(environments, len(environments)))
            policy = await self.operators.make_policy(intake)
            body = self.callers.queue_body
            queue = NewQueue(REGION, f"q{number}", rng.randrange(3), True, order, body, 1, policy=policy)
            queues.append(await intake.create_queue(queue))
            self.callers.fair |= {queues[-1]} if policy else set()
            self.operators.names[queues[-1]] = queue.name
        self.operators.environments = environments
        self.operators.names |= {number: f"e{place}" for place, number in enumerate(environments)}
        await intake.register_definition(NewDefinition(REGION, "d", b"{}", 1))
        self.callers.definition = max(queues) + 1
        await intake.create_consumable(NewConsumable(REGION, LICENCE, True, LICENCES, b"{}", 1))

    def _environment(self) -> dict[str, Capacity]:
        """The whole machine, instances that come and go, or slices; whatever fits the machine fits there."""
        rng, most = self.rng, self.vcpus * 1000
        kind = rng.choice([None, None, EC2, EC2, FARGATE, SPOT, SPOT, FARGATE_SPOT])
        kind = EC2 if self.callers.gangs is not None else kind
        if kind is None:
            return {}
        strategy = rng.choice([BEST_FIT_PROGRESSIVE, BEST_FIT_PROGRESSIVE_ORDERED])
        return {"capacity": Capacity(kind, most, 0, 0, strategy, 100, TYPES, carves=True)}

    # -- time -----------------------------------------------------------------------------------------------------

    def run(self) -> Storm:
        try:
            self.loop.run_until_complete(self._set_up())
            while len(self.callers.submissions) < self.jobs_wanted or self.turns < self.length:
                if len(self.callers.submissions) < self.jobs_wanted and self.rng.random() < 0.3:
                    self.callers.begin(self.turns)
                if self.callers.known and self.rng.random() < 0.08:
                    self._call(self.callers.wish(self.intake))
                if self.rng.random() < self.changes:
                    self._call(self.operators.act(self.intake))
                self._tick(stormy=True)
                if self.turns % 150 == 0:
                    self._inspect()
            self._calm()
            self.auditor.verdict(strict=not self.timing.passing)
            self.operators.judge(self.auditor.reader)
            self._inspect()
        except BaseException as error:
            error.add_note(f"{self.knobs}\nrepeat with: make storm SEEDS={self.seed}:{self.seed + 1}")
            raise
        finally:
            self._close()
        return self

    def _inspect(self) -> None:
        """What the operator's check says of the files, at any moment."""
        wrong = [finding for finding in audit(self.data, rest=False) if finding.word != OK]
        assert not wrong, wrong

    def _call(self, call) -> None:
        self.calls.append(self.loop.create_task(call))

    def _tick(self, stormy: bool) -> None:
        rng = self.rng
        self.clock.ms += rng.randrange(1, 60)
        for submission in self.callers.due(self.turns):
            self._call(self.callers.submit(self.intake, submission, self.turns))
        self.loop.steps(rng.randrange(0, 4) if stormy else 6)
        self.calls = [call for call in self.calls if not call.done()]
        if stormy and rng.random() < self.crash_rate:
            self.loop.dies = rng.choice(["before", "after"])
        if self.loop.died or (stormy and rng.random() < self.crash_rate):
            self._crash_api()
        self.machine.pass_time()
        held = self.callers.licences_held(map(ids.parse_attempt_id, self.machine.running))
        assert held <= LICENCES, f"{held} of {LICENCES} licences are in use"
        if stormy and rng.random() < self.crash_rate:
            fault = rng.choice(["before", "after", "order"])
            if fault == "order":
                self.machine.crash_after = rng.randrange(10)
            else:
                self.commits.crash = fault
        self.turns += 1
        if self.turns % 20 == 0:
            self.engine.inbox.rung = True  # as the engine does by itself once a second
        try:
            self.engine.turn()
        except Crash:
            self._crash_engine()

    def _calm(self) -> None:
        """No more faults: everything must come to its end within bounded virtual time."""
        self.machine.fault_percent = self.fault_percent = 0
        self.chance = self.engine._chance = Chance()
        self.commits.crash, self.machine.crash_after, self.loop.dies = None, None, None
        quiet = 0
        for tick in range(20_000):
            if tick % 20 == 0 and not self.operators.supplied:
                self._call(self.operators.supply_all(self.intake))
            self._tick(stormy=False)
            busy = self.callers.open or self.calls or self.machine.running or self.machine.news
            busy = busy or self.engine.scheduler.state.jobs
            quiet = 0 if busy or self.machine.ended else quiet + 1
            if quiet > 25:
                return
        held = self.engine.scheduler.state.jobs
        raise AssertionError(f"no end: {len(held)} jobs live, {len(self.machine.running)} run, {self.machine.ended}")

    def _close(self) -> None:
        self.auditor.close()
        self.commits.inner.close()
        self._abandon_api()
        shutil.rmtree(self.data, ignore_errors=True)
