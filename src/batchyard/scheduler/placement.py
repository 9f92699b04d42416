"""Where a job's next attempt goes: the first environment of its queue, in order, that is enabled and has the room.

Source: reference "Job queues" and "Scheduling", cycle model.
"""

from __future__ import annotations

from batchyard.model.needs import Needs
from batchyard.scheduler import ledger
from batchyard.scheduler.state import Environment, Queue, State


def find(state: State, queue: Queue, needs: Needs) -> Environment | None:
    """The environment to place `needs` in now, or None."""
    for number in queue.environments:
        environment = state.environments.get(number)
        if environment is not None and environment.enabled and needs.fits(ledger.free(state, number)):
            return environment
    return None
