"""The files: made once, durable, refused when newer; every query fits its schema and is used."""

from __future__ import annotations

import re
import sqlite3
import stat
from importlib.resources import files
from pathlib import Path

import pytest

from batchyard.model.environments import Timing
from batchyard.model.events import QueueChanged
from batchyard.model.facts import RequestApplied
from batchyard.model.needs import Needs
from batchyard.store import queries as loader
from batchyard.store.commits import SqliteCommits
from batchyard.store.queries import queries
from batchyard.store.reader import SqliteReader
from batchyard.store.sqlite import (
    METRICS,
    OBSERVE,
    REQUESTS,
    STATE,
    VERSION,
    StoreError,
    attached,
    last_ms,
    migrate,
    open_reader,
    open_writer,
    path_of,
)

from .asking import job

STORE = Path(loader.__file__).parent
NOUNS = sorted(path.stem for path in (STORE / "sql" / "queries").glob("*.sql"))


def schema(data, which):
    db = open_reader(data, which)
    try:
        return db.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall()
    finally:
        db.close()


def test_migrating_twice_changes_nothing(tmp_path):
    migrate(tmp_path)
    before = [schema(tmp_path, which) for which in VERSION]
    migrate(tmp_path)
    assert [schema(tmp_path, which) for which in VERSION] == before
    assert all(before)


def test_a_directory_with_odd_characters_in_its_name(tmp_path):
    odd = tmp_path / "50% #1 ?"
    odd.mkdir()
    migrate(odd)
    assert sorted(path.name for path in odd.iterdir()) == ["metrics.db", "observe.db", "requests.db", "state.db"]
    open_writer(odd, STATE).close()


def test_only_the_owner_may_read(data):
    for which in VERSION:
        assert stat.S_IMODE(path_of(data, which).stat().st_mode) == 0o600


@pytest.mark.parametrize("which", VERSION)
def test_a_file_of_a_newer_batchyard_is_refused_unchanged(data, which):
    db = sqlite3.connect(path_of(data, which))
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(
        StoreError, match=rf"{which}\.db has schema version 99, this Batchyard knows up to {VERSION[which]}"
    ):
        migrate(data)
    with pytest.raises(StoreError, match="not at schema version"):
        open_reader(data, which)


_PLACES = """
    DROP TABLE {name}; CREATE TABLE {name} (id INTEGER PRIMARY KEY, seq INTEGER NOT NULL UNIQUE, region TEXT NOT NULL,
    name TEXT NOT NULL, {columns}, created_ms INTEGER NOT NULL, UNIQUE (region, name)) STRICT;"""
_ENVIRONMENT = (
    "uuid TEXT NOT NULL, kind TEXT NOT NULL, provider TEXT NOT NULL, enabled INTEGER NOT NULL, body TEXT NOT NULL"
)
_QUEUE = "priority INTEGER NOT NULL, enabled INTEGER NOT NULL, environments TEXT NOT NULL, body TEXT NOT NULL"

# (file, version) -> what makes such a file of one that is a version newer.
OLDER = {
    (OBSERVE, 1): "ALTER TABLE followers DROP COLUMN failure; ALTER TABLE followers DROP COLUMN failing_ms;",
    (STATE, 16): """
        DROP TABLE container_logs; ALTER TABLE attempts DROP COLUMN containers; DROP INDEX attempts_open;
        CREATE INDEX attempts_open ON attempts (job, idx, number) WHERE stopped_ms IS NULL;""",
    (STATE, 15): """
        DROP INDEX jobs_in_share; ALTER TABLE jobs DROP COLUMN priority; ALTER TABLE jobs DROP COLUMN share;""",
    (STATE, 14): "ALTER TABLE jobs DROP COLUMN nodes; ALTER TABLE instances DROP COLUMN reserved;",
    (STATE, 13): "ALTER TABLE consumables DROP COLUMN born;",
    (STATE, 12): "ALTER TABLE instances DROP COLUMN devices; ALTER TABLE attempts DROP COLUMN devices;",
    (STATE, 11): "ALTER TABLE shares DROP COLUMN used_ms; ALTER TABLE shares DROP COLUMN latest_cpu_milli;",
    (STATE, 10): "".join(
        f"ALTER TABLE {table} DROP COLUMN {column};"
        for table, columns in (
            ("instances", ("warned_ms", "reclaim_ms", "cause", "reclaimed_ms")),
            ("attempts", ("warned_ms", "reclaim_ms")),
        )
        for column in columns
    ),
    (STATE, 9): """
        DROP TABLE timing; CREATE TABLE timing (one INTEGER PRIMARY KEY CHECK (one = 1), boot_ms INTEGER NOT NULL,
        linger_ms INTEGER NOT NULL, blocked_ms INTEGER NOT NULL, full_ms INTEGER NOT NULL) STRICT;""",
    (STATE, 8): "DROP TABLE consumables;",
    (STATE, 7): "DROP INDEX jobs_tried; DROP INDEX arrays_live;",
    (STATE, 6): """
        DROP TABLE blocks; ALTER TABLE timing DROP COLUMN blocked_ms; ALTER TABLE timing DROP COLUMN full_ms;""",
    (STATE, 5): """
        DROP INDEX attempts_by_log; DROP INDEX attempts_ended; DROP TABLE log_groups; DROP TABLE log_places;
        ALTER TABLE attempts DROP COLUMN log; CREATE UNIQUE INDEX attempts_by_task ON attempts (task);""",
    (STATE, 4): "DROP TABLE timing; DROP TABLE instances; DROP TABLE shares;",
    (STATE, 3): "DROP TABLE deleted; DROP INDEX journal_stops;",
    (STATE, 2): "ALTER TABLE journal DROP COLUMN before; DROP TABLE views;",
    (STATE, 1): """
        DROP INDEX jobs_ended; DROP INDEX journal_by_job; DROP TABLE retiring;
        ALTER TABLE meta DROP COLUMN checked_seq; ALTER TABLE jobs DROP COLUMN succeeded;""",
    (REQUESTS, 8): "ALTER TABLE jobs DROP COLUMN nodes;",
    (REQUESTS, 7): """
        DROP TABLE policies; ALTER TABLE queues DROP COLUMN policy;
        ALTER TABLE jobs DROP COLUMN share; ALTER TABLE jobs DROP COLUMN priority;""",
    (REQUESTS, 6): "DROP TABLE consumables; DROP TABLE asks; ALTER TABLE jobs DROP COLUMN consumables;",
    (REQUESTS, 5): "DROP TABLE interruptions;",
    (REQUESTS, 4): _PLACES.format(name="environments", columns=_ENVIRONMENT)
    + _PLACES.format(name="queues", columns=_QUEUE)
    + """
        DROP TABLE changes; DROP INDEX definitions_inactive;
        ALTER TABLE definitions DROP COLUMN inactive_seq; ALTER TABLE definitions DROP COLUMN inactive_ms;""",
    (REQUESTS, 3): "DROP INDEX jobs_by_queue;",
    (REQUESTS, 2): "DROP TABLE tags;",
    (REQUESTS, 1): "DROP INDEX jobs_by_text; DROP INDEX wishes_by_job; ALTER TABLE meta DROP COLUMN last_ms;",
}


def age(data, which, version, more=""):
    """Make the file one of an older Batchyard, then run `more`."""
    db = sqlite3.connect(path_of(data, which))
    for older in range(VERSION[which] - 1, version - 1, -1):
        db.executescript(OLDER[which, older])
    db.executescript(f"{more}; PRAGMA user_version = {version};")
    db.close()


@pytest.mark.parametrize(("which", "version"), list(OLDER))
def test_files_of_every_older_version_are_brought_up_to_date(tmp_path, which, version):
    migrate(tmp_path)
    wanted = columns(tmp_path, which)
    age(tmp_path, which, version)
    migrate(tmp_path)
    assert columns(tmp_path, which) == wanted


def test_files_of_version_1_keep_their_times_and_outcomes(tmp_path):
    migrate(tmp_path)
    age(tmp_path, REQUESTS, 1, "UPDATE meta SET last_seq = 9; INSERT INTO wishes VALUES (9, 8, -1, 2, 'x', 77)")
    finished = """
        INSERT INTO jobs (seq, uuid, queue, size, status, changed_ms)
        VALUES (8, x'00', 2, 2, 6, 5), (9, x'01', 2, 0, 5, 5);
        INSERT INTO children (job, idx, status) VALUES (8, 0, 5), (8, 1, 6);"""
    age(tmp_path, STATE, 1, finished)
    migrate(tmp_path)
    db = open_reader(tmp_path, STATE)
    assert db.execute("SELECT seq, succeeded FROM jobs").fetchall() == [(8, 1), (9, None)]
    db.close()
    assert last_ms(tmp_path) == 77


def test_settings_of_version_9_that_decisions_read_are_kept(tmp_path):
    migrate(tmp_path)
    age(tmp_path, STATE, 9, "INSERT INTO timing VALUES (1, 7000, 90000, 10, 20)")
    migrate(tmp_path)
    assert SqliteCommits(tmp_path).load().timing == Timing(7000, 90_000, 10, 20)


def test_environments_and_queues_of_version_4_are_told_as_they_are(tmp_path):
    migrate(tmp_path)
    age(tmp_path, REQUESTS, 4, """
        INSERT INTO environments VALUES (1, 1, 'r', 'here', 'u', 'UNMANAGED', 'local', 1, '{}', 5),
          (2, 2, 'r', 'big', 'v', 'UNMANAGED', 'pretend/v', 0, '{"room":[8000,100,0]}', 6);
        INSERT INTO queues VALUES (3, 3, 'r', 'q', 7, 1, '[2,1]', '{}', 8);""")  # fmt: skip
    migrate(tmp_path)
    commits, reader = SqliteCommits(tmp_path), SqliteReader(tmp_path)
    here, big, queue = commits.requests(0, 10, {}.__contains__)
    assert (here.environment, here.provider, here.enabled, here.room) == (1, "local", True, None)
    assert (big.environment, big.provider, big.enabled, big.room) == (2, "pretend/v", False, Needs(8000, 100, 0))
    assert queue == QueueChanged(3, 3, 7, True, (2, 1))
    assert reader.queue("r", "q").environments == (2, 1) and reader.environment("r", "big").id == 2
    commits.close()
    reader.close()


def columns(data, which):
    """Every table and index with its columns, whatever the text that made it."""
    db = open_reader(data, which)
    try:
        return {
            name: db.execute(f"PRAGMA {kind}_xinfo({name})").fetchall()
            for kind, name in db.execute("SELECT type, name FROM sqlite_schema ORDER BY name")
        }
    finally:
        db.close()


def test_no_clock_begins_before_what_either_file_holds(data, ask):
    async def story(intake, yard):
        await intake.submit(job(yard, created_ms=5_000))
        await intake.submit(job(yard, created_ms=4_000))

    ask(story)
    assert last_ms(data) == 5_000
    commits = SqliteCommits(data)
    commits.commit(6_000, [RequestApplied(3)])
    commits.close()
    assert last_ms(data) == 6_000


def test_an_interrupted_creation_is_done_again(tmp_path):
    """The schema and its version are one transaction: a file is empty or whole."""
    path_of(tmp_path, STATE).write_bytes(b"")
    migrate(tmp_path)
    assert schema(tmp_path, STATE)


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(StoreError, match="migrate the data directory first"):
        open_writer(tmp_path, STATE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("which", [REQUESTS, STATE])
def test_the_writer_syncs_every_commit(data, which):
    db = open_writer(data, which)
    assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert db.execute("PRAGMA synchronous").fetchone()[0] == 2
    db.close()


@pytest.mark.parametrize("which", [REQUESTS, STATE])
def test_a_reader_cannot_write(data, which):
    db = open_reader(data, which)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.execute("DELETE FROM meta")
    db.close()


@pytest.mark.parametrize("noun", NOUNS)
def test_every_query_fits_the_schema_of_its_file(data, noun):
    which = re.match(r"-- (requests|state|observe|metrics)\.db: ", loader.text(f"queries/{noun}.sql"))[1]
    db = attached(data, which, {"asked": REQUESTS}) if noun == "audit" else open_reader(data, which)
    for name, sql in vars(queries(noun)).items():
        named = dict.fromkeys(re.findall(r":([a-z_]+)", sql), 0)
        try:
            db.execute("EXPLAIN " + sql, named or (0,) * _parameters(sql))
        except sqlite3.Error as error:
            raise AssertionError(f"{noun}.{name}: {error}") from error
    db.close()


def _parameters(sql):
    numbered = [int(number) for number in re.findall(r"\?(\d+)", sql)]
    return max(numbered, default=sql.count("?"))


def test_every_query_is_used():
    code = "\n".join(path.read_text() for path in STORE.glob("*.py"))
    for noun in NOUNS:
        constants = re.findall(rf'(_[A-Z]+) = queries\("{noun}"\)', code)
        assert constants, f"queries/{noun}.sql is loaded by nobody"
        for name in vars(queries(noun)):
            assert any(f"{constant}.{name}" in code for constant in constants), f"{noun}.{name} is used by nobody"


def test_a_query_without_a_sentence_is_refused(monkeypatch):
    monkeypatch.setattr(loader, "text", lambda path: "-- name: lonely\nSELECT 1;\n")
    with pytest.raises(ValueError, match="needs a name of its own, a sentence"):
        queries.__wrapped__("anything")


def test_the_schemas_travel_with_the_package():
    assert files("batchyard.store").joinpath("sql", "requests.sql").is_file()
    assert files("batchyard.store").joinpath("sql", "queries", "facts.sql").is_file()


@pytest.mark.parametrize(
    ("which", "noun", "name"),
    [
        (STATE, "states", "live"),
        (STATE, "states", "in_status"),
        (STATE, "states", "children_in_status"),
        (STATE, "states", "open_attempts"),
        *((STATE, "logs", name) for name in ("group", "groups", "place", "places", "places_down", "forget_place")),
        *((STATE, "logs", name) for name in ("streams", "streams_down", "ended_up", "ended_down")),
        *((STATE, "logs", name) for name in ("open_up", "open_down")),
        (STATE, "states", "held_until"),
        (STATE, "retiring", "ended"),
        (STATE, "retiring", "delete_journal"),
        (STATE, "retiring", "delete_attempts"),
        (STATE, "retiring", "told_until"),
        (STATE, "figures", "told"),
        (STATE, "figures", "told_of"),
        (METRICS, "tallies", "waiting_at"),
        (METRICS, "tallies", "oldest"),
        (METRICS, "tallies", "waiting_queues"),
        (METRICS, "tallies", "forget_series"),
        (REQUESTS, "asked", "submitted"),
        (REQUESTS, "removals", "delete_text"),
        (REQUESTS, "removals", "delete_wishes"),
        (REQUESTS, "removals", "waiting_after"),
        (REQUESTS, "submissions", "by_idempotency"),
        (REQUESTS, "submissions", "by_uuid"),
        (REQUESTS, "submissions", "after"),
        *((REQUESTS, "submissions", name) for name in ("oldest_seen", "bounds", "created_from")),
        *((REQUESTS, "submissions", name) for name in ("between", "between_named", "between_defined", "waiting")),
        (REQUESTS, "tags", "current"),
        (REQUESTS, "definitions", "newest_active"),
        (REQUESTS, "definitions", "page"),
        (REQUESTS, "definitions", "page_of_name"),
        (REQUESTS, "changes", "after"),
        (REQUESTS, "interruptions", "after"),
        (REQUESTS, "changes", "by_idempotency"),
        (REQUESTS, "environments", "leaving_by_name"),
        (REQUESTS, "queues", "by_name"),
        (REQUESTS, "queues", "leaving_to_change"),
    ],
)
def test_what_is_asked_often_neither_scans_nor_sorts(data, which, noun, name):
    sql = getattr(queries(noun), name)
    named = dict.fromkeys(re.findall(r":([a-z_]+)", sql), 0)
    db = open_reader(data, which)
    plan = " / ".join(row[3] for row in db.execute("EXPLAIN QUERY PLAN " + sql, named or (0,) * _parameters(sql)))
    db.close()
    assert "TEMP B-TREE" not in plan, plan
    for step in plan.split(" / "):
        allowed = ("meta" in step, "INDEX jobs_live" in step, "INDEX attempts_open" in step, "CONSTANT" in step)
        allowed += ("INDEX container_logs_open" in step,)
        assert not step.startswith("SCAN") or any(allowed), plan
