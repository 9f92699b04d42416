"""CreateComputeEnvironment: a request becomes a NewEnvironment, or is refused (reference "Compute environments").

So far an environment is UNMANAGED: the machine Batchyard runs on, as one container instance; or, with the tag
`batchyard:provider` = `pretend`, a machine of any size that only pretends to run what it is given.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from batchyard.admission import names, tags
from batchyard.errors import ClientError
from batchyard.model.jobs import NewEnvironment
from batchyard.model.needs import Needs
from batchyard.wire.shapes import CreateComputeEnvironmentRequest

PROVIDER_TAG = "batchyard:provider"
LOCAL, PRETEND = PROVIDERS = ("local", "pretend")
MEMORY_TAG = "batchyard:memory"  # MiB of a pretend environment
UNLIMITED = 10**11

# Members that Describe gives back as they were given; name, type and state are columns.
_KEPT = ("unmanagedvCpus", "computeResources", "serviceRole", "tags", "context", "ecsSettings")


def admit(request: CreateComputeEnvironmentRequest, region: str, uuid: str, now_ms: int) -> NewEnvironment:
    """The environment to store under `uuid`, or ClientError."""
    names.check_environment_name(request.computeEnvironmentName)
    if request.state == "DISABLED":
        raise ClientError("Compute Environment must be created in ENABLED state.")
    if request.type == "MANAGED":
        _refuse_managed(request)
    if request.eksConfiguration is not UNSET:
        raise ClientError(
            "Batchyard does not support compute environments on Kubernetes (eksConfiguration) yet.",
            "Create the environment without eksConfiguration.",
        )
    if not request.serviceRole:
        raise ClientError("ServiceRole is required.")
    if "AWSServiceRoleForBatch" in request.serviceRole or "/aws-service-role/" in request.serviceRole:
        raise ClientError("Service Linked Role cannot be used with UNMANAGED Compute Environment")
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
        provider, stored["room"] = f"{PRETEND}/{uuid}", _pretend_room(request, given)
    body = msgspec.json.encode(stored)
    return NewEnvironment(region, request.computeEnvironmentName, uuid, "UNMANAGED", provider, True, body, now_ms)


def _refuse_managed(request: CreateComputeEnvironmentRequest) -> None:
    if request.unmanagedvCpus is not UNSET:
        raise ClientError("unmanagedvCpus is not applicable for managed Compute Environments")
    raise ClientError(
        f"Batchyard does not support MANAGED compute environments yet ({request.computeEnvironmentName}).",
        "Create it with type UNMANAGED and any serviceRole: its jobs run on this machine.",
    )


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
