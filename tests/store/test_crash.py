"""Killed at any moment, and read by others meanwhile: what was answered is there."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from batchyard.model.ids import WHOLE
from batchyard.store.commits import SqliteCommits
from batchyard.store.intake import SqliteIntake
from batchyard.store.reader import SqliteReader
from batchyard.store.sqlite import migrate

from .asking import REGION, Yard, furnish, job

SUBMITTER = """
import asyncio, sys
from batchyard.store.intake import SqliteIntake
from tests.store.asking import Yard, job

async def main(data, yard):
    intake = SqliteIntake(data)
    async def caller():
        while True:
            uuid = await intake.submit(job(yard))
            sys.stdout.write(uuid + "\\n")
            sys.stdout.flush()
    await asyncio.gather(*(caller() for _ in range(16)))

asyncio.run(main(sys.argv[1], Yard(*map(int, sys.argv[2:]))))
"""

WATCHER = """
import sys, time
from batchyard.model.ids import WHOLE
from batchyard.store.reader import SqliteReader

reader, queue, seen = SqliteReader(sys.argv[1]), int(sys.argv[2]), set()
print("watching", flush=True)
while len(seen) < int(sys.argv[3]):
    now = {row.seq for row in reader.list_queue(queue, 0, None, 1000)}
    assert seen <= now, "a job vanished"
    assert not now or now == set(range(min(now), max(now) + 1)), "a gap among jobs"
    seen = now
    time.sleep(0.001)
print(len(seen), flush=True)
"""


def python(code, *arguments):
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True, cwd=root
    )


def test_what_was_acknowledged_survives_sigkill(tmp_path):
    seed = int(os.environ.get("BATCHYARD_TEST_SEED") or time.time_ns() % 10**9)
    print(f"BATCHYARD_TEST_SEED={seed}")
    chance = random.Random(seed)
    migrate(tmp_path)
    yard = asyncio.run(_furnished(tmp_path))
    acknowledged = []
    for _ in range(3):
        child = python(SUBMITTER, tmp_path, *yard)
        wanted = chance.randrange(50, 600)
        lines = [child.stdout.readline() for _ in range(wanted)]
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.readlines()  # what it had said before the kill
        child.wait()
        child.stdout.close()
        acknowledged += [line.strip() for line in lines if line.endswith("\n") and len(line) == 37]
    reader = SqliteReader(tmp_path)
    missing = [uuid for uuid in acknowledged if reader.job(REGION, uuid, WHOLE) is None]
    reader.close()
    assert len(acknowledged) >= 150 and not missing, f"{len(missing)} of {len(acknowledged)} acknowledged jobs are gone"
    commits = SqliteCommits(tmp_path)
    events = commits.requests(0, 10**6, lambda seq: False)
    commits.close()
    assert [event.seq for event in events] == sorted({event.seq for event in events}), "a number was used twice"


async def _furnished(data) -> Yard:
    intake = SqliteIntake(data)
    try:
        return await furnish(intake, data)
    finally:
        await intake.close()


@pytest.mark.parametrize("total", [300])
def test_two_processes_read_while_one_writes(tmp_path, total):
    migrate(tmp_path)
    yard = asyncio.run(_furnished(tmp_path))
    watchers = [python(WATCHER, tmp_path, yard.queue, total) for _ in range(2)]
    try:
        for watcher in watchers:
            assert watcher.stdout.readline() == "watching\n"
        asyncio.run(_submit(tmp_path, yard, total))
        for watcher in watchers:
            assert watcher.communicate(timeout=60)[0] == f"{total}\n"
            assert watcher.returncode == 0
    finally:
        for watcher in watchers:
            watcher.kill()
            watcher.wait()
            watcher.stdout.close()


async def _submit(data, yard, total):
    intake = SqliteIntake(data)
    for _ in range(total // 10):
        await asyncio.gather(*(intake.submit(job(yard)) for _ in range(10)))
    await intake.close()
