"""RegisterJobDefinition: a request becomes a NewDefinition, or is refused (reference "Job definitions").

What was given is stored exactly as given, so that clients which compare (redun) find their own values again.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from batchyard.admission import consumables, containers, names, nodes, retries, tags, tasks
from batchyard.errors import ClientError
from batchyard.model.jobs import NewDefinition
from batchyard.wire.shapes import RegisterJobDefinitionRequest

SIZE_MAX_KIB = 24
CAPABILITIES = ("FARGATE", "EC2", "MANAGED_INSTANCES")

# Members that Describe gives back; `type` and `containerProperties` always are.
_KEPT = (
    "type",
    "parameters",
    "schedulingPriority",
    "containerProperties",
    "ecsProperties",
    "nodeProperties",
    "retryStrategy",
    "propagateTags",
    "timeout",
    "tags",
    "platformCapabilities",
    "consumableResourceProperties",
)
_EXCLUSIVE = {  # in AWS's words
    "containerProperties": "ECS containerProperties",
    "ecsProperties": "ecsProperties",
    "eksProperties": "eksProperties",
}


def admit(
    request: RegisterJobDefinitionRequest, region: str, account: str, now_ms: int, payload_bytes: int
) -> NewDefinition:
    """The definition to store, or ClientError. `payload_bytes` is the size of the request's body."""
    names.check_definition_name(request.jobDefinitionName)
    if payload_bytes > SIZE_MAX_KIB * 1024:
        raise ClientError(
            f"Job definition size must be less than {SIZE_MAX_KIB} KiB, got {-(-payload_bytes // 1024)} KiB",
            "Move long scripts into a file that the command reads.",
        )
    _check_kind(request)
    capability = _capability(request)
    if request.schedulingPriority is not UNSET:
        check_priority(request.schedulingPriority)
    if request.type == "multinode":
        _check_nodes(request, capability, region, account)
    elif request.ecsProperties is not UNSET:
        tasks.check(request.ecsProperties, fargate=capability == "FARGATE")
    else:
        containers.check(request.containerProperties, fargate=capability == "FARGATE")
    retries.policy(request.retryStrategy)
    retries.timeout_s(request.timeout)
    tags.checked(request.tags)
    consumables.asked(request.consumableResourceProperties, region, account)
    kept = {name: getattr(request, name) for name in _KEPT}
    body = msgspec.json.encode({name: value for name, value in kept.items() if value is not UNSET})
    return NewDefinition(region, request.jobDefinitionName, body, now_ms)


def check_priority(priority: int) -> None:
    """ClientError unless it may be the scheduling priority of a job."""
    if not 0 <= priority <= 9999:
        raise ClientError("Scheduling priority must be between 0 and 9999.")


def _check_kind(request: RegisterJobDefinitionRequest) -> None:
    given = [words for member, words in _EXCLUSIVE.items() if getattr(request, member) is not UNSET]
    if len(given) > 1:
        raise ClientError(f"Cannot use both {given[0]} and {given[1]}")
    if request.type == "multinode" and request.nodeProperties is UNSET:
        raise ClientError("Node properties of multinode job is required.")
    if request.eksProperties is not UNSET:
        raise ClientError(
            "Batchyard does not support jobs on Kubernetes (eksProperties) yet.",
            "Register a definition with containerProperties or ecsProperties instead.",
        )
    if request.type != "multinode" and request.nodeProperties is not UNSET:
        raise ClientError(
            f"nodeProperties applies only to job definitions of type multinode, this one is {request.type}.",
            "Leave it out, or register a definition of type multinode.",
        )
    if request.type != "multinode" and request.containerProperties is UNSET and request.ecsProperties is UNSET:
        raise ClientError(
            "containerProperties is required for job definitions of type container.",
            "Give it an image and resourceRequirements of type VCPU and MEMORY, or ecsProperties instead.",
        )


def _check_nodes(request: RegisterJobDefinitionRequest, capability: str, region: str, account: str) -> None:
    for member in ("containerProperties", "ecsProperties"):
        if getattr(request, member) is not UNSET:
            raise ClientError(
                f"{member} applies only to job definitions of type container, this one is {request.type}.",
                f"Give each range of nodeProperties its {member.replace('containerProperties', 'container')}.",
            )
    if capability == "FARGATE":
        raise ClientError(
            f"Multi-node parallel jobs do not run on {capability}.", "Leave platformCapabilities out, or name EC2."
        )
    if capability == "MANAGED_INSTANCES":
        raise ClientError("MANAGED_INSTANCES does not support MNP jobs")
    nodes.check(request.nodeProperties, region, account)


def _capability(request: RegisterJobDefinitionRequest) -> str:
    given = request.platformCapabilities
    if not given:
        return "EC2"
    if len(given) != 1:
        raise ClientError("Exactly 1 capability must be provided.")
    if given[0] not in CAPABILITIES:
        raise ClientError(f"Capability {given[0]} is not valid. Valid capabilities: [{', '.join(CAPABILITIES)}]")
    return given[0]
