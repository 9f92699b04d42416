"""`computeResources` of an UpdateComputeEnvironment: merged into what the environment has, or refused.

Source: reference "Compute environments", UpdateComputeEnvironment. A scaling update changes bounds and replaces
nothing; everything else is an infrastructure update, which AWS allows to some environments only. What has no meaning
on this machine (``managed.py``) is merged, shown, and replaces nothing either: the same instances would be made again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from batchyard.admission import managed
from batchyard.admission.managed import Machines
from batchyard.errors import ClientError
from batchyard.model import environments as env
from batchyard.model.environments import Capacity
from batchyard.wire.shapes import ComputeResource, ComputeResourceUpdate, UpdatePolicy

SCALING = frozenset({"minvCpus", "maxvCpus", "desiredvCpus", "scalingPolicy"})
OF_FARGATE = frozenset({"maxvCpus", "subnets", "securityGroupIds", "type"})
CLEARED = ("ec2KeyPair", "imageId", "placementGroup", "subnets", "securityGroupIds")  # by an empty text or list
NEXT = "Create another environment and move the queues to it with UpdateJobQueue."

TIMEOUT_MINUTES, TIMEOUT_MINUTES_MAX = 30, 360
POLICY = {"terminateJobsOnUpdate": False, "jobExecutionTimeoutMinutes": TIMEOUT_MINUTES}

_capacity = msgspec.json.Decoder(Capacity).decode


def admit(
    update: ComputeResourceUpdate,
    current: Mapping[str, Any],
    policy: Mapping[str, Any],
    held_vcpus: Callable[[], int],
    machines: Callable[[], Machines],
) -> dict[str, Any]:
    """The members of the body that are new: computeResources and the capacity that decisions read.

    `current` is the body of the environment, `policy` its updatePolicy from now on; `held_vcpus` are those of its
    instances.
    """
    given = msgspec.to_builtins(update)
    before, capacity = current["computeResources"], _capacity(msgspec.json.encode(current["capacity"]))
    if capacity.fargate:
        _check_fargate(given, capacity)
    _check_kind(given, capacity)
    infrastructure = not capacity.fargate and not given.keys() <= SCALING
    if infrastructure:
        _check_infrastructure(given, current, capacity)
    resources = _merged(before, given, capacity.fargate)
    if "desiredvCpus" in given and given["desiredvCpus"] < held_vcpus():
        raise ClientError(
            "Manually scaling down compute environment is not supported. Disconnecting job queues from compute "
            "environment will cause it to scale-down to minvCpus"
        )
    types = None if infrastructure else capacity.types
    changed = managed.admit(msgspec.convert(resources, ComputeResource), machines, types)
    wanted = changed.desired_cpu_milli if "desiredvCpus" in given else 0
    resources.pop("desiredvCpus", None)
    return {
        "computeResources": resources,
        "capacity": changed._replace(desired_cpu_milli=wanted, update_ms=_update_ms(policy)),
    }


def admit_policy(policy: UpdatePolicy, current: Mapping[str, Any]) -> dict[str, Any]:
    """The environment's updatePolicy from now on."""
    minutes = policy.jobExecutionTimeoutMinutes
    if minutes is not UNSET and not 1 <= minutes <= TIMEOUT_MINUTES_MAX:
        raise ClientError(
            f"jobExecutionTimeoutMinutes must be between 1 and {TIMEOUT_MINUTES_MAX}, got {minutes}.",
            "To end jobs at once, give terminateJobsOnUpdate.",
        )
    return POLICY | current.get("updatePolicy", {}) | msgspec.to_builtins(policy)


def _update_ms(policy: Mapping[str, Any]) -> int:
    policy = POLICY | dict(policy)
    return 0 if policy["terminateJobsOnUpdate"] else policy["jobExecutionTimeoutMinutes"] * 60_000


def _merged(before: Mapping[str, Any], given: dict[str, Any], fargate: bool) -> dict[str, Any]:
    """What is given takes the place of what there is; what is given empty is gone."""
    resources = {name: value for name, value in before.items() if name != "desiredvCpus"} | given
    resources.pop("updateToLatestImageVersion", None)
    for name in CLEARED:
        if name in given and not given[name]:
            resources.pop(name)
            if fargate:
                resources[name] = before[name]
    template = given.get("launchTemplate")
    if template is not None and not any(template.values()):
        resources.pop("launchTemplate")
    if not resources.get("scalingPolicy", {}).get("minScaleDownDelayMinutes"):
        resources.pop("scalingPolicy", None)
    return resources


def _check_fargate(given: Mapping[str, Any], capacity: Capacity) -> None:
    for member in sorted(given.keys() - OF_FARGATE):
        raise ClientError(f"{member} is not applicable for Fargate.")
    if given.get("type", capacity.kind) != capacity.kind:
        raise ClientError(f"type cannot be changed from {capacity.kind} to {given['type']}.", NEXT)


def _check_kind(given: Mapping[str, Any], capacity: Capacity) -> None:
    if "managedInstancesProvider" in given:
        raise managed.of_managed_instances(capacity.kind)
    if not capacity.fargate and given.get("type", env.EC2) not in (env.EC2, env.SPOT):
        raise ClientError(f"type cannot be changed from {capacity.kind} to {given['type']}.", NEXT)


def _check_infrastructure(given: Mapping[str, Any], current: Mapping[str, Any], capacity: Capacity) -> None:
    """AWS replaces instances only of environments with its own role and a strategy that finds other types."""
    named = ", ".join(sorted(given.keys() - SCALING))
    role = current.get("serviceRole")
    if role and not managed.is_service_linked(role):
        raise ClientError(
            f"{named} can only be changed where serviceRole is the service-linked role {managed.SERVICE_LINKED}, and "
            f"it is {role}.",
            NEXT,
        )
    if capacity.strategy == env.BEST_FIT:
        raise ClientError(f"{named} cannot be changed where allocationStrategy is {env.BEST_FIT}.", NEXT)
