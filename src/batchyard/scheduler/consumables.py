"""Consumable resources: countable things, such as licences, that a job needs besides a place.

All that a job asks for is taken when an attempt opens and given back when it closes, except that what an attempt of a
NON_REPLENISHABLE resource has used (it began to run) is gone for good.

Whose turn it is: of the jobs of one line (a queue's, or a share's) that ask for a resource, none gets it before those
ahead of it that wait; who asks for more than there is in all waits for the resource to be changed, and holds up nobody.
Who is the first at each resource that it asks for, and finds enough of each, stands in its queue's line at its place
and is a job like any other; all others are out of that line, so who asks for nothing of theirs passes them.

Equal askings of one line are one ``Askers``, so a decision costs by how many different askings there are, not by how
many jobs wait. Everything here but `granted` and `consumed` is an index over jobs.
Source: reference "Consumable resources"; the order is a choice (docs/decisions/20261128-consumable-resources.md).
"""

from __future__ import annotations

from heapq import heappop, heappush

from batchyard.model.consumables import Asks, HeldConsumable
from batchyard.model.events import ConsumableChanged
from batchyard.model.facts import ConsumableUsed
from batchyard.scheduler.lines import Entry, Line
from batchyard.scheduler.state import Askers, Consumable, Job, State


def attach(state: State, job: Job, asks: Asks) -> None:
    """From now on the job waits among those of its line that ask for the same."""
    for number, _ in asks:
        if number not in state.consumables:
            state.consumables[number] = Consumable(number)
    askers = job.line.aside.get(asks)
    if askers is None:
        askers = job.line.aside[asks] = Askers(asks, job.line)
    askers.jobs += 1
    job.askers, job.line = askers, askers.own


def detach(job: Job) -> None:
    """The job is over."""
    askers = job.askers
    if askers is not None:
        askers.jobs -= 1
        if not askers.jobs:
            del askers.line.aside[askers.asks]


def change(state: State, event: ConsumableChanged) -> None:
    """The resource is now as `event` says."""
    consumable = state.consumables.get(event.number)
    if consumable is None:
        consumable = state.consumables[event.number] = Consumable(event.number)
    consumable.there, consumable.replenishable, consumable.granted = event.there, event.replenishable, event.granted
    if consumable.born != event.born:
        consumable.born, consumable.consumed = event.born, 0
        state.used.add(event.number)
    _total_changed(state, consumable)
    state.unsettled = True


def hold(state: State, held: HeldConsumable) -> None:
    """So much was consumed, as the row tells it."""
    if held.number not in state.consumables:
        state.consumables[held.number] = Consumable(held.number)
    state.consumables[held.number].consumed = held.consumed


def restore(state: State, job: Job) -> None:
    """An attempt of the job is open; of a multi-node job, some."""
    for number, quantity in job.asks:
        state.consumables[number].held += quantity


# -- taking and giving back --------------------------------------------------------------------------------------


def take(state: State, job: Job) -> None:
    """An attempt of the job opens; a multi-node job has all that its nodes need from the first one on."""
    for number, quantity in job.asks:
        consumable = state.consumables[number]
        assert quantity <= consumable.free, f"job {job.seq} takes {quantity} of resource {number}: {consumable.free}"
        consumable.held += quantity
        state.used.add(number)


def give_back(state: State, job: Job, began: bool) -> None:
    """It closes. What a process has had of a resource that is not replenishable is used up."""
    for number, quantity in job.asks:
        consumable = state.consumables[number]
        consumable.held -= quantity
        state.used.add(number)
        if began and not consumable.replenishable:
            consumable.consumed += quantity
            _total_changed(state, consumable)
        else:
            state.freed.add(number)


def note_use(state: State) -> None:
    """Record what this turn has changed."""
    for number in sorted(state.used):
        consumable = state.consumables[number]
        state.facts.append(ConsumableUsed(number, consumable.held, consumable.consumed, consumable.born))
    state.used.clear()


# -- whose turn it is --------------------------------------------------------------------------------------------


def may_go(state: State, askers: Askers) -> bool:
    """Whether the first of them is the first of its line at each resource it asks for, and there is enough of each."""
    for number, quantity in askers.asks:
        consumable = state.consumables[number]
        if quantity > consumable.free or _first(state, consumable, askers.line) is not askers:
            return False
    return True


def has_turn(state: State, askers: Askers | None, entry: Entry) -> bool:
    """Whether the entry is of the one of them that may go."""
    return askers is not None and entry == askers.first and may_go(state, askers)


def set_first(state: State, askers: Askers, first: Entry | None) -> None:
    """The first of them is another one than before: tell the resources, and look who else may be first now."""
    askers.first = first
    for number, _ in askers.asks:
        if first is None:
            state.consumables[number].askers.pop(askers, None)
        else:
            state.consumables[number].askers[askers] = None
    _enter(state, askers)
    for number, _ in askers.asks:
        ahead = _first(state, state.consumables[number], askers.line)
        if ahead is not None:
            state.stirred[ahead] = None


def look_again(state: State) -> None:
    """Of the resources of which some became free, look who is first in each line."""
    for number in sorted(state.freed):
        consumable = state.consumables[number]
        for line in list(consumable.firsts) if consumable.free > 0 else ():
            askers = _first(state, consumable, line)
            if askers is not None:
                state.stirred[askers] = None
    state.freed.clear()


def _enter(state: State, askers: Askers) -> None:
    askers.left_out = False
    if askers.first is not None:
        state.entered += 1  # no two entries are equal, so that Askers are never compared
        for number, _ in askers.asks:
            entries = state.consumables[number].firsts.setdefault(askers.line, [])
            heappush(entries, (askers.first, state.entered, askers))


def _first(state: State, consumable: Consumable, line: Line) -> Askers | None:
    """Who is first at the resource in a line, less those who ask for more of something than there is in all."""
    entries = consumable.firsts.get(line)
    while entries:
        entry, _, askers = entries[0]
        if entry == askers.first:
            if all(quantity <= state.consumables[number].total for number, quantity in askers.asks):
                return askers
            askers.left_out = True
        heappop(entries)
    consumable.firsts.pop(line, None)
    return None


def _total_changed(state: State, consumable: Consumable) -> None:
    """There is more or less in all: who was left out may be in line again, and who is left out now holds up nobody."""
    state.freed.add(consumable.number)
    for askers in list(consumable.askers):
        if askers.left_out:
            _enter(state, askers)
        state.freed.update(number for number, _ in askers.asks)


class Supplies:
    """What there would be of resources for who comes next in a line, if all before it who can had started."""

    __slots__ = ("_state", "_left", "_kept")

    def __init__(self, state: State):
        self._state = state
        self._left: dict[int, int] = {}
        self._kept: set[int] = set()  # for somebody before it, who waits for more

    def take(self, asks: Asks) -> bool:
        """Whether there is what the next one asks for, which then has it."""
        resources = self._state.consumables
        if any(quantity > resources[number].total for number, quantity in asks):
            return False
        if any(n in self._kept or quantity > self._left.setdefault(n, resources[n].free) for n, quantity in asks):
            self._kept.update(number for number, _ in asks)
            return False
        for number, quantity in asks:
            self._left[number] -= quantity
        return True


def lacking(state: State, job: Job) -> list[tuple[Consumable, int]]:
    """The resources of which there is not enough for the job now, and how much it asks of each."""
    asked = ((state.consumables[number], quantity) for number, quantity in job.asks)
    return [(consumable, quantity) for consumable, quantity in asked if quantity > consumable.free]
