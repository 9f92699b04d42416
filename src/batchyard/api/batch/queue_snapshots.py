"""GetJobQueueSnapshot: who goes next in a queue, and what its jobs hold, as the engine showed it last (reference "Job
queues")."""

from __future__ import annotations

from batchyard.api.batch.compute_environments import unknown
from batchyard.api.batch.job_queues import find_queue
from batchyard.api.context import Call, Context
from batchyard.model import ids
from batchyard.model.shown import FrontShown
from batchyard.ports import Shown
from batchyard.wire.shapes import (
    FairshareCapacityUsage,
    FairshareCapacityUtilization,
    FairshareUtilizationDetail,
    FrontOfQueueDetail,
    FrontOfQueueJobSummary,
    GetJobQueueSnapshotRequest,
    GetJobQueueSnapshotResponse,
    QueueSnapshotCapacityUsage,
    QueueSnapshotUtilizationDetail,
)

UNIT = "VCPU"


async def get_job_queue_snapshot(
    context: Context, call: Call, request: GetJobQueueSnapshotRequest
) -> GetJobQueueSnapshotResponse:
    """Told anew when it changes, at most once a second; a queue of which nothing is told has nothing to do."""
    row = find_queue(context, call, request.jobQueue)
    if row is None:
        raise unknown(request.jobQueue)
    at_ms, front = context.reader.front(row.id) or Shown(call.now_ms, FrontShown())
    utilization = QueueSnapshotUtilizationDetail(
        totalCapacityUsage=[QueueSnapshotCapacityUsage(capacityUnit=UNIT, quantity=front.held_cpu_milli / 1000)],
        lastUpdatedAt=at_ms,
    )
    if front.holding is not None:
        utilization.fairshareUtilization = _by_share(front.holding, front.shares)
    jobs = [
        FrontOfQueueJobSummary(
            jobArn=call.arns.job(ids.job_id(job.uuid, job.index)), earliestTimeAtPosition=job.since_ms
        )
        for job in front.jobs
    ]
    return GetJobQueueSnapshotResponse(
        frontOfQueue=FrontOfQueueDetail(jobs=jobs, lastUpdatedAt=at_ms), queueUtilization=utilization
    )


def _by_share(holding: int, most: tuple[tuple[str, int], ...]) -> FairshareUtilizationDetail:
    return FairshareUtilizationDetail(
        activeShareCount=holding,
        topCapacityUtilization=[
            FairshareCapacityUtilization(
                shareIdentifier=share,
                capacityUsage=[FairshareCapacityUsage(capacityUnit=UNIT, quantity=held_cpu_milli / 1000)],
            )
            for share, held_cpu_milli in most
        ],
    )
