"""Who holds how much of what. Room is taken when an attempt opens and given back when it closes.

On an instance it is the instance's room; an UNMANAGED environment and Fargate draw on the provider itself. A node of a
multi-node job has its instance to itself: one that is reserved is neither idle nor on a shelf.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from itertools import islice

from batchyard.model.needs import Needs
from batchyard.scheduler import capacity
from batchyard.scheduler.state import Environment, Instance, Job, Open, State


def lend(count: int, of: Iterable[int], lent: Container[int]) -> tuple[int, ...]:
    """The lowest `count` GPUs that are not lent. There are as many: whoever asks has found the room."""
    return tuple(islice((each for each in of if each not in lent), count)) if count else ()


def devices_for(state: State, opened: Open, needs: Needs) -> tuple[int, ...]:
    """The GPUs that an attempt with these needs gets where it opens: whole ones, of its instance or the provider."""
    environment = state.environments[opened.environment]
    instance = environment.by_id.get(opened.instance)
    if instance is not None:
        return lend(needs.gpus, instance.devices, instance.lent)
    provider = state.providers[environment.provider]
    return lend(needs.gpus, range(provider.room.gpus), provider.lent)


def take(state: State, job: Job, index: int, opened: Open) -> None:
    """An attempt of the job opens where `opened` says."""
    environment, needs = state.environments[opened.environment], state.needs_of(job, index)
    environment.open[job.seq, index] = job
    instance = environment.by_id.get(opened.instance)
    if instance is not None:
        instance.jobs[job.seq, index] = job
        instance.lent.update(opened.devices)
        _change(environment, instance, instance.free.minus(needs))
        return
    provider = state.providers[environment.provider]
    provider.used = provider.used.plus(needs)
    provider.lent.update(opened.devices)
    environment.holds = environment.holds.plus(needs)
    if environment.capacity is not None:
        environment.held_cpu_milli += needs.cpu_milli


def give_back(state: State, job: Job, index: int, opened: Open) -> None:
    """It closes."""
    environment, needs = state.environments[opened.environment], state.needs_of(job, index)
    del environment.open[job.seq, index]
    state.unsettled = True
    instance = environment.by_id.get(opened.instance)
    if instance is not None:
        del instance.jobs[job.seq, index]
        instance.lent.difference_update(opened.devices)
        reserved, instance.reserved = instance.reserved, 0
        _change(environment, instance, instance.free.plus(needs))
        if reserved:
            capacity.vacated(state, environment, instance)
        elif not instance.jobs:
            instance.idle_since_ms = state.now_ms
            state.touched.add(instance.number)
        return
    provider = state.providers[environment.provider]
    provider.used = provider.used.minus(needs)
    provider.lent.difference_update(opened.devices)
    environment.holds = environment.holds.minus(needs)
    if environment.capacity is not None:
        environment.held_cpu_milli -= needs.cpu_milli


def _change(environment: Environment, instance: Instance, free: Needs) -> None:
    shelf = environment.shelf_of(instance)
    shelf.discard(instance)
    instance.free = free
    if instance.reserved:
        return
    if instance.leaving is None:
        shelf.add(instance)
    if instance.jobs:
        environment.idle.pop(instance.number, None)
        environment.kept.discard(instance.number)
    else:
        environment.idle[instance.number] = instance
