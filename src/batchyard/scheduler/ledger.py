"""Who holds how much of what. Room is taken when an attempt opens and given back when it closes.

On an instance it is the instance's room; an UNMANAGED environment and Fargate draw on the provider itself.
"""

from __future__ import annotations

from batchyard.model.needs import Needs
from batchyard.scheduler.state import Environment, Instance, State


def take(state: State, environment: Environment, instance_id: str, needs: Needs) -> None:
    """An attempt with these needs opens there."""
    environment.open += 1
    instance = environment.by_id.get(instance_id)
    if instance is not None:
        _change(environment, instance, instance.free.minus(needs), instance.jobs + 1)
        return
    provider = state.providers[environment.provider]
    provider.used = provider.used.plus(needs)
    environment.holds = environment.holds.plus(needs)
    if environment.capacity is not None:
        environment.held_cpu_milli += needs.cpu_milli


def give_back(state: State, environment: Environment, instance_id: str, needs: Needs) -> None:
    """It closes."""
    environment.open -= 1
    state.unsettled = True
    instance = environment.by_id.get(instance_id)
    if instance is not None:
        _change(environment, instance, instance.free.plus(needs), instance.jobs - 1)
        if not instance.jobs:
            instance.idle_since_ms = state.now_ms
            state.touched.add(instance.number)
        return
    provider = state.providers[environment.provider]
    provider.used = provider.used.minus(needs)
    environment.holds = environment.holds.minus(needs)
    if environment.capacity is not None:
        environment.held_cpu_milli -= needs.cpu_milli


def _change(environment: Environment, instance: Instance, free: Needs, jobs: int) -> None:
    shelf = environment.shelf_of(instance)
    shelf.discard(instance)
    instance.free, instance.jobs = free, jobs
    shelf.add(instance)
    if jobs:
        environment.idle.pop(instance.number, None)
        environment.kept.discard(instance.number)
    else:
        environment.idle[instance.number] = instance
