"""Commits over state.db, for the engine process: requests in as events, facts out as rows, all of it at a start."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

from batchyard.errors import Unavailable
from batchyard.model import ids, tasks
from batchyard.model.blocked import Block
from batchyard.model.consumables import HeldConsumable
from batchyard.model.environments import Timing
from batchyard.model.events import (
    Event,
    HeldJob,
    InterruptionRequested,
    JobSubmitted,
    StopRequested,
    Upstream,
)
from batchyard.model.facts import Fact
from batchyard.model.jobs import N_TO_N, AttemptSpec, Nodes, OpenAttempt, work_of
from batchyard.model.logplaces import log_place
from batchyard.model.needs import Needs
from batchyard.model.shares import HeldShare
from batchyard.model.states import TERMINAL
from batchyard.ports import Snapshot
from batchyard.store import columns
from batchyard.store.apply import apply
from batchyard.store.logplaces import LogPlaces
from batchyard.store.queries import queries
from batchyard.store.retention import Awaited, Retention, Retirement
from batchyard.store.room import Disk
from batchyard.store.sqlite import REQUESTS, STATE, StoreError, open_reader, open_writer

_ENVIRONMENTS = queries("environments")
_CHANGES = queries("changes")
_SUBMISSIONS = queries("submissions")
_WISHES = queries("wishes")
_INTERRUPTIONS = queries("interruptions")
_STATES = queries("states")
_FACTS = queries("facts")
_INSTANCES = queries("instances")
_SHARES = queries("shares")
_BLOCKS = queries("blocks")
_CONSUMED = queries("consumed")
_VIEWS = queries("views")

log = logging.getLogger(__name__)

_ALL = 2**63 - 1
_CHUNK = 1000  # live jobs read from requests.db at a time


class SqliteCommits:
    """The writing process of state.db; it only reads requests.db. One per data directory, used from one thread.

    Of finished jobs it keeps what `keep` says; `forget_log` removes the log of an attempt that goes with its job.
    Of the disk it leaves `reserve_bytes` free if others do. `counted` tells up to which entry the journal is counted.
    """

    def __init__(
        self,
        data_path: Path | str,
        keep: Retention | None = None,
        forget_log: Callable[[str, int], None] = lambda attempt, opened_ms: None,
        reserve_bytes: int = 0,
        counted: Callable[[], int] = lambda: _ALL,
    ):
        self._disk = Disk(data_path, reserve_bytes)
        self._state = open_writer(data_path, STATE)
        self._requests = open_reader(data_path, REQUESTS)
        self._keep = keep or Retention()
        self._forget_log = forget_log
        self._counted = counted
        self._awaited = Awaited()
        self._retirement: Retirement | None = None
        self._showed = False  # whether any view is ours
        self._mute = False  # whether it was told that views cannot be written
        self._places = LogPlaces(self._state)
        self._job_spec = lru_cache(maxsize=1024)(self._read_job_spec)
        self._environment_name = lru_cache(maxsize=256)(self._read_environment_name)

    def close(self) -> None:
        self._state.close()
        self._requests.close()

    def has_room(self) -> bool:
        """Whether the disk has room for what a decision brings with it."""
        return self._disk.has_room()

    def commit(self, now_ms: int, facts: Sequence[Fact]) -> None:
        """Rows, journal and clock (`now_ms`) in one durable transaction; without facts nothing is written.

        Raises Unavailable when the file cannot be written and StoreError when facts and rows contradict each
        other. Nothing was changed then as far as is known, but a failed sync is never repeated: whoever took
        these decisions must close this and start again from ``load``.
        """
        if not facts:
            return
        with self._transaction(now_ms):
            apply(self._state, facts, self._logs_of)
        self._awaited.follow(facts)

    def retire(self, now_ms: int) -> bool:
        """Go on letting go of finished jobs, a bounded part; True if it is worth while to call again soon.

        Nothing goes before ``load``. Raises as ``commit`` does.
        """
        if self._retirement is None:
            return False
        with self._transaction(now_ms):
            return self._retirement.step(now_ms)

    def show(self, now_ms: int, views: Mapping[str, Any]) -> bool:
        """Replace views; whether they were. The transaction is not synced: a power cut may undo it."""
        state = self._state
        told = [(name, now_ms, columns.encode(view)) for name, view in views.items() if view is not None]
        gone = [(name,) for name, view in views.items() if view is None]
        try:
            state.execute("PRAGMA synchronous = NORMAL")
            try:
                state.execute("BEGIN IMMEDIATE")
                if not self._showed:
                    state.execute(_VIEWS.hide_all)
                state.executemany(_VIEWS.show, told)
                state.executemany(_VIEWS.hide, gone)
                state.commit()
            finally:
                state.rollback()
                state.execute("PRAGMA synchronous = FULL")
        except sqlite3.OperationalError as error:
            log.log(logging.DEBUG if self._mute else logging.WARNING, "state.db: views were not written: %s", error)
            self._showed, self._mute = False, True
        else:
            self._showed, self._mute = True, False
        return self._showed

    def _may_go(self) -> int:
        """Up to which entry of the journal jobs may go. A full disk lets nothing be counted, and room is worth more."""
        return self._counted() if self.has_room() else _ALL

    @contextmanager
    def _transaction(self, now_ms: int) -> Iterator[None]:
        """One durable transaction, or none if nothing is changed."""
        state = self._state
        try:
            state.execute("BEGIN IMMEDIATE")
            changes = state.total_changes
            yield
            if state.total_changes == changes:
                state.rollback()
                return
            state.execute(_FACTS.set_last_ms, (now_ms,))
            state.commit()
        except sqlite3.OperationalError as error:
            self._undo()
            raise Unavailable(
                f"state.db cannot be written ({error}).", "Make room on its disk; the engine goes on from the files."
            ) from error
        except BaseException:
            self._undo()
            raise

    def _undo(self) -> None:
        try:
            self._state.rollback()
        except sqlite3.Error:
            self._state.close()  # which undoes it as well; every later call raises

    def _logs_of(self, job: int, index: int, at_ms: int) -> Iterator[tuple[str, int]]:
        """Where attempts of the job, child or node log. Its request is read anyhow: the order to start comes next."""
        found = self._job_spec(job)
        if found is None:
            return
        spec = found.spec
        containers = work_of(found.body, spec.nodes, index).containers
        apart = tasks.has_own_logs([name for name, _ in containers])
        for name, container in containers:
            place = log_place(spec.region, spec.definition_name, container, name)
            yield name if apart else "", self._places.number(place, at_ms)

    # -- requests as events ------------------------------------------------------------------------------------

    def requests(self, after: int, limit: int, holds: Callable[[int], bool]) -> list[Event]:
        """Requests above `after`, in order. StoreError for an upstream that is nowhere to be found."""
        # State needs no snapshot of its own: this process is its only writer.
        asked = self._requests
        asked.execute("BEGIN")
        try:
            events: list[Event] = [
                *(columns.unpack_change(*row) for row in asked.execute(_CHANGES.after, (after, limit))),
                *(StopRequested(*row) for row in asked.execute(_WISHES.after, (after, limit))),
                *(InterruptionRequested(*row) for row in asked.execute(_INTERRUPTIONS.after, (after, limit))),
                *map(_job_submitted, asked.execute(_SUBMISSIONS.after, (after, limit))),
            ]
        finally:
            asked.rollback()
        events.sort(key=attrgetter("seq"))
        return self._resolved(events[:limit], holds)

    def _resolved(self, events: list[Event], holds: Callable[[int], bool]) -> list[Event]:
        """The events, upstreams that are in rows only having their states."""
        earlier: set[int] = set()
        for place, event in enumerate(events):
            if type(event) is JobSubmitted:
                if event.upstreams:
                    self._awaited.note(event)
                    upstreams = tuple(
                        up if up.seq == 0 or up.seq in earlier or holds(up.seq) else self._with_states(up)
                        for up in event.upstreams
                    )
                    events[place] = event._replace(upstreams=upstreams)
                earlier.add(event.seq)
        return events

    def _with_states(self, up: Upstream) -> Upstream:
        if up.index == ids.WHOLE:
            row = self._state.execute(_STATES.job_state, (up.seq,)).fetchone()
        else:
            row = self._state.execute(_STATES.child_state, (up.seq, up.index)).fetchone()
        if row is None:
            raise StoreError(
                f"A job depends on number {up.seq} (index {up.index}), which is not in state.db: requests.db and "
                "state.db are not of one data directory. Restore both from the same backup."
            )
        states = self._child_states(up.seq) if up.kind == N_TO_N else None
        return up._replace(state=row[0], states=states)

    def _child_states(self, seq: int) -> bytes:
        return bytes([status for (status,) in self._state.execute(_STATES.child_states, (seq,))])

    # -- all of it, at a start ---------------------------------------------------------------------------------

    def load(self) -> Snapshot:
        """What the rows say of everything that lives."""
        state = self._state
        applied_seq, last_ms = state.execute(_STATES.meta).fetchone()
        providers = {name: Needs(*room) for name, *room in state.execute(_STATES.providers)}
        self._awaited = Awaited()
        jobs = self._held_jobs()
        self._retirement = Retirement(
            state, self._requests, self._awaited, self._keep, self._forget_log, self._may_go, self._places
        )
        return Snapshot(
            applied_seq=applied_seq,
            last_ms=last_ms,
            providers=providers,
            timing=next((Timing(**columns.decode(body)) for (body,) in state.execute(_INSTANCES.timing)), Timing()),
            configuration=self._configuration(applied_seq),
            launched=state.execute(_INSTANCES.latest).fetchone()[0],
            instances=[columns.unpack_instance(row) for row in state.execute(_INSTANCES.there)],
            shares=[HeldShare(q, name, int(usage), *rest) for q, name, usage, *rest in state.execute(_SHARES.all)],
            blocks=[Block(*row, bool(told)) for *row, told in state.execute(_BLOCKS.all)],
            used=[HeldConsumable(*row) for row in state.execute(_CONSUMED.all)],
            jobs=jobs,
        )

    def _configuration(self, applied_seq: int) -> list[Event]:
        """Environments and queues as they were decided with, by creation, less those that are gone."""
        gone = {number for (number,) in self._state.execute(_STATES.deleted)}
        rows = self._requests.execute(_CHANGES.until, (applied_seq,))
        return [columns.unpack_change(*row) for row in rows if row[1] not in gone]

    def _held_jobs(self) -> list[HeldJob]:
        state = self._state
        live = state.execute(_STATES.live).fetchall()
        held = {row[0] for row in live}
        marked = _by_job(state.execute(_STATES.live_marked))
        opened = _by_job(state.execute(_STATES.open_attempts))
        over = {row[0] for row in live if row[1] in TERMINAL}  # but for nodes that still run: they wait on nobody
        jobs = self._submitted([row[0] for row in live])
        jobs = [job._replace(upstreams=()) if job.seq in over else job for job in jobs]
        submitted = self._resolved(jobs, held.__contains__)
        if len(submitted) != len(live):
            raise StoreError(
                f"state.db holds {len(live)} live jobs, requests.db knows {len(submitted)} of them: they are not of "
                "one data directory. Restore both from the same backup."
            )
        return [
            _held_job(job, row, self._child_states(job.seq) if job.size or job.nodes else b"", marked, opened)
            for job, row in zip(submitted, live, strict=True)
        ]

    def _submitted(self, seqs: list[int]) -> Iterator[JobSubmitted]:
        for start in range(0, len(seqs), _CHUNK):
            chunk = columns.encode(seqs[start : start + _CHUNK])
            yield from map(_job_submitted, self._requests.execute(_SUBMISSIONS.for_restore, (chunk,)))

    # -- orders for executors ----------------------------------------------------------------------------------

    def attempt_spec(self, job: int, index: int, number: int) -> AttemptSpec:
        """What an executor must know. Specs of one array share their container: it is not to be changed."""
        row = self._state.execute(_STATES.opened, (job, index, number)).fetchone()
        if row is None:
            raise StoreError(f"Attempt {number} of job {job} (index {index}) was never opened: commit it first.")
        opened_ms, environment, instance, devices = row
        uuid, of_job, body = self._job_spec(job)
        spec = of_job._replace(
            attempt=ids.attempt_id(uuid, index, number),
            job_id=ids.job_id(uuid, index),
            index=index,
            number=number,
            environment_name=self._environment_name(environment),
            opened_ms=opened_ms,
            fargate=not instance,
            devices=columns.unpack_devices(devices),
            **work_of(body, of_job.nodes, index)._asdict(),
        )
        return spec if of_job.nodes is None else _of_node(spec, of_job.nodes, uuid)

    def _read_environment_name(self, environment: int) -> str:
        return self._requests.execute(_ENVIRONMENTS.by_id, (environment,)).fetchone()[2]

    def _read_job_spec(self, job: int) -> _JobSpec | None:
        row = self._requests.execute(_SUBMISSIONS.for_attempt, (job,)).fetchone()
        if row is None:
            return None
        packed, name, size, region, queue, definition, cpu_milli, memory_mib, gpus, timeout_s, nodes, content = row
        body = columns.decode(content)
        spec = AttemptSpec(
            attempt="",
            job_id="",
            job_name=name,
            index=ids.WHOLE,
            size=size,
            number=0,
            region=region,
            queue_name=queue,
            environment_name="",
            definition_name=definition,
            needs=Needs(cpu_milli, memory_mib, gpus),
            timeout_s=timeout_s,
            opened_ms=0,
            container={},
            refused=body.get("refused"),
            nodes=columns.unpack_nodes(nodes),
        )
        return _JobSpec(columns.unpack_uuid(packed), spec, body)


class _JobSpec(NamedTuple):
    """What the attempts of a job have in common."""

    uuid: str
    spec: AttemptSpec  # without a container
    body: dict[str, Any]


def _of_node(spec: AttemptSpec, nodes: Nodes, uuid: str) -> AttemptSpec:
    """The main node has the job's attempt and its timeout; all have ids of their own as callers see it."""
    number = nodes.number(spec.index)
    return spec._replace(
        index=ids.NODES + number,
        job_id=ids.job_id(uuid, ids.NODES + number),
        needs=nodes.needs_of(number),
        timeout_s=spec.timeout_s if number == nodes.main else None,
    )


def _job_submitted(row: tuple) -> JobSubmitted:
    seq, packed, queue, size, cpu_milli, memory_mib, gpus, retry, upstreams, timeout_s, *rest = row
    consumables, share, priority, nodes = rest
    return JobSubmitted(
        seq=seq,
        uuid=columns.unpack_uuid(packed),
        queue=queue,
        size=size,
        needs=Needs(cpu_milli, memory_mib, gpus),
        retry=columns.unpack_retry(retry),
        upstreams=tuple(Upstream(up.seq, up.index, up.kind) for up in columns.unpack_upstreams(upstreams)),
        timeout_s=timeout_s,
        asks=columns.unpack_asks(consumables),
        share=share,
        priority=priority,
        nodes=columns.unpack_nodes(nodes),
    )


def _by_job(rows: Iterable[tuple]) -> dict[int, list[tuple]]:
    """Rows that are ordered by their first column, which is cut off, grouped by it."""
    return {job: [row[1:] for row in group] for job, group in groupby(rows, key=lambda row: row[0])}


def _open_attempt(row: tuple) -> OpenAttempt:
    *rest, devices = row
    return OpenAttempt(*rest, columns.unpack_devices(devices))


def _held_job(job: JobSubmitted, row: tuple, states: bytes, marked: dict, opened: dict) -> HeldJob:
    _, status, tried, stop_kind, stop_reason = row
    whole = (ids.WHOLE, tried, stop_kind, stop_reason)
    marks = [whole, *marked.get(job.seq, ())]
    attempts = {index: number for index, number, _, _ in marks if number}
    stops = {index: (kind, reason) for index, _, kind, reason in marks if kind is not None}
    return HeldJob(job, status, states, attempts, stops, tuple(map(_open_attempt, opened.get(job.seq, ()))))
