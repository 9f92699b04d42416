"""What counting and telling cost: children of `true` with metrics and a file of state-change events, and without.

Without: the observe process, which does both, stands still (SIGSTOP) for the round; before the next one it
has made up for that.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from bench.measure import Measure, rounds
from bench.site import Site

SLOTS = 8
CHILDREN = 5_000


def measure() -> Iterator[Measure]:
    told, untold, shares = [], [], []
    with tempfile.TemporaryDirectory(prefix="batchyard-bench-") as directory:
        events = Path(directory) / "events.jsonl"
        with Site(SLOTS, "--event-file", str(events)) as site:
            _rate(site, 10 * SLOTS)  # the slots exist
            for _ in rounds(2, 4, 40):
                site.wait(lambda: _behind(site) == 0, "all is counted and told")
                told.append(_rate(site, CHILDREN))
                (observe,) = site.processes("observe")
                os.kill(observe, signal.SIGSTOP)
                try:
                    untold.append(_rate(site, CHILDREN))
                finally:
                    os.kill(observe, signal.SIGCONT)
                shares.append(told[-1] / untold[-1])
            site.wait(lambda: _behind(site) == 0, "all is counted and told")
            lines = sum(1 for _ in events.open("rb"))
    without = (("the observe process standing still", tuple(untold)),)
    yield Measure("observing.rate", "jobs/s", tuple(told), without, (f"{SLOTS} slots, {lines} events in the file",))
    yield Measure("observing.of_without", "of the rate without", tuple(shares))


def _rate(site: Site, size: int) -> float:
    """Run an array; children a second."""
    begun = time.perf_counter()
    job = site.submit(size=size)
    site.wait(lambda: site.describe(job)["status"] in ("SUCCEEDED", "FAILED"), "all children ended", 0.1)
    spent_s = time.perf_counter() - begun
    if site.children(job).get("SUCCEEDED") != size:
        raise RuntimeError(f"not all children succeeded: {site.children(job)}")
    return size / spent_s


def _behind(site: Site) -> int:
    """Entries of the journal that are still to be counted or told."""
    newest = _number(site, "state.db", "SELECT coalesce(max(n), 0) FROM journal")
    counted = _number(site, "metrics.db", "SELECT coalesce(max(n), 0) FROM counted")
    followed = _number(site, "observe.db", "SELECT coalesce(min(n), 0) FROM followers")
    return newest - min(counted, followed)


def _number(site: Site, file: str, question: str) -> int:
    with closing(sqlite3.connect(f"file:{site.data / file}?mode=ro", uri=True)) as db:
        return db.execute(question).fetchone()[0]
