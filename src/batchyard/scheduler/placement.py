"""Where a job's next attempt goes: the first environment of its queue, in order, that has the room or can get it.

An environment that is growing for the job is waited for: a job does not spill over while its instance boots.
Source: reference "Job queues", "Allocation strategies and scaling" and "Scheduling", cycle model.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from batchyard.model.needs import Needs
from batchyard.scheduler import capacity, preemption
from batchyard.scheduler.pledges import Pledges
from batchyard.scheduler.state import Environment, Queue, State


class Place(NamedTuple):
    """An environment, and the instance in it; Fargate has none."""

    environment: Environment
    instance: str


def find(state: State, queue: Queue, needs: Needs, pledges: Pledges) -> Place | None:
    """Where to place `needs` now, or None: it waits, perhaps for an instance that boots and is pledged to it, or for
    Spot capacity to be reclaimed."""
    place, waits = _first(state, queue, needs, pledges)
    if place is None and not waits and not pledges.spot_grows:
        claims = pledges.claims
        if preemption.ask(state, queue, needs, pledges):
            place, _ = _first(state, queue, needs, pledges)
        elif pledges.claims == claims and any(each.spot for each in _enabled(state, queue)):
            pledges.deferred.append(queue)  # when Spot's turn comes, more may go for it
    return place


def _first(state: State, queue: Queue, needs: Needs, pledges: Pledges) -> tuple[Place | None, bool]:
    """The place, and whether the job waits for an environment rather than that none can take it."""
    for number in queue.environments:
        environment = state.environments.get(number)
        if environment is None or not environment.enabled:
            continue
        if environment.capacity is None or environment.capacity.fargate:
            if _comes_later(state, queue, environment, pledges):
                return None, True
            within = capacity.slice_fits(environment, needs, pledges.held_cpu_milli(environment))
            if within and capacity.make_room(state, environment, needs, pledges):
                return Place(environment, environment.instance if environment.capacity is None else ""), False
            continue
        instance = capacity.ready(state, environment, needs)
        if instance is None and _comes_later(state, queue, environment, pledges):
            return None, True
        if instance is None and not capacity.pledge(state, environment, needs, pledges):
            if not capacity.grow(state, environment, needs, pledges):
                continue
            instance = capacity.ready(state, environment, needs)
            if instance is None:
                capacity.pledge(state, environment, needs, pledges)
        return (None, True) if instance is None else (Place(environment, instance.id), False)
    return None, False


def _comes_later(state: State, queue: Queue, environment: Environment, pledges: Pledges) -> bool:
    """Whether the environment is Spot and the queue can go nowhere else: then it takes what on-demand work leaves,
    which would have it back at once."""
    if pledges.spot_grows or not environment.spot:
        return False
    if any(not each.spot for each in _enabled(state, queue)):
        return False
    pledges.deferred.append(queue)
    return True


def _enabled(state: State, queue: Queue) -> Iterator[Environment]:
    for number in queue.environments:
        environment = state.environments.get(number)
        if environment is not None and environment.enabled:
            yield environment


def foresee(state: State, queue: Queue, needs: Needs, pledges: Pledges) -> bool:
    """For a job that waits behind a head: whether room is there, boots or could be launched for it."""
    for number in queue.environments:
        environment = state.environments.get(number)
        if environment is None or not environment.enabled or environment.capacity is None:
            continue
        if environment.capacity.fargate:
            continue
        if capacity.ready(state, environment, needs) is not None:
            pledges.foreseen = True
            return True
        if capacity.pledge(state, environment, needs, pledges):
            return True
        if capacity.grow(state, environment, needs, pledges):
            capacity.pledge(state, environment, needs, pledges)
            return True
    return False
