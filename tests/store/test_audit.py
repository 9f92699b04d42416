"""The auditor: finds nothing wrong in what a storm leaves at any moment, and names whatever is damaged afterwards."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest

from batchyard.store.audit import BROKEN, LOOKS, OK, audit
from batchyard.store.sqlite import METRICS, OBSERVE, REQUESTS, STATE, VERSION, path_of
from tests.storm.storm import Storm

SEED = 4  # of a storm with arrays, wishes, retries and, at the chosen moment, attempts that run


class Watched(Storm):
    """A storm whose files are copied in the middle, when something runs and an array is over."""

    wanted = """
        SELECT (SELECT count(*) FROM attempts WHERE stopped_ms IS NULL AND started_ms IS NOT NULL AND idx = -1) > 0
           AND (SELECT count(*) FROM attempts WHERE stopped_ms IS NULL AND started_ms IS NOT NULL AND idx >= 0) > 0
           AND (SELECT count(*) FROM jobs WHERE size > 0 AND status = 5) > 0
           AND (SELECT count(*) FROM jobs WHERE size = 0 AND status = 5) > 2
           AND (SELECT count(*) FROM jobs WHERE size > 0 AND status < 5) > 0
    """

    def keep(self, target) -> Watched:
        self.target, self.kept = target, False
        return self.run()

    def _tick(self, stormy: bool) -> None:
        super()._tick(stormy)
        if self.turns % 10 == 0 and not self.kept:
            with closing(sqlite3.connect(path_of(self.data, STATE))) as db:
                self.kept = bool(db.execute(self.wanted).fetchone()[0])
            if self.kept:
                shutil.copytree(self.data, self.target)
                for which in VERSION:  # what is in the log beside a file comes into the file
                    with closing(sqlite3.connect(path_of(self.target, which))) as db:
                        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    for seed in range(SEED, SEED + 40):
        target = tmp_path_factory.mktemp("audit") / "whole"
        if Watched(seed).keep(target).kept:
            assert [finding.word for finding in audit(target, rest=False)].count(OK) == len(VERSION) + len(LOOKS) + 1
            return target
    raise AssertionError("no storm had what is wanted")


@pytest.fixture
def data(whole, tmp_path):
    """A copy to be damaged."""
    return shutil.copytree(whole, tmp_path / "data")


def damaged(data, which: str, script: str) -> None:
    with closing(sqlite3.connect(path_of(data, which), isolation_level=None)) as db:
        before = db.total_changes
        db.executescript(script)
        assert db.total_changes > before, "nothing was damaged"


def broken(data) -> dict[str, str]:
    return {finding.name: finding.sentence for finding in audit(data, rest=False) if finding.word == BROKEN}


OVER = "(SELECT min(seq) FROM jobs WHERE size = 0 AND status = 5)"
DONE_ARRAY = "(SELECT min(seq) FROM jobs WHERE size > 0 AND status = 5)"
LIVE_ARRAY = "(SELECT min(seq) FROM jobs WHERE size > 0 AND status < 5)"
RUNNING = "stopped_ms IS NULL AND started_ms IS NOT NULL AND idx = -1"
CHILD_RUNS = "stopped_ms IS NULL AND started_ms IS NOT NULL AND idx >= 0"


@pytest.mark.parametrize(
    ("which", "script", "name", "words"),
    [
        (REQUESTS, "UPDATE meta SET last_seq = 3", "numbers", "but only 3 were given out"),
        (REQUESTS, "DELETE FROM jobs WHERE seq = (SELECT min(seq) FROM jobs)", "requests", "has no request"),
        (STATE, f"DELETE FROM jobs WHERE seq = {OVER}", "requests", "was applied and has no job"),
        (STATE, f"UPDATE jobs SET uuid = x'00' WHERE seq = {OVER}", "requests", "is not the job that its request asks"),
        (REQUESTS, "DELETE FROM texts", "texts", "has no body"),
        (REQUESTS, "UPDATE jobs SET queue = 99999", "texts", "names queue 99999, which is not there"),
        (REQUESTS, "DELETE FROM definitions", "texts", "which is not there"),
        (STATE, f"DELETE FROM children WHERE job = {DONE_ARRAY} AND idx = 0", "arrays", "children instead of"),
        (STATE, f"UPDATE children SET status = 2 WHERE job = {DONE_ARRAY} AND idx = 0", "arrays", "1 of its"),
        (STATE, f"UPDATE children SET status = 6 WHERE job = {DONE_ARRAY} AND idx = 0", "arrays", "1 children FAILED"),
        (STATE, f"UPDATE children SET status = 5 WHERE job = {LIVE_ARRAY}", "arrays", "is not over, and all of its"),
        (STATE, f"UPDATE jobs SET succeeded = 77 WHERE seq = {DONE_ARRAY}", "arrays", "counts 77 children"),
        (STATE, f"DELETE FROM attempts WHERE job = {OVER}", "attempts", "has 0 attempts, the latest is said to be"),
        (STATE, f"DELETE FROM attempts WHERE {RUNNING}", "attempts", "and has no open attempt"),
        (STATE, f"DELETE FROM attempts WHERE {CHILD_RUNS}", "attempts", "of array"),
        (STATE, f"UPDATE attempts SET stopped_ms = 9 WHERE {RUNNING}", "attempts", "and has no open attempt"),
        (STATE, f"UPDATE attempts SET stopped_ms = NULL WHERE job = {OVER}", "attempts", "attempt 1 is open"),
        (STATE, f"UPDATE attempts SET started_ms = NULL WHERE {RUNNING}", "attempts", "RUNNING and it does not"),
        (STATE, f"UPDATE attempts SET idx = 5 WHERE {RUNNING}", "attempts", "belongs to nothing"),
        (STATE, f"UPDATE jobs SET status = 6 WHERE seq = {OVER}", "journal", "is in state 6, the journal told 5"),
        (STATE, f"DELETE FROM journal WHERE job = {OVER}", "journal", "the journal told nothing"),
        (STATE, f"UPDATE journal SET before = 1 WHERE job = {OVER} AND status = 4", "journal", "which was in 3"),
        (REQUESTS, "INSERT INTO wishes VALUES (99998, 99999, -1, 2, 'x', 1); UPDATE meta SET last_seq = 99999",
         "wishes", "wish 99998 names job 99999"),
        (REQUESTS, "UPDATE jobs SET share = iif(share IS NULL, 'x', NULL)", "shares", "is of"),
        (REQUESTS, "UPDATE queues SET policy = 99999", "policies", "goes by scheduling policy 99999"),
        (STATE, "INSERT INTO deleted SELECT queue, 1 FROM jobs WHERE status < 5 LIMIT 1", "places", "and nobody asked"),
        (STATE, "INSERT INTO deleted SELECT queue, 1 FROM jobs WHERE status < 5 LIMIT 1", "places", "of it lives"),
        (STATE, f"INSERT INTO deleted SELECT environment, 1 FROM attempts WHERE {RUNNING} LIMIT 1",
         "places", "is open in it"),
        (REQUESTS, "UPDATE queues SET environments = '[99999]'", "places", "names environment 99999"),
        (STATE, f"INSERT OR REPLACE INTO blocks SELECT queue + 1, seq, -1, 'x', 1, 1 FROM jobs WHERE seq = {OVER}",
         "blocks", "which is none of its jobs"),
        (REQUESTS, "DELETE FROM changes WHERE kind = 'queue'", "changes", "was changed last by nothing, its row says"),
        (REQUESTS, "UPDATE queues SET enabled = 1 - enabled", "changes", "is ENABLED by its row or its last change"),
        (REQUESTS, "UPDATE environments SET deleted_ms = 5 WHERE deleted_ms IS NULL", "changes", "and not by both"),
        (REQUESTS, "UPDATE changes SET subject = 99999 WHERE kind = 'environment'", "changes", "of environment 99999"),
        (REQUESTS, "UPDATE definitions SET active = 0", "changes", "is ACTIVE and was deregistered, or neither"),
        (OBSERVE, "INSERT INTO followers (name, n) VALUES ('ahead', 99999)", "cursors", "ahead stands at entry 99999"),
        (METRICS, "INSERT OR REPLACE INTO counted VALUES (1, 99998, 1, 1, 1, 0, 0)",
         "cursors", "metrics stands at entry 99998"),
    ],
)  # fmt: skip
def test_each_damage_is_named(data, which, script, name, words):
    damaged(data, which, script)
    found = broken(data)
    assert name in found, found
    assert words in found[name], found
    assert not {path_of("", each).name for each in VERSION} & set(found), "SQLite itself finds nothing wrong"


def test_of_much_damage_the_first_is_named_and_the_rest_counted(data):
    damaged(data, REQUESTS, "DELETE FROM texts")
    said = broken(data)["texts"]
    assert said.count("has no body") == 5 and "; and " in said and said.endswith(" more.")


@pytest.mark.parametrize("which", VERSION)
@pytest.mark.parametrize("how", ["missing", "overwritten", "cut", "emptied", "newer", "older", "an index"])
def test_a_damaged_file_is_named_and_rows_are_not_compared(data, which, how):
    path = path_of(data, which)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    if how == "missing":
        path.unlink()
    elif how == "overwritten":
        with path.open("r+b") as file:
            for at in range(4096, path.stat().st_size, 4096):
                file.seek(at)
                file.write(b"\xff" * 200)
    elif how == "cut":
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - 4096)
    elif how == "emptied":
        path.write_bytes(b"")
    elif how == "an index":
        if which in (OBSERVE, METRICS):
            pytest.skip("it has none of these")
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA writable_schema = ON")
            for index, other in (("jobs_by_status", "uuid"), ("jobs_by_text", "name")):
                sql = f"CREATE INDEX {index} ON jobs ({other})"
                db.execute("UPDATE sqlite_schema SET sql = ? WHERE name = ?", (sql, index))
    else:
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute(f"PRAGMA user_version = {VERSION[which] + (1 if how == 'newer' else -1)}")
    found = broken(data)
    assert set(found) >= {path.name, "rows"}, found
    assert found[path.name].startswith("It ")


def test_it_changes_nothing(data):
    before = {path.name: path.read_bytes() for path in data.glob("*.db")}
    list(audit(data))
    assert {path.name: path.read_bytes() for path in data.glob("*.db")} == before


def test_what_is_wrong_only_between_two_looks_is_not_reported(data, monkeypatch):
    """A job that is retired between the two snapshots has no request for a moment."""
    looked = []

    def attached(*arguments):
        looked.append(arguments)
        script = "UPDATE meta SET last_seq = 3" if len(looked) == 1 else "UPDATE meta SET last_seq = 99999"
        damaged(data, REQUESTS, script)
        return original(*arguments)

    from batchyard.store import audit as module

    original = module.attached
    monkeypatch.setattr(module, "attached", attached)
    assert "numbers" not in broken(data)
    assert len(looked) > 2
