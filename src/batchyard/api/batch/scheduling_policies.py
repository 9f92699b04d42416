"""The operations on scheduling policies (reference "Scheduling: FIFO and fair share")."""

from __future__ import annotations

from batchyard.admission import names, scheduling_policies
from batchyard.api import paging
from batchyard.api.batch.compute_environments import unknown
from batchyard.api.context import Call, Context
from batchyard.errors import ClientError
from batchyard.model.jobs import Deletion
from batchyard.ports.policies import PolicyRow
from batchyard.wire.shapes import (
    CreateSchedulingPolicyRequest,
    CreateSchedulingPolicyResponse,
    DeleteSchedulingPolicyRequest,
    DeleteSchedulingPolicyResponse,
    DescribeSchedulingPoliciesRequest,
    DescribeSchedulingPoliciesResponse,
    ListSchedulingPoliciesRequest,
    ListSchedulingPoliciesResponse,
    SchedulingPolicyDetail,
    SchedulingPolicyListingDetail,
    UpdateSchedulingPolicyRequest,
    UpdateSchedulingPolicyResponse,
)

_OPERATION = "ListSchedulingPolicies"
_DEFAULTS = {"shareDecaySeconds": 0, "computeReservation": 0, "shareDistribution": []}


async def create_scheduling_policy(
    context: Context, call: Call, request: CreateSchedulingPolicyRequest
) -> CreateSchedulingPolicyResponse:
    new = scheduling_policies.admit(request, call.region, call.now_ms, call.idempotency)
    await context.intake.create_policy(new)
    return CreateSchedulingPolicyResponse(name=new.name, arn=call.arns.policy(new.name))


async def update_scheduling_policy(
    context: Context, call: Call, request: UpdateSchedulingPolicyRequest
) -> UpdateSchedulingPolicyResponse:
    """Queues that go by it do so at once; what has been used stays used."""
    name = _name(call, request.arn)
    if name is None:
        raise unknown(request.arn)
    change = scheduling_policies.admit_change(request, call.region, name, call.now_ms, call.idempotency)
    if not await context.intake.update_policy(change):
        raise unknown(request.arn)
    return UpdateSchedulingPolicyResponse()


async def delete_scheduling_policy(
    context: Context, call: Call, request: DeleteSchedulingPolicyRequest
) -> DeleteSchedulingPolicyResponse:
    """Not while a queue goes by it, be it one that is being deleted."""
    name = _name(call, request.arn)
    wish = None if name is None else Deletion(call.region, name, call.now_ms, call.idempotency)
    if wish is None or not await context.intake.delete_policy(wish):
        raise unknown(request.arn)
    return DeleteSchedulingPolicyResponse()


async def describe_scheduling_policies(
    context: Context, call: Call, request: DescribeSchedulingPoliciesRequest
) -> DescribeSchedulingPoliciesResponse:
    """Those that are unknown are left out without a word."""
    if not 1 <= len(request.arns) <= paging.NAMES_MAX:
        raise ClientError(
            f"arns must have 1 to {paging.NAMES_MAX} entries, got {len(request.arns)}.", "Ask in several calls."
        )
    found = (find_policy(context, call, given) for given in dict.fromkeys(request.arns))
    details = [_detail(context, call, row) for row in found if row is not None]
    return DescribeSchedulingPoliciesResponse(schedulingPolicies=details)


async def list_scheduling_policies(
    context: Context, call: Call, request: ListSchedulingPoliciesRequest
) -> ListSchedulingPoliciesResponse:
    """ARNs alone, in order of creation."""
    limit = paging.limit(request.maxResults)
    listing = paging.Listing(context, call, _OPERATION)
    after = listing.position(request.nextToken, paging.Number) or 0
    rows = context.reader.policies(call.region, after, limit + 1)
    listed = [SchedulingPolicyListingDetail(arn=call.arns.policy(row.name)) for row in rows[:limit]]
    answer = ListSchedulingPoliciesResponse(schedulingPolicies=listed)
    if len(rows) > limit:
        answer.nextToken = listing.token(rows[limit - 1].id)
    return answer


def find_policy(context: Context, call: Call, given: str) -> PolicyRow | None:
    """The policy with this ARN; ClientError for what is no ARN of a policy."""
    name = _name(call, given)
    return None if name is None else context.reader.policy(call.region, name)


def _name(call: Call, given: str) -> str | None:
    names.check_policy_arn(given)
    return call.arns.policy_name(given)


def _detail(context: Context, call: Call, row: PolicyRow) -> SchedulingPolicyDetail:
    """As given; what was left out has its default."""
    return SchedulingPolicyDetail(
        name=row.name,
        arn=call.arns.policy(row.name),
        fairsharePolicy=_DEFAULTS | row.body["fairsharePolicy"],
        tags=context.tags(row.id, row.body),
    )
