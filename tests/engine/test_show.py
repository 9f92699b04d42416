"""What the engine shows of itself: true, not too often, and of no consequence when it cannot be written."""

from __future__ import annotations

import asyncio
import json

import pytest

from batchyard.engine.engine import Engine
from batchyard.engine.showing import SHOW_EVERY_MS
from batchyard.model.needs import Needs
from batchyard.model.timings import BOUNDS_US, Timing
from batchyard.store.commits import SqliteCommits
from batchyard.store.intake import SqliteIntake
from batchyard.store.sqlite import STATE, migrate, open_reader
from tests.store.asking import furnish, job


class Hands:
    """A clock that is set by hand, and a bell that never rings."""

    now = 1000

    def now_ms(self):
        return self.now

    def fileno(self):
        return -1

    def drain(self):
        return False


@pytest.fixture
def data(tmp_path):
    migrate(tmp_path)
    return tmp_path


@pytest.fixture
def commits(data):
    commits = SqliteCommits(data)
    yield commits
    commits.close()


@pytest.fixture
def hands():
    return Hands()


@pytest.fixture
def engine(data, commits, hands):
    async def ask():
        intake = SqliteIntake(data)
        yard = await furnish(intake, data)
        for _ in range(3):
            await intake.submit(job(yard))
        await intake.close()

    asyncio.run(ask())
    return Engine(commits.load(), commits, {}, {"local": Needs(0, 0, 0)}, hands, hands)


@pytest.fixture
def shown(data):
    db = open_reader(data, STATE)

    def view():
        row = db.execute("SELECT at_ms, body FROM views WHERE name = 'engine'").fetchone()
        return None if row is None else (row[0], json.loads(row[1]))

    yield view
    db.close()


def total(timing):
    return sum(timing["counts"])


def test_every_turn_and_commit_is_counted_once(engine, hands, shown):
    assert shown() is None
    engine.show()
    at_ms, view = shown()
    assert (at_ms, view["started_ms"], total(view["turn"]), total(view["commit"])) == (1000, 1000, 0, 0)
    assert engine.turn()
    assert not engine.turn(), "nothing happened: no turn"
    hands.now += SHOW_EVERY_MS
    engine.show()
    at_ms, view = shown()
    assert (at_ms, total(view["turn"]), total(view["commit"])) == (2000, 1, 1)
    assert view["turn"]["sum_us"] >= view["commit"]["sum_us"] > 0
    assert view["bounds_us"] == list(BOUNDS_US)


def test_it_is_told_at_most_once_a_second_and_only_what_changed(engine, hands, shown):
    engine.show()
    assert engine.turn()
    hands.now += SHOW_EVERY_MS - 1
    engine.show()
    assert total(shown()[1]["turn"]) == 0
    hands.now += 1
    engine.show()
    assert total(shown()[1]["turn"]) == 1
    hands.now += 10 * SHOW_EVERY_MS
    engine.show()
    assert shown()[0] == 2000, "nothing changed since"


def test_showing_waits_for_no_disk_and_commits_still_do(engine, commits):
    said = []
    commits._state.set_trace_callback(said.append)
    engine.show()
    assert [line for line in said if "synchronous" in line] == [
        "PRAGMA synchronous = NORMAL",
        "PRAGMA synchronous = FULL",
    ]
    assert commits._state.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert commits._state.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_a_full_disk_costs_the_view_alone(engine, commits, hands, shown, caplog):
    engine.show()
    commits._state.execute("PRAGMA max_page_count = 1")  # SQLite takes the present size
    assert not commits.show(hands.now, {"large": {"text": "x" * 100_000}})
    assert "views were not written" in caplog.text
    commits._state.execute("PRAGMA max_page_count = 1000000")
    assert commits._state.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert engine.turn()
    hands.now += SHOW_EVERY_MS
    engine.show()
    assert total(shown()[1]["turn"]) == 1


@pytest.mark.parametrize(
    ("duration_us", "place"), [(0, 0), (100, 0), (101, 1), (2_500_000, 13), (2_500_001, 14), (10**12, 14)]
)
def test_a_bound_is_inclusive(duration_us, place):
    timing = Timing()
    timing.note(duration_us)
    assert [place for place, count in enumerate(timing.counts) if count] == [place]
    assert timing.sum_us == duration_us
