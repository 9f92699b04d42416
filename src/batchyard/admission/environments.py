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

from batchyard.admission import managed, names, tags
from batchyard.admission.managed import Machines
from batchyard.errors import ClientError
from batchyard.model.environments import Capacity
from batchyard.model.jobs import EnvironmentChange, NewEnvironment
from batchyard.model.needs import Needs
from batchyard.ports import EnvironmentRow
from batchyard.wire.shapes import CreateComputeEnvironmentRequest, UpdateComputeEnvironmentRequest

MANAGED, UNMANAGED = "MANAGED", "UNMANAGED"
SERVICE_LINKED = "AWSServiceRoleForBatch"
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
    request: UpdateComputeEnvironmentRequest, current: EnvironmentRow, now_ms: int, idempotency: bytes | None
) -> EnvironmentChange:
    """What to change of `current`, or ClientError. What the request does not name stays as it is."""
    _refuse_infrastructure(request, current.name)
    if request.state is UNSET and request.serviceRole is UNSET and request.unmanagedvCpus is UNSET:
        raise ClientError("One of [state | compute-resources | service-role | unmanaged-vcpus] is required.")
    if request.updatePolicy is not UNSET:
        raise ClientError(
            f"updatePolicy is for changes of computeResources, and compute environment {current.name} has none to "
            "change.",
            "Leave updatePolicy out.",
        )
    members: dict[str, Any] = {}
    if request.serviceRole is not UNSET:
        if not request.serviceRole:
            raise ClientError("ServiceRole is required.")
        _check_change_of_role(request.serviceRole, current)
        members["serviceRole"] = request.serviceRole
    if request.unmanagedvCpus is not UNSET:
        members |= _unmanaged_vcpus(request.unmanagedvCpus, current)
    if request.context is not UNSET:
        members["context"] = request.context
    enabled = None if request.state is UNSET else request.state == "ENABLED"
    return EnvironmentChange(current.region, current.name, now_ms, idempotency, enabled, members)


def _refuse_infrastructure(request: UpdateComputeEnvironmentRequest, name: str) -> None:
    for member in ("computeResources", "ecsSettings", "eksConfiguration"):
        if getattr(request, member) is not UNSET:
            raise ClientError(
                f"Batchyard does not support changing {member} of a compute environment yet ({name}).",
                f"Leave {member} out; or create another environment and move the queues to it with UpdateJobQueue.",
            )


def _unmanaged_vcpus(vcpus: int, current: EnvironmentRow) -> dict[str, Any]:
    """The new members of the body; a pretend environment that has its size from this number changes it."""
    if current.kind == "MANAGED":
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
    now, then = (_is_service_linked(each) for each in (current.body.get("serviceRole") or SERVICE_LINKED, role))
    if now != then:
        raise ClientError(
            f"serviceRole: compute environment {current.name} has {linked[now]} and cannot change to {linked[then]}.",
            "Create another environment with that role.",
        )


def _check_role(role: str) -> None:
    if _is_service_linked(role):
        raise ClientError("Service Linked Role cannot be used with UNMANAGED Compute Environment")


def _is_service_linked(role: str) -> bool:
    return SERVICE_LINKED in role or "/aws-service-role/" in role


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
