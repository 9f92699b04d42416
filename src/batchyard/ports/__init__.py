"""The sockets in the wall: what rooms may ask of each other without importing each other.

Of the store's faces ``Intake`` (the one writer of requests.db) and ``Reader`` serve the api process, ``Commits``
(state.db) the engine process. What the observe process follows is in ``journal``, backups and checks are in ``upkeep``,
the logs of attempts in ``logs``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from batchyard.model.blocked import Block
from batchyard.model.consumables import HeldConsumable
from batchyard.model.environments import HeldInstance, Timing
from batchyard.model.events import Ending, Event, HeldJob
from batchyard.model.facts import Fact
from batchyard.model.jobs import (
    AttemptSpec,
    Deletion,
    EnvironmentChange,
    Interruption,
    NewDefinition,
    NewEnvironment,
    NewJob,
    NewQueue,
    Nodes,
    QueueChange,
    Wish,
)
from batchyard.model.needs import Needs
from batchyard.model.shares import HeldShare
from batchyard.model.shown import FrontShown, LineShown
from batchyard.model.states import VALID
from batchyard.model.streams import GoingOn, GroupRow, StreamPage, StreamPosition, StreamRow
from batchyard.model.tasks import ContainerEnding
from batchyard.model.verdicts import Verdict
from batchyard.ports.consumables import ConsumableIntake, ConsumableReader
from batchyard.ports.instances import Instances
from batchyard.ports.policies import PolicyIntake, PolicyReader

View = TypeVar("View")


class Clock(Protocol):
    """Epoch milliseconds that never go back within this process or behind what was stored."""

    def now_ms(self) -> int: ...


# -- the api's side of the store -------------------------------------------------------------------------------


class Intake(ConsumableIntake, PolicyIntake, Protocol):
    """Writes what was asked. Every call returns only after its commit is on disk; many calls share one commit."""

    async def register_definition(self, definition: NewDefinition) -> int:
        """Store the next revision of the definition and return its number (from 1, never reused)."""

    async def create_environment(self, environment: NewEnvironment) -> int:
        """Store it and return its number; ClientError `Object already exists` if the name is taken."""

    async def create_queue(self, queue: NewQueue) -> int:
        """Store it and return its number; ClientError `Object already exists` if the name is taken."""

    async def update_environment(self, change: EnvironmentChange) -> bool:
        """Store the change; False (and nothing stored) if there is no such environment.

        ClientError if it is being deleted, or changed by another call at the same time. A call that was stored before
        is not carried out again, here and in all other methods that take an idempotency key.
        """

    async def update_queue(self, change: QueueChange) -> bool:
        """Likewise. ClientError also if one of the named environments is unknown or being deleted."""

    async def delete_environment(self, deletion: Deletion) -> bool:
        """Store the wish; False if there is no such environment. ClientError unless it is DISABLED, no queue names it,
        and it is not being deleted yet."""

    async def delete_queue(self, deletion: Deletion) -> bool:
        """Likewise; ClientError unless the queue is DISABLED and not being deleted yet."""

    async def deregister_definition(self, region: str, name: str, revision: int, at_ms: int) -> bool:
        """Make the revision INACTIVE, which it may be already; False if there is no such revision."""

    async def submit(self, job: NewJob) -> str:
        """Store the job and return its UUID: the first job's if `job.idempotency` was seen before.

        Guards are checked again in the same transaction: the queue accepts jobs, the definition is ACTIVE, every
        upstream exists, and its share is active or may become so (else ClientError).
        """

    async def wish(self, wish: Wish) -> bool:
        """Store a cancel or terminate; False (and nothing stored) if no such job is known."""

    async def interrupt(self, interruption: Interruption) -> None:
        """Store the operator's wish to have Spot capacity interrupted."""

    async def change_tags(self, number: int, change: Callable[[dict[str, str]], dict[str, str]]) -> bool:
        """Have `change` make new tags of the current ones of an environment, queue, definition or job; False if none
        has this number. `change` runs in the writing transaction and may refuse by raising."""


class EnvironmentRow(NamedTuple):
    id: int
    region: str
    name: str
    uuid: str
    kind: str
    provider: str
    enabled: bool
    body: dict[str, Any]
    status: str = VALID  # of model/states.py; DELETED ones are found by number only
    reason: str | None = None  # why it is UPDATING or INVALID


class QueueRow(NamedTuple):
    id: int
    region: str
    name: str
    priority: int
    enabled: bool
    environments: tuple[int, ...]
    body: dict[str, Any]
    status: str = VALID
    policy: str | None = None  # name of its scheduling policy; None: first in, first out


class DefinitionRow(NamedTuple):
    id: int
    region: str
    name: str
    revision: int
    active: bool
    body: dict[str, Any]


class AttemptRow(NamedTuple):
    number: int
    environment: int
    instance: str
    opened_ms: int
    started_ms: int | None
    stopped_ms: int | None
    exit_code: int | None
    reason: str | None
    status_reason: str | None
    peak_memory_bytes: int | None
    cpu_ms: int | None
    reclaim_ms: int | None = None  # when its place was to be reclaimed, if Spot interrupted it
    devices: tuple[int, ...] = ()  # its GPUs, as the machine numbers them
    containers: tuple[ContainerEnding, ...] = ()  # how those of a task of several ended


class JobRow(NamedTuple):
    """A job (index WHOLE), array child or node, requests and state put together."""

    seq: int
    index: int
    uuid: str
    region: str
    name: str
    queue: int
    definition: int
    created_ms: int
    size: int
    status: int
    status_reason: str | None
    started_ms: int | None
    stopped_ms: int | None
    stop_kind: int | None  # CANCEL or TERMINATE once accepted
    attempts: int  # number of the latest attempt, 0 if none
    depends_on: tuple[tuple[str | None, int], ...]  # (job id as the caller named it, kind)
    body: dict[str, Any]  # {} when the reader was asked for a summary
    exit_code: int | None = None  # of the latest attempt, once it is over
    reason: str | None = None  # likewise
    share: str | None = None  # its share identifier, in a queue with a scheduling policy
    nodes: Nodes | None = None  # of a multi-node job and its nodes


class Standing(NamedTuple):
    """A job or array child at one moment, with all that is shown of it."""

    row: JobRow  # with its body
    attempts: Sequence[AttemptRow]  # oldest first, the running one included
    tags: dict[str, str]
    child_counts: Sequence[int] = ()  # of an array's children, how many are in each of the seven states
    counted_ms: int = 0  # when they were counted


class Shown(NamedTuple, Generic[View]):
    """A view of the engine's, and when it was told: it changed at that time, and not since."""

    at_ms: int
    view: View


class Waiting(NamedTuple):
    """Where a RUNNABLE job or child stands, and what the engine shows of why; None: it has shown nothing yet."""

    needs: Needs
    ahead: int  # jobs and children that go before it in its queue, or in its share
    verdict: Shown[Verdict] | None
    line: Shown[LineShown] | None
    share: str | None = None


class ClassVerdict(NamedTuple):
    """Why jobs with these needs wait in a queue."""

    needs: Needs
    verdict: Shown[Verdict]


class Backlog(NamedTuple):
    """Requests that the engine has not taken yet, the time of the oldest job among them, and when the engine last
    recorded something."""

    count: int
    since_ms: int | None
    engine_ms: int


class NameMatch(NamedTuple):
    """A name as a filter gives it."""

    text: str
    whole: bool  # False: any name that begins so
    revision: int | None = None  # of a definition; None: any


class JobFilter(NamedTuple):
    """Which jobs are wanted: those for which everything holds that is not None; of several names one is enough."""

    names: tuple[NameMatch, ...] | None = None  # of the job, in any case
    definitions: tuple[NameMatch, ...] | None = None  # of its definition
    created_after_ms: int | None = None
    created_before_ms: int | None = None
    shares: tuple[NameMatch, ...] | None = None  # of its share identifier
    status: int | None = None


class JobPage(NamedTuple):
    rows: list[JobRow]
    rest: int | None  # the number below which to go on; None: there is no more


class Reader(ConsumableReader, Instances, PolicyReader, Protocol):
    """Reads both files, state first; a job absent from state is SUBMITTED. Blocking, each call well under 1 ms
    per row. Never writes."""

    def environment(self, region: str, name: str) -> EnvironmentRow | None:
        """The one that has the name now; one that is being deleted has it until nothing of it lives."""

    def environment_by_id(self, number: int) -> EnvironmentRow | None: ...

    def environments(self, region: str, after: int, limit: int) -> list[EnvironmentRow]:
        """In order of creation, those whose number is above `after` and that are not gone."""

    def queue(self, region: str, name: str) -> QueueRow | None: ...

    def queue_by_id(self, number: int) -> QueueRow | None: ...

    def queues(self, region: str, after: int, limit: int) -> list[QueueRow]: ...

    def definition(self, region: str, name: str, revision: int | None) -> DefinitionRow | None:
        """`revision` None: the highest ACTIVE one. A given revision is returned whether active or not."""

    def definition_by_id(self, number: int) -> DefinitionRow | None: ...

    def definitions(
        self, region: str, name: str | None, active: bool | None, after: tuple[str, int] | None, limit: int
    ) -> list[DefinitionRow]:
        """By name, newest revision first; `after` is the (name, revision) of the last row of the page before."""

    def changed_tags(self, number: int) -> dict[str, str] | None:
        """The tags of an environment, queue, definition or job as they were changed; None: they are as given."""

    def job(self, region: str, uuid: str, index: int) -> JobRow | None: ...

    def region_of(self, uuid: str) -> str | None:
        """The region of a job; None if there is none of this UUID."""

    def waiting(self, row: JobRow) -> Waiting | None:
        """Where a job or child stands that was RUNNABLE when `row` was read; None if it is known no more.

        It costs as much as counting those who wait before it, some 100 ms where a million do."""

    def front(self, queue: int) -> Shown[FrontShown] | None:
        """What the engine shows of who goes next in a queue; None: nobody waits in it, and nothing runs."""

    def verdict(self, row: JobRow) -> ClassVerdict | None:
        """What the engine shows of why jobs of the row's class wait."""

    def resource_name(self, number: int) -> str:
        """What a consumable resource is called."""

    def backlog(self) -> Backlog: ...

    def child_counts(self, seq: int) -> list[int]:
        """How many children of the array are in each of the seven states."""

    def attempts(self, seq: int, index: int) -> list[AttemptRow]:
        """All attempts, oldest first, the running one included."""

    def list_queue(self, queue: int, status: int, before: int | None, limit: int) -> list[JobRow]:
        """Summaries of the queue's jobs and array parents in `status`, newest first, with seq below `before`."""

    def search_queue(self, queue: int, wanted: JobFilter, before: int | None, limit: int) -> JobPage:
        """Summaries of the queue's jobs and array parents that are wanted, newest first, with seq below `before`.

        A call looks at so many jobs and no more: a page may be short, even empty, though there is more.
        """

    def list_children(self, seq: int, status: int, after: int, limit: int) -> list[JobRow]:
        """Summaries of the array's children in `status`, by index, with index above `after`."""

    def log_group(self, region: str, name: str) -> int | None:
        """The number of the group; None if nothing has been logged there."""

    def log_groups(self, region: str, after: str, limit: int, prefix: str = "", part: str = "") -> list[GroupRow]:
        """Groups by name, from the one that follows `after` on, that begin with `prefix` and hold `part`."""

    def stream(self, group: int, name: str) -> StreamRow | None: ...

    def streams_by_name(self, group: int, prefix: str, after: str, descending: bool, limit: int) -> list[StreamRow]:
        """Streams whose names begin with `prefix`, from the one that follows `after` on."""

    def streams_by_end(self, group: int, descending: bool, after: StreamPosition | None, limit: int) -> StreamPage:
        """By the time of their ends; those that go on are the last. A page may be short though there is more."""

    def streams_going_on(self, group: int, prefix: str, at_ms: int, until_ms: int) -> GoingOn:
        """Streams whose names begin with `prefix` that may have events from `at_ms` on, and were opened before
        `until_ms`: all that may have one at `at_ms`, and some that were opened later."""


# -- the engine's side of the store ----------------------------------------------------------------------------


class Snapshot(NamedTuple):
    """All that ``Scheduler.restore`` needs."""

    applied_seq: int
    last_ms: int
    providers: dict[str, Needs]
    timing: Timing
    configuration: list[Event]  # EnvironmentChanged and QueueChanged: the last one applied of each that is not gone
    launched: int  # number of the latest instance
    instances: list[HeldInstance]  # those that exist, in order of their numbers
    shares: list[HeldShare]
    blocks: list[Block]
    used: list[HeldConsumable]
    jobs: list[HeldJob]  # live jobs in order of their numbers


class Commits(Protocol):
    """Writes what became of it."""

    def load(self) -> Snapshot: ...

    def requests(self, after: int, limit: int, holds: Callable[[int], bool]) -> list[Event]:
        """Requests with a number above `after`, in order, as events.

        Upstreams for which `holds(seq)` is false, and which are not among the earlier events of the answer, are
        resolved from rows in the same read transaction.
        """

    def commit(self, now_ms: int, facts: Sequence[Fact]) -> None:
        """Rows and journal in one durable transaction."""

    def has_room(self) -> bool:
        """Whether the disk has room for what a decision brings with it; while it has none, nothing is decided."""

    def retire(self, now_ms: int) -> bool:
        """Let go of finished jobs that are old or too many, a few milliseconds' worth; whether to call again soon."""

    def show(self, now_ms: int, views: Mapping[str, Any]) -> bool:
        """Replace what the engine shows under these names; None: nothing any more. Nothing waits for the disk, nothing
        depends on it: False if it could not be written. Then nothing that was shown before counts, and neither does at
        the first call: all else that is shown is taken away."""

    def attempt_spec(self, job: int, index: int, number: int) -> AttemptSpec:
        """What an executor must know to run the attempt (whose AttemptOpened is committed)."""


# -- executors -------------------------------------------------------------------------------------------------


class Began(NamedTuple):
    """News: the attempt's main process runs since `at_ms`."""

    attempt: str
    at_ms: int


class Ended(NamedTuple):
    """News: the attempt is over, nothing of it is alive, and this is how it ended."""

    attempt: str
    ending: Ending


class Lost(NamedTuple):
    """News: whatever held the attempt is gone with its exit code; nothing of the attempt is alive."""

    attempt: str


class Survey(NamedTuple):
    """News after every (re)connection: all attempts the executor holds that have not ended.

    An attempt that is not in `living`, and of which no Ended or Lost came before, is unknown to the executor.
    """

    living: frozenset[str]


News = Began | Ended | Lost | Survey


class Executor(Protocol):
    """Runs attempts in one kind of place. Orders are idempotent by attempt id; news may be late or repeated."""

    def fileno(self) -> int:
        """A descriptor that turns readable when `observe` has something to say; -1 while there is none."""

    def start(self, spec: AttemptSpec) -> None: ...

    def stop(self, attempt: str, grace_ms: int | None = None) -> None:
        """SIGTERM, then SIGKILL after `grace_ms` (None: as is set; 0: SIGKILL at once). Of several orders for one
        attempt the one that kills first holds."""

    def release(self, attempt: str) -> None:
        """The ending is durable elsewhere: the exit record may go."""

    def flush(self) -> None:
        """Send what was ordered; called once after each batch of orders."""

    def observe(self) -> list[News]:
        """News since the last call; never blocks. Also where a lost connection is made again."""
