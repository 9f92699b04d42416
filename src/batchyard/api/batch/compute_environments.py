"""Create, Describe, Update and DeleteComputeEnvironment (reference "Compute environments")."""

from __future__ import annotations

from typing import Any

from batchyard.admission import environments
from batchyard.api import paging
from batchyard.api.context import Call, Context
from batchyard.describe.arns import Arns
from batchyard.errors import ClientError
from batchyard.model.jobs import Deletion
from batchyard.model.states import DELETING, VALID
from batchyard.ports import EnvironmentRow
from batchyard.wire.shapes import (
    ComputeEnvironmentDetail,
    CreateComputeEnvironmentRequest,
    CreateComputeEnvironmentResponse,
    DeleteComputeEnvironmentRequest,
    DeleteComputeEnvironmentResponse,
    DescribeComputeEnvironmentsRequest,
    DescribeComputeEnvironmentsResponse,
    UpdateComputeEnvironmentRequest,
    UpdateComputeEnvironmentResponse,
)

SERVICE_LINKED_ROLE = "aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"
_OPERATION = "DescribeComputeEnvironments"
_STATUS_REASONS = {
    VALID: "ComputeEnvironment Healthy",
    DELETING: "ComputeEnvironment is being deleted: it goes when nothing runs in it any more",
}


async def create_compute_environment(
    context: Context, call: Call, request: CreateComputeEnvironmentRequest
) -> CreateComputeEnvironmentResponse:
    new = environments.admit(request, call.region, context.mint(), call.now_ms, context.machines)
    await context.intake.create_environment(new._replace(idempotency=call.idempotency))
    return CreateComputeEnvironmentResponse(
        computeEnvironmentName=new.name, computeEnvironmentArn=call.arns.environment(new.name)
    )


async def update_compute_environment(
    context: Context, call: Call, request: UpdateComputeEnvironmentRequest
) -> UpdateComputeEnvironmentResponse:
    """The answer comes with the change in force for readers; the engine places by it within milliseconds."""
    given = request.computeEnvironment
    row = find_environment(context, call, given)
    if row is None:
        raise unknown(given)
    change = environments.admit_change(
        request, row, call.now_ms, call.idempotency, context.machines, lambda: _held_vcpus(context, row)
    )
    if not await context.intake.update_environment(change):
        raise unknown(given)  # it went in this very moment
    return UpdateComputeEnvironmentResponse(
        computeEnvironmentName=row.name, computeEnvironmentArn=call.arns.environment(row.name)
    )


async def delete_compute_environment(
    context: Context, call: Call, request: DeleteComputeEnvironmentRequest
) -> DeleteComputeEnvironmentResponse:
    """It is DELETING until nothing runs in it any more."""
    given = request.computeEnvironment
    name = call.arns.environment_name(given)
    wish = None if name is None else Deletion(call.region, name, call.now_ms, call.idempotency)
    if wish is None or not await context.intake.delete_environment(wish):
        raise unknown(given)
    return DeleteComputeEnvironmentResponse()


async def describe_compute_environments(
    context: Context, call: Call, request: DescribeComputeEnvironmentsRequest
) -> DescribeComputeEnvironmentsResponse:
    answer = DescribeComputeEnvironmentsResponse()
    if request.computeEnvironments:
        others = {name: getattr(request, name) for name in ("maxResults", "nextToken")}
        paging.check_names(request.computeEnvironments, "computeEnvironments", others)
        rows = [
            row
            for given in dict.fromkeys(request.computeEnvironments)
            if (row := find_environment(context, call, given)) is not None
        ]
    else:
        limit = paging.limit(request.maxResults)
        listing = paging.Listing(context, call, _OPERATION)
        after = listing.position(request.nextToken, paging.Number) or 0
        rows = context.reader.environments(call.region, after, limit + 1)
        if len(rows) > limit:
            rows = rows[:limit]
            answer.nextToken = listing.token(rows[-1].id)
    answer.computeEnvironments = [_detail(context, call.arns, row) for row in rows]
    return answer


def find_environment(context: Context, call: Call, given: str) -> EnvironmentRow | None:
    """The environment with this name or ARN."""
    name = call.arns.environment_name(given)
    return None if name is None else context.reader.environment(call.region, name)


def unknown(given: str) -> ClientError:
    return ClientError(f"{given or repr(given)} does not exist")


def resource_type(row: EnvironmentRow) -> str:
    """EC2, SPOT, FARGATE or FARGATE_SPOT; the machine as one container instance counts as EC2."""
    return (row.body.get("computeResources") or {}).get("type", "EC2") if row.kind == "MANAGED" else "EC2"


def _detail(context: Context, arns: Arns, row: EnvironmentRow) -> ComputeEnvironmentDetail:
    """Clients read `computeResources.type` and `ecsClusterArn` of any environment, so both are always there."""
    detail = ComputeEnvironmentDetail(
        computeEnvironmentName=row.name,
        computeEnvironmentArn=arns.environment(row.name),
        ecsClusterArn=arns.cluster(row.name, row.uuid),
        tags=context.tags(row.id, row.body),
        type=row.kind,
        state="ENABLED" if row.enabled else "DISABLED",
        status=row.status,
        statusReason=row.reason or _STATUS_REASONS[row.status],
        computeResources=_described_resources(context, row),
        serviceRole=arns.role(row.body.get("serviceRole") or SERVICE_LINKED_ROLE),
        containerOrchestrationType="ECS",
        uuid=row.uuid,
    )
    for member in ("unmanagedvCpus", "context", "ecsSettings", "updatePolicy"):
        if member in row.body:
            setattr(detail, member, row.body[member])
    return detail


def _held_vcpus(context: Context, row: EnvironmentRow) -> int:
    return sum(instance.room.cpu_milli for instance in context.reader.instances(row.id)) // 1000


def _described_resources(context: Context, row: EnvironmentRow) -> dict[str, Any]:
    """What was given, as it was given, with the vCPUs there are now; else the machine as one container instance."""
    given = row.body.get("computeResources")
    if row.kind == "MANAGED" and given["type"] in ("EC2", "SPOT"):
        defaults = {"allocationStrategy": "BEST_FIT", "instanceTypes": ["default_x86_64"], "tags": {}}
        return defaults | given | {"desiredvCpus": _held_vcpus(context, row)}
    if given:
        return given
    bounds = {"minvCpus": 0, "maxvCpus": context.vcpus}
    return {"type": "EC2", **bounds, "instanceTypes": [], "subnets": [], "securityGroupIds": []}
