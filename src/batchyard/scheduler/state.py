"""What the scheduler holds in memory: live jobs, queues, environments, and the facts and actions of this turn.

Only live jobs are held; a job leaves when it is terminal. An array is one object however many children it has:
one byte of state a child, and objects only for attempts that are open. Everything here can be rebuilt from rows
(``Scheduler.restore``); what is an index over it says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from batchyard.model import states
from batchyard.model.actions import Action
from batchyard.model.blocked import Block, TimeLimit
from batchyard.model.consumables import Asks
from batchyard.model.environments import Capacity, HeldInstance, InstanceType, Timing
from batchyard.model.facts import Fact
from batchyard.model.ids import NODES, WHOLE
from batchyard.model.jobs import Nodes, RetryPolicy
from batchyard.model.needs import NOTHING, Needs, NeedsClasses
from batchyard.model.shares import SharePolicy
from batchyard.scheduler.lines import Entry, Lane, Line
from batchyard.scheduler.shelf import Shelf


class Open:
    """An attempt that has not ended; `started_ms` is None while STARTING."""

    __slots__ = ("number", "environment", "instance", "opened_ms", "started_ms", "reclaim_ms", "devices")

    def __init__(self, number: int, environment: int, instance: str, opened_ms: int, started_ms: int | None = None):
        self.number = number
        self.environment = environment
        self.instance = instance
        self.opened_ms = opened_ms
        self.started_ms = started_ms
        self.reclaim_ms: int | None = None  # when it is killed, if Fargate Spot interrupted it
        self.devices: tuple[int, ...] = ()  # its GPUs, as the provider numbers them


class Askers:
    """Jobs of one line that ask for the same of consumable resources (see consumables.py): all of them are in `own`,
    the one that may go is in `line` as well."""

    __slots__ = ("asks", "line", "own", "jobs", "first", "stands", "left_out")

    def __init__(self, asks: Asks, line: Line):
        self.asks = asks
        self.line = line  # of their queue or share
        self.own = Line()
        self.jobs = 0  # that live
        self.first: Entry | None = None  # of these, as the resources know it
        self.stands: Entry | None = None  # what was put into the line
        self.left_out = False  # they ask for more of something than there is in all


class Consumable:
    """A consumable resource, by the number of its name. `held`, `firsts` and `askers` are indexes over jobs."""

    __slots__ = ("number", "there", "born", "replenishable", "granted", "consumed", "held", "firsts", "askers")

    def __init__(self, number: int):
        self.number = number
        self.there = False  # not created yet, or deleted
        self.replenishable = True
        self.born = 0  # the number of its creation
        self.granted = 0  # in all, since then
        self.consumed = 0  # of it
        self.held = 0  # by open attempts; more than there is if somebody took some away
        # By line, a heap of (first entry, tie-breaker, Askers); who is not first any more is dropped at the top.
        self.firsts: dict[Line, list[tuple[Entry, int, Askers]]] = {}
        self.askers: dict[Askers, None] = {}  # whoever waits for it

    @property
    def total(self) -> int:
        return max(0, self.granted - self.consumed) if self.there else 0

    @property
    def free(self) -> int:
        """Below 0 if more is held than there is."""
        return self.total - self.held


class Link(NamedTuple):
    """A downstream job that waits on the holder of this link (`index`: on that child of it, WHOLE: on all of it)."""

    downstream: int
    kind: int
    index: int


class Job:
    """A single job. Children of arrays are not objects; an Array answers for them by index."""

    __slots__ = (
        "seq",
        "uuid",
        "queue",
        "needs",
        "retry",
        "status",
        "number",
        "waits",
        "doomed",
        "stop",
        "links",
        "open",
        "share",
        "line",
        "lane",
        "rank",
        "askers",
    )

    size = 0

    def __init__(self, seq: int, uuid: str, queue: int, lane: Lane, retry: RetryPolicy, line: Line):
        self.seq = seq
        self.uuid = uuid
        self.queue = queue
        self.line = line  # where it waits: its queue's, its share's, or that of its askers
        self.lane = lane  # there
        self.askers: Askers | None = None  # who asks for the same of consumable resources; None: it asks for none
        self.share: Share | None = None
        self.rank = 0  # within the share: its priority, negative
        self.needs = lane[0]  # its needs class
        self.retry = retry
        self.status = states.SUBMITTED
        self.number = 0  # of the latest attempt; 0 before the first
        self.waits = 0  # upstreams that are not terminal yet (N_TO_N and SEQUENTIAL are not counted)
        self.doomed = False  # an upstream has failed
        self.stop: tuple[int, str] | None = None  # (CANCEL or TERMINATE, reason)
        self.links: list[Link] | None = None
        self.open: Open | None = None

    @property
    def asks(self) -> Asks:
        return () if self.askers is None else self.askers.asks

    @property
    def stands_in(self) -> Line:
        """The line of its queue or share."""
        return self.line if self.askers is None else self.askers.line

    def needs_at(self, index: int) -> int:
        """The needs class of an attempt."""
        return self.needs

    def stands(self, index: int) -> bool:
        """Whether an entry of the waiting line for it still counts."""
        return self.state_of(index) == states.RUNNABLE

    def state_of(self, index: int) -> int:
        return self.status

    def number_of(self, index: int) -> int:
        return self.number

    def open_of(self, index: int) -> Open | None:
        return self.open

    def stop_of(self, index: int) -> tuple[int, str] | None:
        return self.stop

    def opens(self) -> Iterator[tuple[int, Open]]:
        if self.open is not None:
            yield WHOLE, self.open


class Array(Job):
    """An array parent with its children."""

    __slots__ = (
        "size",
        "children",
        "counts",
        "numbers",
        "stops",
        "open_children",
        "pairs",
        "sequential",
        "ready_from",
        "in_line",
    )

    def __init__(
        self, seq: int, uuid: str, queue: int, lane: Lane, retry: RetryPolicy, line: Line, size: int, child_state: int
    ):
        super().__init__(seq, uuid, queue, lane, retry, line)
        self.size = size
        self.children = bytearray([child_state]) * size  # shared with N_TO_N downstreams: changed in place only
        self.counts = [0] * len(states.NAMES)
        self.counts[child_state] = size
        self.numbers: dict[int, int] = {}  # attempts made, of live children that have made any
        self.stops: dict[int, tuple[int, str]] = {}
        self.open_children: dict[int, Open] = {}
        self.pairs: list[bytes | bytearray] = []  # states of N_TO_N upstreams, child by child
        self.sequential = False
        self.ready_from = 0  # no child below it is RUNNABLE (an index, kept low enough)
        self.in_line = False  # whether the waiting line has an entry for the array

    def state_of(self, index: int) -> int:
        return self.status if index == WHOLE else self.children[index]

    def number_of(self, index: int) -> int:
        return self.numbers.get(index, 0)

    def open_of(self, index: int) -> Open | None:
        return self.open_children.get(index)

    def stop_of(self, index: int) -> tuple[int, str] | None:
        return self.stops.get(index) or self.stop

    def opens(self) -> Iterator[tuple[int, Open]]:
        yield from self.open_children.items()


class Gang(Job):
    """A multi-node job. It is its main node: status, attempt and needs of index WHOLE are those of the main node. The
    others (index NODES + number) have states of their own; the number of their latest attempt is that of the job.

    `began` tells of a main node that is closed while others are open: it had begun, or they would be closed, too.
    """

    __slots__ = ("nodes", "states", "open_nodes", "classes", "began")

    def __init__(
        self,
        seq: int,
        uuid: str,
        queue: int,
        lane: Lane,
        retry: RetryPolicy,
        line: Line,
        nodes: Nodes,
        classes: tuple[int, ...],
        node_state: int,
    ):
        super().__init__(seq, uuid, queue, lane, retry, line)
        self.nodes = nodes
        self.classes = classes  # needs classes, one for each group of nodes
        self.states = {NODES + number: node_state for number in range(nodes.count) if number != nodes.main}
        self.open_nodes: dict[int, Open] = {}
        self.began = True

    def needs_at(self, index: int) -> int:
        number = self.nodes.main if index == WHOLE else index - NODES
        return next(each for group, each in zip(self.nodes.groups, self.classes, strict=True) if number < group.hi)

    def stands(self, index: int) -> bool:
        return self.status == states.RUNNABLE and not self.open_nodes

    def state_of(self, index: int) -> int:
        return self.status if index == WHOLE else self.states[index]

    def open_of(self, index: int) -> Open | None:
        return self.open if index == WHOLE else self.open_nodes.get(index)

    def opens(self) -> Iterator[tuple[int, Open]]:
        yield from super().opens()
        yield from self.open_nodes.items()


class Instance:
    """A machine of a managed environment. `free` and `jobs` are indices over open attempts. One that is `reserved` for
    a multi-node job takes no other from its launch until the job's attempt there is over, or does not come.
    """

    __slots__ = (
        "number", "id", "environment", "type", "room", "usable", "free", "jobs", "ready_ms", "idle_since_ms",
        "leaving", "reserved", "devices", "lent",
    )  # fmt: skip

    def __init__(self, held: HeldInstance):
        self.number = held.number
        self.id = held.id
        self.environment = held.environment
        self.type = held.type
        self.room = held.room  # of the provider
        self.usable = held.room._replace(memory_mib=held.usable_mib)  # by jobs
        self.free = self.usable
        self.jobs: dict[tuple[int, int], Job] = {}  # whose attempts are on it, by job and index
        self.ready_ms = held.ready_ms
        self.idle_since_ms = held.idle_since_ms  # counts only while there are no jobs
        self.leaving = held.leaving
        self.devices = held.devices  # its GPUs, as the provider numbers them
        self.lent: set[int] = set()  # of these, to attempts; an index
        self.reserved = held.reserved


class Environment:
    """A compute environment: where it draws its room, and what it is made of.

    UNMANAGED (`capacity` None) is the machine as one container instance, called `instance`. EC2 and SPOT are made of
    `instances`; Fargate of slices that come and go with their jobs. The other members are indices.
    """

    __slots__ = (
        "number", "provider", "instance", "enabled", "own", "deleting", "open", "capacity", "held_cpu_milli", "holds",
        "instances", "by_id", "booting", "idle", "kept", "plain", "with_gpus", "ranked", "bound_cpu_milli",
    )  # fmt: skip

    def __init__(self, number: int, provider: str, instance: str):
        self.number = number
        self.provider = provider
        self.instance = instance
        self.enabled = False
        self.own = False  # whether no other environment can draw on its provider
        self.deleting = False  # it goes when nothing is open in it any more
        self.open: dict[tuple[int, int], Job] = {}  # attempts there, by job and index
        self.capacity: Capacity | None = None
        self.bound_cpu_milli = 0  # its share of what a fair-share policy reserves from
        self.held_cpu_milli = 0  # of instances, or of Fargate's attempts
        self.holds = NOTHING  # of its provider: with instances, or with attempts that are on none
        self.instances: dict[int, Instance] = {}
        self.by_id: dict[str, Instance] = {}
        self.booting: dict[int, Instance] = {}
        self.idle: dict[int, Instance] = {}  # ready and without a job
        self.kept: set[int] = set()  # idle for long enough, but the minimum needs them
        self.plain = Shelf()  # ready instances without GPUs
        self.with_gpus = Shelf()
        self.ranked: dict[tuple[Needs, Needs], tuple[InstanceType, ...]] = {}  # by needs and the provider's room

    @property
    def floor_cpu_milli(self) -> int:
        """What it holds of instances even if nobody needs them."""
        return 0 if self.capacity is None or self.deleting else self.capacity.min_cpu_milli

    @property
    def spot(self) -> bool:
        """Whether what it holds may be interrupted."""
        return self.capacity is not None and self.capacity.spot

    def shelf_of(self, instance: Instance) -> Shelf:
        return self.with_gpus if instance.room.gpus else self.plain


class Share:
    """What one share identifier of a queue has in line, holds and has used (see fairshare.py). `line`, `jobs` and
    `held_cpu_milli` are indices over jobs, `key` is one over `Queue.turns`."""

    __slots__ = (
        "id", "weight", "line", "jobs", "held_cpu_milli", "usage", "charged_ms", "used_ms", "latest_cpu_milli", "key",
    )  # fmt: skip

    def __init__(self, share_id: str, weight: int, now_ms: int):
        self.id = share_id
        self.weight = weight
        self.line = Line()
        self.jobs = 0  # that live
        self.held_cpu_milli = 0
        self.usage = 0
        self.charged_ms = now_ms
        self.used_ms = 0  # when an attempt of it last opened or closed; 0: never
        self.latest_cpu_milli = 0  # of that attempt
        self.key: int | None = None  # the score with which it stands among the turns; None: it does not


class Queue:
    """A job queue and its line of waiting jobs (see ordering.py); with a policy, a line for each share."""

    __slots__ = (
        "number", "priority", "environments", "line", "policy", "policy_number", "shares", "held_cpu_milli", "turns",
        "turns_until_ms", "passed", "limits", "deleting", "left", "ending",
    )  # fmt: skip

    def __init__(self, number: int):
        self.number = number
        self.priority = 0
        self.environments: tuple[int, ...] = ()
        self.line = Line()
        self.policy: SharePolicy | None = None
        self.policy_number: int | None = None
        self.shares: dict[str, Share] = {}  # those that are active
        self.turns: list[tuple[int, str]] = []  # heap of (score, share) of those with jobs in line, and
        self.turns_until_ms = 0  # when use decays again, so that all of them are other ones (see fairshare.py)
        self.passed: list[str] = []  # shares that had their turn in this settle and could not use it
        self.held_cpu_milli = 0  # by attempts of its jobs; an index over them
        self.limits: tuple[TimeLimit, ...] = ()
        self.deleting = False  # its jobs are brought to an end, and then it goes (see deletion.py)
        self.left: list[int] | None = None  # of its jobs those to be ended, the next one last; None: not looked up yet
        self.ending: list[int] = []  # those whose attempts were told to stop; both are indexes over live jobs


class Provider:
    """Room in all and room taken. `used` is an index over instances, and over open attempts that are on none."""

    __slots__ = ("name", "room", "used", "lent")

    def __init__(self, name: str, room: Needs):
        self.name = name
        self.room = room
        self.used = NOTHING
        self.lent: set[int] = set()  # GPUs, by number; an index like `used`


class State:
    """All of it, and the buffers of the turn being decided."""

    __slots__ = (
        "jobs", "ended", "queues", "environments", "left", "providers", "timing", "instances", "launched", "timers",
        "going", "sets", "touched", "charged", "fading", "classes", "gangs", "policies", "share_policies", "work",
        "order", "leaving_queues", "leaving_environments", "consumables", "stirred", "freed", "used", "entered",
        "stuck", "contested", "placed_ms", "unsettled", "applied_seq", "now_ms", "facts", "actions",
    )  # fmt: skip

    def __init__(self) -> None:
        self.jobs: dict[int, Job] = {}
        self.ended: dict[int, Job] = {}  # became terminal in this turn: rows do not tell of them yet
        self.queues: dict[int, Queue] = {}
        self.environments: dict[int, Environment] = {}
        self.left: dict[int, Environment] = {}  # deleted in this turn: its orders may still name them
        self.providers: dict[str, Provider] = {}
        self.timing = Timing()
        self.instances: dict[int, Instance] = {}
        self.launched = 0  # the number of the latest instance
        self.sets: dict[int, list[Instance]] = {}  # by the multi-node job that waits for them; an index over instances
        self.timers: list[tuple[int, int]] = []  # heap of (when, instance) to look at; an index over instances
        self.going: dict[int | tuple[int, int], tuple[str, Needs, int]] = {}  # see reclaim.py; an index
        self.charged: set[tuple[int, str]] = set()  # (queue, share) whose use is to be recorded after this turn
        self.fading: list[tuple[int, int, str]] = []  # heap of (when, queue, share): to be forgotten; an index
        self.touched: set[int] = set()  # instances that lost their last job in this turn
        self.consumables: dict[int, Consumable] = {}
        self.stirred: dict[Askers, None] = {}  # of whom another one may be first, or may go
        self.freed: set[int] = set()  # resources of which more may be free than when last looked at
        self.used: set[int] = set()  # resources whose use is to be recorded after this turn
        self.entered = 0  # entries made in lines of resources
        self.classes = NeedsClasses()
        self.gangs: dict[Nodes, int] = {}
        self.policies: dict[RetryPolicy, RetryPolicy] = {}
        self.share_policies: dict[int, SharePolicy] = {}
        self.work: list[tuple[int, int]] = []  # heap of PENDING (job, index) whose fate is decided; an index over jobs
        self.order: list[Queue] = []  # queues that start jobs, by priority; an index over queues
        self.leaving_queues: list[Queue] = []  # those that are to be deleted, and
        self.leaving_environments: list[Environment] = []  # likewise, in order of numbers; indexes
        self.stuck: dict[int, Block] = {}  # by queue, those whose head cannot start (see blocked.py)
        self.contested: list[Queue] = []  # the head of one share has no place, others wait; as of when all was placed
        self.placed_ms = 0
        self.unsettled = False  # something changed since the last settle that may let a job start
        self.applied_seq = 0
        self.now_ms = 0
        self.facts: list[Fact] = []
        self.actions: list[Action] = []

    def needs_of(self, job: Job, index: int = WHOLE) -> Needs:
        return self.classes[job.needs_at(index)]

    def lane_of(self, nodes: Nodes) -> int:
        """What stands for equal multi-node jobs where others have their needs class; below 0."""
        return self.gangs.setdefault(nodes, -1 - len(self.gangs))

    def intern(self, retry: RetryPolicy) -> RetryPolicy:
        return self.policies.setdefault(retry, retry)
