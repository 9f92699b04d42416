"""What happened, in the past tense: the only way in to ``Scheduler.turn``.

Times are epoch milliseconds, resources are Needs, jobs are (seq, index). Every value that depends on time, chance
or the machine arrives here.
"""

from __future__ import annotations

from typing import NamedTuple

from batchyard.model.blocked import TimeLimit
from batchyard.model.consumables import Asks
from batchyard.model.environments import Capacity, Timing
from batchyard.model.jobs import Nodes, OpenAttempt, RetryPolicy
from batchyard.model.needs import Needs
from batchyard.model.shares import SharePolicy
from batchyard.model.tasks import ContainerEnding


class ProviderSized(NamedTuple):
    """A provider has this much room in all; every environment on it shares it."""

    provider: str
    room: Needs


class TimingSet(NamedTuple):
    """Instances take and stay so long, from now on."""

    timing: Timing


class EnvironmentChanged(NamedTuple):
    """A compute environment was created, altered or is to be deleted; carries its whole new value."""

    seq: int  # number of the request
    environment: int  # number of the environment
    provider: str
    instance: str  # the machine as one container instance; what ids of its instances derive from
    enabled: bool
    room: Needs | None = None  # of a provider that is this environment's own
    deleting: bool = False  # once true it stays true; no queue names the environment then
    capacity: Capacity | None = None  # of a managed one; None: UNMANAGED, the machine as one container instance
    unmanaged_cpu_milli: int = 0  # what an UNMANAGED one counts for where shares are reserved


class PolicyChanged(NamedTuple):
    """A scheduling policy was created, altered or deleted (then `value` is None, and no queue goes by it)."""

    seq: int
    policy: int
    value: SharePolicy | None


class QueueChanged(NamedTuple):
    """A job queue was created, altered or is to be deleted; carries its whole new value."""

    seq: int
    queue: int
    priority: int
    enabled: bool
    environments: tuple[int, ...]
    deleting: bool = False  # once true it stays true; no job comes to the queue after that
    policy: int | None = None  # number of its fair-share policy; None: first in, first out. It keeps its kind
    limits: tuple[TimeLimit, ...] = ()  # how long a blocked head may stay; one for each reason at most


class ConsumableChanged(NamedTuple):
    """A consumable resource was created, altered or deleted; carries its whole new value.

    `number` stands for its name for good: a resource may be deleted and created anew under jobs that ask for it.
    `granted` counts everything granted since its creation (`born`, the number of that request), and what of it was
    consumed is ours to know.
    """

    seq: int
    number: int
    there: bool  # False: deleted
    replenishable: bool
    granted: int
    born: int


class Upstream(NamedTuple):
    """A dependency with what rows say of it.

    `state` is the upstream's state when the scheduler does not hold it (None: it holds it, look there);
    `states` is likewise the vector of child states for N_TO_N, one byte a child.
    """

    seq: int  # 0 for SEQUENTIAL on the own array
    index: int
    kind: int
    state: int | None = None
    states: bytes | None = None


class JobSubmitted(NamedTuple):
    """A job was asked for and is durably stored; numbers are given by the store in order of arrival."""

    seq: int
    uuid: str
    queue: int
    size: int
    needs: Needs
    retry: RetryPolicy
    upstreams: tuple[Upstream, ...] = ()
    share: str | None = None  # in a queue with a fair-share policy
    priority: int = 0  # within the share, higher first
    timeout_s: int | None = None  # for how long an attempt may run
    asks: Asks = ()  # of consumable resources, for each attempt
    nodes: Nodes | None = None  # of a multi-node job; `needs` are those of its main node


class StopRequested(NamedTuple):
    """Somebody asked to cancel or terminate (`kind`) a job. `job` is 0 when nothing has that id."""

    seq: int
    job: int
    index: int
    kind: int
    reason: str


class InterruptionRequested(NamedTuple):
    """The operator has Spot capacity interrupted: an instance, an attempt on Fargate Spot, or (with neither) all of an
    environment."""

    seq: int
    environment: int
    instance: str = ""
    job: int = 0
    index: int = 0


class InterruptionsDrawn(NamedTuple):
    """Chance has Spot capacity interrupted: each number, modulo how much there is, picks a piece of it
    (``Scheduler.interruptible``)."""

    picks: tuple[int, ...]


class AttemptStarted(NamedTuple):
    """The main process of an attempt runs."""

    job: int
    index: int
    number: int
    at_ms: int


class Ending(NamedTuple):
    """How an attempt ended, in the words clients read (reference "Exit semantics").

    `exit_code` is None when nothing ran; a signal k is 128+k. `timed_out` endings are never retried, nor are `refused`
    ones: no task can be made of the job, whenever it is tried. Of a task of several containers it is that of the
    essential container that failed first, else of the last one that is essential; `containers` tells of each.
    """

    exit_code: int | None
    status_reason: str
    reason: str | None = None
    started_ms: int | None = None
    stopped_ms: int = 0
    timed_out: bool = False
    peak_memory_bytes: int | None = None
    cpu_ms: int | None = None
    refused: bool = False
    containers: tuple[ContainerEnding, ...] = ()


class AttemptEnded(NamedTuple):
    """An attempt is over and nothing of it is alive."""

    job: int
    index: int
    number: int
    ending: Ending


class AttemptLost(NamedTuple):
    """The host of an attempt is gone with its exit code; the attempt is known to be dead."""

    job: int
    index: int
    number: int


class ExecutorSurveyed(NamedTuple):
    """After every (re)connection: the attempts, as (job, index, number), that the provider's executor still holds.

    An open attempt that is missing was never begun (STARTING: it is started again) or is gone (RUNNING: lost).
    `provider` is the executor's name (``ids.executor_name``): it may serve several providers.
    """

    provider: str
    living: frozenset[tuple[int, int, int]]


class HeldJob(NamedTuple):
    """A live job as its rows tell it, for ``Scheduler.restore``.

    For an array, `states` has one byte a child; `attempts` and `stops` name only the children that differ from
    (0 attempts, no stop). Key WHOLE stands for the job itself. A stop is (kind, reason). For a multi-node job, `states`
    has one byte a node but the main one, whose state is the job's; it lives until none of its attempts is open.
    """

    submitted: JobSubmitted
    status: int
    states: bytes
    attempts: dict[int, int]
    stops: dict[int, tuple[int, str]]
    open_attempts: tuple[OpenAttempt, ...]


Event = (
    ProviderSized
    | TimingSet
    | EnvironmentChanged
    | PolicyChanged
    | QueueChanged
    | ConsumableChanged
    | JobSubmitted
    | StopRequested
    | InterruptionRequested
    | InterruptionsDrawn
    | AttemptStarted
    | AttemptEnded
    | AttemptLost
    | ExecutorSurveyed
)
