"""Instances by what is free on them: an index that finds the fullest one that still holds a job, in logarithmic time.

Bin packing: of the instances that fit, the one with the least free vCPUs, then memory, then the one launched first.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

from batchyard.model.needs import Needs

if TYPE_CHECKING:
    from batchyard.scheduler.state import Instance

_Entry = tuple[int, int, int]  # free memory, free GPUs, number


class Shelf:
    """Holds instances of one environment; whoever changes what is free on one takes it off before and adds it after."""

    __slots__ = ("_levels", "_cpus", "_instances")

    def __init__(self) -> None:
        self._levels: dict[int, list[_Entry]] = {}  # by free vCPUs, thousandths
        self._cpus: list[int] = []  # the levels that are not empty, in order
        self._instances: dict[int, Instance] = {}

    def __contains__(self, instance: Instance) -> bool:
        return instance.number in self._instances

    def add(self, instance: Instance) -> None:
        free = instance.free
        level = self._levels.get(free.cpu_milli)
        if level is None:
            level = self._levels[free.cpu_milli] = []
            insort(self._cpus, free.cpu_milli)
        insort(level, (free.memory_mib, free.gpus, instance.number))
        self._instances[instance.number] = instance

    def discard(self, instance: Instance) -> None:
        if self._instances.pop(instance.number, None) is None:
            return
        free = instance.free
        level = self._levels[free.cpu_milli]
        del level[bisect_left(level, (free.memory_mib, free.gpus, instance.number))]
        if not level:
            del self._levels[free.cpu_milli]
            del self._cpus[bisect_left(self._cpus, free.cpu_milli)]

    def find(self, needs: Needs) -> Instance | None:
        """The fullest instance that holds `needs`."""
        for at in range(bisect_left(self._cpus, needs.cpu_milli), len(self._cpus)):
            level = self._levels[self._cpus[at]]
            for place in range(bisect_left(level, (needs.memory_mib, 0, 0)), len(level)):
                _, gpus, number = level[place]
                if needs.gpus <= gpus:
                    return self._instances[number]
        return None
