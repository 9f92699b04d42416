"""From SubmitJob to RUNNING on an idle server, and how many syncs that takes.

Seen two ways: by a client that asks DescribeJobs again and again, and as startedAt minus createdAt. The client rests
for a millisecond between two questions: without that it would take the processors from what it measures. Syncs are
counted by strace in a server of their own; where there is none, by the commits in the write-ahead logs. Baselines: the
answer to SubmitJob, and what cannot be saved: the same number of syncs and a process.
"""

from __future__ import annotations

import os
import shutil
import statistics
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import bare
from bench.measure import Measure, rounds, seconds
from bench.site import SUBMIT, Site, signed, submission

JOBS = 40
STRACED = 7
SYNCS = 3
PAUSE_S = 0.001
BEGUN = ("RUNNING", "SUCCEEDED", "FAILED")


def measure() -> Iterator[Measure]:
    seen, told, answered, least = [], [], [], []
    with Site(vcpus=8) as site:
        cold_ms = _start(site)[0]
        for _ in rounds(JOBS, JOBS, 0):
            for values, value in zip((seen, told, answered), _start(site), strict=True):
                values.append(value)
            least.append(1e3 * seconds(lambda: _syncs_and_a_process(site)))
    spread = statistics.quantiles(seen, n=20)
    yield Measure(
        "latency.running",
        "ms",
        tuple(seen),
        (
            ("startedAt - createdAt", tuple(told)),
            ("the answer to SubmitJob", tuple(answered)),
            (f"{SYNCS} syncs and posix_spawn", tuple(least)),
        ),
        (f"p95 {spread[18]:.1f} ms; the first job of the server, which needs a new slot: {cold_ms:.1f} ms",),
    )
    with Site(vcpus=8) as site:
        _start(site)
        with _sync_counter(site) as (how, count):
            syncs = [_syncs(site, count) for _ in range(STRACED)]
    yield Measure("latency.syncs", "syncs", tuple(syncs), (), (f"counted by {how}, {STRACED} jobs",))


def _start(site: Site) -> tuple[float, float, float]:
    """Run a short job; ms until it was seen RUNNING, by its own times, and until its submission was answered."""
    body = submission("sleep", "0.1")
    headers = signed(site.url, site.key, SUBMIT, body, invocation=True)
    begun = time.perf_counter()
    job = site.send(SUBMIT, body, headers)["jobId"]
    answered_ms = 1e3 * (time.perf_counter() - begun)
    site.wait(lambda: site.describe(job)["status"] in BEGUN, "the job runs", every_s=PAUSE_S)
    seen_ms = 1e3 * (time.perf_counter() - begun)
    site.wait(lambda: site.describe(job)["status"] == "SUCCEEDED", "the job ends", every_s=0.01)
    about = site.describe(job)
    time.sleep(0.03)  # the server is idle again
    return seen_ms, about["startedAt"] - about["createdAt"], answered_ms


def _syncs_and_a_process(site: Site) -> None:
    with (site.data.parent / "syncs").open("ab", buffering=0) as file:
        for _ in range(SYNCS):
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
    os.waitpid(os.posix_spawn(bare.TRUE, ["true"], {}), 0)


def _syncs(site: Site, count: Callable[[], int]) -> int:
    """Syncs from the submission of a job until it is RUNNING."""
    time.sleep(0.3)
    before = count()
    job = site.submit("sleep", "1")
    site.wait(lambda: site.describe(job)["status"] in BEGUN, "the job runs", every_s=0)
    time.sleep(0.2)  # what strace or the logs still have to say; the job itself lasts longer
    counted = count() - before
    site.wait(lambda: site.describe(job)["status"] == "SUCCEEDED", "the job ends")
    return counted


@contextmanager
def _sync_counter(site: Site) -> Iterator[tuple[str, Callable[[], int]]]:
    """How syncs are counted, and a function that says how many there were."""
    if shutil.which("strace") is None:
        yield "commits in the write-ahead logs (no strace here)", lambda: _commits(site.data)
        return
    trace = site.data.parent / "strace"
    pids = [f"--attach={pid}" for pid in site.processes("api", "engine", "runner", "slot")]
    command = ["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync,sync_file_range,msync", "-o", str(trace), *pids]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        yield "strace", lambda: sum("sync" in line and "resumed" not in line for line in trace.open())
    finally:
        process.terminate()
        process.wait(10)


def _commits(data: Path) -> int:
    """Commit frames in both logs: each was synced once. (Frame header: page number, size after commit or 0, salts.)"""
    total = 0
    for path in (data / "requests.db-wal", data / "state.db-wal"):
        log = path.read_bytes()
        if len(log) < 32:
            continue
        page_size, salts = struct.unpack(">I", log[8:12])[0], log[16:24]
        for at in range(32, len(log) - 24 - page_size + 1, 24 + page_size):
            total += log[at + 8 : at + 16] == salts and log[at + 4 : at + 8] != b"\0\0\0\0"
    return total
