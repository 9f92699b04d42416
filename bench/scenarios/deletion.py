"""A queue of 100,000 jobs is deleted: how long the longest turn takes, and what others feel of it meanwhile.

Turns are measured in one process, with the commits of a real file; baseline: the turns in which as many jobs arrive.
What others feel is measured on a server, by 64 callers that submit to another queue before, during and after it.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from batchyard.model.events import JobSubmitted, QueueChanged
from batchyard.store import sqlite
from batchyard.store.commits import SqliteCommits
from bench import load
from bench.measure import Measure, rounds
from bench.scenarios.turns import NEEDS, ONCE, Bench
from bench.site import Site

JOBS = 100_000
PER_TURN = 500
CALLERS = 64
REQUESTS = 4_000
STEADY = 1.3  # rates before and after may differ by this factor
LEAVING = "leaving"


def measure() -> Iterator[Measure]:
    leaving, arriving = [], []
    for _ in range(3):
        arrived, left = _longest_turns()
        arriving.append(arrived)
        leaving.append(left)
    notes = (f"{JOBS} jobs wait, {PER_TURN} arrive or go in a turn; decision and commit together",)
    yield Measure("deletion.turn", "ms", tuple(leaving), (("while they arrive", tuple(arriving)),), notes)
    told = [_submissions() for _ in rounds(2, 3, 60)]
    steady = all(max(each.quiet) < STEADY * min(each.quiet) for each in told)
    ratios = tuple(2 * each.meanwhile / sum(each.quiet) for each in told)
    said = (
        f"requests/s during the deletion: {', '.join(f'{each.meanwhile:.0f}' for each in told)}",
        f"before and after it: {', '.join(f'{before:.0f} {after:.0f}' for before, after in (e.quiet for e in told))}",
    )
    yield Measure("deletion.submissions", "of the rate without", ratios, (), said, steady)
    drains = tuple(each.drained_s for each in told)
    yield Measure("deletion.drain", "s", drains, (), ("from DeleteJobQueue until the queue is gone",), steady)


def _longest_turns() -> tuple[float, float]:
    """ms of the longest turn while the jobs arrive, and while they go with their queue."""
    with tempfile.TemporaryDirectory(prefix="batchyard-bench-") as data:
        sqlite.migrate(Path(data))
        commits = SqliteCommits(Path(data))
        bench = Bench(commits)
        arriving = []
        for _ in range(JOBS // PER_TURN):
            begun = time.perf_counter()
            bench.turn([_job(bench) for _ in range(PER_TURN)])
            arriving.append(time.perf_counter() - begun)
        bench.seq += 1
        gone = QueueChanged(bench.seq, 2, 1, False, (1,), deleting=True)
        events, leaving = [gone], []
        while 2 in bench.scheduler.state.queues:
            begun = time.perf_counter()
            bench.turn(events)
            leaving.append(time.perf_counter() - begun)
            events = []
            if len(leaving) > JOBS:
                raise RuntimeError("the queue is never gone")
        commits.close()
    return 1e3 * max(arriving), 1e3 * max(leaving)


def _job(bench: Bench) -> JobSubmitted:
    """One that waits for ever: no machine is as large."""
    bench.seq += 1
    uuid = f"00000000-0000-4000-8000-{bench.seq:012d}"
    return JobSubmitted(bench.seq, uuid, 2, 0, NEEDS._replace(memory_mib=1 << 30), ONCE)


class Felt(NamedTuple):
    """Submissions/s before the deletion and after it, those during it, and how long it took."""

    quiet: tuple[float, float]
    meanwhile: float
    drained_s: float


def _submissions() -> Felt:
    with Site(vcpus=8) as site:
        site.occupy()
        site.queue(LEAVING)
        load.run(site, JOBS, CALLERS, queue=LEAVING)
        _all_seen(site)
        before = REQUESTS / load.run(site, REQUESTS, CALLERS)["seconds"]
        _all_seen(site)
        site.call("updatejobqueue", jobQueue=LEAVING, state="DISABLED")
        begun = time.perf_counter()
        site.call("deletejobqueue", jobQueue=LEAVING)
        meanwhile = REQUESTS / load.run(site, REQUESTS, CALLERS)["seconds"]
        is_there = _is_there(site)
        site.wait(lambda: not _is_there(site), "the queue is gone")
        drained_s = time.perf_counter() - begun
        if not is_there:
            print("  the queue was gone before the last submission: the ratio says too little", file=sys.stderr)
        _all_seen(site)
        after = REQUESTS / load.run(site, REQUESTS, CALLERS)["seconds"]
        return Felt((before, after), meanwhile, drained_s)


def _is_there(site: Site) -> bool:
    return bool(site.call("describejobqueues", jobQueues=[LEAVING])["jobQueues"])


def _all_seen(site: Site) -> None:
    last = site.submit()
    site.wait(lambda: site.describe(last)["status"] != "SUBMITTED", "the engine has all")
