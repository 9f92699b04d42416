"""SubmitJob: the busiest path, and the one where being answered means being on disk (reference "SubmitJob")."""

from __future__ import annotations

from batchyard.admission import jobs
from batchyard.api.batch.job_queues import find_queue
from batchyard.api.context import Call, Context
from batchyard.errors import ClientError
from batchyard.ports import DefinitionRow, QueueRow
from batchyard.wire.shapes import SubmitJobRequest, SubmitJobResponse


async def submit_job(context: Context, call: Call, request: SubmitJobRequest) -> SubmitJobResponse:
    queue = find_queue(context, call, request.jobQueue)
    if queue is None:
        raise ClientError(f"JobQueue {request.jobQueue} not found.")
    row = _definition(context, call, request.jobDefinition)
    submission = jobs.Submission(
        uuid=context.mint(),
        region=call.region,
        account=call.arns.account,
        now_ms=call.now_ms,
        queue=queue.id,
        queue_name=queue.name,
        queue_enabled=queue.enabled,
        queue_type=queue.body["jobQueueType"],
        fair_share=queue.policy is not None,
        definition=row.id,
        payload_bytes=len(call.body),
        gpus=context.settings.gpus,
        idempotency=call.idempotency,
        definition_tags=lambda: context.tags(row.id, row.body),
        on_demand="nodeProperties" in row.body and _on_demand(context, queue),
    )
    job = jobs.admit(request, context.definitions.compiled(row), submission)
    uuid = await context.intake.submit(job)
    return SubmitJobResponse(jobArn=call.arns.job(uuid), jobName=job.name, jobId=uuid)


def _on_demand(context: Context, queue: QueueRow) -> bool:
    """Whether an environment of the queue is made of on-demand instances."""
    found = (context.reader.environment_by_id(number) for number in queue.environments)
    bodies = [each.body for each in found if each is not None and each.kind == "MANAGED"]
    return any((body.get("computeResources") or {}).get("type") == "EC2" for body in bodies)


def _definition(context: Context, call: Call, given: str) -> DefinitionRow:
    """The definition that a submission names: its newest active revision, or the named one if it is active."""
    named = call.arns.definition_name(given)
    if named is None:
        raise ClientError(f"JobDefinition {given} not found.")
    row = context.reader.definition(call.region, *named)
    if row is not None and row.active:
        return row
    if named.revision is None:
        raise ClientError(f"JobDefinition name {named.name} does not exist or is not in ACTIVE status")
    raise ClientError(f"JobDefinition {call.arns.definition(named.name, named.revision)} is not in ACTIVE status")
