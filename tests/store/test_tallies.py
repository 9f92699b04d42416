"""Who waits since when: ranges that are cut to pieces say the same as a list that has every child by itself."""

from __future__ import annotations

import random

import pytest

from batchyard.model.figures import Kept
from batchyard.store.tallies import Counted, SqliteTallies

SIZE = 40


@pytest.fixture
def tallies(data):
    tallies = SqliteTallies(data)
    yield tallies
    tallies.close()


@pytest.mark.parametrize("seed", range(20))
def test_ranges_say_what_a_list_would(tallies, seed):
    dice = random.Random(seed)
    known: dict[int, int] = {}
    with tallies.step():
        for now in range(300):
            lo = dice.randrange(SIZE)
            hi = dice.randrange(lo + 1, SIZE + 1)
            told = tallies.waited(7, lo, hi)
            waited = [known.pop(index) for index in range(lo, hi) if index in known]
            assert sorted(since for count, since in told for _ in range(count)) == sorted(waited), f"seed {seed}"
            if dice.random() < 0.6:
                tallies.wait(7, lo, hi, 1, now)
                known |= dict.fromkeys(range(lo, hi), now)
            assert tallies.oldest() == ({1: min(known.values())} if known else {})


def test_jobs_and_queues_are_kept_apart(tallies):
    tallies.wait(7, 0, 3, 1, 100)
    tallies.wait(8, -1, 0, 2, 50)
    tallies.wait(9, -1, 0, 1, 70)
    assert tallies.oldest() == {1: 70, 2: 50}
    assert tallies.waited(9, -1, 0) == [(1, 70)]
    assert tallies.waited(9, -1, 0) == []
    assert tallies.oldest() == {1: 100, 2: 50}


def test_an_array_is_one_row_until_its_children_part(tallies):
    tallies.wait(7, 0, 10_000, 1, 100)
    rows = "SELECT count(*) FROM waiting"
    with tallies.step():
        for index in range(500):
            assert tallies.waited(7, index, index + 1) == [(1, 100)]
            assert tallies._db.execute(rows).fetchone() == (1,)
    assert tallies.waited(7, 6000, 6001) == [(1, 100)]
    assert tallies._db.execute(rows).fetchone() == (2,)


def test_a_step_is_kept_whole_or_not_at_all(data, tallies):
    counted = Counted(data)
    assert tallies.load() is None and counted() == 0
    with tallies.step():
        tallies.wait(7, -1, 0, 1, 100)
        tallies.keep(Kept(5, (1, 7), 3, 0, False), [("m", 1, "", 5), ("h", 2, "x", [1, 2])])
    with pytest.raises(ZeroDivisionError), tallies.step():
        tallies.waited(7, -1, 0)
        tallies.keep(Kept(6, (1, 7), 3, 0, False), [("m", 1, "", 6)])
        raise ZeroDivisionError
    assert tallies.load() == (Kept(5, (1, 7), 3, 0, False), [("h", 2, "x", [1, 2]), ("m", 1, "", 5)])
    assert tallies.oldest() == {1: 100}
    assert counted() == 5
    tallies.forget(2)
    assert tallies.load()[1] == [("m", 1, "", 5)]
