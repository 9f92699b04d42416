"""CreateJobQueue and UpdateJobQueue: a request becomes a NewQueue or a QueueChange, or is refused (reference "Job
queues")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from batchyard.admission import names, tags, time_limits
from batchyard.errors import ClientError
from batchyard.model.jobs import NewQueue, QueueChange
from batchyard.ports import QueueRow
from batchyard.wire.shapes import ComputeEnvironmentOrder, CreateJobQueueRequest, UpdateJobQueueRequest

ENVIRONMENTS_MAX = 3
FARGATE_TYPES = ("FARGATE", "FARGATE_SPOT")
SERVICE_TYPE = "SAGEMAKER_TRAINING"

FindPolicy = Callable[[str], "int | None"]  # the number of the scheduling policy with this ARN
Find = Callable[[str], "FoundEnvironment | None"]  # by name or ARN; None also for one that is being deleted


class FoundEnvironment(NamedTuple):
    """A compute environment that the request names. `resource_type` is EC2, SPOT, FARGATE or FARGATE_SPOT."""

    number: int
    name: str
    resource_type: str


def admit(
    request: CreateJobQueueRequest,
    find: Find,
    find_policy: FindPolicy,
    region: str,
    now_ms: int,
    idempotency: bytes | None = None,
) -> NewQueue:
    """The queue to store, or ClientError.

    The body keeps the environments by name in the order they are tried, and the derived jobQueueType, from which
    SubmitJob knows what the queue can run.
    """
    names.check_queue_name(request.jobQueueName)
    _refuse_service(request)
    policy = _policy(request.schedulingPolicyArn, find_policy)
    limits = time_limits.admitted(request.jobStateTimeLimitActions or [])
    order = _order(request.computeEnvironmentOrder or [])
    found = _found(order, find)
    kind = _kind(found)
    if request.jobQueueType not in (UNSET, kind):
        raise ClientError(
            f"The jobQueueType provided is {request.jobQueueType}, but its compute environments make it {kind}.",
            f"Leave jobQueueType out, or give {kind}.",
        )
    body = {
        "computeEnvironmentOrder": _named(order, found),
        "jobQueueType": kind,
        "tags": tags.checked(request.tags),
        time_limits.MEMBER: limits,
    }
    return NewQueue(
        region=region,
        name=request.jobQueueName,
        priority=request.priority,
        enabled=request.state != "DISABLED",
        environments=tuple(environment.number for environment in found),
        body=msgspec.json.encode(body),
        created_ms=now_ms,
        idempotency=idempotency,
        policy=policy,
    )


def admit_change(
    request: UpdateJobQueueRequest,
    find: Find,
    find_policy: FindPolicy,
    current: QueueRow,
    now_ms: int,
    idempotency: bytes | None,
) -> QueueChange:
    """What to change of `current`, or ClientError. What the request does not name stays; lists are replaced whole."""
    _refuse_other_members(request, current.name)
    policy = _policy(request.schedulingPolicyArn, find_policy)
    if policy is not None and current.policy is None:
        raise ClientError(
            f"Job queue {current.name} has no scheduling policy, and a queue cannot be given one later.",
            "Create another queue with it.",
        )
    priority = None if request.priority is UNSET else request.priority
    enabled = None if request.state is UNSET else request.state == "ENABLED"
    environments, members = None, dict[str, Any]()
    if request.computeEnvironmentOrder is not UNSET:
        order = _order(request.computeEnvironmentOrder)
        found = _found(order, find)
        kind = _kind(found)
        if kind != current.body["jobQueueType"]:
            raise ClientError(
                f"Job queue {current.name} is of type {current.body['jobQueueType']}, and these compute environments "
                f"would make it {kind}.",
                "Create another queue for them.",
            )
        environments = tuple(environment.number for environment in found)
        members["computeEnvironmentOrder"] = _named(order, found)
    if request.jobStateTimeLimitActions is not UNSET:
        members[time_limits.MEMBER] = time_limits.admitted(request.jobStateTimeLimitActions)
    if priority is enabled is environments is policy is None and not members:
        raise ClientError(
            f"UpdateJobQueue names nothing to change of job queue {current.name}.",
            "Give one of state, priority, schedulingPolicyArn, computeEnvironmentOrder and jobStateTimeLimitActions.",
        )
    return QueueChange(
        current.region, current.name, now_ms, idempotency, priority, enabled, environments, members, policy
    )


def _refuse_other_members(request: UpdateJobQueueRequest, name: str) -> None:
    services = request.serviceEnvironmentOrder or []
    if len(services) > 1:
        raise ClientError("Job queue can only have 1 service environment.")
    if services:
        raise ClientError(
            f"Job queue {name} has compute environments and can have no service environment.",
            "Leave serviceEnvironmentOrder out.",
        )


def capability(queue_type: str) -> str:
    """The platform capability that jobs in a queue of this jobQueueType need."""
    return "FARGATE" if queue_type == "ECS_FARGATE" else "EC2"


def _refuse_service(request: CreateJobQueueRequest) -> None:
    """Service queues need a service environment, and there can be none yet; say what AWS would say."""
    services = request.serviceEnvironmentOrder
    if not services:
        if request.jobQueueType == SERVICE_TYPE:
            raise ClientError(f"Job queues of type {SERVICE_TYPE} must have serviceEnvironmentOrder.")
        return
    if len(services) > 1:
        raise ClientError("Job queue can only have 1 service environment.")
    if request.jobQueueType not in (UNSET, SERVICE_TYPE):
        raise ClientError(
            f"The jobQueueType provided is {request.jobQueueType}, which is incompatible with the provided "
            "serviceEnvironmentOrder."
        )
    if request.computeEnvironmentOrder:
        raise ClientError(
            "computeEnvironmentOrder and serviceEnvironmentOrder cannot both be set.", "Leave one of them out."
        )
    raise ClientError("Service environments must be created and valid before attaching them to a job queue.")


def _policy(arn: str | UnsetType, find: FindPolicy) -> int | None:
    """The number of the scheduling policy that the request names; a queue cannot lose the one it has."""
    if arn is UNSET:
        return None
    names.check_policy_arn(arn)
    number = find(arn)
    if number is None:
        raise ClientError(f"SchedulingPolicy {arn} not found.")
    return number


def _order(entries: list[ComputeEnvironmentOrder]) -> list[ComputeEnvironmentOrder]:
    if not entries:
        raise ClientError("computeEnvironmentOrder is required.")
    if len(entries) > ENVIRONMENTS_MAX:
        raise ClientError(f"Only {ENVIRONMENTS_MAX} environments are allowed in job queue request.")
    if len({entry.order for entry in entries}) < len(entries):
        raise ClientError("Duplicate ComputeEnvironment order values.")
    return sorted(entries, key=lambda entry: entry.order)


def _valid(environment: FoundEnvironment | None) -> FoundEnvironment:
    if environment is None:
        raise ClientError("Compute Environments must be created and valid before attaching them to a job queue")
    return environment


def _found(order: list[ComputeEnvironmentOrder], find: Find) -> list[FoundEnvironment]:
    found = [_valid(find(entry.computeEnvironment)) for entry in order]
    if len({environment.number for environment in found}) < len(found):
        raise ClientError("Duplicate ComputeEnvironments within order list.")
    return found


def _named(order: list[ComputeEnvironmentOrder], found: list[FoundEnvironment]) -> list[dict[str, Any]]:
    """The order as the queue's body keeps it."""
    return [
        {"order": entry.order, "computeEnvironment": environment.name}
        for entry, environment in zip(order, found, strict=True)
    ]


def _kind(found: list[FoundEnvironment]) -> str:
    """The jobQueueType that the environments make."""
    fargate = {environment.resource_type in FARGATE_TYPES for environment in found}
    if len(fargate) > 1:
        raise ClientError("Fargate and EC2 compute environments can not be mixed.")
    return "ECS_FARGATE" if fargate.pop() else "ECS"
