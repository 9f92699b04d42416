"""Create, Describe, Update and DeleteJobQueue (reference "Job queues")."""

from __future__ import annotations

from functools import partial

from batchyard.admission import queues
from batchyard.api import paging
from batchyard.api.batch.compute_environments import find_environment, resource_type, unknown
from batchyard.api.batch.scheduling_policies import find_policy
from batchyard.api.context import Call, Context
from batchyard.describe.arns import Arns
from batchyard.model.jobs import Deletion
from batchyard.model.states import DELETING, VALID
from batchyard.ports import QueueRow
from batchyard.wire.shapes import (
    ComputeEnvironmentOrder,
    CreateJobQueueRequest,
    CreateJobQueueResponse,
    DeleteJobQueueRequest,
    DeleteJobQueueResponse,
    DescribeJobQueuesRequest,
    DescribeJobQueuesResponse,
    JobQueueDetail,
    JobStateTimeLimitAction,
    UpdateJobQueueRequest,
    UpdateJobQueueResponse,
)

_OPERATION = "DescribeJobQueues"
_STATUS_REASONS = {VALID: "JobQueue Healthy", DELETING: "JobQueue is being deleted: its jobs are brought to an end"}


async def create_job_queue(context: Context, call: Call, request: CreateJobQueueRequest) -> CreateJobQueueResponse:
    find, find_policy = partial(_valid_environment, context, call), partial(_policy, context, call)
    new = queues.admit(request, find, find_policy, call.region, call.now_ms, call.idempotency)
    await context.intake.create_queue(new)
    return CreateJobQueueResponse(jobQueueName=new.name, jobQueueArn=call.arns.queue(new.name))


async def update_job_queue(context: Context, call: Call, request: UpdateJobQueueRequest) -> UpdateJobQueueResponse:
    """Jobs that run stay where they are; those that wait go by the new priority and order."""
    given = request.jobQueue
    row = find_queue(context, call, given)
    if row is None:
        raise unknown(given)
    find, find_policy = partial(_valid_environment, context, call), partial(_policy, context, call)
    change = queues.admit_change(request, find, find_policy, row, call.now_ms, call.idempotency)
    if not await context.intake.update_queue(change):
        raise unknown(given)  # it went in this very moment
    return UpdateJobQueueResponse(jobQueueName=row.name, jobQueueArn=call.arns.queue(row.name))


async def delete_job_queue(context: Context, call: Call, request: DeleteJobQueueRequest) -> DeleteJobQueueResponse:
    """It is DELETING until all of its jobs are at an end, which the engine sees to."""
    name = call.arns.queue_name(request.jobQueue)
    wish = None if name is None else Deletion(call.region, name, call.now_ms, call.idempotency)
    if wish is None or not await context.intake.delete_queue(wish):
        raise unknown(request.jobQueue)
    return DeleteJobQueueResponse()


def _valid_environment(context: Context, call: Call, given: str) -> queues.FoundEnvironment | None:
    """One that may be named. Other than on AWS an INVALID one may be: it is so only while the machine is that small,
    and the queue tries its next one meanwhile."""
    row = find_environment(context, call, given)
    if row is None or row.status == DELETING:
        return None
    return queues.FoundEnvironment(row.id, row.name, resource_type(row))


async def describe_job_queues(
    context: Context, call: Call, request: DescribeJobQueuesRequest
) -> DescribeJobQueuesResponse:
    answer = DescribeJobQueuesResponse()
    if request.jobQueues:
        others = {name: getattr(request, name) for name in ("maxResults", "nextToken")}
        paging.check_names(request.jobQueues, "jobQueues", others)
        rows = [
            row for given in dict.fromkeys(request.jobQueues) if (row := find_queue(context, call, given)) is not None
        ]
    else:
        limit = paging.limit(request.maxResults)
        listing = paging.Listing(context, call, _OPERATION)
        after = listing.position(request.nextToken, paging.Number) or 0
        rows = context.reader.queues(call.region, after, limit + 1)
        if len(rows) > limit:
            rows = rows[:limit]
            answer.nextToken = listing.token(rows[-1].id)
    answer.jobQueues = [_detail(context, call.arns, row) for row in rows]
    return answer


def find_queue(context: Context, call: Call, given: str) -> QueueRow | None:
    """The queue with this name or ARN."""
    name = call.arns.queue_name(given)
    return None if name is None else context.reader.queue(call.region, name)


def _policy(context: Context, call: Call, arn: str) -> int | None:
    row = find_policy(context, call, arn)
    return None if row is None else row.id


def _detail(context: Context, arns: Arns, row: QueueRow) -> JobQueueDetail:
    shown = JobQueueDetail(
        jobQueueName=row.name,
        jobQueueArn=arns.queue(row.name),
        state="ENABLED" if row.enabled else "DISABLED",
        status=row.status,
        statusReason=_STATUS_REASONS[row.status],
        priority=row.priority,
        computeEnvironmentOrder=[
            ComputeEnvironmentOrder(
                order=entry["order"], computeEnvironment=arns.environment(entry["computeEnvironment"])
            )
            for entry in row.body["computeEnvironmentOrder"]
        ],
        serviceEnvironmentOrder=[],
        jobQueueType=row.body["jobQueueType"],
        tags=context.tags(row.id, row.body),
        jobStateTimeLimitActions=[
            JobStateTimeLimitAction(**action) for action in row.body.get("jobStateTimeLimitActions", [])
        ],
    )
    if row.policy is not None:
        shown.schedulingPolicyArn = arns.policy(row.policy)
    return shown
