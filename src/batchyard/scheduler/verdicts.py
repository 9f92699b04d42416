"""Why jobs wait: for a class of them what stands in the way, and the nearest thing that would change it.

Reads the state and changes nothing. What it says agrees with what ``placement`` does: a job at the head of its queue
that nothing stands in the way of is placed by the next settle; a property test says so. Each environment is judged as
if the others were not there, and a DISABLED one as if it were not, so that a remedy that is named suffices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from batchyard.model import environments as env
from batchyard.model.consumables import Asks
from batchyard.model.environments import Capacity, InstanceType
from batchyard.model.needs import NOTHING, Needs
from batchyard.model.verdicts import (
    BID,
    GPU,
    MEMORY,
    QUANTITY,
    VCPU,
    Holder,
    Kind,
    Obstacle,
    PlaceVerdict,
    Short,
    Verdict,
)
from batchyard.scheduler import allocation, capacity, fairshare, gangs, ordering
from batchyard.scheduler.lines import Line
from batchyard.scheduler.state import Environment, Gang, Job, Provider, Queue, State

# How far a remedy is away: what passes by itself is nearest, then what one call changes, then what asks for another
# job or another machine.
_FAR = (
    Kind.TURN,
    Kind.BOOTING,
    Kind.RECLAIMED,
    Kind.ROOM_HELD,
    Kind.AT_MAXIMUM,
    Kind.RESERVED,
    Kind.SUPPLY_HELD,
    Kind.DISABLED,
    Kind.BID_BELOW,
    Kind.MAXIMUM_BELOW,
    Kind.TYPE_ABOVE_MAXIMUM,
    Kind.NO_TYPE,
    Kind.RESERVATION_BELOW,
    Kind.SUPPLY_BELOW,
    Kind.MACHINE_TOO_SMALL,
    Kind.NO_NODES,
    Kind.NO_MACHINE,
    Kind.LEAVING,
    Kind.UNDETERMINED,
)
_DISTANCE = {kind: distance for distance, kind in enumerate(_FAR)}


Judge = Callable[[Environment, Provider], Sequence[Obstacle]]  # what of an environment that is there is in the way


class WaitingShare(NamedTuple):
    """A share of which jobs wait, and the job and index of it that goes first."""

    id: str
    weight: int
    held_cpu_milli: int
    head: tuple[str, int] | None


class WaitingLine(NamedTuple):
    """Who goes next in a queue, by UUID and index; the shares of which jobs wait, in the order of their turns."""

    head: tuple[str, int] | None
    shares: tuple[WaitingShare, ...] = ()


class Look:
    """One look at the state between two turns: what many classes ask of one machine is found once."""

    __slots__ = ("_state", "_machines", "_holders")

    def __init__(self, state: State):
        self._state = state
        self._machines: dict[str, tuple[Needs, dict[int, int]]] = {}
        self._holders: dict[str, tuple[Holder, ...]] = {}

    def classes(self) -> Iterator[tuple[int, Needs, Asks]]:
        """The classes of which jobs wait; not each only once, and some of which the last job just left. Multi-node jobs
        are in none (their lanes have numbers below 0)."""
        state = self._state
        for queue in state.order:
            for line in _lines(queue):
                for needs, _ in line.lanes:
                    if needs >= 0:
                        yield queue.number, state.classes[needs], ()
                for asks, askers in line.aside.items():
                    for needs, _ in askers.own.lanes:
                        if needs >= 0:
                            yield queue.number, state.classes[needs], asks

    def line(self, number: int) -> WaitingLine | None:
        """Who goes next in a queue; None if there is none of that number."""
        queue = self._state.queues.get(number)
        if queue is None:
            return None
        if queue.policy is None:
            return WaitingLine(self._head(queue, queue.line))
        shares = tuple(
            WaitingShare(share.id, share.weight, share.held_cpu_milli, self._head(queue, share.line))
            for share in fairshare.by_turn(self._state, queue)
        )
        return WaitingLine(shares[0].head if shares else None, shares)

    def _head(self, queue: Queue, line: Line) -> tuple[str, int] | None:
        """Who holds up those behind it. Where passing is allowed, who cannot start at all holds up nobody."""
        head = ordering.head(self._state, line)
        if head is not None and self._state.timing.passing and not self._able(queue, head[0]):
            firsts = (ordering.head_of(self._state, line, lane) for _, lane in sorted(line.firsts()))
            head = next((each for each in firsts if each is not None and self._able(queue, each[0])), None)
        return None if head is None else (head[0].uuid, head[1])

    def _able(self, queue: Queue, job: Job) -> bool:
        """Whether the job will start some day though nobody changes anything."""
        if isinstance(job, Gang):
            return gangs.possible(self._state, queue, job)
        return not self.verdict(queue, self._state.needs_of(job)).standing

    def verdict_on(self, number: int, needs: Needs, asks: Asks = ()) -> Verdict | None:
        """The verdict on a class; None if there is no such queue."""
        queue = self._state.queues.get(number)
        return None if queue is None else self.verdict(queue, needs, asks)

    def verdict(self, queue: Queue, needs: Needs, asks: Asks = ()) -> Verdict:
        """What stands in the way of the queue's jobs with these needs and such askings of consumable resources.

        It is the same in each share, but for its turn.
        """
        own = (*self._of_policy(queue, needs.cpu_milli), *self._of_supplies(asks))
        return _weighed(own, self._places(queue, lambda *at: self._of_one(*at, needs)))

    def first_gangs(self) -> Iterator[int]:
        """The multi-node jobs that go first in their lines, or of those who ask for the same consumable resources."""
        found: dict[int, None] = {}
        for queue in self._state.order:
            for line in _lines(queue):
                firsts = (line.first(), *(askers.own.first() for askers in line.aside.values()))
                found |= dict.fromkeys(first[0][2] for first in firsts if first is not None)
        yield from (seq for seq in found if isinstance(self._state.jobs.get(seq), Gang))

    def verdict_on_gang(self, seq: int) -> Verdict | None:
        """The verdict on a multi-node job, which needs all of its nodes at once; None if it is over."""
        gang = self._state.jobs.get(seq)
        queue = None if gang is None else self._state.queues.get(gang.queue)
        if queue is None or not isinstance(gang, Gang):
            return None
        own = (*self._of_policy(queue, gangs.cpu_milli_of(gang)), *self._of_supplies(gang.asks))
        return _weighed(own, self._places(queue, lambda *at: self._of_nodes(*at, gang)))

    def _of_nodes(self, environment: Environment, provider: Provider, gang: Gang) -> Sequence[Obstacle]:
        if environment.capacity is None or not gangs.suits(environment):
            return (Obstacle(Kind.NO_NODES),)
        chosen = gangs.type_for(self._state, environment, gang)
        if chosen is None:
            return tuple(_no_type_for_all(environment, environment.capacity, provider, gang))
        number = environment.number
        booting = [each.ready_ms for each in self._state.sets.get(gang.seq, ()) if each.environment == number]
        if booting:
            return (Obstacle(Kind.BOOTING, type=chosen.name, until_ms=max(booting)),)
        total, found = chosen.room.times(gang.nodes.count), []
        free, idle = self._free(provider)
        going = idle.get(number, 0)
        if environment.held_cpu_milli - going + total.cpu_milli > environment.capacity.max_cpu_milli:
            found.append(_at_maximum(environment, total.cpu_milli, going))
        if not total.fits(free):
            found.append(self._room_held(environment, provider, total, free, chosen.name))
        return found

    # -- what holds in every environment ---------------------------------------------------------------------------

    def _of_policy(self, queue: Queue, cpu_milli: int) -> tuple[Obstacle, ...]:
        bound = None if queue.policy is None else fairshare.bound_cpu_milli(self._state, queue)
        if bound is None or queue.held_cpu_milli + cpu_milli <= bound:
            return ()
        if cpu_milli > bound:
            return (Obstacle(Kind.RESERVATION_BELOW, (Short(VCPU, cpu_milli, bound),)),)
        return (Obstacle(Kind.RESERVED, (Short(VCPU, cpu_milli, bound - queue.held_cpu_milli),)),)

    def _of_supplies(self, asks: Asks) -> Iterator[Obstacle]:
        for number, quantity in asks:
            of = self._state.consumables[number]
            if quantity > of.total:
                yield Obstacle(Kind.SUPPLY_BELOW, (Short(QUANTITY, quantity, of.total),), resource=number)
            elif quantity > of.free:
                yield Obstacle(Kind.SUPPLY_HELD, (Short(QUANTITY, quantity, max(0, of.free)),), resource=number)

    # -- in one environment ----------------------------------------------------------------------------------------

    def _places(self, queue: Queue, judge: Judge) -> tuple[PlaceVerdict, ...]:
        return tuple(PlaceVerdict(number, self._in(number, judge)) for number in queue.environments)

    def _in(self, number: int, judge: Judge) -> tuple[Obstacle, ...]:
        environment = self._state.environments.get(number)
        if environment is None or environment.deleting:
            return (Obstacle(Kind.LEAVING),)
        found = [] if environment.enabled else [Obstacle(Kind.DISABLED)]
        provider = self._state.providers.get(environment.provider)
        if provider is None:
            return (*found, Obstacle(Kind.NO_MACHINE))
        return (*found, *judge(environment, provider))

    def _of_one(self, environment: Environment, provider: Provider, needs: Needs) -> Sequence[Obstacle]:
        """For a job on one machine."""
        there = self._on_instances(environment, needs)
        if there is not None:
            return there
        return standing(environment, provider, needs) or self._passing(environment, provider, needs)

    def _on_instances(self, environment: Environment, needs: Needs) -> list[Obstacle] | None:
        """What an instance that there is has in the way, none being also good for who could not have one launched."""
        if environment.capacity is None or environment.capacity.fargate:
            return None
        if capacity.ready(self._state, environment, needs) is not None:
            return []
        booting = capacity.boots_for(self._state, environment, needs)
        return None if booting is None else [Obstacle(Kind.BOOTING, type=booting.type, until_ms=booting.ready_ms)]

    def _passing(self, environment: Environment, provider: Provider, needs: Needs) -> list[Obstacle]:
        """What is in the way now, where nothing stands in it for good."""
        of = environment.capacity
        free, idle = self._free(provider)
        if of is None or of.fargate:
            within = capacity.slice_fits(environment, needs, environment.held_cpu_milli)
            found = [] if within else [_at_maximum(environment, needs.cpu_milli, 0)]
            return found if needs.fits(free) else [*found, self._room_held(environment, provider, needs, free)]
        going = idle.get(environment.number, 0)
        held = environment.held_cpu_milli - going
        if capacity.type_to_launch(environment, provider, needs, held, free) is not None:
            return []
        return self._ungrown(environment, provider, needs, going, free)

    def _ungrown(
        self, environment: Environment, provider: Provider, needs: Needs, going: int, free: Needs
    ) -> list[Obstacle]:
        """Why no instance is launched: each thing by itself would be enough to stop it."""
        of = environment.capacity
        assert of is not None
        found = []
        held = environment.held_cpu_milli - going
        if capacity.type_to_launch(environment, provider, needs, held, provider.room) is None:
            alone = capacity.type_to_launch(environment, provider, needs, 0, provider.room)
            found.append(_at_maximum(environment, needs.cpu_milli if alone is None else alone.room.cpu_milli, going))
        wanted = _acceptable(of, capacity.best_first(environment, provider, needs), needs)
        if not any(each.room.fits(free) for each in wanted):
            smallest = min(wanted, key=lambda each: _lack(each.room, free))
            found.append(self._room_held(environment, provider, smallest.room, free, smallest.name))
        return found or [Obstacle(Kind.UNDETERMINED)]

    def _room_held(
        self, environment: Environment, provider: Provider, room: Needs, free: Needs, type_name: str = ""
    ) -> Obstacle:
        until_ms = None if environment.spot else self._reclaimed_ms(provider, room, free)
        if until_ms is not None:
            return Obstacle(Kind.RECLAIMED, _short(room, free), type_name, until_ms)
        return Obstacle(Kind.ROOM_HELD, _short(room, free), type_name, holders=self._held_by(provider))

    def _reclaimed_ms(self, provider: Provider, room: Needs, free: Needs) -> int | None:
        """When enough of the Spot capacity that was warned is gone for so much room; None: it is not enough."""
        going = [(at_ms, gives) for name, gives, at_ms in self._state.going.values() if name == provider.name]
        for at_ms, gives in sorted(going):
            free = free.plus(gives)
            if room.fits(free):
                return at_ms
        return None

    # -- what is asked of a machine --------------------------------------------------------------------------------

    def _free(self, provider: Provider) -> tuple[Needs, dict[int, int]]:
        """Its room, once idle instances have made what room they may, and how many vCPUs of which environment those
        hold."""
        found = self._machines.get(provider.name)
        if found is None:
            free, idle = provider.room.minus(provider.used), dict[int, int]()
            for instance in capacity.may_go(self._state, provider.name):
                free = free.plus(instance.room)
                idle[instance.environment] = idle.get(instance.environment, 0) + instance.room.cpu_milli
            found = self._machines[provider.name] = free, idle
        return found

    def _held_by(self, provider: Provider) -> tuple[Holder, ...]:
        """Who holds how much of the machine, most vCPUs first."""
        found = self._holders.get(provider.name)
        if found is None:
            held = []
            for environment in self._state.environments.values():
                if environment.provider == provider.name and environment.holds != NOTHING:
                    held.append(Holder(environment.number, environment.holds))
            held.sort(key=lambda each: (-each.holds.cpu_milli, -each.holds.memory_mib, each.environment))
            found = self._holders[provider.name] = tuple(held)
        return found


def _weighed(own: tuple[Obstacle, ...], places: tuple[PlaceVerdict, ...]) -> Verdict:
    """Which of it is the nearest to change."""
    nearest = _nearest(places)
    if nearest is None:
        return Verdict(Kind.UNDETERMINED, places, own)
    here = places[nearest].obstacles
    if own and _distance(own) >= _distance(here):
        return Verdict(_farthest(own), places, own)
    return Verdict(_farthest(here), places, own, nearest)


def _no_type_for_all(environment: Environment, of: Capacity, provider: Provider, gang: Gang) -> list[Obstacle]:
    """Why no type will do for all nodes of a multi-node job."""
    needs, machine = gangs.largest(gang), provider.room
    ranked = (*capacity.best_first(environment, provider, needs), *allocation.carved(of, needs))
    ranked = tuple(each for each in ranked if gang.nodes.type in (None, each.name))
    if not ranked:
        return _without_type(of, needs, machine) or [Obstacle(Kind.NO_TYPE)]
    smallest = min(ranked, key=lambda each: each.room)
    total = smallest.room.times(gang.nodes.count)
    found = []
    if total.cpu_milli > of.max_cpu_milli:
        found.append(Obstacle(Kind.MAXIMUM_BELOW, (Short(VCPU, total.cpu_milli, of.max_cpu_milli),), smallest.name))
    short = _short(total, machine)
    return [*found, Obstacle(Kind.MACHINE_TOO_SMALL, short)] if short or not found else found


def _lines(queue: Queue) -> Iterator[Line]:
    if queue.policy is None:
        yield queue.line
    else:
        yield from (share.line for share in queue.shares.values())


def _nearest(places: Sequence[PlaceVerdict]) -> int | None:
    """The first environment that has room or is getting it, as ``placement`` does; else the one that lacks least."""
    for at, place in enumerate(places):
        if all(each.kind == Kind.BOOTING for each in place.obstacles):
            return at
    return min(range(len(places)), key=lambda at: _distance(places[at].obstacles), default=None)


def standing(environment: Environment, provider: Provider, needs: Needs) -> list[Obstacle]:
    """What somebody has to change before these needs could ever be met there."""
    of, machine = environment.capacity, provider.room
    if of is None:
        return _beyond(needs, machine)
    found = []
    if needs.cpu_milli > of.max_cpu_milli:
        found.append(Obstacle(Kind.MAXIMUM_BELOW, (Short(VCPU, needs.cpu_milli, of.max_cpu_milli),)))
    if of.fargate:
        return [*found, *_beyond(needs, machine)]
    ranked = capacity.best_first(environment, provider, needs)
    if not ranked:
        return [*found, *_without_type(of, needs, machine)]
    first = ranked[0].room.cpu_milli
    if not found and of.strategy == env.BEST_FIT and not of.spot and first > of.max_cpu_milli:
        return [Obstacle(Kind.TYPE_ABOVE_MAXIMUM, (Short(VCPU, first, of.max_cpu_milli),), ranked[0].name)]
    return found


def _without_type(of: Capacity, needs: Needs, machine: Needs) -> list[Obstacle]:
    """Why no allowed type will do; an environment that carves needs none."""
    if of.carves and needs.cpu_milli:
        return _beyond(allocation.measured(needs).room, machine)
    holding = [each for each in of.types if needs.fits(each.usable)]
    if not holding:
        return [*_no_type(of.types, needs), *_beyond(needs, machine)]
    fitting = [each for each in holding if each.room.fits(machine)]
    if not fitting:
        nearest = min(holding, key=lambda each: _lack(each.room, machine))
        return [Obstacle(Kind.MACHINE_TOO_SMALL, _short(nearest.room, machine), nearest.name)]
    cheapest = min(fitting, key=_percent)
    return [Obstacle(Kind.BID_BELOW, (Short(BID, _percent(cheapest), of.bid_percent),), cheapest.name)]


def _no_type(types: Sequence[InstanceType], needs: Needs) -> list[Obstacle]:
    """The type that falls short of the fewest things, and of those by the least."""
    if not types:
        return [Obstacle(Kind.NO_TYPE)]
    nearest = min(types, key=lambda each: _lack(needs, each.usable))
    return [Obstacle(Kind.NO_TYPE, _short(needs, nearest.usable), nearest.name)]


def _beyond(needs: Needs, machine: Needs) -> list[Obstacle]:
    short = _short(needs, machine)
    return [Obstacle(Kind.MACHINE_TOO_SMALL, short)] if short else []


def _at_maximum(environment: Environment, cpu_milli: int, going: int) -> Obstacle:
    """`cpu_milli` more are one too many; `going` of those that it holds would make room."""
    assert environment.capacity is not None
    left = environment.capacity.max_cpu_milli - (environment.held_cpu_milli - going)
    return Obstacle(Kind.AT_MAXIMUM, (Short(VCPU, cpu_milli, max(0, left)),))


def _acceptable(of: Capacity, ranked: tuple[InstanceType, ...], needs: Needs) -> tuple[InstanceType, ...]:
    """The types that ``allocation.choose`` considers for these needs."""
    if of.strategy == env.BEST_FIT and ranked:
        return ranked[:1]
    return (*ranked, allocation.measured(needs)) if of.carves and needs.cpu_milli else ranked


def _percent(of: InstanceType) -> int:
    """What Spot costs, in whole percent of the on-demand price, rounded up: a bid of so much takes it."""
    return -(-of.spot_price * 100 // max(1, of.price))


def _short(asked: Needs, has: Needs) -> tuple[Short, ...]:
    dimensions = zip((VCPU, MEMORY, GPU), asked, has, strict=True)
    return tuple(Short(name, wanted, there) for name, wanted, there in dimensions if wanted > there)


def _lack(asked: Needs, has: Needs) -> tuple[int, int, Needs]:
    """How far `has` falls short: of how many things, and by how much altogether, in thousandths of what there is."""
    short = _short(asked, has)
    return len(short), sum((each.asked - each.has) * 1000 // max(1, each.has) for each in short), asked


def _distance(obstacles: Sequence[Obstacle]) -> tuple[int, int]:
    """The farthest of what would have to change, and how many things: the nearest environment has the least."""
    return _DISTANCE[_farthest(obstacles)], len(obstacles)


def _farthest(obstacles: Sequence[Obstacle]) -> Kind:
    return max((each.kind for each in obstacles), key=_DISTANCE.__getitem__, default=Kind.TURN)
