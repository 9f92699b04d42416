"""Whatever happened in a storm is told later as it was seen then: a job as it stood after each entry of the journal."""

from __future__ import annotations

import pytest

from batchyard.model.ids import WHOLE
from batchyard.model.jobs import kept_as
from batchyard.ports import Standing
from batchyard.store.journal import SqliteJournal
from batchyard.store.past import SqlitePast
from batchyard.store.reader import SqliteReader
from tests.storm.callers import REGION
from tests.storm.storm import CrashingCommits, Storm


class Witness:
    """Looks at every job as soon as a commit has moved it, and once more when all is over."""

    def __init__(self, data):
        self.data = data
        self.journal, self.past, self.reader = SqliteJournal(data), SqlitePast(data), SqliteReader(data)
        self.told: dict[int, list[Standing]] = {}  # by the number of the entry
        self.compared = 0

    def look(self):
        latest: dict[tuple[int, int], Standing] = {}
        for entry in self.journal.after(max(self.told, default=0), 10**6):
            self.told[entry.n] = list(self.past.standings(entry))
            if entry.kind == "stop":  # changes what is shown of jobs, but is no move
                for index in range(entry.index, entry.hi):
                    latest.pop((entry.job, index), None)
            elif entry.index != WHOLE:
                latest.pop((entry.job, WHOLE), None)  # whose children are counted differently now
            latest |= {(each.row.seq, each.row.index): each for each in self.told[entry.n]}
        for standing in latest.values():
            assert standing == self.now(standing)
            self.compared += 1

    def now(self, standing: Standing) -> Standing:
        """The same job as DescribeJobs sees it."""
        row = self.reader.job(REGION, standing.row.uuid, standing.row.index)
        attempts = self.reader.attempts(row.seq, kept_as(row.nodes, row.index))
        seen = Standing(row._replace(exit_code=None, reason=None), tuple(attempts), {})
        if row.size and row.index == WHOLE:
            return seen._replace(child_counts=self.reader.child_counts(row.seq), counted_ms=standing.counted_ms)
        return seen

    def look_back(self):
        """From the rows as they are at the end, every entry still tells what it told when it was new."""
        late = SqlitePast(self.data)
        for entry in self.journal.after(0, 10**6):
            assert list(late.standings(entry)) == self.told[entry.n], entry
        late.close()

    def close(self):
        for each in (self.journal, self.past, self.reader):
            each.close()


@pytest.mark.parametrize("seed", range(20, 28))
def test_every_entry_tells_how_the_job_stood_then_and_ever_after(seed, monkeypatch):
    weather = Storm(seed)
    witness = Witness(weather.data)
    commit = CrashingCommits.commit

    def commit_and_look(self, now_ms, facts):
        try:
            commit(self, now_ms, facts)
        finally:
            witness.look()

    monkeypatch.setattr(CrashingCommits, "commit", commit_and_look)
    verdict = weather.auditor.verdict
    weather.auditor.verdict = lambda strict: (verdict(strict), witness.look_back())
    try:
        weather.run()
    finally:
        witness.close()
    jobs = len(weather.callers.known)  # of those that were taken; a queue may have been disabled or gone
    assert witness.compared > jobs, f"only {witness.compared} comparisons for {jobs} jobs"
