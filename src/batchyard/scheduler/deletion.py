"""Queues and environments on their way out: a queue goes when its jobs are at an end, an environment when nothing is
open in it any more (reference "Job queues" and "Compute environments").

The jobs of a queue are brought to an end some in each turn, after everybody else's work of the turn, so that even a
long queue holds up nobody. How far it is, is told by the jobs themselves: after a restart it goes on from the rows.
"""

from __future__ import annotations

from batchyard.model.facts import ChildrenMoved, EnvironmentDeleted, QueueDeleted
from batchyard.scheduler import blocked, capacity, lifecycle
from batchyard.scheduler.state import Environment, Queue, State

ENDED_PER_TURN = 500  # facts of all queues together
CHILDREN_PER_FACT = 20  # a range of children is one fact, and so many of its rows cost as much as a fact does


def proceed(state: State) -> bool:
    """Go on with everything that is to be deleted; True if there is more to do at once."""
    bound = len(state.facts) + ENDED_PER_TURN
    more = False
    for queue in state.leaving_queues[:]:
        bound = _end_jobs(state, queue, bound)
        more = more or bool(queue.left)
        if not queue.left and not queue.ending:
            _remove_queue(state, queue)
    for environment in state.leaving_environments[:]:
        capacity.vacate(state, environment)
        if not environment.open:
            _remove_environment(state, environment)
    return more


def _end_jobs(state: State, queue: Queue, bound: int) -> int:
    """What is left of the bound, as a number of facts, for other queues."""
    if queue.left is None:  # once a deletion and a start: 50 ms or so where a million jobs live
        queue.left = [seq for seq, job in state.jobs.items() if job.queue == queue.number]
        queue.left.reverse()
    while queue.left:  # also beyond the bound: a start walks once more over what was told to stop before it
        job = state.jobs.get(queue.left[-1])
        begun = len(state.facts)
        done = job is None or lifecycle.bring_to_end(state, job, lifecycle.QUEUE_DELETED, bound)
        moved = (fact.hi - fact.lo for fact in state.facts[begun:] if isinstance(fact, ChildrenMoved))
        bound -= sum(moved) // CHILDREN_PER_FACT
        if not done:
            return bound
        seq = queue.left.pop()
        if seq in state.jobs:
            queue.ending.append(seq)
    while queue.ending and queue.ending[-1] not in state.jobs:
        queue.ending.pop()
    return bound


def _remove_queue(state: State, queue: Queue) -> None:
    blocked.clear(state, queue.number)
    del state.queues[queue.number]
    state.leaving_queues.remove(queue)
    state.facts.append(QueueDeleted(queue.number, state.now_ms))


def _remove_environment(state: State, environment: Environment) -> None:
    state.left[environment.number] = state.environments.pop(environment.number)
    state.leaving_environments.remove(environment)
    own = environment.provider if environment.own else None
    if own is not None:
        del state.providers[own]
    state.facts.append(EnvironmentDeleted(environment.number, own, state.now_ms))
