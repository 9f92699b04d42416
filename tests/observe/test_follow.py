"""Followers are told everything in order and at least once; none of them holds up another."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from batchyard.observe import follow
from batchyard.observe.follow import Failed, Observer, Stopped
from batchyard.ports.journal import Cursor, Entry


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(follow, "LOOK_S", 0.005)
    monkeypatch.setattr(follow, "IDLE_S", 0.02)
    monkeypatch.setattr(follow, "AGAIN_S", (0.01,))
    monkeypatch.setattr(follow, "END_S", 0.2)


class MemoryJournal:
    def __init__(self):
        self.entries: list[Entry] = []

    def write(self, *numbers):
        self.entries += [Entry(n, 0, "moved", 1, -1, 0, 5, None, {}, 4) for n in numbers]

    def newest(self):
        return self.entries[-1].n if self.entries else 0

    def after(self, n, limit):
        return [entry for entry in self.entries if entry.n > n][:limit]


class MemoryCursors:
    def __init__(self, **enrolled):
        self.known = {name: Cursor(n, 0, None) for name, n in enrolled.items()}
        self.failures: dict[str, str | None] = {}

    def load(self, name):
        return self.known[name]

    def move(self, name, n, lost=0, memo=None):
        old = self.known[name]
        self.known[name] = Cursor(n, old.lost + lost, old.memo if memo is None else memo)

    def note(self, name, failure, since_ms):
        self.failures[name] = failure


class Recorder:
    """A follower that notes what it is told; `does` may raise, wait or mark."""

    def __init__(self, name="one", does=lambda entries, mark: None):
        self.name = name
        self.told: list[int] = []
        self.idle = 0
        self._does = does

    def resume(self, memo, stop):
        self.memo, self.stop = memo, stop

    def follow(self, entries, mark):
        self.idle += not entries
        self._does(entries, mark)
        self.told += [entry.n for entry in entries]


class Running:
    """An observer that runs while the block does."""

    def __init__(self, journal, cursors, *followers):
        self._observer = Observer(followers, lambda: journal, cursors)

    def __enter__(self):
        self._observer.start()

    def __exit__(self, *_):
        self._observer.end()


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


def test_everything_is_told_in_order_across_restarts():
    journal, cursors, told = MemoryJournal(), MemoryCursors(one=2), []
    journal.write(*range(1, 1_301))
    for end in (1_300, 1_305):
        one = Recorder()
        with Running(journal, cursors, one):
            until(lambda: cursors.load("one").n == end)  # noqa: B023
        told += one.told
        journal.write(*range(end + 1, end + 6))
    assert told == list(range(3, 1_306))
    assert cursors.load("one").lost == 0


def test_a_follower_that_fails_is_told_the_same_again_from_its_mark_on(caplog):
    journal, cursors = MemoryJournal(), MemoryCursors(one=0)
    journal.write(1, 2, 3)
    seen = []

    def break_once(entries, mark):
        seen.append([entry.n for entry in entries])
        if len(seen) == 1:
            mark(2, b"up to two")
            raise OSError("no luck")

    one = Recorder(does=break_once)
    with Running(journal, cursors, one):
        until(lambda: one.told)
    assert seen[:2] == [[1, 2, 3], [3]]
    assert cursors.load("one") == Cursor(3, 0, b"up to two")
    assert "one: OSError('no luck'). It is tried until it succeeds." in caplog.text
    assert "one: it works again." in caplog.text


def test_what_is_remembered_comes_back():
    cursors = MemoryCursors(one=0)
    cursors.move("one", 0, memo=b"sums")
    one = Recorder()
    with Running(MemoryJournal(), cursors, one):
        until(lambda: one.idle)
    assert one.memo == b"sums"


def test_one_that_is_stuck_or_broken_holds_up_no_other():
    journal, cursors = MemoryJournal(), MemoryCursors(stuck=0, broken=0, well=0)
    release = threading.Event()
    stuck = Recorder("stuck", lambda entries, mark: release.wait(20))
    broken = Recorder("broken", lambda entries, mark: 1 / 0)
    well = Recorder("well")
    with Running(journal, cursors, stuck, broken, well):
        journal.write(1)
        until(lambda: cursors.load("well").n == 1)
        journal.write(2)
        until(lambda: cursors.load("well").n == 2)
    assert [cursors.load(name).n for name in ("stuck", "broken")] == [0, 0]
    release.set()


def test_idle_followers_are_told_so_now_and_then():
    one = Recorder()
    with Running(MemoryJournal(), MemoryCursors(one=0), one):
        until(lambda: one.idle >= 2)
    assert one.told == []


def test_what_retention_deleted_before_it_was_told_is_counted_and_said_once(caplog):
    journal, cursors = MemoryJournal(), MemoryCursors(one=3)
    journal.write(10, 11, 15)
    one = Recorder()
    with caplog.at_level(logging.WARNING), Running(journal, cursors, one):
        until(lambda: cursors.load("one").n == 15)
    assert one.told == [10, 11, 15]
    assert cursors.load("one").lost == 6 + 3
    assert caplog.text.count("too far behind") == 1


def test_losses_are_counted_once_though_the_follower_fails():
    journal, cursors = MemoryJournal(), MemoryCursors(one=0)
    journal.write(3, 5)
    tries = []

    def fail_twice(entries, mark):
        tries.append(1)
        if len(tries) == 1:
            mark(3)
        if len(tries) < 3:
            raise OSError("no luck")

    with Running(journal, cursors, Recorder(does=fail_twice)):
        until(lambda: cursors.load("one").n == 5)
    assert cursors.load("one").lost == 3


def test_one_that_gives_up_when_asked_to_stop_is_told_the_same_by_the_next():
    journal, cursors = MemoryJournal(), MemoryCursors(one=0)
    journal.write(1)

    def wait(entries, mark):
        one.stop.wait(20)
        raise Stopped

    one = Recorder(does=wait)
    with Running(journal, cursors, one):
        pass
    assert cursors.load("one").n == 0


def test_a_failure_is_said_once_and_that_it_is_over(caplog):
    journal, cursors = MemoryJournal(), MemoryCursors(one=0)
    journal.write(1)
    tries = []

    def fail_often(entries, mark):
        tries.append(1)
        if len(tries) < 6:
            raise Failed(f"host answers 50{len(tries)}")

    with caplog.at_level(logging.INFO), Running(journal, cursors, Recorder(does=fail_often)):
        until(lambda: len(tries) >= 3)
        until(lambda: cursors.failures["one"])
        until(lambda: cursors.load("one").n == 1 and cursors.failures["one"] is None)
    said = [record.getMessage() for record in caplog.records]
    assert said == ["one: host answers 501. It is tried until it succeeds.", "one: it works again."]
    assert all(record.exc_info is None for record in caplog.records), "no traceback for what is no bug"


def test_failures_that_come_and_go_do_not_fill_the_log(caplog):
    journal, cursors = MemoryJournal(), MemoryCursors(one=0)
    tries = []

    def fail_every_other_time(entries, mark):
        tries.append(1)
        if len(tries) % 2:
            raise Failed("host answers 500")

    with Running(journal, cursors, Recorder(does=fail_every_other_time)):
        for n in range(1, 30):
            journal.write(n)
            until(lambda: cursors.load("one").n == n)  # noqa: B023
    assert len(caplog.records) == 2
