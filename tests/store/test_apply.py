"""Each fact's rows and its line in the journal."""

from __future__ import annotations

import json
import sqlite3
import uuid as uuids

import pytest

from batchyard.errors import Unavailable
from batchyard.model import facts as f
from batchyard.model.events import Ending
from batchyard.model.ids import WHOLE, attempt_id, task_id
from batchyard.model.jobs import CANCEL, TERMINATE
from batchyard.model.needs import Needs
from batchyard.model.states import FAILED, PENDING, RUNNABLE, RUNNING, STARTING, SUBMITTED, SUCCEEDED
from batchyard.store.apply import _APPLY
from batchyard.store.sqlite import STATE, StoreError, open_reader, path_of

UUID = str(uuids.UUID(int=7))
DONE = Ending(0, "Essential container in task exited", None, 30, 40, False, 1_000_000, 12)


@pytest.fixture
def see(data):
    """Rows of state.db as dictionaries."""
    db = open_reader(data, STATE)
    db.row_factory = sqlite3.Row
    yield lambda sql, *values: [dict(row) for row in db.execute(sql, values)]
    db.close()


def added(job=5, size=0, status=RUNNABLE, child_status=RUNNABLE, at_ms=10):
    return f.JobAdded(job, UUID, 2, size, status, child_status, at_ms)


def job_row(see, job=5):
    row = see("SELECT * FROM jobs WHERE seq = ?", job)[0]
    assert row.pop("uuid") == uuids.UUID(UUID).bytes
    return row


def opened(number=1, index=WHOLE, job=5, at_ms=20):
    return f.AttemptOpened(job, index, number, UUID, 1, "i-1", at_ms)


def child_row(see, index, job=5):
    return see("SELECT * FROM children WHERE job = ? AND idx = ?", job, index)[0]


def journal(see):
    lines = see("SELECT at_ms, kind, job, idx, hi, status, number, detail, before FROM journal ORDER BY n")
    return [tuple(json.loads(v) if k == "detail" and v else v for k, v in line.items()) for line in lines]


def test_every_fact_has_its_function():
    assert set(_APPLY) == set(f.Fact.__args__)


def test_numbers_clock_and_rooms(commits, see):
    commits.commit(100, [f.ProviderRecorded("local", Needs(1, 2, 3)), f.RequestApplied(4), f.RequestApplied(6)])
    commits.commit(120, [f.ProviderRecorded("local", Needs(8, 9, 0))])
    assert see("SELECT applied_seq, last_ms FROM meta") == [{"applied_seq": 6, "last_ms": 120}]
    assert see("SELECT * FROM providers") == [{"name": "local", "cpu_milli": 8, "memory_mib": 9, "gpus": 0}]
    assert journal(see) == []


def test_nothing_recorded_writes_nothing(commits, see):
    commits.commit(100, [])
    assert see("SELECT last_ms FROM meta") == [{"last_ms": 0}]


def test_a_job_is_added(commits, see):
    commits.commit(11, [added(status=PENDING)])
    row = job_row(see)
    assert (row["queue"], row["size"], row["status"], row["changed_ms"], row["attempts"]) == (2, 0, PENDING, 10, 0)
    assert row["started_ms"] is row["stopped_ms"] is row["status_reason"] is row["stop_kind"] is None
    assert see("SELECT * FROM children") == []
    assert journal(see) == [(10, "added", 5, WHOLE, 0, PENDING, None, None, None)]


def test_an_array_is_added_with_all_its_children(commits, see):
    commits.commit(11, [added(5, 3, PENDING, RUNNABLE), added(6, 2, PENDING, SUBMITTED)])
    assert see("SELECT job, idx, status FROM children ORDER BY job, idx") == [
        {"job": job, "idx": index, "status": status}
        for job, size, status in ((5, 3, RUNNABLE), (6, 2, SUBMITTED))
        for index in range(size)
    ]
    assert journal(see)[0] == (10, "added", 5, WHOLE, 0, PENDING, None, {"size": 3, "child_status": RUNNABLE}, None)
    assert len(journal(see)) == 2


def test_a_job_moves_and_ends(commits, see):
    commits.commit(11, [added(status=PENDING), f.JobMoved(5, WHOLE, PENDING, RUNNABLE, 12)])
    assert (job_row(see)["status"], job_row(see)["changed_ms"], job_row(see)["stopped_ms"]) == (RUNNABLE, 12, None)
    commits.commit(13, [f.JobMoved(5, WHOLE, RUNNABLE, FAILED, 13, "Dependent Job failed")])
    row = job_row(see)
    assert (row["status"], row["status_reason"], row["stopped_ms"]) == (FAILED, "Dependent Job failed", 13)
    assert row["started_ms"] is None
    assert journal(see)[1:] == [
        (12, "moved", 5, WHOLE, 0, RUNNABLE, None, None, PENDING),
        (13, "moved", 5, WHOLE, 0, FAILED, None, {"status_reason": "Dependent Job failed"}, RUNNABLE),
    ]


def test_one_child_moves(commits, see):
    commits.commit(11, [added(size=3, status=PENDING), f.JobMoved(5, 1, RUNNABLE, FAILED, 12, "why")])
    assert [child_row(see, index)["status"] for index in range(3)] == [RUNNABLE, FAILED, RUNNABLE]
    assert (child_row(see, 1)["status_reason"], child_row(see, 1)["stopped_ms"]) == ("why", 12)
    assert job_row(see)["status"] == PENDING


def test_a_range_of_children_moves_in_one_line(commits, see):
    commits.commit(11, [added(size=6, status=PENDING, child_status=PENDING)])
    commits.commit(12, [f.ChildrenMoved(5, 1, 4, PENDING, FAILED, 12, "Dependent Job failed")])
    commits.commit(13, [f.ChildrenMoved(5, 4, 6, PENDING, RUNNABLE, 13)])
    assert [child_row(see, index)["status"] for index in range(6)] == [PENDING, *[FAILED] * 3, *[RUNNABLE] * 2]
    assert [child_row(see, index)["stopped_ms"] for index in range(6)] == [None, 12, 12, 12, None, None]
    assert journal(see)[1:] == [
        (12, "moved", 5, 1, 4, FAILED, None, {"status_reason": "Dependent Job failed"}, PENDING),
        (13, "moved", 5, 4, 6, RUNNABLE, None, None, PENDING),
    ]


def test_the_order_of_single_and_range_moves_is_kept(commits, see):
    """A child that is moved alone, then with its range, then alone again, all in one commit."""
    story = [
        added(size=4, status=PENDING, child_status=PENDING),
        f.ChildrenMoved(5, 0, 4, PENDING, RUNNABLE, 11),
        opened(index=2, at_ms=12),
        f.ChildrenMoved(5, 0, 2, RUNNABLE, FAILED, 13, "stop"),
        f.AttemptClosed(5, 2, 1, STARTING, RUNNABLE, DONE, 14),
        f.ChildrenMoved(5, 2, 4, RUNNABLE, FAILED, 15, "stop"),
    ]
    commits.commit(15, story)
    assert [child_row(see, index)["stopped_ms"] for index in range(4)] == [13, 13, 15, 15]
    assert [line[1] for line in journal(see)] == ["added", "moved", "opened", "moved", "closed", "moved"]


@pytest.mark.parametrize("index", [WHOLE, 1])
def test_the_life_of_an_attempt(commits, see, index):
    table = (lambda: job_row(see)) if index == WHOLE else (lambda: child_row(see, 1))
    commits.commit(11, [added(size=0 if index == WHOLE else 2), opened(index=index)])
    row = table()
    assert (row["status"], row["attempts"], row["started_ms"], row["stopped_ms"]) == (STARTING, 1, None, None)
    commits.commit(30, [f.AttemptBegan(5, index, 1, 30)])
    assert (table()["status"], table()["started_ms"]) == (RUNNING, 30)
    ended = DONE._replace(started_ms=29, stopped_ms=39)  # what the exit record says is final
    commits.commit(40, [f.AttemptClosed(5, index, 1, RUNNING, SUCCEEDED, ended, 40)])
    row = table()
    assert (row["status"], row["started_ms"], row["stopped_ms"]) == (SUCCEEDED, 29, 39)
    assert row["status_reason"] == DONE.status_reason
    attempt = see("SELECT * FROM attempts")[0]
    assert attempt.pop("task").hex() == task_id(attempt_id(UUID, index, 1))
    assert attempt == {
        "job": 5,
        "idx": index,
        "number": 1,
        "environment": 1,
        "instance": "i-1",
        "opened_ms": 20,
        "started_ms": 29,
        "stopped_ms": 39,
        "exit_code": 0,
        "reason": None,
        "status_reason": DONE.status_reason,
        "peak_memory_bytes": 1_000_000,
        "cpu_ms": 12,
        "log": 0,
        "warned_ms": None,
        "reclaim_ms": None,
        "devices": None,
        "containers": None,
    }
    assert [line[:7] for line in journal(see)][1:] == [
        (20, "opened", 5, index, index + 1, STARTING, 1),
        (30, "began", 5, index, index + 1, RUNNING, 1),
        (40, "closed", 5, index, index + 1, SUCCEEDED, 1),
    ]
    assert journal(see)[1][7] == {"environment": 1, "instance": "i-1"}
    assert journal(see)[3][7]["exit_code"] == 0 and "reason" not in journal(see)[3][7]
    assert [line[8] for line in journal(see)] == [None, RUNNABLE, STARTING, RUNNING]
    assert "terminated" not in journal(see)[3][7]


def test_the_journal_says_that_an_attempt_was_terminated(commits, see):
    killed = Ending(143, "enough", None, None, 33)
    commits.commit(33, [added(), opened(), f.AttemptClosed(5, WHOLE, 1, STARTING, FAILED, killed, 34, True)])
    assert journal(see)[2][7]["terminated"] is True


def test_a_retry_waits_again_with_the_ended_attempts_reason(commits, see):
    failed = Ending(1, "Essential container in task exited", "oops", 30, 40)
    closed = f.AttemptClosed(5, WHOLE, 1, RUNNING, RUNNABLE, failed, 41)
    commits.commit(40, [added(), opened(), f.AttemptBegan(5, WHOLE, 1, 30), closed])
    row = job_row(see)
    assert (row["status"], row["attempts"], row["started_ms"], row["stopped_ms"]) == (RUNNABLE, 1, 30, None)
    assert row["status_reason"] == failed.status_reason
    commits.commit(50, [opened(2, at_ms=50)])
    row = job_row(see)
    assert (row["status"], row["attempts"], row["status_reason"], row["started_ms"]) == (STARTING, 2, None, 30)
    commits.commit(60, [f.AttemptBegan(5, WHOLE, 2, 55)])
    assert job_row(see)["started_ms"] == 55
    assert see("SELECT number, stopped_ms, reason FROM attempts") == [
        {"number": 1, "stopped_ms": 40, "reason": "oops"},
        {"number": 2, "stopped_ms": None, "reason": None},
    ]


def test_an_attempt_that_never_began_has_no_start(commits, see):
    lost = Ending(None, "Task failed to start", "CannotStartContainerError: no such file", None, 33)
    commits.commit(33, [added(), opened(), f.AttemptClosed(5, WHOLE, 1, STARTING, FAILED, lost, 34)])
    row = job_row(see)
    assert (row["status"], row["started_ms"], row["stopped_ms"], row["status_reason"]) == (
        FAILED,
        None,
        33,
        "Task failed to start",
    )
    assert see("SELECT started_ms, exit_code FROM attempts") == [{"started_ms": None, "exit_code": None}]


def test_stops_are_noted(commits, see):
    commits.commit(11, [added(size=4, status=PENDING), f.StopNoted(5, WHOLE, 0, CANCEL, "first", 12)])
    commits.commit(13, [f.StopNoted(5, 1, 3, TERMINATE, "some", 13), f.StopNoted(5, WHOLE, 0, TERMINATE, "last", 13)])
    assert (job_row(see)["stop_kind"], job_row(see)["stop_reason"]) == (TERMINATE, "last")
    assert [child_row(see, index)["stop_kind"] for index in range(4)] == [None, TERMINATE, TERMINATE, None]
    assert journal(see)[2] == (13, "stop", 5, 1, 3, None, None, {"kind": TERMINATE, "reason": "some"}, None)


CONTRADICTIONS = {
    "move of an unknown job": [f.JobMoved(99, WHOLE, PENDING, RUNNABLE, 1)],
    "move of an unknown child": [f.JobMoved(5, 7, PENDING, RUNNABLE, 1)],
    "move from another state": [f.JobMoved(5, WHOLE, RUNNABLE, FAILED, 1)],
    "move of a child from another state": [f.JobMoved(5, 1, PENDING, FAILED, 1)],
    "range in another state": [f.ChildrenMoved(5, 0, 2, PENDING, RUNNABLE, 1)],
    "range beyond the end": [f.ChildrenMoved(5, 0, 9, RUNNABLE, FAILED, 1)],
    "start of an unopened attempt": [f.AttemptBegan(5, 0, 1, 1)],
    "end of an unopened attempt": [f.AttemptClosed(5, 0, 1, STARTING, FAILED, DONE, 1)],
    "end said twice": [opened(index=0), *[f.AttemptClosed(5, 0, 1, STARTING, FAILED, DONE, 1)] * 2],
    "stop of an unknown job": [f.StopNoted(99, WHOLE, 0, CANCEL, "", 1)],
}


@pytest.mark.parametrize("facts", CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_facts_that_contradict_the_rows_are_refused_whole(commits, see, facts):
    commits.commit(1, [added(size=2, status=PENDING)])
    before = [see(f"SELECT * FROM {table}") for table in ("jobs", "children", "attempts", "journal", "meta")]
    with pytest.raises(StoreError, match=r"state\.db contradicts the facts"):
        commits.commit(2, [added(job=6), *facts])
    assert [see(f"SELECT * FROM {table}") for table in ("jobs", "children", "attempts", "journal", "meta")] == before
    commits.commit(3, [added(job=6)])


@pytest.mark.parametrize("facts", [[added()], [added(job=6), opened(job=6), opened(job=6)]])
def test_what_exists_is_not_made_twice(commits, see, facts):
    commits.commit(1, [added()])
    with pytest.raises((sqlite3.IntegrityError, StoreError)):
        commits.commit(2, facts)
    assert len(see("SELECT * FROM jobs")) == 1 and see("SELECT * FROM attempts") == []


def test_a_full_disk_is_told_and_nothing_is_half_written(data, commits, see):
    db = commits._state
    db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0] + 5}")
    with pytest.raises(Unavailable, match="state.db cannot be written"):
        commits.commit(1, [added(), added(6, 10_000, PENDING, RUNNABLE)])
    assert see("SELECT * FROM jobs") == [] == see("SELECT * FROM children")
    db.execute("PRAGMA max_page_count = 1000000")
    commits.commit(2, [added()])
    assert len(see("SELECT * FROM jobs")) == 1


def test_ten_thousand_children_stay_narrow(data, commits):
    commits.commit(1, [added(size=10_000, status=PENDING)])
    commits.close()  # the last one out moves the log into the file
    assert path_of(data, STATE).stat().st_size < 10_000 * 40


# -- blocked queues --------------------------------------------------------------------------------------------------

REASON = "ACTION_REQUIRED - CE(s) associated with the job queue are invalid."


def told(index=WHOLE, number=0, at_ms=30):
    return [f.HeadStuck(2, 5, index, REASON, 20), f.QueueBlocked(2, 5, index, number, REASON, at_ms)]


@pytest.mark.parametrize("index", [WHOLE, 1])
def test_a_blocked_queue_is_a_row_and_the_reason_of_its_head(commits, see, index):
    commits.commit(10, [added(size=0 if index == WHOLE else 3)])
    commits.commit(30, told(index))
    assert see("SELECT * FROM blocks") == [
        {"queue": 2, "job": 5, "idx": index, "reason": REASON, "since_ms": 20, "told": 1}
    ]
    row = job_row(see) if index == WHOLE else child_row(see, index)
    assert (row["status"], row["status_reason"]) == (RUNNABLE, REASON)
    assert journal(see)[-1] == (30, "blocked", 5, index, index + 1, None, 0, {"status_reason": REASON}, None)
    commits.commit(40, [f.QueueUnblocked(2, 5, index, REASON, True)])
    row = job_row(see) if index == WHOLE else child_row(see, index)
    assert (row["status_reason"], see("SELECT * FROM blocks")) == (None, [])


@pytest.mark.parametrize("index", [WHOLE, 1])
def test_a_head_that_goes_on_in_the_turn_in_which_it_is_free_keeps_its_own_reason(commits, see, index):
    commits.commit(10, [added(size=0 if index == WHOLE else 3), *told(index)])
    gone = (
        f.JobMoved(5, WHOLE, RUNNABLE, FAILED, 40, "enough")
        if index == WHOLE
        else f.ChildrenMoved(5, 1, 2, RUNNABLE, FAILED, 40, "enough")
    )
    commits.commit(40, [f.QueueUnblocked(2, 5, index, REASON, True), gone])
    row = job_row(see) if index == WHOLE else child_row(see, index)
    assert (row["status"], row["status_reason"]) == (FAILED, "enough")


def test_a_head_that_is_stuck_for_another_reason_says_the_other(commits, see):
    commits.commit(10, [added(), *told()])
    again = [f.HeadStuck(2, 5, WHOLE, "UNDETERMINED", 40), f.QueueBlocked(2, 5, WHOLE, 0, "UNDETERMINED", 40)]
    commits.commit(40, [f.QueueUnblocked(2, 5, WHOLE, REASON, True), *again])
    assert job_row(see)["status_reason"] == "UNDETERMINED"
    assert [row["reason"] for row in see("SELECT * FROM blocks")] == ["UNDETERMINED"]
