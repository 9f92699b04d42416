"""Where a multi-node job goes: all of its nodes at once, or none; so two of them never hold parts of what both need.

Its instances are launched for it together: of one type, one for each node, and nobody else's until its node there is
closed; the job waits in its line while they boot. Only one type is ever launched, the best of those that could hold
the whole job, in the first environment that has such a type; where there is no room now, it waits there.
Source: reference "Multi-node parallel jobs" and "Allocation strategies and scaling".
"""

from __future__ import annotations

from batchyard.model.environments import EC2, InstanceType
from batchyard.model.ids import NODES, WHOLE
from batchyard.model.needs import Needs
from batchyard.scheduler import allocation, capacity, fairshare, lifecycle, ordering
from batchyard.scheduler.placement import Place
from batchyard.scheduler.pledges import Pledges
from batchyard.scheduler.state import Environment, Gang, Instance, Queue, State


def start(state: State, queue: Queue, gang: Gang, pledges: Pledges) -> bool:
    """Open an attempt of every node if there are instances for all, which are launched if that can be done now; False:
    it waits, perhaps for instances of its own that boot."""
    instances = state.sets.get(gang.seq) or _launch(state, queue, gang, pledges)
    if instances is None or not _ready(state, instances):
        return False
    ordering.leave(state, gang)
    _open(state, gang, instances)
    return True


def start_ready(state: State, bound: int) -> None:
    """Start those whose instances are ready, whoever has come to stand before them in line: nobody else can use what
    they hold. Where a job may no longer run, its instances are for anybody. Ends early when there are `bound` facts.
    """
    for seq in sorted(state.sets):
        gang, instances = state.jobs[seq], state.sets[seq]
        assert isinstance(gang, Gang)
        if len(state.facts) >= bound:
            return
        environment = state.environments[instances[0].environment]
        if not environment.enabled or environment.number not in state.queues[gang.queue].environments:
            capacity.release_set(state, seq)
        elif _ready(state, instances) and _supplied(state, gang):
            _open(state, gang, instances)


def suits(environment: Environment) -> bool:
    """Whether multi-node jobs may run there at all: on-demand instances that come and go with jobs."""
    return environment.capacity is not None and environment.capacity.kind == EC2


def type_for(state: State, environment: Environment, gang: Gang) -> InstanceType | None:
    """The one type of which the environment makes all instances of the job; None: it can never hold it."""
    provider = state.providers.get(environment.provider)
    if provider is None or environment.capacity is None:
        return None
    needs = largest(gang)
    found = (*capacity.best_first(environment, provider, needs), *allocation.carved(environment.capacity, needs))
    for each in found:
        total = each.room.times(gang.nodes.count)
        within = total.fits(provider.room) and total.cpu_milli <= environment.capacity.max_cpu_milli
        if within and gang.nodes.type in (None, each.name):
            return each
    return None


def possible(state: State, queue: Queue, gang: Gang) -> bool:
    """Whether some environment of the queue could ever hold all of its nodes."""
    named = (state.environments.get(number) for number in queue.environments)
    opened = (each for each in named if each is not None and each.enabled and suits(each))
    return any(type_for(state, each, gang) is not None for each in opened)


def largest(gang: Gang) -> Needs:
    """What an instance must have to be any node's."""
    return Needs(*map(max, zip(*(group.needs for group in gang.nodes.groups), strict=True)))


def cpu_milli_of(gang: Gang) -> int:
    """What all of its nodes ask for."""
    return sum((group.hi - group.lo) * group.needs.cpu_milli for group in gang.nodes.groups)


def _launch(state: State, queue: Queue, gang: Gang, pledges: Pledges) -> list[Instance] | None:
    """Launch its instances in the first environment that can ever hold it; None: not now."""
    if queue.policy is not None and not fairshare.admits(state, queue, cpu_milli_of(gang)):
        return None
    for number in queue.environments:
        environment = state.environments.get(number)
        if environment is None or not environment.enabled or not suits(environment):
            continue
        chosen = type_for(state, environment, gang)
        if chosen is not None:
            return capacity.launch_set(state, environment, chosen, gang.nodes.count, gang.seq, pledges)
    return None


def _ready(state: State, instances: list[Instance]) -> bool:
    booting = state.environments[instances[0].environment].booting
    return not any(instance.number in booting for instance in instances)


def _supplied(state: State, gang: Gang) -> bool:
    """Whether there is what it asks for of consumable resources."""
    return all(quantity <= state.consumables[number].free for number, quantity in gang.asks)


def _open(state: State, gang: Gang, instances: list[Instance]) -> None:
    del state.sets[gang.seq]
    environment, main = state.environments[instances[0].environment], gang.nodes.main
    lifecycle.open_attempt(state, gang, WHOLE, Place(environment, instances[main].id))
    for number, instance in enumerate(instances):
        if number != main:
            lifecycle.open_attempt(state, gang, NODES + number, Place(environment, instance.id))
