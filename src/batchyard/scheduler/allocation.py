"""Which instance type an environment takes next: the allocation strategies, as pure functions of values.

Source: reference "Allocation strategies and scaling". Where it is silent: ties go to the smaller type, then to the one
named first, then to the name; a deep pool (SPOT_PRICE_CAPACITY_OPTIMIZED) is one of the two rarest interruption bands.
"""

from __future__ import annotations

from collections.abc import Callable

from batchyard.model import environments as env
from batchyard.model.environments import Capacity, InstanceType
from batchyard.model.needs import Needs

DEEP = 1  # the highest interruption band of a pool that counts as deep

Rank = tuple[int, ...]


def ranked(capacity: Capacity, needs: Needs, machine: Needs) -> tuple[InstanceType, ...]:
    """The types that hold `needs`, best first, as far as the provider's whole `machine` could ever hold one of them.

    GPUs are for who asks for them, unless there is nothing else.
    """
    cpu_milli, memory_mib, gpus = needs  # compared one by one: this is done for every class of jobs and every type
    fitting = [
        (order, each)
        for order, each in enumerate(capacity.types)
        if memory_mib <= each.usable_mib
        and cpu_milli <= (room := each.room).cpu_milli
        and gpus <= room.gpus
        and room.fits(machine)
    ]
    if capacity.spot:
        fitting = [(order, each) for order, each in fitting if _affordable(capacity, each)]
    plain = [pair for pair in fitting if not pair[1].room.gpus]
    if plain and not needs.gpus:
        fitting = plain
    rank = _RANKS[capacity.strategy]
    fitting.sort(key=lambda pair: (*rank(pair[0], pair[1], capacity.spot), pair[1].room, pair[0], pair[1].name))
    return tuple(each for _, each in fitting)


def choose(
    capacity: Capacity, best_first: tuple[InstanceType, ...], needs: Needs, held_cpu_milli: int, free: Needs
) -> InstanceType | None:
    """The type to launch into `free` beside the vCPUs that the environment holds; None: it must wait, or cannot.

    BEST_FIT takes the best type or waits for it; the others fall back, and may pass the maximum by one instance. Where
    no type lies between the job and the room that is free, an environment that carves makes one of the job's measure.
    """
    if held_cpu_milli >= capacity.max_cpu_milli or needs.cpu_milli > capacity.max_cpu_milli:
        return None
    waits = capacity.strategy == env.BEST_FIT and bool(best_first)
    for each in best_first[:1] if waits else (*best_first, *carved(capacity, needs)):
        if each.room.fits(free) and _within(capacity, held_cpu_milli + each.room.cpu_milli):
            return each
    return None


def makes(capacity: Capacity, kind: str, name: str, room: Needs, usable_mib: int) -> bool:
    """Whether the environment could make this very instance, of an environment that was of `kind`, once more."""
    if kind != capacity.kind:
        return False
    if name == env.FIT:
        return capacity.carves
    return any(
        (each.name, each.room, each.usable_mib) == (name, room, usable_mib) and _affordable(capacity, each)
        for each in capacity.types
    )


def _affordable(capacity: Capacity, each: InstanceType) -> bool:
    return not capacity.spot or each.spot_price * 100 <= capacity.bid_percent * each.price


def carved(capacity: Capacity, needs: Needs) -> tuple[InstanceType, ...]:
    """The type of a job's own measure, in an environment that carves."""
    return (measured(needs),) if capacity.carves and needs.cpu_milli else ()


def measured(needs: Needs) -> InstanceType:
    """An instance of the measure of one job, in whole vCPUs; all of its memory is the job's."""
    room = needs._replace(cpu_milli=-(-needs.cpu_milli // 1000) * 1000)
    return InstanceType(env.FIT, room, room.memory_mib, 0, 0, 0)


def _within(capacity: Capacity, cpu_milli: int) -> bool:
    return capacity.strategy != env.BEST_FIT or capacity.spot or cpu_milli <= capacity.max_cpu_milli


def _price(each: InstanceType, spot: bool) -> int:
    return each.spot_price if spot else each.price


def _price_of_vcpu(each: InstanceType, spot: bool) -> int:
    return _price(each, spot) * 1000 // max(1, each.room.cpu_milli)


def _best_fit(order: int, each: InstanceType, spot: bool) -> Rank:
    return (_price(each, spot),)


def _progressive(order: int, each: InstanceType, spot: bool) -> Rank:
    return (_price_of_vcpu(each, spot),)


def _ordered(order: int, each: InstanceType, spot: bool) -> Rank:
    return (order,)


def _capacity(order: int, each: InstanceType, spot: bool) -> Rank:
    return each.interruption, _price_of_vcpu(each, spot)


def _price_capacity(order: int, each: InstanceType, spot: bool) -> Rank:
    return int(each.interruption > DEEP), _price_of_vcpu(each, spot), each.interruption


def _prioritized(order: int, each: InstanceType, spot: bool) -> Rank:
    return each.interruption, order


_RANKS: dict[str, Callable[[int, InstanceType, bool], Rank]] = {
    env.BEST_FIT: _best_fit,
    env.BEST_FIT_PROGRESSIVE: _progressive,
    env.BEST_FIT_PROGRESSIVE_ORDERED: _ordered,
    env.SPOT_CAPACITY_OPTIMIZED: _capacity,
    env.SPOT_PRICE_CAPACITY_OPTIMIZED: _price_capacity,
    env.SPOT_CAPACITY_OPTIMIZED_PRIORITIZED: _prioritized,
}
