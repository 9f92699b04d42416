"""Whatever happens, and whenever the counting is killed, the page says what rows say: random histories of the real
engine over the real store, with crashes everywhere."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing

import pytest

from batchyard.observe.counting import Counting
from batchyard.observe.page import Machine, Page
from batchyard.store.figures import SqliteFigures
from batchyard.store.sqlite import migrate
from batchyard.store.tallies import SqliteTallies
from tests.harness.truth import differences, parsed
from tests.storm.storm import Storm


class Killed(Exception):
    """The observe process dies here."""


class Observe:
    """The counting of a data directory. `kill`: dies "before" or "after" its next commit."""

    def __init__(self, data):
        self.data = data
        self.text = None
        self.kills = 0
        self.start()

    def start(self):
        self.figures, self.tallies = SqliteFigures(self.data), Fragile(self.data)
        self.counting = Counting(self.figures, self.tallies, self.expose)

    def expose(self, *told):
        self.text = Page(*told, Machine(5_000, 1, 2, "1.0")).text()

    def stop(self):
        self.figures.close()
        self.tallies.close()

    def step(self, kill=None):
        self.tallies.kill = kill
        try:
            self.counting.step()
        except Killed:
            self.kills += 1
            self.stop()
            self.start()
        self.tallies.kill = None

    def wrong(self):
        self.step()
        return differences(parsed(self.text), self.data)


class Fragile(SqliteTallies):
    kill = None

    def keep(self, kept, series):
        super().keep(kept, series)
        if self.kill == "before":
            raise Killed

    def clear(self):
        super().clear()
        if self.kill == "begin":
            raise Killed

    def oldest(self):
        if self.kill == "after":
            raise Killed
        return super().oldest()


class CountedStorm(Storm):
    def __init__(self, seed):
        super().__init__(seed)
        self.dice = random.Random(-seed)
        self.observe = Observe(self.data)

    def _tick(self, stormy):
        super()._tick(stormy)
        if self.dice.random() < 0.2:
            self.observe.step(self.dice.choice(["before", "after", "begin", None, None]))
        if self.dice.random() < 0.05:
            assert self.observe.wrong() == {}

    def _calm(self):
        super()._calm()
        assert self.observe.wrong() == {}

    def _close(self):
        self.observe.stop()
        super()._close()


@pytest.mark.parametrize("seed", range(8))
def test_every_number_is_right_at_every_moment_of_a_storm(seed):
    storm = CountedStorm(seed).run()
    assert storm.observe.kills or storm.turns < 100


class Still(Storm):
    """A storm that is left standing half-way, with live jobs of every kind, for whoever counts it later."""

    def __init__(self, seed, jobs=40):
        super().__init__(seed)
        self.jobs_wanted, self.fault_percent, self.crash_rate = jobs, 0, 0
        self.loop.run_until_complete(self._set_up())

    def go(self, ticks):
        for _ in range(ticks):
            if len(self.callers.submissions) < self.jobs_wanted:
                self.callers.begin(self.turns)
            self._tick(stormy=False)
        return self

    FINISHED = """SELECT seq FROM jobs WHERE status >= 5
        AND seq <> (SELECT job FROM journal ORDER BY n DESC LIMIT 1)"""

    def finished_since(self, n):
        """How many entries after `n` are of finished jobs, which retention may take away."""
        with closing(sqlite3.connect(self.data / "state.db")) as db:
            return db.execute(
                f"SELECT count(*) FROM journal WHERE n > ? AND job IN ({self.FINISHED})", (n,)
            ).fetchone()[0]

    def change(self, sql):
        """What an older version, retention or a backup left of state.db."""
        with closing(sqlite3.connect(self.data / "state.db")) as db:
            db.executescript(sql)


@pytest.fixture
def still():
    made = []

    def make(seed):
        made.append(Still(seed))
        return made[-1]

    yield make
    for storm in made:
        storm._close()


@pytest.fixture
def watch():
    watching = []

    def start(storm):
        watching.append(Observe(storm.data))
        return watching[-1]

    yield start
    for observe in watching:
        observe.stop()


COUNTERS = ("_total", "_bucket", "_sum", "_count")


def of_counters(differences):
    return {key: value for key, value in differences.items() if key[0].endswith(COUNTERS)}


def missed(observe):
    return parsed(observe.text)["batchyard_journal_entries_missed_total", frozenset()]


@pytest.mark.parametrize("seed", range(5))
def test_a_data_directory_of_an_older_version_is_counted_from_now_on(still, watch, seed):
    """Its journal does not say what state jobs left: states are taken from rows, counters begin at zero."""
    storm = still(seed).go(60)
    storm.change("UPDATE journal SET before = NULL; UPDATE journal SET detail = NULL WHERE kind = 'closed'")
    observe = watch(storm)
    wrong = observe.wrong()
    assert wrong == of_counters(wrong), "states, room and waits are right at once"
    assert all(told == 0 for told, _ in wrong.values()) and wrong
    before = parsed(observe.text)
    storm.go(40)
    grown = {key: told - before[key] for key, told in parsed(observe.text).items() if key in before}
    assert not any(value for key, value in grown.items() if key[0].endswith(COUNTERS)), "nobody looked yet"
    behind = {key: true - (told or 0) for key, (told, true) in wrong.items()}
    still_behind = {key: true - (told or 0) for key, (told, true) in observe.wrong().items()}
    assert of_counters(still_behind) == still_behind
    assert {key: round(behind[key], 6) for key in still_behind} == {
        key: round(value, 6) for key, value in still_behind.items()
    }, "what happened since is counted exactly"


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kill", [None, "before", "after"])
def test_what_retention_took_away_is_told_as_missed_and_states_stay_true(still, watch, seed, kill):
    storm = still(seed).go(30)
    observe = watch(storm)
    assert observe.wrong() == {}
    while not storm.finished_since(observe.tallies.load()[0].n):
        storm.go(10)
    storm.change(f"DELETE FROM journal WHERE job IN ({Still.FINISHED})")
    observe.step(kill)
    wrong = observe.wrong()
    assert wrong == of_counters(wrong), "whatever lives is told as rows tell it"
    assert missed(observe) > 0
    storm.go(30)
    again = observe.wrong()
    assert again.keys() == wrong.keys() | again.keys() and again == of_counters(again)
    assert {k: round(v[1] - v[0], 6) for k, v in again.items()} == {
        k: round(v[1] - v[0], 6) for k, v in wrong.items()
    }, "from there on nothing is missed"


def test_an_older_backup_is_counted_anew(still, watch, tmp_path, caplog):
    storm = still(1).go(30)
    with closing(sqlite3.connect(storm.data / "state.db")) as db, closing(sqlite3.connect(tmp_path / "old.db")) as copy:
        db.backup(copy)
    storm.go(30)
    observe = watch(storm)
    assert observe.wrong() == {}
    observe.stop()
    storm.commits.inner.close()
    for path in storm.data.glob("state.db*"):
        path.unlink()
    shutil.copy(tmp_path / "old.db", storm.data / "state.db")
    with closing(sqlite3.connect(storm.data / "state.db")) as db:
        db.execute("PRAGMA journal_mode = WAL")
    storm._open_engine()
    observe.start()
    assert observe.wrong() == {}
    assert "a backup was restored?" in caplog.text


def test_a_lost_file_is_counted_anew_from_the_first_entry(still, watch):
    storm = still(2).go(50)
    observe = watch(storm)
    assert observe.wrong() == {}
    observe.stop()
    for path in storm.data.glob("metrics.db*"):
        path.unlink()
    migrate(storm.data)
    observe.start()
    assert observe.wrong() == {}


def test_series_of_what_is_gone_go(still, watch):
    storm = still(3).go(60)
    observe = watch(storm)
    observe.step()
    around = observe.figures.read(0, 0, 1).around
    (first, place), *rest = sorted(around.queues.items())
    read = observe.figures.read
    observe.figures.read = lambda *bounds: read(*bounds)._replace(around=around._replace(queues=dict(rest)))
    observe.step()
    assert f'queue="{place.name}"' not in observe.text
    assert first not in {owner for _, owner, _, _ in observe.tallies.load()[1]}


def test_one_failure_and_the_next_step_goes_on_from_what_was_kept(still, watch, monkeypatch):
    storm = still(4).go(30)
    observe = watch(storm)
    observe.step()
    storm.go(10)
    monkeypatch.setattr(observe.tallies, "keep", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        observe.counting.step()
    monkeypatch.undo()
    assert observe.wrong() == {}
