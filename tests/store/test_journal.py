"""The journal as it is followed, and the cursors of those who follow it."""

from __future__ import annotations

import sqlite3

import pytest

from batchyard.model import facts as f
from batchyard.model.ids import WHOLE
from batchyard.model.states import PENDING, RUNNABLE, STARTING
from batchyard.ports.journal import Cursor, Entry, FollowerRow
from batchyard.store.journal import SqliteCursors, SqliteFollowers, SqliteJournal, enrol
from batchyard.store.sqlite import STATE, path_of

UUID = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def journal(data):
    opened = SqliteJournal(data)
    yield opened
    opened.close()


@pytest.fixture
def cursors(data):
    opened = SqliteCursors(data)
    yield opened
    opened.close()


def added(job, size=0):
    return f.JobAdded(job, UUID[:-1] + str(job), 1, size, PENDING if size else RUNNABLE, RUNNABLE, 10)


def opened(job):
    return f.AttemptOpened(job, WHOLE, 1, UUID[:-1] + str(job), 7, "i-1", 20)


def delete(data, n):
    db = sqlite3.connect(path_of(data, STATE))
    with db:
        db.execute("DELETE FROM journal WHERE n = ?", (n,))
    db.close()


def test_entries_come_in_order_a_few_at_a_time(journal, commits):
    assert (journal.newest(), journal.after(0, 9)) == (0, [])
    commits.commit(20, [added(1), added(2, size=3), opened(1)])
    assert journal.newest() == 3
    assert journal.after(0, 9) == [
        Entry(1, 10, "added", 1, WHOLE, 0, RUNNABLE, None, {}, None),
        Entry(2, 10, "added", 2, WHOLE, 0, PENDING, None, {"size": 3, "child_status": RUNNABLE}, None),
        Entry(3, 20, "opened", 1, WHOLE, 0, STARTING, 1, {"environment": 7, "instance": "i-1"}, RUNNABLE),
    ]
    assert [entry.n for entry in journal.after(0, 2)] == [1, 2]
    assert [entry.n for entry in journal.after(2, 2)] == [3]


def test_what_comes_later_is_seen(journal, commits):
    commits.commit(10, [added(1)])
    assert journal.newest() == 1
    commits.commit(20, [opened(1)])
    assert [entry.kind for entry in journal.after(1, 9)] == ["opened"]


def test_numbers_have_gaps_only_where_entries_were_deleted(data, journal, commits):
    commits.commit(10, [added(1), added(2), added(3)])
    delete(data, 2)
    commits.commit(10, [added(4)])
    assert [entry.n for entry in journal.after(0, 9)] == [1, 3, 4]


def test_a_cursor_outlives_the_process_that_moved_it(data, cursors):
    cursors.enrol({"file": 5})
    assert cursors.load("file") == Cursor(5, 0, None)
    cursors.move("file", 8, memo=b"so far")
    cursors.move("file", 9, lost=2)
    cursors.move("file", 9, lost=1)
    again = SqliteCursors(data)
    assert again.load("file") == Cursor(9, 3, b"so far")
    again.close()


def test_one_who_is_not_enrolled_has_no_cursor(cursors):
    with pytest.raises(KeyError):
        cursors.load("stranger")


def test_new_followers_begin_now_or_at_the_start_and_old_ones_where_they_were(data, commits, cursors):
    commits.commit(10, [added(1), added(2), added(3)])
    delete(data, 1)
    enrol(data, ["sink"], ["metrics"])
    assert (cursors.load("sink").n, cursors.load("metrics").n) == (3, 1)
    commits.commit(10, [added(4)])
    cursors.move("metrics", 3)
    enrol(data, ["sink", "other"], ["metrics"])
    assert [cursors.load(name).n for name in ("sink", "other", "metrics")] == [3, 4, 3]


def test_who_is_set_no_more_is_forgotten(data, cursors):
    enrol(data, ["one", "two"], [])
    enrol(data, ["two"], [])
    with pytest.raises(KeyError):
        cursors.load("one")
    assert cursors.load("two")


def test_nobody_is_ahead_of_a_journal_that_was_restored_from_a_backup(data, commits, cursors, caplog):
    commits.commit(10, [added(1)])
    enrol(data, ["ahead", "behind"], [])
    cursors.move("ahead", 80)
    enrol(data, ["ahead", "behind"], [])
    assert [cursors.load(name).n for name in ("ahead", "behind")] == [1, 1]
    assert "ahead" in caplog.text and "another journal" in caplog.text


def test_an_empty_journal_begins_with_what_comes(data, cursors):
    enrol(data, ["sink"], ["metrics"])
    assert (cursors.load("sink").n, cursors.load("metrics").n) == (0, 0)


def test_how_followers_are_is_told_to_other_processes(data, commits, cursors):
    enrol(data, ["sink", "well"], [])
    commits.commit(10, [added(1), added(2), added(3)])
    cursors.move("sink", 1, lost=2)
    cursors.move("well", 3)
    cursors.note("sink", "no answer", 77)
    followers = SqliteFollowers(data)
    assert followers() == [FollowerRow("sink", 2, 2, "no answer", 77), FollowerRow("well", 0, 0, None, None)]
    cursors.note("sink", None, None)
    assert followers()[0] == FollowerRow("sink", 2, 2, None, None)
