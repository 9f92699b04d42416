"""Thirty thousand mixed jobs, cancelled and terminated at random while processes are killed and the file of events is
moved away: at the end events, metrics, answers and rows agree exactly.

A number of jobs more or less and a seed of one's own: BATCHYARD_SOAK=JOBS:SEED in the environment of the tests.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sqlite3
import time
from collections import Counter

import pytest

from batchyard.model.states import JOB_MOVES, NUMBERS, PARENT_MOVES, SUBMITTED, TERMINAL
from batchyard.store.journal import SqliteFollowers
from tests.harness.events import as_described, changes
from tests.harness.site import Site
from tests.live.test_metrics import settled
from tests.live.test_pretend import environment, queue

JOBS, SEED = (int(part) for part in os.environ.get("BATCHYARD_SOAK", "30000:7").split(":"))
END_WITHIN_S = 600

AT_THE_END = """
    SELECT uuid, -1, status FROM jobs
    UNION ALL SELECT j.uuid, c.idx, c.status FROM children AS c JOIN jobs AS j ON j.seq = c.job"""
TRIED = "SELECT j.uuid, a.idx, count(*) FROM attempts AS a JOIN jobs AS j ON j.seq = a.job GROUP BY 1, 2"


class Soak:
    """What callers and fate do, picked by the seed; how it falls in time is up to the machine."""

    def __init__(self, site: Site, events, seed: int):
        self.site, self.events, self.rng = site, events, random.Random(seed)
        self.batch = site.client("batch")
        self.sizes: dict[str, int] = {}  # of acknowledged jobs: 0 for single ones
        self.asked = Counter()
        self.rotated = []

    @property
    def jobs(self) -> int:
        return sum(max(size, 1) for size in self.sizes.values())

    def furnish(self) -> None:
        site = self.site
        wide, narrow = environment(site, "wide", 400), environment(site, "narrow", 40)
        self.queues = [queue(site, "both", wide, narrow), queue(site, "narrow", narrow), site.queue("real")]
        commands = {
            "quick": ("run_ms=5",),
            "slow": ("run_ms=700", "log=slow"),
            "fails": ("run_ms=20", "exit=3"),
            "killed": ("signal=9",),
            "greedy": ("memory_mib=900",),
        }
        for name, words in commands.items():
            site.definition(name, "pretend", *words)
        self.names = [*commands, "quick", "quick", "absent"]
        site.definition("absent", "no-such-program")
        site.definition("true", "true")

    def run(self, jobs: int) -> None:
        while self.jobs < jobs:
            act = self.rng.choices((self.submit, self.stop, self.kill, self.rotate), (900, 250, 12, 4))[0]
            act(jobs - self.jobs)

    def submit(self, left: int) -> None:
        rng = self.rng
        line = rng.choices(self.queues, (6, 3, 1))[0]
        size = min(left, rng.choice((0,) * 8 + (2, 3, 7, 20, 50, 150)))
        if line == "real":
            size = min(size, 20)
        more = {"arrayProperties": {"size": size}} if size > 1 else {}
        if rng.random() < 0.3:
            more["retryStrategy"] = {"attempts": rng.randrange(2, 4)}
        if depends := self._dependencies(size):
            more["dependsOn"] = depends
        name = "true" if line == "real" else rng.choice(self.names)
        answer = self.batch.submit_job(jobName=name, jobQueue=line, jobDefinition=name, **more)
        self.sizes[answer["jobId"]] = size if size > 1 else 0

    def _dependencies(self, size: int) -> list[dict]:
        rng, known = self.rng, list(self.sizes.items())[-40:]
        if rng.random() < 0.02 and size > 1:
            return [{"type": "SEQUENTIAL"}]
        if not known or rng.random() < 0.8:
            return []
        job, theirs = rng.choice(known)
        if size > 1 and theirs == size:
            return [{"jobId": job, "type": "N_TO_N"}]
        return [{"jobId": f"{job}:{rng.randrange(theirs)}" if theirs and rng.random() < 0.3 else job}]

    def stop(self, _: int) -> None:
        if not self.sizes:
            return
        job, size = self.rng.choice(list(self.sizes.items())[-60:])
        if size and self.rng.random() < 0.6:
            job = f"{job}:{self.rng.randrange(size)}"
        name = self.rng.choice(("cancel_job", "terminate_job"))
        self.asked[name] += 1
        getattr(self.batch, name)(jobId=job, reason=f"{name} number {self.asked[name]}")

    def kill(self, _: int) -> None:
        role = self.rng.choice(("observe", "observe", "engine", "api", "serve"))
        self.asked[f"kill {role}"] += 1
        for pid in self.site.pids(role):
            self.site.kill(pid)
        if role == "serve":
            self.site.process.wait()
            self.site.start()
        self.site.wait_for(self.site.answers, "the server answers again")
        self.batch = self.site.client("batch")

    def rotate(self, _: int) -> None:
        if self.events.exists():
            self.rotated.append(self.events.with_suffix(f".{len(self.rotated)}"))
            self.events.rename(self.rotated[-1])
            self.asked["rotate"] += 1


@pytest.mark.long
def test_events_metrics_answers_and_rows_agree(tmp_path):
    print(f"repeat with BATCHYARD_SOAK={JOBS}:{SEED}")
    events = tmp_path / "events.jsonl"
    site = Site(tmp_path / "data", "--vcpus", "2", "--event-file", str(events)).start()
    try:
        soak = Soak(site, events, SEED)
        soak.furnish()
        began = time.monotonic()
        soak.run(JOBS)
        site.wait_for(lambda: not live(site), "every job is over", END_WITHIN_S)
        took = time.monotonic() - began
        site.wait_for(lambda: all(row.behind == 0 for row in SqliteFollowers(site.data)()), "everything is told", 60)
        print(f"{soak.jobs} jobs in {took:.0f} s; {dict(soak.asked)}")
        last = check_events(site, [*soak.rotated, events])
        check_rows(site, soak)
        check_answers(soak, last)
        settled(site)  # metrics: every sample is what SQL over the rows says
    finally:
        site.destroy()


def rows(site, sql):
    db = sqlite3.connect(f"file:{site.data}/state.db?mode=ro", uri=True)
    db.execute("ATTACH ? AS asked", (f"file:{site.data}/requests.db?mode=ro",))
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def live(site) -> bool:
    waits = "SELECT 1 FROM asked.jobs WHERE seq > (SELECT applied_seq FROM meta) LIMIT 1"
    return bool(rows(site, "SELECT 1 FROM jobs WHERE status < 5 LIMIT 1") or rows(site, waits))


def check_rows(site, soak) -> None:
    """What was acknowledged, and nothing else, is there and over."""
    found = dict(rows(site, "SELECT lower(hex(uuid)), size FROM jobs WHERE status >= 5"))
    assert found == {job.replace("-", ""): size for job, size in soak.sizes.items()}
    ((children,),) = rows(site, "SELECT count(*) FROM children WHERE status >= 5")
    assert children == sum(soak.sizes.values())


def check_events(site, files) -> dict[str, bytes]:
    """Every event of the journal is in the files, to the byte, in order for each job; moves are legal, and where
    they end and the number of attempts are those of the rows. Returns the last event of each job."""
    wanted: dict[bytes, int] = {digest(change.whole): place for place, change in enumerate(changes(site.data))}
    seen: set[bytes] = set()
    latest: dict[str, int] = {}
    status: dict[str, int] = {}
    starts: Counter[str] = Counter()
    last: dict[str, bytes] = {}
    again = 0
    for line in (line for file in files for line in file.read_bytes().splitlines()):
        key = digest(line)
        assert key in wanted, f"this event is of nothing in the journal: {line.decode()}"
        again += key in seen
        if key in seen:
            continue
        seen.add(key)
        detail = json.loads(line)["detail"]
        job, entered = detail["jobId"], NUMBERS[detail["status"]]
        assert latest.get(job, -1) < wanted[key], f"events of {job} are out of order"
        moves = PARENT_MOVES if "size" in detail.get("arrayProperties", {}) else JOB_MOVES
        assert entered in moves[status.get(job, SUBMITTED)], f"{job} cannot go from {status.get(job)} to {entered}"
        latest[job], status[job], last[job] = wanted[key], entered, line
        starts[job] += detail["status"] == "STARTING"
    assert len(seen) == len(wanted), f"{len(wanted) - len(seen)} of {len(wanted)} events are missing"
    assert set(status.values()) <= TERMINAL
    at_the_end = rows(site, AT_THE_END)
    assert status == {name(uuid, index): state for uuid, index, state in at_the_end}
    assert +starts == {name(uuid, index): count for uuid, index, count in rows(site, TRIED)}
    print(f"{len(wanted)} events, {again} of them twice")
    return last


def check_answers(soak, last) -> None:
    """DescribeJobs says of every job and child what its last event said."""
    jobs = list(last)
    for start in range(0, len(jobs), 100):
        described = soak.batch.describe_jobs(jobs=jobs[start : start + 100])["jobs"]
        assert [job["jobId"] for job in described] == jobs[start : start + 100]
        for job in described:
            assert as_described(json.loads(last[job["jobId"]])) == job


def digest(line: bytes) -> bytes:
    return hashlib.blake2b(line, digest_size=12).digest()


def name(uuid: bytes, index: int) -> str:
    digits = uuid.hex()
    job = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
    return job if index < 0 else f"{job}:{index}"
