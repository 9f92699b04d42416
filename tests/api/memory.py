"""The store and the logs as a few lists, so that the api can be asked without a file. What the engine would record is
set by the test, in `states`."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from batchyard.errors import ClientError
from batchyard.model import ids, states
from batchyard.model.consumables import ADD, REMOVE, SET, ConsumableChange, NewConsumable
from batchyard.model.environments import HeldInstance
from batchyard.model.jobs import (
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
from batchyard.model.logplaces import LogPlace
from batchyard.model.shares import NewPolicy, PolicyChange
from batchyard.model.shown import FrontShown
from batchyard.model.streams import LogEvent, LogState
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
from batchyard.ports.grants import Download, NotGranted, RoleCredentials
from batchyard.ports.instances import OpenRow
from batchyard.ports.policies import PolicyRow
from batchyard.ports.upkeep import Finding


@dataclass
class Progress:
    """What became of a job or child."""

    status: int = states.SUBMITTED
    status_reason: str | None = None
    started_ms: int | None = None
    stopped_ms: int | None = None
    stop_kind: int | None = None
    attempts: list[AttemptRow] = field(default_factory=list)


def _fits(match: NameMatch, name: str, alike=lambda text: text) -> bool:
    return name == alike(match.text) if match.whole else name.startswith(alike(match.text))


def _last_ending(attempts: list[AttemptRow]) -> tuple[int | None, str | None]:
    return (attempts[-1].exit_code, attempts[-1].reason) if attempts else (None, None)


# Numbers before the first of each.
QUEUES, DEFINITIONS, JOBS, CONSUMABLES, POLICIES = 10_000, 20_000, 30_000, 40_000, 50_000


def _changed(new, change, columns):
    """The new value, as the store merges it."""
    given = {name: getattr(change, name) for name in columns if getattr(change, name) is not None}
    body = msgspec.json.decode(new.body) | dict(change.members)
    return new._replace(body=msgspec.json.encode(body), **given)


def _refuse_in_flux(row, verb: str) -> None:
    if row.status == states.DELETING:
        raise ClientError(f"Cannot {verb}, resource is being modified")


class MemoryStore:
    """Intake and Reader at once; a number is the place in a list, from 1 on for environments."""

    def __init__(self) -> None:
        self.new_environments: list[NewEnvironment] = []
        self.new_queues: list[NewQueue] = []
        self.new_policies: dict[int, NewPolicy] = {}
        self.numbers: list[str] = []  # names of policies in order of creation, those that are deleted among them
        self.new_definitions: list[tuple[NewDefinition, int]] = []
        self.new_jobs: list[NewJob] = []
        self.new_consumables: dict[tuple[str, str], ConsumableRow] = {}
        self.wishes: list[Wish] = []
        self.held: list[HeldInstance] = []
        self.opened: dict[int, list[OpenRow]] = {}
        self.interruptions: list[Interruption] = []
        self.states: dict[tuple[str, int], Progress] = {}
        self.inactive: set[int] = set()
        self.places: dict[int, str] = {}  # status of environments and queues that were to be deleted
        self.calls: set[bytes] = set()  # idempotency keys of changes
        self.streams: list[tuple[LogPlace, StreamRow]] = []
        self.window = 500
        self.tags: dict[int, dict[str, str]] = {}
        self.stand: Waiting | None = None  # of any job that waits
        self.class_verdict: ClassVerdict | None = None  # of the class of any job
        self.requests_waiting = Backlog(0, None, 0)
        self.fronts: dict[int, Shown[FrontShown]] = {}  # by queue

    # -- intake ------------------------------------------------------------------------------------------------

    async def create_environment(self, environment: NewEnvironment) -> int:
        if self.environment(environment.region, environment.name):
            raise ClientError("Object already exists")
        self.new_environments.append(environment)
        return len(self.new_environments)

    async def create_queue(self, queue: NewQueue) -> int:
        if self.queue(queue.region, queue.name):
            raise ClientError("Object already exists")
        self.new_queues.append(queue)
        return QUEUES + len(self.new_queues)

    async def update_environment(self, change: EnvironmentChange) -> bool:
        row = self.environment(change.region, change.name)
        if row is not None and self._first(change.idempotency):
            _refuse_in_flux(row, "update")
            new = self.new_environments[row.id - 1]
            self.new_environments[row.id - 1] = _changed(new, change, ("enabled",))
        return row is not None

    async def update_queue(self, change: QueueChange) -> bool:
        row = self.queue(change.region, change.name)
        if row is not None and self._first(change.idempotency):
            _refuse_in_flux(row, "update")
            new = self.new_queues[row.id - QUEUES - 1]
            changed = _changed(new, change, ("enabled", "priority", "environments", "policy"))
            self.new_queues[row.id - QUEUES - 1] = changed
        return row is not None

    async def delete_environment(self, deletion: Deletion) -> bool:
        row = self.environment(deletion.region, deletion.name)
        if row is not None and self._first(deletion.idempotency):
            _refuse_in_flux(row, "delete")
            if row.enabled:
                raise ClientError("Cannot delete, state must be DISABLED")
            if any(row.id in queue.environments for queue in self.queues(deletion.region, 0, 10**9)):
                raise ClientError("Cannot delete, found existing JobQueue relationship")
            self.places[row.id] = states.DELETING
        return row is not None

    async def delete_queue(self, deletion: Deletion) -> bool:
        row = self.queue(deletion.region, deletion.name)
        if row is not None and self._first(deletion.idempotency):
            _refuse_in_flux(row, "delete")
            if row.enabled:
                raise ClientError("Cannot delete, state must be DISABLED")
            self.places[row.id] = states.DELETING
        return row is not None

    def _first(self, idempotency: bytes | None) -> bool:
        known = idempotency in self.calls
        self.calls |= {idempotency} - {None}
        return not known

    async def create_policy(self, new: NewPolicy) -> int:
        if self.policy(new.region, new.name):
            raise ClientError("Object already exists")
        self.new_policies[POLICIES + len(self.numbers)] = new
        self.numbers.append(new.name)
        return POLICIES + len(self.numbers) - 1

    async def update_policy(self, change: PolicyChange) -> bool:
        row = self.policy(change.region, change.name)
        if row is not None and self._first(change.idempotency):
            body = msgspec.json.encode(row.body | dict(change.members))
            self.new_policies[row.id] = self.new_policies[row.id]._replace(body=body, value=change.value)
        return row is not None

    async def delete_policy(self, deletion: Deletion) -> bool:
        row = self.policy(deletion.region, deletion.name)
        if row is not None and self._first(deletion.idempotency):
            if any(queue.policy == row.name for queue in self.queues(deletion.region, 0, 10**9)):
                raise ClientError("Cannot delete, found existing JobQueue relationship")
            del self.new_policies[row.id]
        return row is not None

    def policy(self, region: str, name: str) -> PolicyRow | None:
        return next((row for row in self.policies(region, 0, 10**9) if row.name == name), None)

    def policies(self, region: str, after: int, limit: int) -> list[PolicyRow]:
        rows = map(self._policy_row, self.new_policies)
        return [row for row in rows if row.region == region and row.id > after][:limit]

    def _policy_row(self, number: int) -> PolicyRow:
        new = self.new_policies[number]
        return PolicyRow(number, new.region, new.name, msgspec.json.decode(new.body))

    async def deregister_definition(self, region: str, name: str, revision: int, at_ms: int) -> bool:
        row = self.definition(region, name, revision)
        if row is not None:
            self.inactive.add(row.id)
        return row is not None

    async def register_definition(self, definition: NewDefinition) -> int:
        same = [d for d, _ in self.new_definitions if (d.region, d.name) == (definition.region, definition.name)]
        self.new_definitions.append((definition, len(same) + 1))
        return len(same) + 1

    async def submit(self, job: NewJob) -> str:
        for known in self.new_jobs:
            if job.idempotency is not None and known.idempotency == job.idempotency:
                return known.uuid
        self.new_jobs.append(job)
        return job.uuid

    async def create_consumable(self, new: NewConsumable) -> None:
        if self.consumable(new.region, new.name):
            raise ClientError("Object already exists")
        number = CONSUMABLES + len(self.new_consumables)
        body = msgspec.json.decode(new.body)
        row = ConsumableRow(number, new.region, new.name, new.replenishable, new.total, 0, new.created_ms, body)
        self.new_consumables[new.region, new.name] = row

    async def update_consumable(self, change: ConsumableChange) -> int | None:
        row = self.consumable(change.region, change.name)
        if row is None:
            return None
        if self._first(change.idempotency):
            signs = {SET: change.quantity - row.total, ADD: change.quantity, REMOVE: -change.quantity}
            total = row.total + signs[change.operation]
            if total < 0:
                raise ClientError("totalQuantity cannot be a negative number.")
            row = self.new_consumables[change.region, change.name] = row._replace(total=total)
        return row.total

    async def delete_consumable(self, deletion: Deletion) -> bool:
        return self.new_consumables.pop((deletion.region, deletion.name), None) is not None

    async def wish(self, wish: Wish) -> bool:
        self.wishes.append(wish)
        return True

    async def interrupt(self, interruption: Interruption) -> None:
        self.interruptions.append(interruption)

    async def change_tags(self, number: int, change) -> bool:
        found = self.environment_by_id(number) or self.queue_by_id(number) or self.definition_by_id(number)
        found = found or next((row for row in self.new_consumables.values() if row.id == number), None)
        found = found or next((row for row in map(self._policy_row, self.new_policies) if row.id == number), None)
        if found is None and 1 <= number - JOBS <= len(self.new_jobs):
            found = self._row(number, ids.WHOLE)
        if found is not None:
            self.tags[number] = change(self.tags.get(number, found.body.get("tags", {})))
        return found is not None

    # -- reader ------------------------------------------------------------------------------------------------

    def environment_by_id(self, number: int) -> EnvironmentRow | None:
        if not 1 <= number <= len(self.new_environments):
            return None
        new = self.new_environments[number - 1]
        body = msgspec.json.decode(new.body)
        status = self.places.get(number, states.VALID)
        return EnvironmentRow(number, new.region, new.name, new.uuid, new.kind, new.provider, new.enabled, body, status)

    def instances(self, environment: int) -> list:
        return [each for each in self.held if each.environment == environment]

    def instance(self, name: str):
        return next((each for each in self.held if each.id == name), None)

    def open_in(self, environment: int) -> list:
        return self.opened.get(environment, [])

    def environments(self, region: str, after: int, limit: int) -> list[EnvironmentRow]:
        rows = [self.environment_by_id(number) for number in range(1, len(self.new_environments) + 1)]
        rows = [row for row in rows if row.status != states.DELETED]
        return [row for row in rows if row.region == region and row.id > after][:limit]

    def environment(self, region: str, name: str) -> EnvironmentRow | None:
        return next((row for row in self.environments(region, 0, 10**9) if row.name == name), None)

    def queue_by_id(self, number: int) -> QueueRow | None:
        if not 1 <= number - QUEUES <= len(self.new_queues):
            return None
        new = self.new_queues[number - QUEUES - 1]
        body = msgspec.json.decode(new.body)
        status = self.places.get(number, states.VALID)
        policy = None if new.policy is None else self.new_policies[new.policy].name
        return QueueRow(number, new.region, new.name, new.priority, new.enabled, new.environments, body, status, policy)

    def front(self, queue: int) -> Shown[FrontShown] | None:
        return self.fronts.get(queue)

    def queues(self, region: str, after: int, limit: int) -> list[QueueRow]:
        rows = [self.queue_by_id(QUEUES + place) for place in range(1, len(self.new_queues) + 1)]
        rows = [row for row in rows if row.status != states.DELETED]
        return [row for row in rows if row.region == region and row.id > after][:limit]

    def queue(self, region: str, name: str) -> QueueRow | None:
        return next((row for row in self.queues(region, 0, 10**9) if row.name == name), None)

    def definition_by_id(self, number: int) -> DefinitionRow | None:
        if not 1 <= number - DEFINITIONS <= len(self.new_definitions):
            return None
        new, revision = self.new_definitions[number - DEFINITIONS - 1]
        active = number not in self.inactive
        return DefinitionRow(number, new.region, new.name, revision, active, msgspec.json.decode(new.body))

    def definitions(self, region, name, active, after, limit) -> list[DefinitionRow]:
        rows = [self.definition_by_id(DEFINITIONS + place) for place in range(1, len(self.new_definitions) + 1)]
        rows = [row for row in rows if row.region == region and (name is None or row.name == name)]
        rows = [row for row in rows if active is None or row.active == active]
        rows.sort(key=lambda row: (row.name, -row.revision))
        if after is not None:
            rows = [row for row in rows if (row.name, -row.revision) > (after[0], -after[1])]
        return rows[:limit]

    def definition(self, region: str, name: str, revision: int | None) -> DefinitionRow | None:
        rows = self.definitions(region, name, True if revision is None else None, None, 10**9)
        return next((row for row in rows if revision in (None, row.revision)), None)

    def consumable(self, region: str, name: str) -> ConsumableRow | None:
        return self.new_consumables.get((region, name))

    def consumables(self, region: str, names, after: str, limit: int) -> list[ConsumableRow]:
        rows = [row for (where, _), row in self.new_consumables.items() if where == region]
        rows = [row for row in rows if names is None or any(_fits(each, row.name.lower(), str.lower) for each in names)]
        rows.sort(key=lambda row: (row.name.lower(), row.name))
        return [row for row in rows if (row.name.lower(), row.name) > (after.lower(), after)][:limit]

    def asking(self, consumable: int, names, statuses, before: int | None, limit: int) -> AskingPage:
        (named,) = (name for (_, name), row in self.new_consumables.items() if row.id == consumable)
        found = []
        for place, job in enumerate(self.new_jobs, JOBS + 1):
            row, quantity = self._row(place, ids.WHOLE), dict(job.consumables).get(named)
            if (
                quantity is None
                or (before is not None and place >= before)
                or (statuses and row.status not in statuses)
            ):
                continue
            if names is None or any(_fits(each, row.name.lower(), str.lower) for each in names):
                found.append(AskingJob(row, quantity))
        found.reverse()
        return AskingPage(found[:limit], found[limit - 1].row.seq if len(found) > limit else None)

    def changed_tags(self, number: int) -> dict[str, str] | None:
        return self.tags.get(number)

    def _row(self, seq: int, index: int) -> JobRow:
        new = self.new_jobs[seq - JOBS - 1]
        progress = self.states.get((new.uuid, index), Progress())
        named = tuple((up.uuid and ids.job_id(up.uuid, up.index), up.kind) for up in new.upstreams)
        return JobRow(
            seq, index, new.uuid, new.region, new.name, new.queue, new.definition, new.created_ms, new.size,
            progress.status, progress.status_reason, progress.started_ms, progress.stopped_ms, progress.stop_kind,
            len(progress.attempts), named, msgspec.json.decode(new.body), *_last_ending(progress.attempts),
            new.share,
        )  # fmt: skip

    def job(self, region: str, uuid: str, index: int) -> JobRow | None:
        for seq, new in enumerate(self.new_jobs, JOBS + 1):
            if new.uuid == uuid and new.region == region and index < max(new.size, ids.WHOLE + 1):
                return self._row(seq, index)
        return None

    def waiting(self, row: JobRow) -> Waiting | None:
        return self.stand

    def verdict(self, row: JobRow) -> ClassVerdict | None:
        return self.class_verdict

    def resource_name(self, number: int) -> str:
        return f"resource-{number}"

    def backlog(self) -> Backlog:
        return self.requests_waiting

    def child_counts(self, seq: int) -> list[int]:
        counts = [0] * len(states.NAMES)
        for index in range(self.new_jobs[seq - JOBS - 1].size):
            counts[self._row(seq, index).status] += 1
        return counts

    def region_of(self, uuid: str) -> str | None:
        return next((new.region for new in self.new_jobs if new.uuid == uuid), None)

    def attempts(self, seq: int, index: int) -> list[AttemptRow]:
        return self.states.get((self.new_jobs[seq - JOBS - 1].uuid, index), Progress()).attempts

    def list_queue(self, queue: int, status: int, before: int | None, limit: int) -> list[JobRow]:
        rows = [self._row(seq, ids.WHOLE) for seq in range(JOBS + len(self.new_jobs), JOBS, -1)]
        rows = [row for row in rows if row.queue == queue and row.status == status]
        return [row._replace(body={}) for row in rows if before is None or row.seq < before][:limit]

    def search_queue(self, queue: int, wanted: JobFilter, before: int | None, limit: int) -> JobPage:
        def matches(row: JobRow) -> bool:
            _, definition, revision, *_ = self.definition_by_id(row.definition)[1:]
            return (
                (wanted.names is None or any(_fits(match, row.name.lower(), str.lower) for match in wanted.names))
                and (
                    wanted.definitions is None
                    or any(
                        _fits(match, definition) and match.revision in (None, revision) for match in wanted.definitions
                    )
                )
                and (
                    wanted.shares is None
                    or (row.share is not None and any(_fits(match, row.share) for match in wanted.shares))
                )
                and wanted.status in (None, row.status)
                and (wanted.created_after_ms is None or row.created_ms > wanted.created_after_ms)
                and (wanted.created_before_ms is None or row.created_ms < wanted.created_before_ms)
            )

        rows = [self._row(seq, ids.WHOLE) for seq in range(JOBS + len(self.new_jobs), JOBS, -1)]
        rows = [row for row in rows if row.queue == queue and (before is None or row.seq < before) and matches(row)]
        page = [row._replace(body={}) for row in rows[:limit]]
        return JobPage(page, page[-1].seq if len(rows) > limit else None)

    def list_children(self, seq: int, status: int, after: int, limit: int) -> list[JobRow]:
        rows = [self._row(seq, index) for index in range(self.new_jobs[seq - JOBS - 1].size)]
        return [row._replace(body={}) for row in rows if row.index > after and row.status == status][:limit]

    def log_group(self, region: str, name: str) -> int | None:
        return next((row.id for row in self.log_groups(region, "", 10**9) if row.name == name), None)

    def log_groups(self, region: str, after: str, limit: int, prefix: str = "", part: str = "") -> list[GroupRow]:
        known = enumerate(sorted({(place.region, place.group) for place, _ in self.streams}), 1)
        rows = [GroupRow(number, name, 7) for number, (where, name) in known if where == region]
        return [row for row in rows if row.name > after and row.name.startswith(prefix) and part in row.name][:limit]

    def _streams(self, group: int) -> list[StreamRow]:
        """In the order in which the test named them."""
        return [row for place, row in self.streams if self.log_group(place.region, place.group) == group]

    def stream(self, group: int, name: str) -> StreamRow | None:
        return next((row for row in self._streams(group) if row.name == name), None)

    def streams_by_name(self, group: int, prefix: str, after: str, descending: bool, limit: int) -> list[StreamRow]:
        rows = sorted(self._streams(group), key=lambda row: row.name, reverse=descending)
        rows = [row for row in rows if row.name.startswith(prefix)]
        return [row for row in rows if not after or (row.name < after if descending else row.name > after)][:limit]

    def streams_by_end(self, group: int, descending: bool, after, limit: int) -> StreamPage:
        rows = sorted(self._streams(group), key=lambda row: row.stopped_ms or 10**15, reverse=descending)
        return _page(list(enumerate(rows)), after, limit)

    def streams_going_on(self, group: int, prefix: str, at_ms: int, until_ms: int) -> GoingOn:
        rows = [
            row
            for row in self._streams(group)
            if row.name.startswith(prefix)
            and row.opened_ms < until_ms
            and (row.stopped_ms is None or row.stopped_ms >= at_ms - 5000)
        ]
        rows.sort(key=lambda row: row.opened_ms)
        count = max(self.window, sum(row.opened_ms <= at_ms for row in rows))
        while count < len(rows) and rows[count].opened_ms <= at_ms:
            count += 1
        return GoingOn(rows[:count], rows[count].opened_ms if count < len(rows) else None)


def _page(rows: list[tuple[int, StreamRow]], after, limit: int) -> StreamPage:
    placed = [(StreamPosition(0, place, 0, 0, 0, 0, 0), row) for place, row in rows]
    placed = [each for each in placed if after is None or each[0] > after]
    rest = placed[limit - 1][0] if len(placed) > limit else None
    return StreamPage([row for _, row in placed[:limit]], rest)


class MemoryLogs:
    """Logs as lists of (timestamp, text); the byte after each text is its line end."""

    def __init__(self) -> None:
        self.lines: dict[str, list[tuple[int, str]]] = {}
        self.unfinished: dict[str, str] = {}  # a last line whose end is not written yet

    def _events(self, attempt: str) -> list[LogEvent]:
        events, offset = [], 0
        for timestamp_ms, text in self.lines[attempt]:
            end = offset + len(text.encode()) + 1
            events.append(LogEvent(timestamp_ms, text, offset, end))
            offset = end
        return events

    def state(self, attempt: str, opened_ms: int) -> LogState | None:
        size = self.size(attempt, opened_ms)
        if size is None:
            return None
        timed = size - len(self.unfinished.get(attempt, "").encode())
        times = [timestamp_ms for timestamp_ms, _ in self.lines[attempt]]
        return LogState(size, timed, times[0] if times else None, times[-1] if times else None)

    def offset_at(self, attempt: str, opened_ms: int, at_ms: int) -> int:
        earlier = [event.end for event in self._events(attempt) if event.timestamp_ms < at_ms]
        return max(earlier, default=0)

    def read_forward(self, attempt, opened_ms, offset, limit, max_bytes, closed=True) -> list[LogEvent]:
        return [event for event in self._events(attempt) if event.offset >= offset][:limit]

    def read_backward(self, attempt, opened_ms, offset, limit, max_bytes, closed=True) -> list[LogEvent]:
        return [event for event in self._events(attempt) if event.end <= offset][-limit:]

    def size(self, attempt: str, opened_ms: int) -> int | None:
        if attempt not in self.lines:
            return None
        whole = sum(len(text.encode()) + 1 for _, text in self.lines[attempt])
        return whole + len(self.unfinished.get(attempt, "").encode())


class MemoryArchive:
    """Some pieces; remembers what became of it."""

    def __init__(self, pieces: list[bytes]):
        self._pieces = pieces
        self.size = sum(map(len, pieces))
        self.sent = 0
        self.closed = 0

    def chunks(self):
        for piece in self._pieces:
            self.sent += 1
            yield piece

    def close(self) -> None:
        self.closed += 1


class MemoryUpkeep:
    """Hands out the archives it was given, and finds what it was told to find."""

    def __init__(self) -> None:
        self.archives: list[MemoryArchive] = []
        self.findings = [Finding("state.db", "ok", "Nothing wrong.")]

    def backup(self) -> MemoryArchive:
        self.archives.append(MemoryArchive([b"a" * 1000, b"b", b"c" * 50]))
        return self.archives[-1]

    def check(self):
        yield from self.findings


class MemoryGrants:
    """What there is to give, as a test puts it here."""

    def __init__(self) -> None:
        self.secrets: dict[tuple[str, str], str] = {}  # by what names it and the region
        self.registries: dict[str, dict[str, str]] = {}
        self.roles: set[str] = set()

    def secret(self, value_from: str, region: str) -> str:
        try:
            return self.secrets[value_from, region]
        except KeyError:
            raise NotGranted(f"{value_from} is nowhere") from None

    def registry(self, parameter: str, region: str) -> dict[str, str]:
        if parameter not in self.registries:
            raise NotGranted(f"{parameter} is nowhere")
        return self.registries[parameter]

    def credentials(self, role: str, session: str, region: str) -> RoleCredentials:
        if role not in self.roles:
            raise NotGranted(f"role {role} cannot be assumed")
        return RoleCredentials("ASIA1", "s3cret", f"{session}@{region}", "2026-11-28T13:00:00Z")

    def download(self, address: str, role: str | None, session: str, region: str) -> Download:
        return Download(f"https://fetch/{address}", {"X-Role": str(role)})
