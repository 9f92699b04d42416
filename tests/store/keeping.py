"""Both writers of the store on one data directory, for stories of what is kept and what goes."""

from __future__ import annotations

import sqlite3

from batchyard.model import facts as f
from batchyard.model.events import Ending
from batchyard.model.ids import WHOLE
from batchyard.model.states import RUNNABLE, RUNNING, SUCCEEDED
from batchyard.store.commits import SqliteCommits
from batchyard.store.intake import SqliteIntake
from batchyard.store.reader import SqliteReader
from batchyard.store.retention import Retention
from batchyard.store.sqlite import path_of

from .asking import REGION, job
from .test_commits import added

NOBODY = {}.__contains__
DONE = Ending(0, "Essential container in task exited", None, 30, 40)
FOREVER = Retention(10**15, 10**9)


def look(data, which, sql, *values):
    """What another process sees in the file."""
    db = sqlite3.connect(path_of(data, which))
    try:
        return db.execute(sql, values).fetchall()
    finally:
        db.close()


def seqs(data, which, table="jobs"):
    return {seq for (seq,) in look(data, which, f"SELECT seq FROM {table}")}


class Site:
    """Both writers on one data directory; either may be killed at any time."""

    def __init__(self, data, keep=FOREVER):
        self.data, self.keep = data, keep
        self.logs = []
        self.now = 1_000
        self.counted = 10**9  # entries of the journal up to this one are counted
        self.intake = SqliteIntake(data, keep=keep)
        self.reader = SqliteReader(data)
        self.commits = None
        self.start_engine()

    def start_engine(self):
        if self.commits is not None:
            self.commits.close()
        self.commits = SqliteCommits(
            self.data, self.keep, lambda *log: self.logs.append(log), counted=lambda: self.counted
        )
        self.applied = self.commits.load().applied_seq

    async def start_api(self):
        await self.intake.close()
        self.intake = SqliteIntake(self.data, keep=self.keep)

    async def close(self):
        await self.intake.close()
        self.commits.close()
        self.reader.close()

    async def submit(self, **given):
        """A job that the state learns of; its event."""
        uuid = await self.intake.submit(job(self.yard, **given))
        return uuid, self.apply()[-1]

    def apply(self, status=RUNNABLE):
        events = self.commits.requests(self.applied, 100, NOBODY)
        for event in events:
            if hasattr(event, "upstreams"):
                self.commit(added(event, status, status))
        if events:
            self.applied = events[-1].seq
            self.commit(f.RequestApplied(self.applied))
        return events

    def commit(self, *facts):
        self.now += 1
        self.commits.commit(
            self.now, [fact._replace(at_ms=self.now) if "at_ms" in fact._fields else fact for fact in facts]
        )

    def run(self, event, index=WHOLE, to=SUCCEEDED):
        """One attempt from its opening to its end."""
        seq, uuid = event.seq, event.uuid
        self.commit(f.AttemptOpened(seq, index, 1, uuid, self.yard.environment, "i-1", 0))
        self.commit(f.AttemptBegan(seq, index, 1, self.now), f.AttemptClosed(seq, index, 1, RUNNING, to, DONE, 0))

    async def drain(self):
        """Both go on until there is nothing more to do."""
        for _ in range(10_000):
            self.now += 1
            more = self.commits.retire(self.now)
            if not await self.intake.remove_retired() and not more:
                return
        raise AssertionError("retention never comes to an end")

    def known(self, uuid):
        return self.reader.job(REGION, uuid, WHOLE)
