"""Why a job waits, asked of the last of 10,000 and of 1,000,000 waiting jobs, half of them children of arrays; and what
it costs the engine to show why 10,000 classes of jobs wait.

The files are filled directly, by the same rows that submissions and decisions make; what is timed is the whole answer,
in process: the job found, those ahead of it counted, its class's verdict read and put into words.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path

from batchyard import config
from batchyard.api.context import Call, Context
from batchyard.api.explain import explain
from batchyard.catalogue.reader import built_in
from batchyard.describe.arns import Arns
from batchyard.engine.showing import SHOW_EVERY_MS, Showing
from batchyard.model.environments import BEST_FIT_PROGRESSIVE, EC2, Capacity
from batchyard.model.events import EnvironmentChanged, JobSubmitted, ProviderSized, QueueChanged
from batchyard.model.jobs import NewDefinition, NewEnvironment, NewJob, NewQueue, RetryPolicy
from batchyard.model.needs import Needs
from batchyard.model.shown import LineShown, Starts, line_name, verdict_name
from batchyard.model.verdicts import VCPU, Kind, Obstacle, PlaceVerdict, Short, Verdict
from batchyard.scheduler.scheduler import Scheduler
from batchyard.server.children import api_context
from batchyard.store import sqlite
from batchyard.store.commits import SqliteCommits
from bench.measure import Measure, rounds, seconds

REGION = "us-east-1"
ARRAY = 10_000
TRIED_EVERY = 100  # jobs
CLASSES = 10_000
NEEDS, ONCE = Needs(1000, 64), RetryPolicy()
BODY = b'{"container":{"image":"x","command":["true"]},"parameters":{},"retryStrategy":{"attempts":1}}'


def measure() -> Iterator[Measure]:
    for name, jobs in (("explain.small", 10_000), ("explain.large", 1_000_000)):
        with tempfile.TemporaryDirectory(prefix="batchyard-bench-") as data:
            yield _asked(name, Path(data), jobs)
    yield from _shown()


# -- asking ------------------------------------------------------------------------------------------------------------


def _asked(name: str, data: Path, jobs: int) -> Measure:
    sqlite.migrate(data)
    context = api_context(config.load({"data": str(data)}, environ={}))
    last = asyncio.run(_furnish(context))
    _fill(data, jobs)
    call = Call("r", context.clock.now_ms(), Arns("123456789012", REGION), "k", {}, b"")
    took = []
    for _ in rounds(5, 9, 10):
        answer: list[dict] = []
        took.append(1e3 * seconds(lambda answer=answer: answer.append(explain(context, call, last))))
    assert answer[0]["ahead"] == jobs, f"{answer[0]['ahead']} ahead of the last of {jobs}"
    context.reader.close()
    context.past.close()
    return Measure(name, "ms", tuple(took), (), (f"{jobs:,} ahead, half of them children of arrays of {ARRAY:,}",))


async def _furnish(context: Context) -> str:
    """A queue on an environment, and two jobs: one whose rows are copied, and the last of all."""
    intake = context.intake
    place = NewEnvironment(REGION, "ce", context.mint(), "UNMANAGED", "local", True, b'{"type":"UNMANAGED"}', 1)
    environment = await intake.create_environment(place)
    queue = await intake.create_queue(NewQueue(REGION, "q", 1, True, (environment,), b'{"priority":1}', 1))
    await intake.register_definition(NewDefinition(REGION, "d", BODY, 1))
    definition = context.reader.definition(REGION, "d", None)
    assert definition is not None
    last = context.mint()
    for uuid in (context.mint(), last):
        new = NewJob(uuid, REGION, "j", queue, definition.id, 1, 0, NEEDS, ONCE, None, (), BODY)
        await intake.submit(new)
    await intake.close()
    return last


def _fill(data: Path, jobs: int) -> None:
    """So many RUNNABLE jobs and children before the last job, which is moved behind them."""
    asked, state = (sqlite.open_writer(data, which) for which in (sqlite.REQUESTS, sqlite.STATE))
    first, last = (seq for (seq,) in asked.execute("SELECT seq FROM jobs ORDER BY seq"))
    queue = asked.execute("SELECT queue FROM jobs").fetchone()[0]
    arrays = max(1, jobs // 2 // ARRAY)
    size = jobs // 2 // arrays
    singles = jobs - arrays * size
    for db in (asked, state):
        db.execute("BEGIN IMMEDIATE")
    asked.execute("UPDATE jobs SET seq = ? WHERE seq = ?", (last + jobs, last))
    uuids = (f"00000000-0000-4000-8000-{number:012d}".replace("-", "") for number in count())
    rows = [(last + 1 + n, bytes.fromhex(next(uuids)), size if n < arrays else 0) for n in range(arrays + singles - 1)]
    columns = "region, name, queue, definition, created_ms, cpu_milli, memory_mib, gpus, text"
    asked.executemany(
        f"INSERT INTO jobs (seq, uuid, size, {columns}) SELECT ?, ?, ?, {columns} FROM jobs WHERE seq = {first}", rows
    )
    rows.append((first, bytes(16), 0))
    rows.append((last + jobs, b"\xff" * 16, 0))
    state.executemany(
        "INSERT INTO jobs (seq, uuid, queue, size, status, attempts, changed_ms) VALUES (?, ?, ?, ?, ?, ?, 1)",
        [
            (seq, uuid, queue, size, 1 if size else 2, int(not size and seq % TRIED_EVERY == 0))
            for seq, uuid, size in rows
        ],
    )
    state.executemany(
        "INSERT INTO children (job, idx, status) VALUES (?, ?, 2)",
        ((seq, index) for seq, _, size in rows for index in range(size)),
    )
    for db in (asked, state):
        db.commit()
        db.close()
    full = Obstacle(Kind.AT_MAXIMUM, (Short(VCPU, 1000, 0),))
    verdict = Verdict(Kind.AT_MAXIMUM, (PlaceVerdict(1, (full,)),), (), 0)
    commits = SqliteCommits(data)
    commits.show(1, {verdict_name(queue, NEEDS): verdict, line_name(queue): LineShown(None, Starts(1))})
    commits.close()


# -- showing -----------------------------------------------------------------------------------------------------------


def _shown() -> Iterator[Measure]:
    """CLASSES classes wait in one queue of three managed environments, which judge by 60 instance types or so."""
    first, again = [], []
    with tempfile.TemporaryDirectory(prefix="batchyard-bench-") as data:
        sqlite.migrate(Path(data))
        commits = SqliteCommits(data)
        scheduler = _crowd()
        showing, now_ms = Showing(scheduler, commits, 1_000), 1_000
        for took in (first, again):
            showing.note(now_ms, ())
            while not took or showing.busy:
                now_ms += SHOW_EVERY_MS
                took.append(1e3 * seconds(partial(showing.show, now_ms)))
        assert len(showing.shown) == CLASSES + 1
        commits.close()
    notes = (f"{CLASSES:,} classes, each told for the first time",)
    yield Measure("explain.show", "ms", tuple(first), (("when nothing changed", tuple(again)),), notes)
    yield Measure("explain.round", "s", (float(len(first)),), (), ("a slice a second until each was told",))


def _crowd() -> Scheduler:
    scheduler, queue = Scheduler(), 4
    types = built_in().resolve(["optimal", "c5", "r5"])
    capacity = Capacity(EC2, 64_000, strategy=BEST_FIT_PROGRESSIVE, types=types)
    events = [EnvironmentChanged(each, each, "local", f"i-{each}", True, capacity=capacity) for each in (1, 2, 3)]
    room = ProviderSized("local", Needs(512_000, 1 << 22))
    scheduler.turn(1_000, [room, *events, QueueChanged(queue, queue, 1, True, (1, 2, 3))])
    for seq in range(queue + 1, queue + 1 + CLASSES):
        uuid = f"00000000-0000-4000-8000-{seq:012d}"
        scheduler.turn(1_001, [JobSubmitted(seq, uuid, queue, 0, Needs(65_000, seq), ONCE)])
    return scheduler
