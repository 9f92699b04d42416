"""CreateJobQueue and DescribeJobQueues (reference "Job queues")."""

from __future__ import annotations

from batchyard.admission import queues
from batchyard.api import paging
from batchyard.api.batch.compute_environments import find_environment, resource_type
from batchyard.api.context import Call, Context
from batchyard.describe.arns import Arns
from batchyard.ports import QueueRow
from batchyard.wire.shapes import (
    ComputeEnvironmentOrder,
    CreateJobQueueRequest,
    CreateJobQueueResponse,
    DescribeJobQueuesRequest,
    DescribeJobQueuesResponse,
    JobQueueDetail,
)

_OPERATION = "DescribeJobQueues"


async def create_job_queue(context: Context, call: Call, request: CreateJobQueueRequest) -> CreateJobQueueResponse:
    def find(given: str) -> queues.FoundEnvironment | None:
        row = find_environment(context, call, given)
        return None if row is None else queues.FoundEnvironment(row.id, row.name, resource_type(row))

    new = queues.admit(request, find, call.region, call.now_ms)
    await context.intake.create_queue(new)
    return CreateJobQueueResponse(jobQueueName=new.name, jobQueueArn=call.arns.queue(new.name))


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


def _detail(context: Context, arns: Arns, row: QueueRow) -> JobQueueDetail:
    return JobQueueDetail(
        jobQueueName=row.name,
        jobQueueArn=arns.queue(row.name),
        state="ENABLED" if row.enabled else "DISABLED",
        status="VALID",
        statusReason="JobQueue Healthy",
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
        jobStateTimeLimitActions=[],
    )
