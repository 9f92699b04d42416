"""DescribeJobs, CancelJob and TerminateJob (reference "SubmitJob" and "CancelJob and TerminateJob")."""

from __future__ import annotations

from batchyard.api.context import Call, Context
from batchyard.describe import jobs as described
from batchyard.errors import ClientError
from batchyard.model import ids, states
from batchyard.model.jobs import CANCEL, TERMINATE, Wish, kept_as
from batchyard.ports import AttemptRow, JobRow, Standing
from batchyard.wire.shapes import (
    CancelJobRequest,
    CancelJobResponse,
    DescribeJobsRequest,
    DescribeJobsResponse,
    JobDetail,
    TerminateJobRequest,
    TerminateJobResponse,
)

DESCRIBED_MAX = 100
REASON_MAX = 1024


async def describe_jobs(context: Context, call: Call, request: DescribeJobsRequest) -> DescribeJobsResponse:
    """Unknown ids, and ids of another region, are left out without a word."""
    if not request.jobs:
        raise ClientError("jobs is required.", "Give 1 to 100 job ids.")
    if len(request.jobs) > DESCRIBED_MAX:
        raise ClientError(f"Maximum number of jobs supported is  {DESCRIBED_MAX} .")  # AWS's spacing
    found = (find_job(context, call, given) for given in dict.fromkeys(request.jobs))
    details = [detail(context, call, row) for row in found if row is not None]
    return DescribeJobsResponse(jobs=details)


READS_MAX = 5  # of a job and its attempts, which the engine may change in between


def detail(context: Context, call: Call, row: JobRow) -> JobDetail:
    """The job of `row`, which holds its body, as it is now."""
    row, attempts = _with_attempts(context, call, row)
    standing = Standing(row, attempts, context.tags(row.seq, row.body))
    if row.size and row.index == ids.WHOLE:
        standing = standing._replace(child_counts=context.reader.child_counts(row.seq), counted_ms=counted(call, row))
    return described.detail(context.words(call), standing)


def _with_attempts(context: Context, call: Call, row: JobRow) -> tuple[JobRow, list[AttemptRow]]:
    """The job and its attempts as of one moment: they are read one after the other, so again if both do not agree."""
    attempts: list[AttemptRow] = []
    for _ in range(READS_MAX if row.attempts else 0):
        attempts = context.reader.attempts(row.seq, kept_as(row.nodes, row.index))
        is_open = bool(attempts) and attempts[-1].stopped_ms is None
        if len(attempts) == row.attempts and is_open == (row.status in (states.STARTING, states.RUNNING)):
            break
        row = context.reader.job(call.region, row.uuid, row.index) or row
    return row, attempts


def counted(call: Call, row: JobRow) -> int:
    """When the states of an array's children, as they are told now, were counted: with its end they are final."""
    over = row.status in states.TERMINAL and row.stopped_ms is not None
    return row.stopped_ms if over else call.now_ms


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
        raise ClientError(
            f"reason can be at most {REASON_MAX} characters long, got {len(request.reason)}.", "Shorten it."
        )
    row = find_job(context, call, request.jobId)
    if row is not None and row.index >= ids.NODES:
        raise ClientError(
            f"Node {request.jobId} of a multi-node parallel job cannot be cancelled or terminated by itself.",
            f"Name the whole job, {row.uuid}.",
        )
    if row is None or row.status in states.TERMINAL:
        return
    await context.intake.wish(Wish(row.uuid, row.index, kind, request.reason, call.now_ms))


def find_job(context: Context, call: Call, given: str) -> JobRow | None:
    """The job or array child with this id or ARN, if it is of the call's region."""
    own = call.arns.job_id(given)
    job = ids.parse_job_id(own) if own is not None else None
    return None if job is None else context.reader.job(call.region, job.uuid, job.index)
