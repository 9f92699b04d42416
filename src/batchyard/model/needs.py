"""What a job asks of a machine, and the small integers that stand for equal askings."""

from __future__ import annotations

from typing import NamedTuple


class Needs(NamedTuple):
    """Resources of one attempt: thousandths of a vCPU, MiB, whole GPUs. Integers, never floats."""

    cpu_milli: int
    memory_mib: int
    gpus: int = 0

    def fits(self, room: Needs) -> bool:
        """Whether `room` holds these needs."""
        return self.cpu_milli <= room.cpu_milli and self.memory_mib <= room.memory_mib and self.gpus <= room.gpus

    def plus(self, other: Needs) -> Needs:
        return Needs(self.cpu_milli + other.cpu_milli, self.memory_mib + other.memory_mib, self.gpus + other.gpus)

    def times(self, count: int) -> Needs:
        return Needs(*(count * each for each in self))

    def minus(self, other: Needs) -> Needs:
        return Needs(self.cpu_milli - other.cpu_milli, self.memory_mib - other.memory_mib, self.gpus - other.gpus)


NOTHING = Needs(0, 0, 0)


class NeedsClasses:
    """Gives every distinct Needs a small integer, so that a million equal jobs are one line to the scheduler."""

    __slots__ = ("_by_needs", "_needs")

    def __init__(self) -> None:
        self._by_needs: dict[Needs, int] = {}
        self._needs: list[Needs] = []

    def intern(self, needs: Needs) -> int:
        """The class of `needs`; a new one if it was never seen."""
        number = self._by_needs.get(needs)
        if number is None:
            number = self._by_needs[needs] = len(self._needs)
            self._needs.append(needs)
        return number

    def __getitem__(self, number: int) -> Needs:
        return self._needs[number]

    def __len__(self) -> int:
        return len(self._needs)
