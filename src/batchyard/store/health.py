"""The status of a managed environment that is not being deleted, as rows tell it: VALID, UPDATING or INVALID, and why.

The engine is not asked. It launches what fits the machine and replaces what an update calls for; this says what it
will do, or cannot. Source: reference "Compute environments", state and status.
"""

from __future__ import annotations

from collections.abc import Iterable

from batchyard.model.environments import UPDATED, Capacity, HeldInstance, InstanceType
from batchyard.model.needs import Needs
from batchyard.model.states import INVALID, UPDATING, VALID

ERROR = "CLIENT_ERROR - "


def status(
    provider: str, capacity: Capacity, room: Needs | None, is_applied: bool, instances: Iterable[HeldInstance]
) -> tuple[str, str | None]:
    """The status and the reason for one that is not VALID. `room` is the provider's, None if the engine knows of none;
    `is_applied`: the engine knows the environment as it is now."""
    replaced = [each for each in instances if each.leaving is not None and each.leaving.cause == UPDATED]
    if replaced:
        return UPDATING, (
            f"ComputeEnvironment is being updated: {len(replaced)} of its instances go when the jobs on them end or "
            "outstay its updatePolicy"
        )
    if not is_applied:
        return UPDATING, "ComputeEnvironment is being updated: the engine has yet to see the change"
    if room is None:
        return INVALID, (
            f"{ERROR}This server has no provider {provider} on which the environment could be made. Start it with that "
            "provider, or delete the environment."
        )
    if not capacity.fargate and not capacity.carves and not any(each.room.fits(room) for each in capacity.types):
        return INVALID, _too_small(capacity.types, room)
    return VALID, None


def _too_small(types: tuple[InstanceType, ...], room: Needs) -> str:
    smallest = min(types, key=lambda each: (each.room, each.name))
    return (
        f"{ERROR}None of the instance types fits this machine, which has {_said(room)}: the smallest of them, "
        f"{smallest.name}, has {_said(smallest.room)}. Allow smaller instanceTypes, or optimal, with "
        "UpdateComputeEnvironment."
    )


def _said(room: Needs) -> str:
    gpus = f" and {room.gpus} GPUs" if room.gpus else ""
    return f"{room.cpu_milli // 1000} vCPUs, {room.memory_mib} MiB{gpus}"
