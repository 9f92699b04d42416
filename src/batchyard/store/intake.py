"""Intake over requests.db: every call is one unit of a group commit and returns when it is on disk."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from batchyard.errors import ClientError, Unavailable
from batchyard.model import ids
from batchyard.model.consumables import ConsumableChange, NewConsumable
from batchyard.model.jobs import (
    N_TO_N,
    SEQUENTIAL,
    AskedUpstream,
    Deletion,
    EnvironmentChange,
    Interruption,
    NewDefinition,
    NewEnvironment,
    NewJob,
    NewQueue,
    QueueChange,
    Wish,
)
from batchyard.model.shares import NewPolicy, PolicyChange
from batchyard.store import columns
from batchyard.store.activeshares import ActiveShares
from batchyard.store.columns import StoredUpstream
from batchyard.store.configuration import Configuration
from batchyard.store.consumables import Consumables, record_asks
from batchyard.store.leftovers import Leftovers
from batchyard.store.policies import Policies
from batchyard.store.queries import queries
from batchyard.store.retention import Removal, Retention
from batchyard.store.room import Disk
from batchyard.store.sqlite import REQUESTS, STATE, open_reader, open_writer
from batchyard.store.writer import RETRY, GroupCommit, Unit

_NUMBERING = queries("numbering")
_DEFINITIONS = queries("definitions")
_SUBMISSIONS = queries("submissions")
_WISHES = queries("wishes")
_STATES = queries("states")
_INTERRUPTIONS = queries("interruptions")
_CONSUMED = queries("consumed")
_TAGS = queries("tags")

TEXTS_KNOWN = 10_000  # hashes of bodies known to be stored: about 1 MB of memory


class SqliteIntake:
    """The writing process of requests.db. One per data directory; used from one asyncio loop.

    `on_commit` is called after each commit, when its callers have been answered: the bell. While no more than
    `reserve_bytes` are free on the disk every call raises Unavailable. `keep`: what is kept of finished jobs.
    """

    def __init__(
        self,
        data_path: Path | str,
        on_commit: Callable[[], None] = lambda: None,
        reserve_bytes: int = 0,
        keep: Retention | None = None,
    ):
        self._data_path = data_path
        self._disk = Disk(data_path, reserve_bytes)
        self._last_seq = self._stored_seq = self._last_ms = 0
        self._texts: OrderedDict[bytes, None] = OrderedDict()
        self._writer = GroupCommit(self._open, self._finish, on_commit)
        self._removal = Removal(lambda: open_reader(data_path, STATE), lambda text: self._texts.pop(text, None))
        self._state: sqlite3.Connection | None = None
        self._configuration = Configuration(self._next_seq, self._gone)
        self._consumables = Consumables(self._next_seq, self._consumed)
        self._policies = Policies(self._next_seq, self._gone)
        self._shares = ActiveShares(self._engine)
        self._leftovers = Leftovers((keep or Retention()).keep_ms, self._gone, self._applied)

    @property
    def commits(self) -> int:
        """Transactions committed since the start."""
        return self._writer.commits

    async def close(self) -> None:
        """Finish what was accepted, refuse what comes, close the file."""
        await self._writer.close()
        self._removal.close()
        if self._state is not None:
            self._state.close()

    async def register_definition(self, definition: NewDefinition) -> int:
        return await self._store(partial(self._register, definition))

    async def create_environment(self, environment: NewEnvironment) -> int:
        return await self._store(partial(self._configuration.create_environment, environment))

    async def create_queue(self, queue: NewQueue) -> int:
        return await self._store(partial(self._configuration.create_queue, queue))

    async def update_environment(self, change: EnvironmentChange) -> bool:
        return await self._store(partial(self._configuration.update_environment, change))

    async def update_queue(self, change: QueueChange) -> bool:
        return await self._store(partial(self._configuration.update_queue, change))

    async def delete_environment(self, deletion: Deletion) -> bool:
        return await self._store(partial(self._configuration.delete_environment, deletion))

    async def delete_queue(self, deletion: Deletion) -> bool:
        return await self._store(partial(self._configuration.delete_queue, deletion))

    async def create_policy(self, new: NewPolicy) -> int:
        return await self._store(partial(self._policies.create, new))

    async def update_policy(self, change: PolicyChange) -> bool:
        return await self._store(partial(self._policies.update, change))

    async def delete_policy(self, deletion: Deletion) -> bool:
        return await self._store(partial(self._policies.delete, deletion))

    async def create_consumable(self, new: NewConsumable) -> None:
        await self._store(partial(self._consumables.create, new))

    async def update_consumable(self, change: ConsumableChange) -> int | None:
        return await self._store(partial(self._consumables.update, change))

    async def delete_consumable(self, deletion: Deletion) -> bool:
        return await self._store(partial(self._consumables.delete, deletion))

    async def deregister_definition(self, region: str, name: str, revision: int, at_ms: int) -> bool:
        return await self._store(partial(self._deregister, (region, name, revision), at_ms))

    async def submit(self, job: NewJob) -> str:
        return await self._store(partial(self._submit, job))

    async def wish(self, wish: Wish) -> bool:
        return await self._store(partial(self._wish, wish))

    async def interrupt(self, interruption: Interruption) -> None:
        await self._store(partial(self._interrupt, interruption))

    async def change_tags(self, number: int, change: Callable[[dict[str, str]], dict[str, str]]) -> bool:
        return await self._store(partial(_change_tags, number, change))

    async def _store(self, unit: Unit) -> Any:
        if not self._disk.has_room():
            raise Unavailable("The server's disk is full, it takes nothing new.", RETRY)
        return await self._writer.run(unit)

    async def remove_retired(self) -> int:
        """Remove some of the finished jobs that the engine proposed to let go; how many it had to see to."""
        proposed, checked_seq = self._removal.proposed()
        if not proposed:
            return 0
        gone = await self._writer.run(lambda db: self._removal.unit(proposed, checked_seq, self._last_seq, db))
        self._removal.carried_out(gone)
        return len(gone)

    async def remove_leftovers(self, now_ms: int) -> int:
        """Remove some of what is left of deleted, superseded and deregistered things; how many it removed."""
        if not self._leftovers.due(now_ms):
            return 0
        return await self._writer.run(partial(self._leftovers.unit, now_ms))

    # -- the file and what memory knows of it ------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        """Open the file; what memory believed of an earlier connection's transactions is forgotten."""
        db = open_writer(self._data_path, REQUESTS)
        self._last_seq, self._last_ms = db.execute(_NUMBERING.last).fetchone()
        self._stored_seq = self._last_seq
        self._texts.clear()
        self._shares.forget()
        return db

    def _finish(self, db: sqlite3.Connection) -> None:
        if self._stored_seq != self._last_seq:
            db.execute(_NUMBERING.set_last, (self._last_seq, self._last_ms))
            self._stored_seq = self._last_seq

    def _gone(self, number: int) -> bool:
        """Whether nothing of the environment or queue lives any more: the engine says so, in its file."""
        return self._engine_says(_STATES.gone, (number,)) is not None

    def _consumed(self, number: int, born: int) -> int:
        """How much of a consumable resource the engine says was consumed for good since it was created."""
        row = self._engine_says(_CONSUMED.used, (columns.encode([number]),))
        return row[2] if row is not None and row[3] == born else 0

    def _applied(self) -> int:
        """Up to which number the engine knows all requests."""
        row = self._engine_says(_STATES.meta)
        return 0 if row is None else row[0]

    def _engine_says(self, question: str, values: tuple = ()) -> tuple | None:
        return self._engine().execute(question, values).fetchone()

    def _engine(self) -> sqlite3.Connection:
        if self._state is None:
            self._state = open_reader(self._data_path, STATE)
        return self._state

    def _next_seq(self, at_ms: int) -> int:
        # A unit that is undone leaves a gap: numbers need not be dense, only growing and used once.
        self._last_seq += 1
        self._last_ms = max(self._last_ms, at_ms)
        return self._last_seq

    # -- units: each runs in its own savepoint -----------------------------------------------------------------

    def _register(self, new: NewDefinition, db: sqlite3.Connection) -> int:
        revision = db.execute(_NUMBERING.next_revision, (new.region, new.name)).fetchall()[0][0]
        seq = self._next_seq(new.created_ms)
        db.execute(_DEFINITIONS.insert, (seq, new.region, new.name, revision, new.body.decode(), new.created_ms))
        return revision

    def _deregister(self, named: tuple[str, str, int], at_ms: int, db: sqlite3.Connection) -> bool:
        if db.execute(_DEFINITIONS.by_revision, named).fetchone() is None:
            return False
        db.execute(_DEFINITIONS.deregister, (self._next_seq(at_ms), at_ms, *named))
        return True

    def _submit(self, job: NewJob, db: sqlite3.Connection) -> str:
        if job.idempotency is not None:
            first = db.execute(_SUBMISSIONS.by_idempotency, (job.idempotency,)).fetchone()
            if first is not None:
                return columns.unpack_uuid(first[0])
        _check_guards(db, job)
        if job.share is not None:
            self._shares.check(db, job.queue, job.share)
        upstreams = [_stored_upstream(db, job, asked) for asked in job.upstreams]
        asks = self._consumables.numbered(db, job)
        text = hashlib.blake2b(job.body, digest_size=16).digest()
        if text not in self._texts:
            db.execute(_SUBMISSIONS.insert_text, (text, job.body.decode()))
        seq = self._next_seq(job.created_ms)
        db.execute(
            _SUBMISSIONS.insert,
            (
                seq,
                columns.pack_uuid(job.uuid),
                job.region,
                job.name,
                job.queue,
                job.definition,
                job.created_ms,
                job.size,
                *job.needs,
                job.timeout_s,
                columns.pack_retry(job.retry),
                columns.encode(upstreams) if upstreams else None,
                columns.encode(asks) if asks else None,
                job.share,
                job.priority,
                text,
                job.idempotency,
                columns.pack_nodes(job.nodes),
            ),
        )
        record_asks(db, seq, asks)
        if job.share is not None:
            self._shares.note(job.queue, job.share, seq)
        self._remember(text)  # only now: had the unit been undone, its text would be gone with it
        return job.uuid

    def _wish(self, wish: Wish, db: sqlite3.Connection) -> bool:
        found = _known(db, wish.uuid, wish.index)
        if found is None:
            return False
        db.execute(
            _WISHES.insert, (self._next_seq(wish.at_ms), found[0], wish.index, wish.kind, wish.reason, wish.at_ms)
        )
        return True

    def _interrupt(self, given: Interruption, db: sqlite3.Connection) -> None:
        row = (given.environment, given.instance, given.job, given.index, given.at_ms)
        db.execute(_INTERRUPTIONS.insert, (self._next_seq(given.at_ms), *row))

    def _remember(self, text: bytes) -> None:
        self._texts[text] = None
        self._texts.move_to_end(text)
        if len(self._texts) > TEXTS_KNOWN:
            self._texts.popitem(last=False)


def _change_tags(number: int, change: Callable[[dict], dict], db: sqlite3.Connection) -> bool:
    row = db.execute(_TAGS.current, (number,)).fetchone()
    if row is None:
        return False
    body, tags = row
    current = columns.decode(body).get("tags", {}) if tags is None else columns.decode(tags)
    changed = change(current)
    if changed != current:
        db.execute(_TAGS.put, (number, columns.encode(changed)))
    return True


def _check_guards(db: sqlite3.Connection, job: NewJob) -> None:
    """Raise ClientError unless the queue takes jobs and the definition is active (reference "SubmitJob")."""
    row = db.execute(_SUBMISSIONS.guards, {"queue": job.queue, "definition": job.definition}).fetchone()
    queue, enabled, definition, revision, active = row
    if queue is None:
        raise ClientError(f"JobQueue number {job.queue} not found.", "Create it, or submit to another queue.")
    if not enabled:
        raise ClientError(f"JobQueue {queue} is not ENABLED.", "Enable it, or submit to another queue.")
    if definition is None:
        raise ClientError(f"JobDefinition number {job.definition} does not exist.", "Register it first.")
    if not active:
        raise ClientError(f"JobDefinition {definition}:{revision} is not in ACTIVE status")


def _known(db: sqlite3.Connection, uuid: str, index: int) -> tuple[int, int, str] | None:
    """(seq, size, region) of a job, or None if there is no such job or child."""
    try:
        row = db.execute(_SUBMISSIONS.known, (columns.pack_uuid(uuid),)).fetchone()
    except ValueError:
        return None
    return row if row is not None and ids.WHOLE <= index < row[1] else None


def _stored_upstream(db: sqlite3.Connection, job: NewJob, asked: AskedUpstream) -> StoredUpstream:
    """The upstream's number; ClientError if there is no such job, or it cannot be waited for in that way."""
    if asked.uuid is None:
        if asked.kind != SEQUENTIAL:
            raise ClientError("A job dependency without a jobId must be SEQUENTIAL.", "Name the job to wait for.")
        return StoredUpstream(0, ids.WHOLE, asked.kind, None)
    named = ids.job_id(asked.uuid, asked.index)
    found = _known(db, asked.uuid, asked.index)
    if found is None or found[2] != job.region:  # dependencies across regions do not exist (reference "Dependencies")
        raise ClientError(f"Job dependency {named} not found.", "Depend on a job that was submitted before.")
    seq, size, _ = found
    if asked.kind == N_TO_N and (asked.index != ids.WHOLE or size != job.size or size == 0):
        raise ClientError(
            f"Job dependency {named} of type N_TO_N has size {size}, the job has size {job.size}.",
            "Both must be arrays of the same size.",
        )
    return StoredUpstream(seq, asked.index, asked.kind, named)
