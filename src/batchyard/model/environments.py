"""Compute environments as the scheduler knows them: of what machines they are made, and how many there may be.

Money is integers: millionths of a US dollar an hour. An interruption band is 0 (under 5 percent of Spot instances a
month) to 4 (over 20), as the catalogue has it. Source: reference "Allocation strategies and scaling".
"""

from __future__ import annotations

from typing import NamedTuple

from batchyard.model.needs import Needs

EC2, SPOT, FARGATE, FARGATE_SPOT = "EC2", "SPOT", "FARGATE", "FARGATE_SPOT"
FARGATES = frozenset({FARGATE, FARGATE_SPOT})

BEST_FIT = "BEST_FIT"
BEST_FIT_PROGRESSIVE = "BEST_FIT_PROGRESSIVE"
BEST_FIT_PROGRESSIVE_ORDERED = "BEST_FIT_PROGRESSIVE_ORDERED"
SPOT_CAPACITY_OPTIMIZED = "SPOT_CAPACITY_OPTIMIZED"
SPOT_PRICE_CAPACITY_OPTIMIZED = "SPOT_PRICE_CAPACITY_OPTIMIZED"
SPOT_CAPACITY_OPTIMIZED_PRIORITIZED = "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED"

UPDATE_MS = 1_800_000  # AWS's default for jobExecutionTimeoutMinutes

UPDATED = "its compute environment was updated"  # why an instance goes that an update replaces
FIT = "local.fit"  # the type of an instance that is carved to the measure of a job


class InstanceType(NamedTuple):
    """A row of the catalogue as decisions use it."""

    name: str
    room: Needs  # what one takes of its provider
    usable_mib: int  # what of its memory jobs may hold: less than there is
    price: int
    spot_price: int
    interruption: int

    @property
    def usable(self) -> Needs:
        return Needs(self.room.cpu_milli, self.usable_mib, self.room.gpus)


class Capacity(NamedTuple):
    """What a managed environment may hold. `types` are in the order in which the caller named them.

    EC2 and SPOT are made of instances and count their vCPUs against the bounds, Fargate counts those of its tasks.
    """

    kind: str
    max_cpu_milli: int
    min_cpu_milli: int = 0
    desired_cpu_milli: int = 0  # to be had right now, as far as there is room; 0: nothing was asked
    strategy: str = BEST_FIT
    bid_percent: int = 100  # of the on-demand price, up to which Spot is taken
    types: tuple[InstanceType, ...] = ()
    carves: bool = False  # whether a job that fits the machine but no type gets an instance of its own measure
    linger_ms: int | None = None  # how long an idle instance stays, if not as long as everywhere
    update_ms: int = UPDATE_MS  # how long jobs go on upon instances that an update replaces; 0: not at all

    @property
    def fargate(self) -> bool:
        return self.kind in FARGATES

    @property
    def spot(self) -> bool:
        return self.kind in (SPOT, FARGATE_SPOT)


class Timing(NamedTuple):
    """The operator's settings that decisions read; a row as well, for that reason. Times in ms."""

    boot_ms: int = 0  # from launch to ready
    linger_ms: int = 300_000  # from idle to terminated
    blocked_ms: int = 10_000  # for how long the head of a queue cannot start until the queue is called blocked
    full_ms: int = 300_000  # likewise, where nothing but room is missing
    passing: bool = False  # whether a job may start before the head of its line where that has no place
    warning_ms: int = 120_000  # from the warning of a Spot interruption to the reclaim


class Leaving(NamedTuple):
    """That an instance is to go though attempts are open on it: it takes none any more, and at `reclaim_ms` those that
    are left are killed. `reclaimed_ms`: since when they are told to die."""

    warned_ms: int
    reclaim_ms: int
    cause: str  # why, in words
    reclaimed_ms: int | None = None


class HeldInstance(NamedTuple):
    """An instance that exists, as its row tells it. `idle_since_ms` counts only while nothing runs on it."""

    number: int
    id: str
    environment: int
    type: str
    room: Needs
    usable_mib: int
    launched_ms: int
    ready_ms: int
    idle_since_ms: int
    reserved: int = 0  # for the multi-node job of this number
    devices: tuple[int, ...] = ()  # its GPUs, as the provider numbers them from 0
    leaving: Leaving | None = None
