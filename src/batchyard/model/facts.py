"""What we recorded: the scheduler's decisions, which ``store/apply`` turns into rows and journal in one commit.

A job is (job, index) with index WHOLE (-1) for a single job or an array parent, NODES + number for a node of a
multi-node job. Ranges are half open: [lo, hi).
"""

from __future__ import annotations

from typing import NamedTuple

from batchyard.model.environments import Leaving, Timing
from batchyard.model.events import Ending
from batchyard.model.needs import Needs


class ProviderRecorded(NamedTuple):
    """A provider's room, as decisions used it."""

    provider: str
    room: Needs


class TimingRecorded(NamedTuple):
    """How long instances take and stay, as decisions used it."""

    timing: Timing


class InstanceLaunched(NamedTuple):
    """An instance exists from `launched_ms` on and takes jobs from `ready_ms` on; numbers grow and are used once."""

    number: int
    id: str
    environment: int
    type: str
    room: Needs
    usable_mib: int
    launched_ms: int
    ready_ms: int
    idle_since_ms: int
    reserved: int = 0  # the multi-node job that it was launched for; 0: for anybody
    devices: tuple[int, ...] = ()  # its GPUs, as the provider numbers them


class InstanceIdled(NamedTuple):
    """The last job on the instance is over, or the one that it was reserved for does not come: it is for anybody."""

    number: int
    at_ms: int


class InstanceEnded(NamedTuple):
    """The instance is gone; nothing ran on it."""

    number: int
    at_ms: int
    reason: str


class InstanceWarned(NamedTuple):
    """The instance is to go though attempts are open on it."""

    number: int
    leaving: Leaving


class InstanceReclaimed(NamedTuple):
    """Its time is over: what was still open on it is told to die at once."""

    number: int
    at_ms: int


class RequestApplied(NamedTuple):
    """Every request up to this number is part of the state."""

    seq: int


class ShareUsed(NamedTuple):
    """The share is active, and this is what it had used at `charged_ms` (``shares.HeldShare``)."""

    queue: int
    share: str
    usage: int
    charged_ms: int
    used_ms: int
    latest_cpu_milli: int


class ShareForgotten(NamedTuple):
    """The share has no jobs, and what it ran lies outside of the policy's window: it is not active any more."""

    queue: int
    share: str


class HeadStuck(NamedTuple):
    """The job at the head of a queue cannot start (``blocked.Block``); nobody is told yet."""

    queue: int
    job: int
    index: int
    reason: str
    since_ms: int


class QueueBlocked(NamedTuple):
    """It could not for long enough: the reason is the job's statusReason now. `number`: of its attempts so far."""

    queue: int
    job: int
    index: int
    number: int
    reason: str
    at_ms: int


class QueueUnblocked(NamedTuple):
    """Another job is at the head, or it could start, or cannot for another reason. `reason` is cleared, if it was
    told."""

    queue: int
    job: int
    index: int
    reason: str
    told: bool


class ConsumableUsed(NamedTuple):
    """What open attempts hold of a consumable resource, and what attempts have consumed for good since it was created
    (`born`)."""

    number: int
    held: int
    consumed: int
    born: int


class JobAdded(NamedTuple):
    """A job entered the state with `status`; an array brings `size` child rows, each with `child_status`.

    A multi-node job brings one for each of its `nodes` but the `main` one, whose row is the job's. `share`
    is where it waits, None in a queue without a fair-share policy; `priority` is within that share.
    """

    job: int
    uuid: str
    queue: int
    size: int
    status: int
    child_status: int
    at_ms: int
    nodes: int = 0
    main: int = 0
    share: str | None = None
    priority: int = 0


class JobMoved(NamedTuple):
    """A job in state `before` went to `to` without an attempt; `status_reason` None clears the text."""

    job: int
    index: int
    before: int
    to: int
    at_ms: int
    status_reason: str | None = None


class ChildrenMoved(NamedTuple):
    """Children lo..hi-1 of an array, or nodes of a job, all in state `before`, went to `to`: one journal row.

    `number` is the attempt that nodes which are tried again have made; None for all others.
    """

    job: int
    lo: int
    hi: int
    before: int
    to: int
    at_ms: int
    status_reason: str | None = None
    number: int | None = None


class AttemptOpened(NamedTuple):
    """RUNNABLE to STARTING: attempt `number` has its place."""

    job: int
    index: int
    number: int
    uuid: str
    environment: int
    instance: str
    at_ms: int
    devices: tuple[int, ...] = ()  # its GPUs, as the provider numbers them


class AttemptBegan(NamedTuple):
    """STARTING to RUNNING."""

    job: int
    index: int
    number: int
    started_ms: int


class AttemptWarned(NamedTuple):
    """An attempt on Fargate Spot is interrupted: it was told to end, and is killed at `reclaim_ms`."""

    job: int
    index: int
    number: int
    warned_ms: int
    reclaim_ms: int


class AttemptClosed(NamedTuple):
    """The attempt is over, the job went from `before` (STARTING or RUNNING) to RUNNABLE (retried), SUCCEEDED or FAILED.

    `status_reason` is the job's and the attempt's; `ending.started_ms` and `stopped_ms` are final. `terminated`: it
    was ended by a TerminateJob, whatever its exit code is.
    """

    job: int
    index: int
    number: int
    before: int
    to: int
    ending: Ending
    at_ms: int
    terminated: bool = False


class StopNoted(NamedTuple):
    """A cancel or terminate was accepted for the job (index WHOLE) or children lo..hi-1 (`index` is then lo)."""

    job: int
    index: int
    hi: int  # index + 1 for one job
    kind: int
    reason: str
    at_ms: int


class QueueDeleted(NamedTuple):
    """No live job is left in a queue that was to be deleted: it is gone, and its name is free."""

    queue: int
    at_ms: int


class EnvironmentDeleted(NamedTuple):
    """No attempt is left in an environment that was to be deleted: it is gone, with its provider if it had its own."""

    environment: int
    provider: str | None
    at_ms: int


Fact = (
    ProviderRecorded
    | TimingRecorded
    | InstanceLaunched
    | InstanceIdled
    | InstanceEnded
    | InstanceWarned
    | InstanceReclaimed
    | ShareUsed
    | ShareForgotten
    | ConsumableUsed
    | RequestApplied
    | HeadStuck
    | QueueBlocked
    | QueueUnblocked
    | JobAdded
    | JobMoved
    | ChildrenMoved
    | AttemptOpened
    | AttemptBegan
    | AttemptWarned
    | AttemptClosed
    | StopNoted
    | QueueDeleted
    | EnvironmentDeleted
)
