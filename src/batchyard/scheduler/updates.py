"""An infrastructure update: instances that the environment would not make any more are replaced.

They take no more jobs. Those on which nothing runs go at once; the jobs on the others may go on for as long as the
updatePolicy says, and are killed then and tried again as their retry strategies say. While instances go they count
against maxvCpus, for they hold room of the machine; new ones come for who waits, as always.
Source: reference "Compute environments", UpdateComputeEnvironment. AWS replaces all instances at every such update;
here those stay that would be made again, since nothing about them would be another.
"""

from __future__ import annotations

from batchyard.model.environments import UPDATED, Capacity
from batchyard.scheduler import allocation, reclaim
from batchyard.scheduler.state import Environment, State


def replace(state: State, environment: Environment, before: Capacity) -> None:
    """The environment had this capacity until now."""
    now = environment.capacity
    if now is None or now == before:
        return
    for _, each in sorted(environment.instances.items()):
        if not allocation.makes(now, before.kind, each.type, each.room, each.usable.memory_mib):
            reclaim.warn(state, each, state.now_ms + now.update_ms, UPDATED)
