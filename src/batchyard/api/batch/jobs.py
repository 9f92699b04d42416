"""DescribeJobs, ListJobs, CancelJob and TerminateJob (reference "SubmitJob" and "CancelJob and TerminateJob")."""

from __future__ import annotations

from batchyard.api import paging
from batchyard.api.batch.job_queues import find_queue
from batchyard.api.context import Call, Context
from batchyard.describe import jobs as described
from batchyard.errors import ClientError
from batchyard.model import ids, states
from batchyard.model.jobs import CANCEL, TERMINATE, Wish
from batchyard.ports import JobRow, Standing
from batchyard.wire.shapes import (
    CancelJobRequest,
    CancelJobResponse,
    DescribeJobsRequest,
    DescribeJobsResponse,
    JobDetail,
    ListJobsRequest,
    ListJobsResponse,
    TerminateJobRequest,
    TerminateJobResponse,
)

DESCRIBED_MAX = 100
LISTED_MAX = 1000
REASON_MAX = 1024
_LIST = "ListJobs"


async def describe_jobs(context: Context, call: Call, request: DescribeJobsRequest) -> DescribeJobsResponse:
    """Unknown ids, and ids of another region, are left out without a word."""
    if not request.jobs:
        raise ClientError("jobs is required.", "Give 1 to 100 job ids.")
    if len(request.jobs) > DESCRIBED_MAX:
        raise ClientError(f"Maximum number of jobs supported is  {DESCRIBED_MAX} .")  # AWS's spacing
    found = (find_job(context, call, given) for given in dict.fromkeys(request.jobs))
    details = [detail(context, call, row) for row in found if row is not None]
    return DescribeJobsResponse(jobs=details)


def detail(context: Context, call: Call, row: JobRow) -> JobDetail:
    """The job of `row`, which holds its body, as it is now."""
    attempts = context.reader.attempts(row.seq, row.index) if row.attempts else ()
    standing = Standing(row, attempts, context.tags(row.seq, row.body))
    if row.size and row.index == ids.WHOLE:
        over = row.status in states.TERMINAL and row.stopped_ms is not None
        counted_ms = row.stopped_ms if over else call.now_ms
        standing = standing._replace(child_counts=context.reader.child_counts(row.seq), counted_ms=counted_ms)
    return described.detail(context.words(call), standing)


async def list_jobs(context: Context, call: Call, request: ListJobsRequest) -> ListJobsResponse:
    """Jobs of a queue, newest first, or children of an array by index; RUNNING ones unless told otherwise."""
    selectors = [name for name in ("jobQueue", "arrayJobId", "multiNodeJobId") if getattr(request, name)]
    if len(selectors) != 1:
        given = " and ".join(selectors) or "none"
        raise ClientError(f"ListJobs takes exactly one of jobQueue, arrayJobId and multiNodeJobId, got {given}.")
    if request.filters:
        raise ClientError("Batchyard does not support filters in ListJobs yet.", "List by jobStatus instead.")
    status = states.NUMBERS[request.jobStatus or "RUNNING"]
    limit = paging.limit(request.maxResults, LISTED_MAX)
    if selectors == ["jobQueue"]:
        return _list_queue(context, call, request, status, limit)
    if selectors == ["arrayJobId"]:
        return _list_children(context, call, request, status, limit)
    return ListJobsResponse(jobSummaryList=[])  # there are no multi-node jobs, so none has nodes


def _list_queue(context: Context, call: Call, request: ListJobsRequest, status: int, limit: int) -> ListJobsResponse:
    queue = find_queue(context, call, request.jobQueue)
    if queue is None:
        raise ClientError(f"JobQueue {request.jobQueue} not found.")
    listing = paging.Listing(context, call, _LIST, "queue", queue.id, status)
    before = listing.position(request.nextToken, paging.Number)
    rows = context.reader.list_queue(queue.id, status, before, limit + 1)
    answer = ListJobsResponse(jobSummaryList=[described.summary(context.words(call), row) for row in rows[:limit]])
    if len(rows) > limit:
        answer.nextToken = listing.token(rows[limit - 1].seq)
    return answer


def _list_children(context: Context, call: Call, request: ListJobsRequest, status: int, limit: int) -> ListJobsResponse:
    parent = find_job(context, call, request.arrayJobId)
    if parent is None or parent.index != ids.WHOLE or not parent.size:
        return ListJobsResponse(jobSummaryList=[])
    listing = paging.Listing(context, call, _LIST, "array", parent.uuid, status)
    after = listing.position(request.nextToken, paging.Number)
    rows = context.reader.list_children(parent.seq, status, ids.WHOLE if after is None else after, limit + 1)
    answer = ListJobsResponse(jobSummaryList=[described.summary(context.words(call), row) for row in rows[:limit]])
    if len(rows) > limit:
        answer.nextToken = listing.token(rows[limit - 1].index)
    return answer


async def cancel_job(context: Context, call: Call, request: CancelJobRequest) -> CancelJobResponse:
    await _wish(context, call, request, CANCEL)
    return CancelJobResponse()


async def terminate_job(context: Context, call: Call, request: TerminateJobRequest) -> TerminateJobResponse:
    await _wish(context, call, request, TERMINATE)
    return TerminateJobResponse()


async def _wish(context: Context, call: Call, request: CancelJobRequest | TerminateJobRequest, kind: int) -> None:
    """Ask for the end of a job; an unknown or finished one is success and changes nothing (reference)."""
    for member in ("jobId", "reason"):
        if not getattr(request, member):
            raise ClientError(f"'{member}' is a required field (cannot be an empty string)")
    if len(request.reason) > REASON_MAX:
        raise ClientError(f"reason can be at most {REASON_MAX} characters long, got {len(request.reason)}.")
    row = find_job(context, call, request.jobId)
    if row is None or row.status in states.TERMINAL:
        return
    await context.intake.wish(Wish(row.uuid, row.index, kind, request.reason, call.now_ms))


def find_job(context: Context, call: Call, given: str) -> JobRow | None:
    """The job or array child with this id or ARN, if it is of the call's region."""
    own = call.arns.job_id(given)
    job = ids.parse_job_id(own) if own is not None else None
    return None if job is None else context.reader.job(call.region, job.uuid, job.index)
