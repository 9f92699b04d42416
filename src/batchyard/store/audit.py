"""The auditor: reads all files and says whether they are sound and agree with each other. Writes nothing.

Each check looks at a bounded part of the rows at a time, in snapshots of its own (state first, then requests), and
rests in between, so a busy server goes on beside it. What looks wrong is looked at a second time, with new snapshots:
between two snapshots a finished job may go.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from batchyard.ports.upkeep import Finding
from batchyard.store.queries import queries
from batchyard.store.sqlite import METRICS, OBSERVE, REQUESTS, STATE, VERSION, attached, path_of

OK, BROKEN = "ok", "broken"

WEIGHT = 20_000  # rows of one look, about; an array counts its children
JOBS = 5_000  # jobs of one look at most
NAMED = 5  # of what is wrong, named
REST_MOST_S = 0.2

_SQL = queries("audit")

RESTORE = "Stop the server and bring back a backup: batchyard admin restore."


class Look(NamedTuple):
    """A question about a range of numbers; each row of its answer is something wrong, in words."""

    name: str
    sound: str  # what is said when nothing is wrong
    question: str
    whole: bool = False  # asked once, without a range


LOOKS = (
    Look("numbers", "No number was given out twice or applied before it was given out.", _SQL.numbers, whole=True),
    Look("requests", "Each job has its request, and each request that was applied its job.", _SQL.requests),
    Look("texts", "Each request has its body, its queue and its definition.", _SQL.texts),
    Look("arrays", "Each array has its children, and its state agrees with theirs.", _SQL.arrays),
    Look("attempts", "Attempts are numbered without gaps, and open exactly where a job is STARTING or RUNNING.",
         _SQL.attempts),
    Look("journal", "The journal tells the life of each job without a gap, up to the state it is in.", _SQL.journal),
    Look("resources", "What is in use of each consumable resource is what open attempts ask for.", _SQL.resources,
         whole=True),
    Look("wishes", "Each cancel and terminate names a job.", _SQL.wishes),
    Look("shares", "A job is of a share exactly if its queue has a scheduling policy; shares of live jobs are active.",
         _SQL.shares),
    Look("policies", "Each scheduling policy that a queue goes by is there.", _SQL.policies, whole=True),
    Look("places", "Nothing lives of environments and queues that are gone.", _SQL.places, whole=True),
    Look("blocks", "A queue that is blocked is so by a job of its own, which says why.", _SQL.blocks, whole=True),
    Look("changes", "The engine is told of environments and queues what their rows say.", _SQL.changes, whole=True),
)  # fmt: skip


def audit(data_path: Path, rest: bool = True) -> Iterator[Finding]:
    """Check after check, each as soon as it is done. With `rest` the disk and the processor are shared."""
    usable, pace = True, _rest if rest else _go_on
    for which in VERSION:
        finding = _sound(data_path, which, pace)
        usable = usable and finding.word == OK
        yield finding
    if not usable:
        yield Finding("rows", BROKEN, "Rows were not compared: a file that cannot be read comes first.", RESTORE)
        return
    for look in LOOKS:
        wrong = _asked(data_path, look, pace)
        yield _finding(look.name, look.sound, wrong)
    yield _finding("cursors", "Nobody is ahead of the journal who follows it.", _cursors(data_path))


def _finding(name: str, sound: str, wrong: list[str]) -> Finding:
    if not wrong:
        return Finding(name, OK, sound)
    more = f"; and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
    return Finding(name, BROKEN, f"{'; '.join(wrong[:NAMED])}{more}.", RESTORE)


def _sound(data_path: Path, which: str, pace: Callable[[float], None]) -> Finding:
    """Whether SQLite can read all of the file, a table at a time, and it has this version's schema."""
    path = path_of(data_path, which)
    try:
        if not path.is_file():
            return Finding(path.name, BROKEN, "It is not there.", RESTORE)
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            found = _integrity(db, pace)
    except (sqlite3.Error, OSError) as error:
        return Finding(path.name, BROKEN, f"It cannot be read: {error}.", RESTORE)
    if found:
        return Finding(path.name, BROKEN, f"It is damaged: {'; '.join(found)}.", RESTORE)
    if version != VERSION[which]:
        step = "Start this Batchyard once, which brings it up to date." if version < VERSION[which] else None
        return Finding(
            path.name, BROKEN, f"It has schema version {version}, not {VERSION[which]}.", step or "Use a newer one."
        )
    return Finding(path.name, OK, f"SQLite finds nothing wrong; schema version {version}.")


def _integrity(db: sqlite3.Connection, pace: Callable[[float], None]) -> list[str]:
    """What SQLite finds wrong in each table and its indexes; no snapshot is held for longer than one table."""
    found: list[str] = []
    tables = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").fetchall()
    for (table,) in tables:
        began_s = time.monotonic()
        rows = [row[0] for row in db.execute("SELECT * FROM pragma_integrity_check(?)", (table,))]
        found += [words.replace("\n", " ") for words in rows if words != "ok"]
        pace(time.monotonic() - began_s)
    return found[:NAMED]


def _asked(data_path: Path, look: Look, pace: Callable[[float], None]) -> list[str]:
    """What the look finds twice, over all ranges."""
    wrong: list[str] = []
    after = 0
    while True:
        began_s = time.monotonic()
        with _both(data_path) as db:
            until = None if look.whole else _until(db, after)
            suspects = _answers(db, look, after, until)
        if suspects:
            with _both(data_path) as db:
                again = set(_answers(db, look, after, until))
            wrong += [each for each in suspects if each in again]
        if until is None:
            return wrong
        after = until
        pace(time.monotonic() - began_s)


def _answers(db: sqlite3.Connection, look: Look, after: int, until: int | None) -> list[str]:
    last = (1 << 62) if until is None else until
    return [words for (words,) in db.execute(look.question, {} if look.whole else {"after": after, "until": last})]


@contextmanager
def _both(data_path: Path) -> Iterator[sqlite3.Connection]:
    """state.db, with requests.db attached as `asked`: one snapshot of each, state's first."""
    with closing(attached(data_path, STATE, {"asked": REQUESTS})) as db:
        db.execute("BEGIN")
        db.execute("SELECT applied_seq FROM main.meta").fetchone()
        db.execute("SELECT last_seq FROM asked.meta").fetchone()
        yield db


def _until(db: sqlite3.Connection, after: int) -> int | None:
    """The last number of a look that begins after `after`; None if it is the last look."""
    weight = 0
    rows = db.execute(_SQL.next_jobs, {"after": after, "limit": JOBS}).fetchall()
    for seq, size in rows:
        weight += max(1, size)
        if weight >= WEIGHT:
            return seq
    return rows[-1][0] if len(rows) == JOBS else None


def _cursors(data_path: Path) -> list[str]:
    with closing(attached(data_path, STATE, {"followed": OBSERVE, "metrics": METRICS})) as db:
        db.execute("BEGIN")
        # Cursors first: the journal only grows
        cursors = db.execute("SELECT name, n FROM followed.followers").fetchall()
        cursors += db.execute("SELECT 'the counting of metrics', n FROM metrics.counted").fetchall()
        newest = db.execute("SELECT coalesce(max(n), 0) FROM main.journal").fetchone()[0]
    return [f"{name} stands at entry {n} of the journal, which ends at {newest}" for name, n in cursors if n > newest]


def _rest(busy_s: float) -> None:
    time.sleep(min(REST_MOST_S, busy_s))


def _go_on(_: float) -> None:
    pass
