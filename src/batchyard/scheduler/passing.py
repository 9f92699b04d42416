"""Who may start though the head of the line has no place yet: a setting, off by default, when lines are strict.

A job passes the head only if the head will not start later for it. Either it goes onto capacity that the head cannot
use: on a machine where the head can never be placed, or where what the head lacks (a GPU, a maximum) is nothing that
the job takes, and enough of everything else is left. Or its timeout ends before the head can start at the earliest, as
far as the timeouts of running attempts tell ("EASY backfilling", Lifka 1995; Mu'alem and Feitelson 2001); where they do
not tell, nobody passes by this rule. So everybody whose needs can be met at all runs in the end, and the first in line
does not starve. Of a lane (see lines.py) only the first is looked at: what holds for it holds for all behind it.
"""

from __future__ import annotations

from collections.abc import Iterator

from batchyard.model import environments as env
from batchyard.model.needs import Needs
from batchyard.scheduler import allocation, capacity
from batchyard.scheduler.lines import Entry, Lane, Line
from batchyard.scheduler.placement import Place
from batchyard.scheduler.pledges import Pledges
from batchyard.scheduler.state import Environment, Instance, Job, Open, Provider, Queue, State


class Head:
    """The first in line, which has no place, and what must be left for it in one settle."""

    __slots__ = ("job", "hopeless", "_lanes", "_state", "_needs", "_places", "_earliest", "_looked")

    def __init__(self, state: State, queue: Queue, job: Job, nowhere: bool):
        """`nowhere`: it needs no room that others could take, since it can be placed nowhere, or since an instance that
        boots is pledged to it."""
        self.job = job
        self.hopeless = {job.lane}  # lanes of which nobody can start in this settle
        self._lanes: dict[int, list[tuple[Entry, Lane]]] = {}
        self._state = state
        self._needs = state.needs_of(job)
        self._places = [] if nowhere else list(_could_hold(state, queue, self._needs))
        self._earliest: int | None = None
        self._looked = False  # for the earliest start

    def lanes_of(self, line: Line) -> list[tuple[Entry, Lane]]:
        """The lanes of a line that are still to be looked at, as a heap by their first entries."""
        lanes = self._lanes.get(id(line))
        if lanes is None:
            lanes = self._lanes[id(line)] = line.firsts()
        return lanes

    def leaves_room(self, environment: Environment, provider: Provider, room: Needs) -> bool:
        """Whether taking so much room of the provider for the environment leaves what the head needs there."""
        free = provider.room.minus(provider.used).minus(room)
        return all(
            self._would_fit(each, free, room.cpu_milli if each is environment else 0)
            for each in self._places
            if each.provider == provider.name
        )

    def leaves_instance(self, environment: Environment, provider: Provider, instance: Instance, needs: Needs) -> bool:
        """Whether the instance may stay busy for longer, and take a job with these needs."""
        on_it = environment in self._places and self._needs.fits(instance.usable)
        if on_it and not self._spared_by(needs, instance.free):
            return False
        free = provider.room.minus(provider.used)
        concerned = [each for each in self._places if each.provider == provider.name]
        if concerned and instance.room.gpus:
            return False
        return all(self._would_fit(each, free, 0, each is environment) for each in concerned)

    def _spared_by(self, needs: Needs, free: Needs) -> bool:
        """Whether what a job takes of an instance is nothing that the head waits for there."""
        of_each = zip(needs, free, self._needs, strict=True)
        return all(not taken or has - taken >= wanted for taken, has, wanted in of_each)

    def _would_fit(self, place: Environment, free: Needs, taken_cpu_milli: int, bounded: bool = False) -> bool:
        """Whether the head, once it has the GPUs it may lack, fits into the room that is free.

        The maximum of its environment counts if the job takes of it (or, `bounded`, keeps something of it).
        """
        asks = list(_asks(self._state, place, self._needs))
        fewest = min(each.gpus for each in asks)
        held = place.held_cpu_milli + taken_cpu_milli
        most = None if place.capacity is None or not (taken_cpu_milli or bounded) else place.capacity.max_cpu_milli
        return any(
            each.gpus == fewest
            and each.cpu_milli <= free.cpu_milli
            and each.memory_mib <= free.memory_mib
            and free.gpus >= 0
            and (most is None or held + each.cpu_milli <= most)
            for each in asks
        )

    def starts_after(self, at_ms: int) -> bool:
        """Whether it cannot start before `at_ms` as far as timeouts tell; False where they do not."""
        if not self._looked:
            self._earliest, self._looked = _earliest_ms(self._state, self._places, self._needs), True
        return self._earliest is not None and at_ms <= self._earliest


def find(state: State, queue: Queue, job: Job, head: Head, pledges: Pledges) -> Place | None:
    """Where `job` may start now beside the head, or None; for it nobody who is idle has to make room."""
    needs, timeout_s = state.classes[job.lane[0]], job.lane[1]
    for number in queue.environments:
        environment = state.environments.get(number)
        provider = None if environment is None else state.providers.get(environment.provider)
        if environment is None or provider is None or not environment.enabled:
            continue
        ends_ms = state.now_ms + timeout_s * 1000 if timeout_s else None
        if environment.capacity is None or environment.capacity.fargate:
            if _slice(environment, provider, needs, head, ends_ms, pledges):
                return Place(environment, environment.instance if environment.capacity is None else "")
            continue
        instance = capacity.ready(state, environment, needs)
        if instance is not None:
            if _in_time(head, ends_ms) or head.leaves_instance(environment, provider, instance, needs):
                return Place(environment, instance.id)
        elif capacity.pledge(state, environment, needs, pledges):
            return None
        elif _launched(state, environment, provider, needs, head, timeout_s, pledges):
            instance = capacity.ready(state, environment, needs)
            if instance is None:
                capacity.pledge(state, environment, needs, pledges)
            return None if instance is None else Place(environment, instance.id)
    return None


def _slice(
    environment: Environment,
    provider: Provider,
    needs: Needs,
    head: Head,
    ends_ms: int | None,
    pledges: Pledges,
) -> bool:
    held_cpu_milli = pledges.held_cpu_milli(environment)
    if not needs.fits(capacity.free(provider, pledges)) or not capacity.slice_fits(environment, needs, held_cpu_milli):
        return False
    return _in_time(head, ends_ms) or head.leaves_room(environment, provider, needs)


def _launched(
    state: State,
    environment: Environment,
    provider: Provider,
    needs: Needs,
    head: Head,
    timeout_s: int,
    pledges: Pledges,
) -> bool:
    """Whether an instance could be launched for these needs beside the head."""
    free = capacity.free(provider, pledges)
    chosen = capacity.type_to_launch(environment, provider, needs, pledges.held_cpu_milli(environment), free)
    if chosen is None:
        return False
    ends_ms = state.now_ms + state.timing.boot_ms + timeout_s * 1000 if timeout_s else None
    if not _in_time(head, ends_ms) and not head.leaves_room(environment, provider, chosen.room):
        return False
    return capacity.grow(state, environment, needs, pledges)


def _in_time(head: Head, ends_ms: int | None) -> bool:
    return ends_ms is not None and head.starts_after(ends_ms)


# -- what the head asks ----------------------------------------------------------------------------------------------


def _could_hold(state: State, queue: Queue, needs: Needs) -> Iterator[Environment]:
    """The environments in which the head will be placed as soon as enough of them is free."""
    for number in queue.environments:
        environment = state.environments.get(number)
        if environment is not None and environment.enabled and any(_asks(state, environment, needs)):
            yield environment


def _asks(state: State, environment: Environment, needs: Needs) -> Iterator[Needs]:
    """The rooms of which the head needs one from the environment's provider; none if nothing there can ever hold it."""
    provider, of = state.providers.get(environment.provider), environment.capacity
    if provider is None or (of is not None and needs.cpu_milli > of.max_cpu_milli):
        return
    if of is None or of.fargate:
        rooms = [needs]
    else:
        ranked = capacity.best_first(environment, provider, needs)
        waits = of.strategy == env.BEST_FIT and bool(ranked)
        rooms = [each.room for each in (ranked[:1] if waits else ranked)]
        if of.carves and needs.cpu_milli and not waits:
            rooms.append(allocation.measured(needs).room)
        if of.strategy == env.BEST_FIT and not of.spot:
            rooms = [each for each in rooms if each.cpu_milli <= of.max_cpu_milli]
    yield from (each for each in rooms if each.fits(provider.room))


# -- when it starts at the earliest ----------------------------------------------------------------------------------


def _earliest_ms(state: State, places: list[Environment], needs: Needs) -> int | None:
    """When the head can start if every attempt runs to the end of its timeout; None if that does not tell."""
    providers = {each.provider for each in places}
    ends = []
    for environment in state.environments.values():
        for (seq, index), job in environment.open.items() if environment.provider in providers else ():
            opened, timeout_s = job.open_of(index), job.lane[1]
            if opened is not None and timeout_s:
                begun_ms = state.now_ms if opened.started_ms is None else opened.started_ms
                ends.append((begun_ms + timeout_s * 1000, seq, index, environment, opened, state.needs_of(job)))
    ahead = _Ahead(state, places, needs)
    for end_ms, _, _, environment, opened, given_back in sorted(ends, key=lambda end: end[:3]):
        delay_ms = ahead.give_back(environment, opened, given_back)
        if delay_ms is not None:
            return max(end_ms, state.now_ms) + delay_ms
    return None


class _Ahead:
    """The room there will be: what is free now, and what is given back on the way."""

    __slots__ = ("_state", "_places", "_needs", "_free", "_held", "_instances")

    def __init__(self, state: State, places: list[Environment], needs: Needs):
        self._state, self._places, self._needs = state, places, needs
        self._free = {name: provider.room.minus(provider.used) for name, provider in state.providers.items()}
        self._held = {number: each.held_cpu_milli for number, each in state.environments.items()}
        self._instances: dict[int, tuple[Needs, int]] = {}  # of those that give something back: free, attempts left
        for provider in {each.provider for each in places}:
            for instance in capacity.may_go(state, provider):
                self._ends(state.environments[instance.environment], instance)

    def give_back(self, environment: Environment, opened: Open, needs: Needs) -> int | None:
        """How long after that the head starts, if it can then; else None."""
        instance = environment.by_id.get(opened.instance)
        if instance is None:
            self._free[environment.provider] = self._free[environment.provider].plus(needs)
            if environment.capacity is not None:
                self._held[environment.number] -= needs.cpu_milli
        else:
            free, left = self._instances.get(instance.number, (instance.free, len(instance.jobs)))
            free, left = free.plus(needs), left - 1
            self._instances[instance.number] = free, left
            if environment in self._places and self._needs.fits(free):
                return 0
            if not left:
                self._ends(environment, instance)
        return next((delay_ms for place in self._places if (delay_ms := self._delay_ms(place)) is not None), None)

    def _ends(self, environment: Environment, instance: Instance) -> None:
        if self._held[environment.number] - instance.room.cpu_milli >= environment.floor_cpu_milli:
            self._held[environment.number] -= instance.room.cpu_milli
            self._free[environment.provider] = self._free[environment.provider].plus(instance.room)

    def _delay_ms(self, place: Environment) -> int | None:
        free, held, of = self._free[place.provider], self._held[place.number], place.capacity
        if of is None or of.fargate:
            fits = self._needs.fits(free) and (of is None or held + self._needs.cpu_milli <= of.max_cpu_milli)
            return 0 if fits else None
        provider = self._state.providers[place.provider]
        chosen = capacity.type_to_launch(place, provider, self._needs, held, free)
        return None if chosen is None else self._state.timing.boot_ms
