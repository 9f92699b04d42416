"""Facts become rows: exactly one function per fact type, each also writing what people are told into the journal.

The functions only gather rows; ``write`` then runs few statements over many rows each. Rows are gathered in *lanes*,
written in the order of LANES: a lane takes the rows of statements whose mutual order matters, and keeps it. That a
lane is written before another is right because a job is added before it moves, an attempt is opened before it begins
and begins before it is closed, and an array is over after its children; between other lanes no statement touches what
another one reads or writes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence

from batchyard.model import facts
from batchyard.model.ids import NODES, WHOLE
from batchyard.model.states import RUNNABLE, RUNNING, STARTING, TERMINAL
from batchyard.store import columns
from batchyard.store.logplaces import NOWHERE
from batchyard.store.queries import queries
from batchyard.store.sqlite import StoreError

_SQL = queries("facts")
_INSTANCES = queries("instances")
_SHARES = queries("shares")
_BLOCKS = queries("blocks")
_CONSUMED = queries("consumed")

# Where containers of attempts of (job, index) log, for one opened at a time: names with the numbers of places. The name
# "" stands for the attempt's own log.
LogsOf = Callable[[int, int, int], Iterable[tuple[str, int]]]

LANES = (
    "state",
    "launched",
    "warned",
    "idled",
    "added",
    "spawned",
    "jobs",
    "children",
    "stops",
    "opened",
    "began",
    "closed",
    "logs",
    "over",
    "blocks",
    "gone",
    "journal",
)


class Batch:
    """Rows to write, in lanes; in each lane runs of one statement over consecutive rows."""

    __slots__ = ("_lanes", "_expected", "_sweeping", "logs_of")

    def __init__(self, logs_of: LogsOf) -> None:
        self.logs_of = logs_of
        self._lanes: dict[str, list[tuple[str, list]]] = {lane: [] for lane in LANES}
        self._expected: dict[str, int] = dict.fromkeys(LANES, 0)
        self._sweeping: set[str] = set()

    def add(self, lane: str, statement: str, row: Sequence, changes: int = 1) -> None:
        """Have `statement` run with `row`, which must change exactly `changes` rows of the file."""
        runs = self._lanes[lane]
        if runs and runs[-1][0] is statement:
            runs[-1][1].append(row)
        else:
            runs.append((statement, [row]))
        self._expected[lane] += changes

    def sweep(self, lane: str, statement: str, row: Sequence) -> None:
        """Have `statement` run with `row`; it may change any number of rows."""
        self._sweeping.add(statement)
        self.add(lane, statement, row, 0)

    def write(self, db: sqlite3.Connection) -> None:
        """Run everything. StoreError if the file and the facts contradict each other; the caller undoes it then."""
        for lane, runs in self._lanes.items():
            changed = 0
            for statement, rows in runs:
                rowcount = db.executemany(statement, rows).rowcount
                changed += 0 if statement in self._sweeping else rowcount
            if changed != self._expected[lane]:
                raise StoreError(
                    f"state.db contradicts the facts to be recorded: {lane} changed {changed} rows instead of "
                    f"{self._expected[lane]}. Nothing was written; restart to recover from the files."
                )

    def tell(self, at_ms: int, kind: str, job: int, index: int, hi: int, *rest: object) -> None:
        """One journal row; `rest` is status entered, attempt number, detail, status left."""
        self.add("journal", _SQL.journal, (at_ms, kind, job, index, hi, *rest))

    def move(self, job: int, index: int, before: int, to: int, at_ms: int, **given: object) -> None:
        """The job or child goes from `before` to `to`; its reason, and its end unless `to` is terminal, are cleared if
        not given. The rows must agree about `before`."""
        entered = (
            to,
            given.get("reason"),
            given.get("number"),
            given.get("started_ms"),
            given.get("stopped_ms", at_ms) if to in TERMINAL else None,
        )
        if index == WHOLE:
            self.add("jobs", _SQL.move_job, (*entered, at_ms, job, before))
        else:
            self.add("children", _SQL.move_child, (*entered, job, index, before))


def provider_recorded(batch: Batch, fact: facts.ProviderRecorded) -> None:
    batch.add("state", _SQL.record_provider, (fact.provider, *fact.room))


def timing_recorded(batch: Batch, fact: facts.TimingRecorded) -> None:
    batch.add("state", _INSTANCES.record_timing, (columns.encode(fact.timing._asdict()),))


def instance_launched(batch: Batch, fact: facts.InstanceLaunched) -> None:
    number, name, environment, kind, room, usable_mib, *times, devices = fact
    packed = columns.pack_devices(devices)
    batch.add("launched", _INSTANCES.launch, (number, name, environment, kind, *room, usable_mib, *times, packed))


def instance_idled(batch: Batch, fact: facts.InstanceIdled) -> None:
    batch.add("idled", _INSTANCES.idle, (fact.at_ms, fact.number))


def instance_warned(batch: Batch, fact: facts.InstanceWarned) -> None:
    batch.add("warned", _INSTANCES.warn, (*fact.leaving, fact.number))


def instance_reclaimed(batch: Batch, fact: facts.InstanceReclaimed) -> None:
    batch.add("warned", _INSTANCES.reclaim, (fact.at_ms, fact.number))


def instance_ended(batch: Batch, fact: facts.InstanceEnded) -> None:
    batch.add("gone", _INSTANCES.ended, (fact.at_ms, fact.reason, fact.number))


def share_used(batch: Batch, fact: facts.ShareUsed) -> None:
    batch.add("state", _SHARES.record, (*fact[:2], str(fact.usage), *fact[3:]))


def share_forgotten(batch: Batch, fact: facts.ShareForgotten) -> None:
    batch.add("state", _SHARES.forget, fact)  # in order: a share may be forgotten and come back in one turn


def head_stuck(batch: Batch, fact: facts.HeadStuck) -> None:
    batch.add("blocks", _BLOCKS.stuck, fact)


def queue_blocked(batch: Batch, fact: facts.QueueBlocked) -> None:
    queue, job, index, number, reason, at_ms = fact
    batch.add("blocks", _BLOCKS.told, (queue, job, index))
    if index == WHOLE:
        batch.add("blocks", _BLOCKS.tell_job, (reason, job))
    else:
        batch.add("blocks", _BLOCKS.tell_child, (reason, job, index))
    batch.tell(at_ms, "blocked", job, index, index + 1, None, number, _reason_detail(reason), None)


def queue_unblocked(batch: Batch, fact: facts.QueueUnblocked) -> None:
    """A job that goes on in the same turn has got its next reason before."""
    queue, job, index, reason, told = fact
    batch.add("blocks", _BLOCKS.cleared, (queue, job, index))
    if told and index == WHOLE:
        batch.sweep("blocks", _BLOCKS.clear_job, (job, reason))
    elif told:
        batch.sweep("blocks", _BLOCKS.clear_child, (job, index, reason))


def consumable_used(batch: Batch, fact: facts.ConsumableUsed) -> None:
    batch.add("state", _CONSUMED.record, fact)


def request_applied(batch: Batch, fact: facts.RequestApplied) -> None:
    batch.add("state", _SQL.set_applied, (fact.seq,))


def job_added(batch: Batch, fact: facts.JobAdded) -> None:
    ended = fact.at_ms if fact.status in TERMINAL else None
    row = (fact.job, columns.pack_uuid(fact.uuid), fact.queue, fact.size, fact.status, fact.at_ms, ended)
    batch.add("added", _SQL.add_job, (*row, fact.nodes, fact.share, fact.priority))
    if fact.nodes:
        nodes = {"job": fact.job, "nodes": fact.nodes, "main": fact.main, "first": NODES, "status": fact.child_status}
        batch.add("spawned", _SQL.add_nodes, nodes, fact.nodes - 1)
    if fact.size:
        ended = fact.at_ms if fact.child_status in TERMINAL else None
        children = {"job": fact.job, "size": fact.size, "status": fact.child_status, "stopped_ms": ended}
        batch.add("spawned", _SQL.add_children, children, fact.size)
        if fact.status in TERMINAL:
            batch.add("over", _SQL.end_array, (fact.job,))
    told = {"size": fact.size} if fact.size else {"nodes": fact.nodes} if fact.nodes else None
    detail = told and columns.encode(told | {"child_status": fact.child_status})
    batch.tell(fact.at_ms, "added", fact.job, WHOLE, WHOLE + 1, fact.status, None, detail, None)


def job_moved(batch: Batch, fact: facts.JobMoved) -> None:
    batch.move(fact.job, fact.index, fact.before, fact.to, fact.at_ms, reason=fact.status_reason)
    if fact.index == WHOLE and fact.to in TERMINAL:
        batch.add("over", _SQL.end_array, (fact.job,))
    detail = _reason_detail(fact.status_reason)
    batch.tell(fact.at_ms, "moved", fact.job, fact.index, fact.index + 1, fact.to, None, detail, fact.before)


def children_moved(batch: Batch, fact: facts.ChildrenMoved) -> None:
    ended = fact.at_ms if fact.to in TERMINAL else None
    row = (fact.to, fact.status_reason, ended, fact.job, fact.lo, fact.hi, fact.before)
    batch.add("children", _SQL.move_children, row, fact.hi - fact.lo)
    detail = _reason_detail(fact.status_reason)
    batch.tell(fact.at_ms, "moved", fact.job, fact.lo, fact.hi, fact.to, fact.number, detail, fact.before)


def attempt_opened(batch: Batch, fact: facts.AttemptOpened) -> None:
    job, index, number = fact.job, fact.index, fact.number
    task = columns.pack_task(fact.uuid, index, number)
    own, devices = NOWHERE, columns.pack_devices(fact.devices)
    for container, log in batch.logs_of(job, index, fact.at_ms):
        if container:
            batch.add("logs", _SQL.open_log, (job, index, number, container, log, task, fact.at_ms))
        else:
            own = log
    row = (job, index, number, fact.environment, fact.instance, task, fact.at_ms, own, devices)
    batch.add("opened", _SQL.open_attempt, row)
    batch.move(job, index, RUNNABLE, STARTING, fact.at_ms, number=number)
    detail = columns.encode({"environment": fact.environment, "instance": fact.instance})
    batch.tell(fact.at_ms, "opened", job, index, index + 1, STARTING, number, detail, RUNNABLE)


def attempt_began(batch: Batch, fact: facts.AttemptBegan) -> None:
    job, index, number, at_ms = fact
    batch.add("began", _SQL.begin_attempt, (at_ms, job, index, number))
    batch.move(job, index, STARTING, RUNNING, at_ms, started_ms=at_ms)
    batch.tell(at_ms, "began", job, index, index + 1, RUNNING, number, None, STARTING)


def attempt_warned(batch: Batch, fact: facts.AttemptWarned) -> None:
    job, index, number, warned_ms, reclaim_ms = fact
    batch.add("began", _SQL.warn_attempt, (warned_ms, reclaim_ms, job, index, number))


def attempt_closed(batch: Batch, fact: facts.AttemptClosed) -> None:
    job, index, number, before, to, ending, at_ms, terminated = fact
    row = (
        ending.started_ms,
        ending.stopped_ms,
        ending.exit_code,
        ending.reason,
        ending.status_reason,
        ending.peak_memory_bytes,
        ending.cpu_ms,
        columns.pack_endings(ending.containers),
        job,
        index,
        number,
    )
    batch.add("closed", _SQL.close_attempt, row)
    batch.sweep("logs", _SQL.close_logs, (ending.stopped_ms, job, index, number))
    batch.move(
        job,
        index,
        before,
        to,
        at_ms,
        reason=ending.status_reason,
        started_ms=ending.started_ms,
        stopped_ms=ending.stopped_ms,
    )
    detail = {name: value for name, value in ending._asdict().items() if value is not None and value != ()}
    if terminated:
        detail["terminated"] = True
    batch.tell(at_ms, "closed", job, index, index + 1, to, number, columns.encode(detail), before)


def stop_noted(batch: Batch, fact: facts.StopNoted) -> None:
    if fact.index == WHOLE:
        batch.add("stops", _SQL.stop_job, (fact.kind, fact.reason, fact.job))
    else:
        row = (fact.kind, fact.reason, fact.job, fact.index, fact.hi)
        batch.add("stops", _SQL.stop_children, row, fact.hi - fact.index)
    detail = columns.encode({"kind": fact.kind, "reason": fact.reason})
    batch.tell(fact.at_ms, "stop", fact.job, fact.index, fact.hi, None, None, detail, None)


def queue_deleted(batch: Batch, fact: facts.QueueDeleted) -> None:
    batch.sweep("state", _SHARES.leave, (fact.queue,))
    batch.add("state", _SQL.add_deleted, (fact.queue, fact.at_ms))
    batch.tell(fact.at_ms, "deleted", fact.queue, WHOLE, WHOLE + 1, None, None, '{"what":"queue"}', None)


def environment_deleted(batch: Batch, fact: facts.EnvironmentDeleted) -> None:
    batch.add("state", _SQL.add_deleted, (fact.environment, fact.at_ms))
    if fact.provider is not None:
        batch.add("state", _SQL.delete_provider, (fact.provider,))
    batch.tell(fact.at_ms, "deleted", fact.environment, WHOLE, WHOLE + 1, None, None, '{"what":"environment"}', None)


def _reason_detail(reason: str | None) -> str | None:
    return None if reason is None else columns.encode({"status_reason": reason})


_APPLY = {
    facts.ProviderRecorded: provider_recorded,
    facts.TimingRecorded: timing_recorded,
    facts.InstanceLaunched: instance_launched,
    facts.InstanceIdled: instance_idled,
    facts.InstanceEnded: instance_ended,
    facts.InstanceWarned: instance_warned,
    facts.InstanceReclaimed: instance_reclaimed,
    facts.ShareUsed: share_used,
    facts.ShareForgotten: share_forgotten,
    facts.HeadStuck: head_stuck,
    facts.QueueBlocked: queue_blocked,
    facts.QueueUnblocked: queue_unblocked,
    facts.ConsumableUsed: consumable_used,
    facts.RequestApplied: request_applied,
    facts.JobAdded: job_added,
    facts.JobMoved: job_moved,
    facts.ChildrenMoved: children_moved,
    facts.AttemptOpened: attempt_opened,
    facts.AttemptBegan: attempt_began,
    facts.AttemptWarned: attempt_warned,
    facts.AttemptClosed: attempt_closed,
    facts.StopNoted: stop_noted,
    facts.QueueDeleted: queue_deleted,
    facts.EnvironmentDeleted: environment_deleted,
}


def apply(db: sqlite3.Connection, recorded: Sequence[facts.Fact], logs_of: LogsOf) -> None:
    """Write the rows and the journal of `recorded` into the open transaction."""
    batch = Batch(logs_of)
    for fact in recorded:
        _APPLY[type(fact)](batch, fact)
    batch.write(db)
