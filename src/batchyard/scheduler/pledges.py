"""What is spoken for in one round of a settle. None of it is a row: it follows from the lines and from who is leaving,
and is dealt out anew in every round."""

from __future__ import annotations

from batchyard.model.needs import NOTHING, Needs
from batchyard.scheduler.state import Environment, Instance, Queue


class Pledges:
    """What is spoken for, in one settle, of booting instances and of room: who waits for them must not have more
    launched or reclaimed, and nobody behind takes it. `spot_grows`: whether it is the turn of those who can go nowhere
    but to Spot, which takes what on-demand work leaves."""

    __slots__ = (
        "made", "claims", "foreseen", "asked", "spare", "_kept", "_bound", "_coming", "spot_grows", "deferred",
    )  # fmt: skip

    def __init__(self) -> None:
        self.made = 0
        self.claims = 0  # on room that is being reclaimed
        self.foreseen = False  # whether somebody who waits counts on room that an instance has, and others may take
        self.asked = False  # likewise on consumable resources
        self.spare: dict[int, Needs] = {}  # of booting instances, what is left
        self._kept: dict[str, Needs] = {}  # of each provider's free room
        self._bound: dict[int, int] = {}  # thousandths of a vCPU, of each environment's maximum
        self._coming: dict[str, Needs] = {}  # of the room that is being reclaimed there
        self.spot_grows = False
        self.deferred: list[Queue] = []  # those whose turn comes then

    def make(self, instance: Instance, needs: Needs) -> None:
        """Somebody waits for the instance to boot, and will take so much of it."""
        self.made += 1
        self.spare[instance.number] = self.spare.get(instance.number, instance.usable).minus(needs)

    def promised(self, instance: Instance) -> bool:
        """Whether somebody waits for it to boot."""
        return instance.number in self.spare

    def keep(self, environment: Environment, room: Needs, coming: Needs) -> None:
        """Somebody waits for `room` in the environment, as much of it as can be of what is `coming`."""
        self.claims += 1
        provider, number = environment.provider, environment.number
        self._bound[number] = self._bound.get(number, 0) + room.cpu_milli
        of_coming = Needs(*map(min, room, coming))
        self._coming[provider] = self._coming.get(provider, NOTHING).plus(of_coming)
        self._kept[provider] = self._kept.get(provider, NOTHING).plus(room.minus(of_coming))

    def defers(self, queue: Queue) -> bool:
        """Whether the queue's turn comes later."""
        return not self.spot_grows and queue in self.deferred

    def held_cpu_milli(self, environment: Environment) -> int:
        """What counts against the environment's maximum: what it holds, and what somebody waits for there."""
        return environment.held_cpu_milli + self._bound.get(environment.number, 0)

    def kept(self, provider: str) -> Needs:
        return self._kept.get(provider, NOTHING)

    def spoken_for(self, provider: str) -> Needs:
        return self._coming.get(provider, NOTHING)
