"""A sink between the journal and a place: order, progress within long entries, and what cannot be told any more."""

from __future__ import annotations

import json
import threading

import pytest

from batchyard.observe.follow import Failed, Stopped
from batchyard.observe.sinks.sink import Sink
from batchyard.ports.journal import Entry, Forgotten

from .told import change


class Teller:
    """Each entry tells of as many jobs as its range holds; those of `gone` jobs are forgotten."""

    def __init__(self, gone=()):
        self.gone = gone

    def changes(self, entry):
        if entry.job in self.gone:
            raise Forgotten(entry.job)
        for index in range(entry.index, entry.hi):
            yield change(entry.n * 100 + index, job=entry.job)


class Place:
    name = "place"

    def __init__(self, most=10):
        self.most = most
        self.fails_at: int | None = None  # the delivery that fails, counted from 0
        self.deliveries: list[list[int]] = []

    def deliver(self, events, stop):
        if self.fails_at == len(self.deliveries):
            self.fails_at = None
            raise Failed("not now")
        self.deliveries.append([json.loads(event.whole)["detail"]["number"] for event in events])

    @property
    def told(self):
        return [number for each in self.deliveries for number in each]


class Marks:
    def __init__(self):
        self.n, self.memo, self.lost = 0, None, 0

    def __call__(self, n, memo=None, lost=0):
        assert n >= self.n, "a cursor never falls back"
        self.n, self.memo, self.lost = n, memo or self.memo, self.lost + lost


def entry(n, size=1, job=1):
    return Entry(n, 0, "moved", job, 0, size, 5, None, {}, 4)


def sink(place, memo=None, gone=()):
    made = Sink(place, lambda: Teller(gone))
    made.resume(memo, threading.Event())
    return made


def after(entries, n):
    return [each for each in entries if each.n > n]


def test_entries_share_deliveries_and_keep_their_order():
    place, marks = Place(most=4), Marks()
    sink(place).follow([entry(1), entry(2, 3), entry(3), entry(4)], marks)
    assert place.deliveries == [[100, 200, 201, 202], [300, 400]]


def test_a_long_entry_is_gone_on_with_where_it_was():
    entries = [entry(1, 3), entry(2, 26), entry(3, 2)]
    everything = [number for each in entries for number in range(each.n * 100, each.n * 100 + each.hi)]
    for fails_at in range(4):
        place, marks = Place(most=10), Marks()
        place.fails_at = fails_at
        one = sink(place)
        with pytest.raises(Failed):
            one.follow(entries, marks)
        done = len(place.told)
        one.follow(after(entries, marks.n), marks)  # told again by the same process
        assert place.told[done:][:1] == everything[done : done + 1]
        assert place.told == everything

        place.deliveries.clear()
        marks = Marks()
        place.fails_at = fails_at
        with pytest.raises(Failed):
            sink(place).follow(entries, marks)
        sink(place, marks.memo).follow(after(entries, marks.n), marks)  # by one that knows only what was stored
        assert place.told == everything


def test_an_old_memo_does_not_hide_other_entries():
    place = Place()
    sink(place, memo=json.dumps([2, 5]).encode()).follow([entry(3, 2)], Marks())
    assert place.told == [300, 301]


def test_jobs_that_are_gone_are_counted_as_lost():
    place, marks = Place(most=2), Marks()
    sink(place, gone=(7,)).follow([entry(1, job=7), entry(2, 3), entry(3, job=7), entry(4, job=7)], marks)
    assert place.told == [200, 201, 202]
    assert (marks.n, marks.lost) == (4, 3)


def test_nothing_is_delivered_once_we_are_to_stop():
    place, marks = Place(), Marks()
    one = Sink(place, Teller)
    stop = threading.Event()
    one.resume(None, stop)
    stop.set()
    with pytest.raises(Stopped):
        one.follow([entry(1)], marks)
    assert (place.deliveries, marks.n) == ([], 0)


def test_an_idle_sink_delivers_nothing():
    place, marks = Place(), Marks()
    sink(place).follow((), marks)
    assert place.deliveries == []
