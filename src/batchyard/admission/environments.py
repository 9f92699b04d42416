"""CreateComputeEnvironment and UpdateComputeEnvironment: a request becomes a NewEnvironment or an EnvironmentChange, or
is refused (reference "Compute environments").

UNMANAGED is the machine Batchyard runs on, as one container instance; MANAGED is made of instances, or of Fargate's
slices, that are carved out of it (``managed.py``). With the tag `batchyard:provider` = `pretend` the machine is of any
size and only pretends to run what it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET

from batchyard.admission import managed, managed_updates, names, tags
from batchyard.admission.managed import SERVICE_LINKED, Machines, is_service_linked
from batchyard.errors import ClientError
from batchyard.model.environments import Capacity
from batchyard.model.jobs import EnvironmentChange, NewEnvironment
from batchyard.model.needs import Needs
from batchyard.ports import EnvironmentRow
from batchyard.wire.shapes import CreateComputeEnvironmentRequest, UpdateComputeEnvironmentRequest

MANAGED, UNMANAGED = "MANAGED", "UNMANAGED"
PROVIDER_TAG = "batchyard:provider"
LOCAL, PRETEND = PROVIDERS = ("local", "pretend")
MEMORY_TAG = "batchyard:memory"  # MiB of a pretend environment
UNLIMITED = 10**11

# Members that Describe gives back as they were given; name, type and state are columns.
_KEPT = ("unmanagedvCpus", "computeResources", "serviceRole", "tags", "context", "ecsSettings")


def admit(
    request: CreateComputeEnvironmentRequest, region: str, uuid: str, now_ms: int, machines: Callable[[], Machines]
) -> NewEnvironment:
    """The environment to store under `uuid`, or ClientError. `machines` is asked only where instances matter."""
    names.check_environment_name(request.computeEnvironmentName)
    if request.state == "DISABLED":
        raise ClientError("Compute Environment must be created in ENABLED state.")
    if request.eksConfiguration is not UNSET:
        raise ClientError(
            "Batchyard does not support compute environments on Kubernetes (eksConfiguration) yet.",
            "Create the environment without eksConfiguration.",
        )
    capacity = None
    if request.type == MANAGED:
        capacity = _managed(request, machines)
    else:
        _check_unmanaged(request)
    given = tags.checked(request.tags)
    provider = given.get(PROVIDER_TAG, LOCAL)
    if provider not in PROVIDERS:
        raise ClientError(
            f"Tag {PROVIDER_TAG} names {provider!r}, which is no provider of this server.",
            f"Use one of: {', '.join(PROVIDERS)}; or leave the tag out.",
        )
    kept = {name: getattr(request, name) for name in _KEPT}
    stored = {name: value for name, value in kept.items() if value is not UNSET}
    if provider == PRETEND:
        room = Needs(UNLIMITED, UNLIMITED, UNLIMITED) if capacity else _pretend_room(request, given)
        provider, stored["room"] = f"{PRETEND}/{uuid}", room
    if capacity is not None:
        stored["capacity"] = capacity
    body = msgspec.json.encode(stored)
    kind = MANAGED if capacity else UNMANAGED
    return NewEnvironment(region, request.computeEnvironmentName, uuid, kind, provider, True, body, now_ms)


def admit_change(
    request: UpdateComputeEnvironmentRequest,
    current: EnvironmentRow,
    now_ms: int,
    idempotency: bytes | None,
    machines: Callable[[], Machines],
    held_vcpus: Callable[[], int],
) -> EnvironmentChange:
    """What to change of `current`, or ClientError. What the request does not name stays as it is.

    `held_vcpus` are those of its instances; it and `machines` are asked only where they matter.
    """
    _refuse_unsupported(request, current.name)
    resources = request.computeResources
    changes = resources is not UNSET and any(value is not UNSET for value in msgspec.structs.astuple(resources))
    if request.state is request.serviceRole is request.unmanagedvCpus is UNSET and not changes:
        raise ClientError("One of [state | compute-resources | service-role | unmanaged-vcpus] is required.")
    members: dict[str, Any] = {}
    seen: dict[str, Any] = {}
    if changes or request.updatePolicy is not UNSET:
        _refuse_unmanaged(request, current)
        if request.updatePolicy is not UNSET:
            members["updatePolicy"] = managed_updates.admit_policy(request.updatePolicy, current.body)
        seen = {name: current.body.get(name) for name in ("computeResources", "updatePolicy")}
    if changes:
        enabled = current.enabled if request.state is UNSET else request.state == "ENABLED"
        _refuse_vain_wish(request, current.name, enabled)
        policy = members.get("updatePolicy") or current.body.get("updatePolicy", {})
        members |= managed_updates.admit(resources, current.body, policy, held_vcpus, machines)
    if request.serviceRole is not UNSET:
        if not request.serviceRole:
            raise ClientError("ServiceRole is required.")
        _check_change_of_role(request.serviceRole, current)
        members["serviceRole"] = request.serviceRole
    if request.unmanagedvCpus is not UNSET:
        members |= _unmanaged_vcpus(request.unmanagedvCpus, current)
    if request.context is not UNSET:
        members["context"] = request.context
    switched = None if request.state is UNSET else request.state == "ENABLED"
    return EnvironmentChange(current.region, current.name, now_ms, idempotency, switched, members, seen)


def _refuse_unmanaged(request: UpdateComputeEnvironmentRequest, current: EnvironmentRow) -> None:
    if current.kind != MANAGED:
        member = "updatePolicy" if request.computeResources is UNSET else "computeResources"
        raise ClientError(
            f"{member} cannot be changed of {current.name}, an UNMANAGED compute environment: it is the whole machine.",
            f"Leave {member} out.",
        )


def _refuse_vain_wish(request: UpdateComputeEnvironmentRequest, name: str, enabled: bool) -> None:
    if request.computeResources.desiredvCpus is not UNSET and not enabled:
        raise ClientError(
            f"desiredvCpus cannot be raised while compute environment {name} is DISABLED: it launches nothing.",
            "Enable it, in this or an earlier call.",
        )


def _refuse_unsupported(request: UpdateComputeEnvironmentRequest, name: str) -> None:
    for member in ("ecsSettings", "eksConfiguration"):
        if getattr(request, member) is not UNSET:
            raise ClientError(
                f"Batchyard does not support changing {member} of a compute environment yet ({name}).",
                f"Leave {member} out; or create another environment and move the queues to it with UpdateJobQueue.",
            )


def _unmanaged_vcpus(vcpus: int, current: EnvironmentRow) -> dict[str, Any]:
    """The new members of the body; a pretend environment that has its size from this number changes it."""
    if current.kind == MANAGED:
        raise ClientError("unmanagedvCpus is not applicable for managed Compute Environments")
    if vcpus < 0:
        raise ClientError(f"unmanagedvCpus must be 0 or more, got {vcpus}.", "Give the number of vCPUs.")
    room = current.body.get("room")
    if room is None or "computeResources" in current.body:
        return {"unmanagedvCpus": vcpus}
    return {"unmanagedvCpus": vcpus, "room": Needs(*room)._replace(cpu_milli=vcpus * 1000)}


def _check_change_of_role(role: str, current: EnvironmentRow) -> None:
    """A managed environment keeps its kind of role (reference "UpdateComputeEnvironment", role switch)."""
    if current.kind == UNMANAGED:
        _check_role(role)
        return
    linked = {True: "the service-linked role", False: "a role of its own"}
    now, then = (is_service_linked(each) for each in (current.body.get("serviceRole") or SERVICE_LINKED, role))
    if now != then:
        raise ClientError(
            f"serviceRole: compute environment {current.name} has {linked[now]} and cannot change to {linked[then]}.",
            "Create another environment with that role.",
        )


def _check_role(role: str) -> None:
    if is_service_linked(role):
        raise ClientError("Service Linked Role cannot be used with UNMANAGED Compute Environment")


def _managed(request: CreateComputeEnvironmentRequest, machines: Callable[[], Machines]) -> Capacity:
    if request.unmanagedvCpus is not UNSET:
        raise ClientError("unmanagedvCpus is not applicable for managed Compute Environments")
    if request.computeResources is UNSET:
        raise ClientError(
            "computeResources is required for a MANAGED compute environment.",
            "Give type, minvCpus, maxvCpus, instanceTypes, subnets, securityGroupIds and instanceRole.",
        )
    return managed.admit(request.computeResources, machines)


def _check_unmanaged(request: CreateComputeEnvironmentRequest) -> None:
    if not request.serviceRole:
        raise ClientError("ServiceRole is required.")
    _check_role(request.serviceRole)


def _pretend_room(request: CreateComputeEnvironmentRequest, given: dict[str, str]) -> Needs:
    """As large as it says: memory as tagged, else unlimited, and any number of GPUs."""
    vcpus = request.unmanagedvCpus
    if request.computeResources is not UNSET:
        vcpus = request.computeResources.maxvCpus
    if vcpus is UNSET or vcpus < 0:
        raise ClientError(
            f"A {PRETEND} compute environment is as large as it says, but {request.computeEnvironmentName} does not.",
            "Give computeResources.maxvCpus, 0 or more.",
        )
    memory = given.get(MEMORY_TAG, str(UNLIMITED))
    if not (memory.isascii() and memory.isdigit() and len(memory) <= 12):
        raise ClientError(
            f"Tag {MEMORY_TAG} has the value {memory!r}.", "Give whole MiB, such as 16384, or leave it out."
        )
    return Needs(vcpus * 1000, int(memory), UNLIMITED)
