"""Why jobs wait, as values: what stands in the way of a class of jobs, and which of it is the nearest to change.

A class is (queue, needs, what is asked of consumable resources): all its jobs stand before the same. The scheduler
finds verdicts (``scheduler/verdicts.py``), the engine shows them, words are made in ``describe``. Nothing here decides.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from batchyard.model.needs import Needs


class Kind(StrEnum):
    """What it is that stands in the way. The comments say which numbers come with it."""

    # Somebody has to change something; waiting alone is of no use.
    LEAVING = "LEAVING"  # the environment is being deleted
    DISABLED = "DISABLED"
    NO_MACHINE = "NO_MACHINE"  # nobody has said how large the machine behind the environment is
    NO_NODES = "NO_NODES"  # a multi-node job needs on-demand instances
    MAXIMUM_BELOW = "MAXIMUM_BELOW"  # maxvCpus: VCPU
    NO_TYPE = "NO_TYPE"  # no allowed instance type holds it: what the nearest `type` is short of
    TYPE_ABOVE_MAXIMUM = "TYPE_ABOVE_MAXIMUM"  # BEST_FIT never passes maxvCpus, and `type` alone would: VCPU
    BID_BELOW = "BID_BELOW"  # Spot costs more than bidPercentage allows, least so for `type`: BID
    MACHINE_TOO_SMALL = "MACHINE_TOO_SMALL"  # for an instance of `type`, or without a type for the job itself
    RESERVATION_BELOW = "RESERVATION_BELOW"  # what the fair-share policy reserves leaves less than one job asks: VCPU
    SUPPLY_BELOW = "SUPPLY_BELOW"  # of the consumable `resource` there is less in all than one job asks for: QUANTITY
    # It passes by itself when something ends.
    RESERVED = "RESERVED"  # the fair-share policy keeps what is left for shares that are not active yet: VCPU
    SUPPLY_HELD = "SUPPLY_HELD"  # of the consumable `resource` others hold what one job asks for: QUANTITY
    BOOTING = "BOOTING"  # an instance of `type` is ready at `until_ms`
    RECLAIMED = "RECLAIMED"  # Spot capacity that holds the room is taken back at `until_ms`
    AT_MAXIMUM = "AT_MAXIMUM"  # of the environment: VCPU
    ROOM_HELD = "ROOM_HELD"  # by `holders`: what the machine lacks for an instance of `type`, or for the job itself
    # Nothing is in the way but those who go first.
    TURN = "TURN"
    UNDETERMINED = "UNDETERMINED"  # nobody should ever see it

    @property
    def standing(self) -> bool:
        """Whether it stands until somebody changes something."""
        return self in _STANDING


_STANDING = frozenset(
    {
        Kind.LEAVING,
        Kind.DISABLED,
        Kind.NO_MACHINE,
        Kind.NO_NODES,
        Kind.MAXIMUM_BELOW,
        Kind.NO_TYPE,
        Kind.TYPE_ABOVE_MAXIMUM,
        Kind.BID_BELOW,
        Kind.MACHINE_TOO_SMALL,
        Kind.RESERVATION_BELOW,
        Kind.SUPPLY_BELOW,
    }
)

VCPU, MEMORY, GPU = "VCPU", "MEMORY", "GPU"  # thousandths, MiB, whole ones
BID = "BID"  # percent of the on-demand price
QUANTITY = "QUANTITY"  # of a consumable resource


class Short(NamedTuple):
    """More was asked of something than there is of it, or than is free."""

    dimension: str
    asked: int
    has: int


class Holder(NamedTuple):
    """What an environment holds of a machine: with its instances, or with the attempts open in it."""

    environment: int
    holds: Needs


class Obstacle(NamedTuple):
    """One thing that stands in the way."""

    kind: Kind
    short: tuple[Short, ...] = ()
    type: str = ""
    until_ms: int | None = None
    holders: tuple[Holder, ...] = ()
    resource: int = 0  # the number of a consumable resource


class PlaceVerdict(NamedTuple):
    """All that stands in the way in one environment of the queue; without obstacles a job would start there now."""

    environment: int
    obstacles: tuple[Obstacle, ...]


class Verdict(NamedTuple):
    """`kind` is the nearest thing that would change it: `places[nearest]` has it, or, if that is None, `own` does.

    `own` is what stands in the way in every environment. TURN: nothing does, those ahead go first.
    """

    kind: Kind
    places: tuple[PlaceVerdict, ...]  # in the order in which the queue tries them
    own: tuple[Obstacle, ...] = ()
    nearest: int | None = None

    @property
    def obstacles(self) -> tuple[Obstacle, ...]:
        """What would have to change, all of it: what is in the way everywhere, and in the nearest environment."""
        return self.own if self.nearest is None else (*self.own, *self.places[self.nearest].obstacles)

    @property
    def standing(self) -> bool:
        """Whether no job of the class can start until somebody changes something."""
        return any(each.kind.standing for each in self.obstacles)
