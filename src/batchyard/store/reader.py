"""Reader over both files, for the api process: what was asked and what became of it, put together.

Every answer comes from one snapshot of each file, state.db's taken first: whatever the state knows of was asked for
before, so a job that is missing from the state is SUBMITTED, and its children are too. A job whose request is gone is
unknown, though the state may hold it a little longer (``retention.py``).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from batchyard.model import ids
from batchyard.model.environments import HeldInstance
from batchyard.model.jobs import kept_as
from batchyard.model.needs import Needs
from batchyard.model.shown import FrontShown
from batchyard.model.states import DELETED, DELETING, FAILED, NAMES, SUBMITTED, SUCCEEDED, VALID
from batchyard.ports import (
    AttemptRow,
    Backlog,
    ClassVerdict,
    DefinitionRow,
    EnvironmentRow,
    GoingOn,
    GroupRow,
    JobFilter,
    JobPage,
    JobRow,
    NameMatch,
    QueueRow,
    Shown,
    StreamPage,
    StreamPosition,
    StreamRow,
    Waiting,
)
from batchyard.ports.consumables import AskingJob, AskingPage, ConsumableRow
from batchyard.ports.instances import OpenRow
from batchyard.ports.policies import PolicyRow
from batchyard.store import columns, health, resources, searching, streams, waiting
from batchyard.store.queries import queries
from batchyard.store.sqlite import REQUESTS, STATE, open_reader

_ENVIRONMENTS = queries("environments")
_QUEUES = queries("queues")
_POLICIES = queries("policies")
_DEFINITIONS = queries("definitions")
_SUBMISSIONS = queries("submissions")
_INSTANCES = queries("instances")
_STATES = queries("states")
_TAGS = queries("tags")
_LOGS = queries("logs")

_NO_BOUND = 2**63 - 1


class Progress(NamedTuple):
    status: int = SUBMITTED
    status_reason: str | None = None
    started_ms: int | None = None
    stopped_ms: int | None = None
    stop_kind: int | None = None
    attempts: int = 0
    exit_code: int | None = None
    reason: str | None = None


class _Files(NamedTuple):
    state: sqlite3.Connection
    asked: sqlite3.Connection


class SqliteReader:
    """Never writes. Calls from several threads take turns."""

    def __init__(self, data_path: Path | str):
        self._files = _Files(open_reader(data_path, STATE), open_reader(data_path, REQUESTS))
        self._turn = threading.Lock()

    def close(self) -> None:
        for db in self._files:
            db.close()

    @contextmanager
    def _snapshot(self) -> Iterator[tuple[_Files, int]]:
        """Both files as they are now, state.db first, and the highest request number that the state holds."""
        state, asked = self._files
        with self._turn:
            try:
                state.execute("BEGIN")
                asked.execute("BEGIN")
                yield self._files, state.execute(_STATES.held_until).fetchone()[0]
            finally:
                asked.rollback()
                state.rollback()

    def _asked(self, statement: str, values: tuple | dict) -> list[tuple]:
        with self._turn:
            return self._files.asked.execute(statement, values).fetchall()

    # -- configuration -----------------------------------------------------------------------------------------

    def environment(self, region: str, name: str) -> EnvironmentRow | None:
        row = self._by_name(_ENVIRONMENTS.by_name, _ENVIRONMENTS.leaving_by_name, region, name)
        return None if row is None else self._with_health(_environment(row))

    def environment_by_id(self, number: int) -> EnvironmentRow | None:
        row = self._by_id(_ENVIRONMENTS.by_id, number)
        return None if row is None else self._with_health(_environment(row))

    def environments(self, region: str, after: int, limit: int) -> list[EnvironmentRow]:
        rows = self._page(_ENVIRONMENTS.page, region, after, limit)
        return [self._with_health(_environment(row)) for row in rows]

    def _with_health(self, row: EnvironmentRow) -> EnvironmentRow:
        """Of a managed environment the engine's file says whether it is UPDATING or INVALID."""
        if row.status != VALID or "capacity" not in row.body:
            return row
        instances = self.instances(row.id)
        with self._turn:
            applied_seq, _ = self._files.state.execute(_STATES.meta).fetchone()
            rooms = {name: Needs(*room) for name, *room in self._files.state.execute(_STATES.providers)}
        if applied_seq < row.id:  # the engine has yet to hear of it, and perhaps of its provider
            return row
        told = columns.environment_told(row.body)
        assert told.capacity is not None
        is_applied = told.resources_seq <= applied_seq
        status, reason = health.status(row.provider, told.capacity, rooms.get(row.provider), is_applied, instances)
        return row._replace(status=status, reason=reason)

    def instances(self, environment: int) -> list[HeldInstance]:
        with self._turn:
            rows = self._files.state.execute(_INSTANCES.of_environment, (environment,)).fetchall()
        return [columns.unpack_instance(row) for row in rows]

    def instance(self, name: str) -> HeldInstance | None:
        with self._turn:
            row = self._files.state.execute(_INSTANCES.by_name, (name,)).fetchone()
        return None if row is None else columns.unpack_instance(row)

    def open_in(self, environment: int) -> list[OpenRow]:
        with self._turn:
            rows = self._files.state.execute(_INSTANCES.open_in, (environment,)).fetchall()
        return [OpenRow(job, index, columns.unpack_uuid(packed), *rest) for job, index, packed, *rest in rows]

    def queue(self, region: str, name: str) -> QueueRow | None:
        row = self._by_name(_QUEUES.by_name, _QUEUES.leaving_by_name, region, name)
        return None if row is None else _queue(row)

    def queue_by_id(self, number: int) -> QueueRow | None:
        row = self._by_id(_QUEUES.by_id, number)
        return None if row is None else _queue(row)

    def queues(self, region: str, after: int, limit: int) -> list[QueueRow]:
        return [_queue(row) for row in self._page(_QUEUES.page, region, after, limit)]

    def _by_name(self, live_by_name: str, leaving_by_name: str, region: str, name: str) -> tuple | None:
        """The environment or queue that has the name; state.db is asked only where something was deleted."""
        live = self._asked(live_by_name, (region, name))
        if live:
            return (*live[0][:-1], VALID)
        with self._snapshot() as (files, _):
            row = files.asked.execute(leaving_by_name, (region, name)).fetchone()
            status = None if row is None else _place_status(files, row)
        return None if row is None or status == DELETED else (*row[:-1], status)

    def _by_id(self, by_id: str, number: int) -> tuple | None:
        with self._snapshot() as (files, _):
            row = files.asked.execute(by_id, (number,)).fetchone()
            return None if row is None else (*row[:-1], _place_status(files, row))

    def _page(self, statement: str, region: str, after: int, limit: int) -> list[tuple]:
        """Those that are gone are passed over; the page is full all the same."""
        page: list[tuple] = []
        with self._snapshot() as (files, _):
            while len(page) < limit:
                rows = files.asked.execute(statement, (region, after, limit)).fetchall()
                told = ((*row[:-1], _place_status(files, row)) for row in rows)
                page += [row for row in told if row[-1] != DELETED]
                if len(rows) < limit:
                    break
                after = rows[-1][0]
        return page[:limit]

    def definition(self, region: str, name: str, revision: int | None) -> DefinitionRow | None:
        if revision is None:
            return _first(map(_definition, self._asked(_DEFINITIONS.newest_active, (region, name))))
        return _first(map(_definition, self._asked(_DEFINITIONS.by_revision, (region, name, revision))))

    def definition_by_id(self, number: int) -> DefinitionRow | None:
        return _first(map(_definition, self._asked(_DEFINITIONS.by_id, (number,))))

    def definitions(
        self, region: str, name: str | None, active: bool | None, after: tuple[str, int] | None, limit: int
    ) -> list[DefinitionRow]:
        after_name, after_revision = after or ("", 0)
        given = {"region": region, "active": active, "limit": limit}
        if name is None:
            given |= {"after_name": after_name, "after_revision": after_revision}
            return [_definition(row) for row in self._asked(_DEFINITIONS.page, given)]
        if after_name > name:
            return []
        given |= {"name": name, "below": after_revision if after_name == name else _NO_BOUND}
        return [_definition(row) for row in self._asked(_DEFINITIONS.page_of_name, given)]

    def consumable(self, region: str, name: str) -> ConsumableRow | None:
        with self._snapshot() as (files, _):
            return resources.named(files.state, files.asked, region, name)

    def consumables(
        self, region: str, names: tuple[NameMatch, ...] | None, after: str, limit: int
    ) -> list[ConsumableRow]:
        with self._snapshot() as (files, _):
            return resources.page(files.state, files.asked, region, names, after, limit)

    def asking(
        self,
        consumable: int,
        names: tuple[NameMatch, ...] | None,
        statuses: frozenset[int],
        before: int | None,
        limit: int,
    ) -> AskingPage:
        below = _NO_BOUND if before is None else before
        with self._snapshot() as (files, _):
            found, rest = resources.asking(files.state, files.asked, consumable, names, statuses, below, limit)
            rows = []
            for seq, quantity in found:
                asked = files.asked.execute(_SUBMISSIONS.by_seq, (seq,)).fetchone()
                row = job_row(asked, ids.WHOLE, _progress(files.state, seq, ids.WHOLE))
                if row is not None:
                    rows.append(AskingJob(row, quantity))
        return AskingPage(rows, rest)

    def policy(self, region: str, name: str) -> PolicyRow | None:
        return _first(map(_policy, self._asked(_POLICIES.by_name, (region, name))))

    def policies(self, region: str, after: int, limit: int) -> list[PolicyRow]:
        return [_policy(row) for row in self._asked(_POLICIES.page, (region, after, limit))]

    def changed_tags(self, number: int) -> dict[str, str] | None:
        row = _first(self._asked(_TAGS.changed, (number,)))
        return None if row is None else columns.decode(row[0])

    # -- jobs --------------------------------------------------------------------------------------------------

    def job(self, region: str, uuid: str, index: int) -> JobRow | None:
        try:
            packed = columns.pack_uuid(uuid)
        except ValueError:
            return None
        with self._snapshot() as (files, _):
            row = files.asked.execute(_SUBMISSIONS.by_uuid, (packed, region)).fetchone()
            if row is None or (found := job_row(row, index, Progress())) is None:
                return None
            return job_row(row, index, _progress(files.state, row[0], kept_as(found.nodes, index)))

    def region_of(self, uuid: str) -> str | None:
        row = _first(self._asked(_SUBMISSIONS.known, (columns.pack_uuid(uuid),)))
        return row and row[2]

    def waiting(self, row: JobRow) -> Waiting | None:
        with self._snapshot() as (files, _):
            return waiting.waiting(files.state, files.asked, row)

    def front(self, queue: int) -> Shown[FrontShown] | None:
        with self._snapshot() as (files, _):
            return waiting.front(files.state, queue)

    def verdict(self, row: JobRow) -> ClassVerdict | None:
        with self._snapshot() as (files, _):
            return waiting.verdict(files.state, files.asked, row)

    def resource_name(self, number: int) -> str:
        with self._turn:
            return waiting.resource_name(self._files.asked, number)

    def backlog(self) -> Backlog:
        with self._snapshot() as (files, held_until):
            return waiting.backlog(files.state, files.asked, held_until)

    def child_counts(self, seq: int) -> list[int]:
        counts = [0] * len(NAMES)
        with self._snapshot() as (files, held_until):
            if seq > held_until:
                row = files.asked.execute(_SUBMISSIONS.size, (seq,)).fetchone()
                counts[SUBMITTED] = 0 if row is None else row[0]
                return counts
            size, succeeded = files.state.execute(_STATES.outcome, (seq,)).fetchone() or (0, 0)
            if succeeded is not None:
                counts[SUCCEEDED], counts[FAILED] = succeeded, size - succeeded
                return counts
            for status, count in files.state.execute(_STATES.child_counts, (seq,)):
                counts[status] = count
        return counts

    def attempts(self, seq: int, index: int) -> list[AttemptRow]:
        with self._turn:
            rows = self._files.state.execute(_STATES.attempts, (seq, index)).fetchall()
        return [
            AttemptRow(*rest, columns.unpack_devices(devices), columns.unpack_endings(containers))
            for *rest, devices, containers in rows
        ]

    def list_queue(self, queue: int, status: int, before: int | None, limit: int) -> list[JobRow]:
        before = _NO_BOUND if before is None else before
        with self._snapshot() as (files, held_until):
            waiting: list[JobRow] = []
            if status == SUBMITTED:  # those the state has yet to learn of; all are newer than those it holds
                bounds = {"applied": held_until, "before": before, "queue": queue, "limit": limit}
                rows = files.asked.execute(_SUBMISSIONS.waiting, bounds)
                waiting = [job_row(row, ids.WHOLE, Progress()) for row in rows]
            return waiting + self._held(files, queue, status, before, limit - len(waiting))

    @staticmethod
    def _held(files: _Files, queue: int, status: int, before: int, limit: int) -> list[JobRow]:
        """A page of those the state holds; it may hold some whose request is gone, and nobody knows them any more."""
        page: list[JobRow] = []
        while len(page) < limit:
            found = files.state.execute(_STATES.in_status, (queue, status, before, limit - len(page)))
            progress = {seq: Progress(*values) for seq, *values in found}
            if not progress:
                break
            rows = files.asked.execute(_SUBMISSIONS.summaries, (columns.encode(list(progress)),))
            page += [job_row(row, ids.WHOLE, progress[row[0]]) for row in rows]
            before = min(progress)
        return page

    def search_queue(self, queue: int, wanted: JobFilter, before: int | None, limit: int) -> JobPage:
        with self._snapshot() as (files, _):
            found = searching.search(files.asked, queue, wanted, before, limit)
            rows = [job_row(row, ids.WHOLE, _progress(files.state, row[0], ids.WHOLE)) for row in found.rows]
        if wanted.status is not None:
            rows = [row for row in rows if row is not None and row.status == wanted.status]
        return JobPage(rows, found.rest)

    def list_children(self, seq: int, status: int, after: int, limit: int) -> list[JobRow]:
        with self._snapshot() as (files, held_until):
            parent = files.asked.execute(_SUBMISSIONS.summary, (seq,)).fetchone()
            if parent is None:
                return []
            if parent[_Asked._fields.index("nodes")] is not None:
                return _list_nodes(files, parent, status, after, limit)
            if seq <= held_until:
                found = files.state.execute(_STATES.children_in_status, (seq, status, after, limit))
                progress = [(index, Progress(*values)) for index, *values in found]
            elif status == SUBMITTED:
                size = _Asked(*parent).size
                first = after + 1
                progress = [(index, Progress()) for index in range(first, min(size, first + limit))]
            else:
                progress = []
        return [row for index, one in progress if (row := job_row(parent, index, one)) is not None]

    # -- logs --------------------------------------------------------------------------------------------------

    def log_group(self, region: str, name: str) -> int | None:
        with self._turn:
            row = self._files.state.execute(_LOGS.group, (region, name)).fetchone()
        return row and row[0]

    def log_groups(self, region: str, after: str, limit: int, prefix: str = "", part: str = "") -> list[GroupRow]:
        values = {"region": region, "after": after, "prefix": prefix, "part": part, "limit": limit}
        with self._turn:
            return [GroupRow(*row) for row in self._files.state.execute(_LOGS.groups, values)]

    def stream(self, group: int, name: str) -> StreamRow | None:
        with self._snapshot() as (files, _):
            return streams.named(files, group, name)

    def streams_by_name(self, group: int, prefix: str, after: str, descending: bool, limit: int) -> list[StreamRow]:
        with self._snapshot() as (files, _):
            return streams.by_name(files, group, prefix, after, descending, limit)

    def streams_by_end(self, group: int, descending: bool, after: StreamPosition | None, limit: int) -> StreamPage:
        with self._snapshot() as (files, _):
            return streams.by_end(files, group, descending, after, limit)

    def streams_going_on(self, group: int, prefix: str, at_ms: int, until_ms: int) -> GoingOn:
        with self._snapshot() as (files, _):
            return streams.going_on(files, group, prefix, at_ms, until_ms)


class _Asked(NamedTuple):
    seq: int
    uuid: bytes
    region: str
    name: str
    queue: int
    definition: int
    created_ms: int
    size: int
    nodes: str | None
    upstreams: str | None
    share: str | None
    body: str | None


def _progress(state: sqlite3.Connection, seq: int, index: int) -> Progress:
    """How far a job or child is; SUBMITTED if the state has yet to learn of it."""
    if index == ids.WHOLE:
        row = state.execute(_STATES.job, (seq,)).fetchone()
    else:
        row = state.execute(_STATES.child, (seq, index)).fetchone()
    return Progress() if row is None else Progress(*row)


def _list_nodes(files: _Files, parent: tuple, status: int, after: int, limit: int) -> list[JobRow]:
    """A page of a multi-node job's nodes in one state, the main one among them, by number."""
    whole = job_row(parent, ids.WHOLE, _progress(files.state, parent[0], ids.WHOLE))
    assert whole is not None and whole.nodes is not None
    main, first = ids.NODES + whole.nodes.main, max(after + 1, ids.NODES)
    if whole.status == SUBMITTED:
        wanted = range(first, min(ids.NODES + whole.nodes.count, first + limit)) if status == SUBMITTED else ()
        return [row for index in wanted if (row := job_row(parent, index, Progress())) is not None]
    found = files.state.execute(_STATES.children_in_status, (parent[0], status, first - 1, limit))
    rows = [job_row(parent, index, Progress(*values)) for index, *values in found]
    if whole.status == status and main >= first:
        rows.append(whole._replace(index=main))
    return sorted((row for row in rows if row is not None), key=lambda row: row.index)[:limit]


def job_row(row: tuple, index: int, progress: Progress) -> JobRow | None:
    """The two halves put together; None for a child or node that the job does not have."""
    asked = _Asked(*row)
    nodes = columns.unpack_nodes(asked.nodes)
    below = index < ids.NODES + nodes.count if nodes is not None and index >= ids.NODES else 0 <= index < asked.size
    if index != ids.WHOLE and not below:
        return None
    return JobRow(
        seq=asked.seq,
        index=index,
        uuid=columns.unpack_uuid(asked.uuid),
        region=asked.region,
        name=asked.name,
        queue=asked.queue,
        definition=asked.definition,
        created_ms=asked.created_ms,
        size=asked.size,
        status=progress.status,
        status_reason=progress.status_reason,
        started_ms=progress.started_ms,
        stopped_ms=progress.stopped_ms,
        stop_kind=progress.stop_kind,
        attempts=progress.attempts,
        depends_on=tuple((up.named, up.kind) for up in columns.unpack_upstreams(asked.upstreams)),
        body={} if asked.body is None else columns.decode(asked.body),
        exit_code=progress.exit_code,
        reason=progress.reason,
        share=asked.share,
        nodes=nodes,
    )


def _place_status(files: _Files, row: tuple) -> str:
    """Of an environment's or queue's row: its number first, the time of its deletion last."""
    if row[-1] is None:
        return VALID
    return DELETING if files.state.execute(_STATES.gone, (row[0],)).fetchone() is None else DELETED


def _environment(row: tuple) -> EnvironmentRow:
    *rest, enabled, body, status = row
    return EnvironmentRow(*rest, bool(enabled), columns.decode(body), status)


def _queue(row: tuple) -> QueueRow:
    *rest, policy, enabled, environments, body, status = row
    return QueueRow(*rest, bool(enabled), tuple(columns.decode(environments)), columns.decode(body), status, policy)


def _policy(row: tuple) -> PolicyRow:
    *rest, body = row
    return PolicyRow(*rest, columns.decode(body))


def _definition(row: tuple) -> DefinitionRow:
    *rest, active, body = row
    return DefinitionRow(*rest, bool(active), columns.decode(body))


def _first(rows: Iterable) -> Any:
    return next(iter(rows), None)
