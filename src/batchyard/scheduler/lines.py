"""A waiting line: who goes next, and within it a lane for each kind of work that is equal to a placing scheduler.

Jobs of one lane ask for the same and may run for the same time, so that if the first of a lane has no place, none of
the lane has: looking past a blocked head costs as many looks as there are lanes, not as there are jobs.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchyard.model.consumables import Asks
    from batchyard.scheduler.state import Askers

Entry = tuple[int, int, int, int]  # (front, rank, seq, index), see ordering.py
Lane = tuple[int, int]  # needs class, timeout in seconds (0: none)


class Line:
    """Entries in order, over all lanes and within each. Nothing is found or taken out but at the front of a lane."""

    __slots__ = ("lanes", "aside", "_firsts")

    def __init__(self) -> None:
        self.lanes: dict[Lane, list[Entry]] = {}  # heaps, none of them empty
        self.aside: dict[Asks, Askers] = {}  # who waits for consumable resources, in lines of their own
        self._firsts: list[tuple[Entry, Lane]] = []  # heap of the first of each lane; what was first once may be left

    def __bool__(self) -> bool:
        return bool(self.lanes)

    def __iter__(self) -> Iterator[Entry]:
        """All entries, in no order."""
        for heap in self.lanes.values():
            yield from heap

    def push(self, lane: Lane, entry: Entry) -> None:
        heap = self.lanes.setdefault(lane, [])
        heappush(heap, entry)
        if heap[0] is entry:
            heappush(self._firsts, (entry, lane))

    def first(self) -> tuple[Entry, Lane] | None:
        """The first entry of all."""
        while self._firsts:
            entry, lane = self._firsts[0]
            heap = self.lanes.get(lane)
            if heap is not None and heap[0] == entry:
                return self._firsts[0]
            heappop(self._firsts)
        return None

    def pop(self, lane: Lane) -> None:
        """Take out the first of a lane."""
        heap = self.lanes[lane]
        heappop(heap)
        if heap:
            heappush(self._firsts, (heap[0], lane))
        else:
            del self.lanes[lane]

    def firsts(self) -> list[tuple[Entry, Lane]]:
        """The first of each lane, as a heap."""
        firsts = [(heap[0], lane) for lane, heap in self.lanes.items()]
        heapify(firsts)
        return firsts

    def in_order(self) -> Iterator[Entry]:
        """All entries in order, taking none; as much work as entries are asked for, and a little a lane."""
        ahead: list[tuple[Entry, list[Entry], int]] = []  # a heap is walked in order from its root
        firsts = self.firsts()
        while ahead or firsts:
            if firsts and (not ahead or firsts[0][0] <= ahead[0][0]):
                entry, lane = heappop(firsts)
                heap, at = self.lanes[lane], 0
            else:
                entry, heap, at = heappop(ahead)
            yield entry
            for below in (2 * at + 1, 2 * at + 2):
                if below < len(heap):
                    heappush(ahead, (heap[below], heap, below))
