"""How much compute there is: instances are launched for who waits at the head of a line, and go when they are idle.

An instance takes room of its provider when it is launched and gives it back when it goes; jobs share what it has.
Idle instances above their environment's minimum go after a while, or at once when somebody on the same provider needs
the room. Time enters by ``State.now_ms`` alone; ``due_ms`` is when something happens next by itself.
Source: reference "Allocation strategies and scaling".
"""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush

from batchyard.model.environments import HeldInstance, InstanceType, Leaving
from batchyard.model.facts import InstanceEnded, InstanceIdled, InstanceLaunched
from batchyard.model.ids import instance_id
from batchyard.model.needs import NOTHING, Needs
from batchyard.scheduler import allocation
from batchyard.scheduler.ledger import lend
from batchyard.scheduler.pledges import Pledges
from batchyard.scheduler.state import Environment, Instance, Provider, State

IDLE = "idle for long enough"
LEAVING = "its environment is being deleted"
MADE_ROOM = "idle, and its room was needed"


# -- room that is there ----------------------------------------------------------------------------------------------


def ready(state: State, environment: Environment, needs: Needs) -> Instance | None:
    """The instance to place on now. Who needs no GPU avoids those that have some, if others could be had."""
    found = None if needs.gpus else environment.plain.find(needs)
    if found is None and (needs.gpus or not _plain_would_do(state, environment, needs)):
        found = environment.with_gpus.find(needs)
    return found


def boots_for(state: State, environment: Environment, needs: Needs, spare: Mapping[int, Needs] = {}) -> Instance | None:
    """The booting instance that will take these needs; `spare` says what is left of those that are spoken for."""
    if not environment.booting:
        return None
    with_gpus = bool(needs.gpus) or not _plain_would_do(state, environment, needs)
    for number, instance in environment.booting.items():
        free = not instance.reserved and needs.fits(spare.get(number, instance.usable))
        if free and (with_gpus or not instance.room.gpus):
            return instance
    return None


def pledge(state: State, environment: Environment, needs: Needs, pledges: Pledges) -> bool:
    """Whether a booting instance of the environment will take a job with these needs."""
    found = boots_for(state, environment, needs, pledges.spare)
    if found is not None:
        pledges.make(found, needs)
    return found is not None


def slice_fits(environment: Environment, needs: Needs, held_cpu_milli: int) -> bool:
    """Whether the environment's own bound admits another slice of Fargate beside so much; an UNMANAGED one has none."""
    capacity = environment.capacity
    return capacity is None or held_cpu_milli + needs.cpu_milli <= capacity.max_cpu_milli


def free(provider: Provider, pledges: Pledges) -> Needs:
    """What nobody holds of the provider and nobody waits for."""
    return provider.room.minus(provider.used).minus(pledges.kept(provider.name))


def make_room(state: State, environment: Environment, needs: Needs, pledges: Pledges) -> bool:
    """Whether `needs` fit into the environment's provider itself, idle instances having made room if they had to."""
    provider = state.providers.get(environment.provider)
    if provider is None or not needs.fits(provider.room):
        return False
    room, going = free(provider, pledges), 0
    idle = [] if needs.fits(room) else _would_go(state, environment, pledges)
    while not needs.fits(room):
        if going == len(idle):
            return False
        room = room.plus(idle[going].room)
        going += 1
    for instance in idle[:going]:
        end(state, instance, MADE_ROOM)
    return True


def _plain_would_do(state: State, environment: Environment, needs: Needs) -> bool:
    """Whether some type without GPUs holds these needs: then it comes first of all."""
    provider = state.providers.get(environment.provider)
    ranked = () if provider is None else best_first(environment, provider, needs)
    return bool(ranked) and not ranked[0].room.gpus


# -- launching -------------------------------------------------------------------------------------------------------


def grow(state: State, environment: Environment, needs: Needs, pledges: Pledges) -> bool:
    """Launch an instance that will hold `needs`, idle ones making room if they must; whether one was launched."""
    provider = state.providers.get(environment.provider)
    if provider is None:
        return False
    room, held = free(provider, pledges), pledges.held_cpu_milli(environment)
    chosen = type_to_launch(environment, provider, needs, held, room)
    going: list[Instance] = []
    for instance in _would_go(state, environment, pledges) if chosen is None else ():
        going.append(instance)
        room = room.plus(instance.room)
        if instance.environment == environment.number:
            held -= instance.room.cpu_milli
        chosen = type_to_launch(environment, provider, needs, held, room)
        if chosen is not None:
            break
    if chosen is None:
        return False
    for instance in going:
        end(state, instance, MADE_ROOM)
    _launch(state, environment, provider, chosen)
    return True


def wanted(
    environment: Environment, provider: Provider, needs: Needs, held_cpu_milli: int, room: Needs
) -> Needs | None:
    """What the environment would take of its provider for `needs` if there were so much `room`, beside what it holds;
    None: nothing that would do."""
    if environment.capacity is None or environment.capacity.fargate:
        return needs if slice_fits(environment, needs, held_cpu_milli) and needs.fits(room) else None
    chosen = type_to_launch(environment, provider, needs, held_cpu_milli, room)
    return None if chosen is None else chosen.room


def could_grow(environment: Environment, provider: Provider, needs: Needs, pledges: Pledges) -> bool:
    """Whether it is only room that the environment lacks."""
    idle_cpu_milli = sum(each.room.cpu_milli for each in environment.idle.values())
    held_cpu_milli = pledges.held_cpu_milli(environment) - idle_cpu_milli
    return wanted(environment, provider, needs, held_cpu_milli, provider.room) is not None


def keep_floors(state: State, pledges: Pledges) -> None:
    """Every environment of instances holds its minimum, enabled or not, as far as there is room; Spot when its turn
    comes."""
    for environment in state.environments.values():
        if environment.held_cpu_milli < environment.floor_cpu_milli and environment.spot == pledges.spot_grows:
            fill(state, environment, environment.floor_cpu_milli, pledges)


def fill(state: State, environment: Environment, cpu_milli: int, pledges: Pledges) -> None:
    """Launch until the environment holds so many vCPUs, as far as there is room without anybody making any."""
    provider = state.providers.get(environment.provider)
    while provider is not None and environment.held_cpu_milli < cpu_milli:
        room = free(provider, pledges)
        chosen = type_to_launch(environment, provider, NOTHING, pledges.held_cpu_milli(environment), room)
        if chosen is None:
            return
        _launch(state, environment, provider, chosen)


def launch_set(
    state: State, environment: Environment, chosen: InstanceType, count: int, job: int, pledges: Pledges
) -> list[Instance] | None:
    """Launch so many instances at once, reserved for the job, idle ones making room if they must; None: not now."""
    provider = state.providers[environment.provider]
    total = chosen.room.times(count)
    going = _room_for_set(state, environment, provider, total, pledges)
    if going is None:
        return None
    for instance in going:
        end(state, instance, MADE_ROOM)
    return [_launch(state, environment, provider, chosen, job) for _ in range(count)]


def _room_for_set(
    state: State, environment: Environment, provider: Provider, total: Needs, pledges: Pledges
) -> list[Instance] | None:
    """The idle instances that must go before so much more can be launched; None if that is not enough."""
    assert environment.capacity is not None
    most = environment.capacity.max_cpu_milli
    room, held = free(provider, pledges), pledges.held_cpu_milli(environment) + total.cpu_milli
    going: list[Instance] = []
    idle = iter(may_go(state, environment.provider, environment.number, total.cpu_milli))
    while not total.fits(room) or held > most:
        instance = next(idle, None)
        if instance is None:
            return None
        own = instance.environment == environment.number
        if own or not total.fits(room):
            going.append(instance)
            room, held = room.plus(instance.room), held - (instance.room.cpu_milli if own else 0)
    return going


def release_set(state: State, job: int) -> None:
    """The job does not come to the instances that are reserved for it: they are idle, and for anybody."""
    for instance in state.sets.pop(job, ()):
        environment = state.environments[instance.environment]
        instance.reserved = 0
        instance.idle_since_ms = max(instance.ready_ms, state.now_ms)
        state.facts.append(InstanceIdled(instance.number, instance.idle_since_ms))
        if instance.number not in environment.booting:
            _opens(environment, instance)
        _watch(state, environment, instance)
        state.unsettled = True


def type_to_launch(
    environment: Environment, provider: Provider, needs: Needs, held_cpu_milli: int, free: Needs
) -> InstanceType | None:
    """The type that would be launched for these needs beside so many vCPUs into so much room, if any would."""
    assert environment.capacity is not None
    ranked = best_first(environment, provider, needs)
    return allocation.choose(environment.capacity, ranked, needs, held_cpu_milli, free)


def best_first(environment: Environment, provider: Provider, needs: Needs) -> tuple[InstanceType, ...]:
    """The types that the environment may launch for these needs, in the order of its strategy."""
    key = (needs, provider.room)
    found = environment.ranked.get(key)
    if found is None:
        assert environment.capacity is not None
        found = environment.ranked[key] = allocation.ranked(environment.capacity, needs, provider.room)
    return found


def _launch(
    state: State, environment: Environment, provider: Provider, chosen: InstanceType, reserved: int = 0
) -> Instance:
    ready_ms = state.now_ms + state.timing.boot_ms
    held = HeldInstance(
        number=state.launched + 1,
        id=instance_id(environment.instance, state.launched + 1),
        environment=environment.number,
        type=chosen.name,
        room=chosen.room,
        usable_mib=chosen.usable_mib,
        launched_ms=state.now_ms,
        ready_ms=ready_ms,
        idle_since_ms=ready_ms,
        reserved=reserved,
        devices=lend(chosen.room.gpus, range(provider.room.gpus), provider.lent),
    )
    state.facts.append(InstanceLaunched(*held[:-1]))
    return hold(state, held)


def hold(state: State, held: HeldInstance) -> Instance:
    """The instance exists, with nothing on it: just launched, or as its row tells it."""
    environment = state.environments[held.environment]
    provider = state.providers[environment.provider]
    provider.used = provider.used.plus(held.room)
    provider.lent.update(held.devices)
    environment.holds = environment.holds.plus(held.room)
    instance = Instance(held)
    environment.instances[held.number] = state.instances[held.number] = instance
    environment.by_id[held.id] = instance
    environment.held_cpu_milli += held.room.cpu_milli
    state.launched = max(state.launched, held.number)
    if held.ready_ms > state.now_ms:
        environment.booting[held.number] = instance
        heappush(state.timers, (held.ready_ms, held.number))
    else:
        _opens(environment, instance)
    if held.reserved:
        state.sets.setdefault(held.reserved, []).append(instance)
    _watch(state, environment, instance)
    state.unsettled = True
    return instance


def _opens(environment: Environment, instance: Instance) -> None:
    environment.booting.pop(instance.number, None)
    if instance.reserved:
        return
    if instance.leaving is None:
        environment.shelf_of(instance).add(instance)
    environment.idle[instance.number] = instance


# -- time ------------------------------------------------------------------------------------------------------------


def wake(state: State) -> list[int]:
    """Open the instances that are ready; the numbers of those whose time may have come to go."""
    waited = []
    while state.timers and state.timers[0][0] <= state.now_ms:
        _, number = heappop(state.timers)
        instance = state.instances.get(number)
        if instance is None:
            continue
        environment = state.environments[instance.environment]
        if number in environment.booting:
            _opens(environment, instance)
            state.unsettled = True
        elif instance.leaving is not None and instance.leaving.reclaim_ms > state.now_ms:
            watch_going(state, instance)
            state.unsettled = True  # its room may count as coming from now on
        waited.append(number)
    return waited


def expire(state: State, waited: list[int]) -> None:
    """End what has been idle for long enough, of these and of those that a minimum kept, down to that minimum."""
    kept = [number for environment in state.environments.values() for number in environment.kept]
    for number in sorted({*waited, *kept}):
        instance = state.instances.get(number)
        if instance is None or instance.jobs or instance.reserved:
            continue
        environment = state.environments[instance.environment]
        if number in environment.booting or _lingers_until(state, environment, instance) > state.now_ms:
            continue
        if environment.held_cpu_milli - instance.room.cpu_milli >= environment.floor_cpu_milli:
            end(state, instance, IDLE)
        else:
            environment.kept.add(number)


def note_idle(state: State) -> None:
    """Record which of the instances that lost their last job in this turn stand idle now."""
    for number in sorted(state.touched):
        instance = state.instances.get(number)
        if instance is not None and not instance.jobs and not instance.reserved:
            state.facts.append(InstanceIdled(number, instance.idle_since_ms))
            _watch(state, state.environments[instance.environment], instance)
    state.touched.clear()


def due_ms(state: State) -> int | None:
    """When something happens by itself next, if nothing happens before."""
    while state.timers:
        at_ms, number = state.timers[0]
        instance = state.instances.get(number)
        if instance is not None and at_ms == _waits_until(state, instance):
            return at_ms
        heappop(state.timers)
    return None


def _waits_until(state: State, instance: Instance) -> int | None:
    """When something happens to the instance by itself next."""
    environment = state.environments[instance.environment]
    if instance.leaving is not None:
        return _goes_on_at(state, instance.leaving)
    if instance.number in environment.booting:
        return instance.ready_ms
    return None if instance.jobs else _lingers_until(state, environment, instance)


def vacated(state: State, environment: Environment, instance: Instance) -> None:
    """The multi-node job to which the instance was reserved is done with it."""
    instance.idle_since_ms = state.now_ms
    state.facts.append(InstanceIdled(instance.number, state.now_ms))
    if instance.leaving is None:
        _watch(state, environment, instance)
    else:
        state.touched.add(instance.number)


def watch_all(state: State) -> None:
    """How long idle instances stay has changed."""
    for environment in state.environments.values():
        watch_idle(state, environment)


def watch_idle(state: State, environment: Environment) -> None:
    """Likewise, in one environment; those that boot are idle, too."""
    for instance in environment.instances.values():
        if not instance.jobs:
            _watch(state, environment, instance)
        elif instance.leaving is not None:
            watch_going(state, instance)


def watch_going(state: State, instance: Instance) -> None:
    """An instance leaves."""
    assert instance.leaving is not None
    at_ms = _goes_on_at(state, instance.leaving)
    if at_ms is not None:
        heappush(state.timers, (at_ms, instance.number))


def _goes_on_at(state: State, leaving: Leaving) -> int | None:
    """When its room counts as coming, if it does not yet; then when it is reclaimed."""
    if leaving.reclaimed_ms is not None:
        return None
    soon_ms = leaving.reclaim_ms - state.timing.warning_ms
    return soon_ms if soon_ms > state.now_ms else leaving.reclaim_ms


def _watch(state: State, environment: Environment, instance: Instance) -> None:
    heappush(state.timers, (_lingers_until(state, environment, instance), instance.number))


def _lingers_until(state: State, environment: Environment, instance: Instance) -> int:
    assert environment.capacity is not None
    own = environment.capacity.linger_ms
    return instance.idle_since_ms + (state.timing.linger_ms if own is None else own)


# -- going -----------------------------------------------------------------------------------------------------------


def vacate(state: State, environment: Environment) -> None:
    """The environment goes: so does every instance on which nothing runs."""
    for job in [job for job, waiting in state.sets.items() if waiting[0].environment == environment.number]:
        release_set(state, job)
    for instance in sorted(environment.instances.values(), key=_idle_order):
        if not instance.jobs:
            end(state, instance, LEAVING)


def _would_go(state: State, environment: Environment, pledges: Pledges) -> list[Instance]:
    """Those that may go for the environment: for Spot none that is on demand before its turn comes, since the next head
    may be waiting for it, and would have Spot reclaimed instead."""
    found = may_go(state, environment.provider)
    if environment.spot and not pledges.spot_grows:
        found = [each for each in found if state.environments[each.environment].spot]
    return found


def may_go(state: State, provider: str, growing: int = 0, by_cpu_milli: int = 0) -> list[Instance]:
    """Idle instances on the provider that may go, longest idle first; the minimum of every environment stays, of the
    one that is growing together with what comes to it."""
    found: list[Instance] = []
    for environment in state.environments.values():
        if environment.provider == provider and environment.idle:
            over = environment.held_cpu_milli - environment.floor_cpu_milli
            over += by_cpu_milli if environment.number == growing else 0
            for each in sorted(environment.idle.values(), key=_idle_order):
                if each.room.cpu_milli <= over:
                    over -= each.room.cpu_milli
                    found.append(each)
    return sorted(found, key=_idle_order)


def _idle_order(instance: Instance) -> tuple[int, int]:
    return instance.idle_since_ms, instance.number


def end(state: State, instance: Instance, reason: str) -> None:
    """The instance goes, and nothing is open on it. The job that it was reserved for gets others."""
    release_set(state, instance.reserved)
    environment = state.environments[instance.environment]
    provider = state.providers[environment.provider]
    provider.used = provider.used.minus(instance.room)
    provider.lent.difference_update(instance.devices)
    environment.holds = environment.holds.minus(instance.room)
    environment.shelf_of(instance).discard(instance)
    environment.held_cpu_milli -= instance.room.cpu_milli
    for index in (environment.instances, environment.idle, environment.booting, state.instances, state.going):
        index.pop(instance.number, None)
    environment.by_id.pop(instance.id)
    environment.kept.discard(instance.number)
    state.unsettled = True
    state.facts.append(InstanceEnded(instance.number, state.now_ms, reason))
