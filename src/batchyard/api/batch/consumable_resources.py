"""The operations on consumable resources, and the jobs that ask for one (reference "Consumable resources")."""

from __future__ import annotations

import hashlib
from functools import partial

from batchyard.admission import consumables
from batchyard.api import paging
from batchyard.api.context import Call, Context
from batchyard.errors import ClientError
from batchyard.model import ids, states
from batchyard.model.jobs import Deletion
from batchyard.ports import NameMatch
from batchyard.ports.consumables import AskingJob, ConsumableRow
from batchyard.wire.shapes import (
    ConsumableResourceSummary,
    CreateConsumableResourceRequest,
    CreateConsumableResourceResponse,
    DeleteConsumableResourceRequest,
    DeleteConsumableResourceResponse,
    DescribeConsumableResourceRequest,
    DescribeConsumableResourceResponse,
    KeyValuesPair,
    ListConsumableResourcesRequest,
    ListConsumableResourcesResponse,
    ListJobsByConsumableResourceRequest,
    ListJobsByConsumableResourceResponse,
    ListJobsByConsumableResourceSummary,
    UpdateConsumableResourceRequest,
    UpdateConsumableResourceResponse,
)

VALUES_MAX = 100  # of one filter
_NAME, _JOB_STATUS, _JOB_NAME = "CONSUMABLE_RESOURCE_NAME", "JOB_STATUS", "JOB_NAME"


async def create_consumable_resource(
    context: Context, call: Call, request: CreateConsumableResourceRequest
) -> CreateConsumableResourceResponse:
    """A name that was deleted may be taken again: jobs that wait for it go on then."""
    new = consumables.admit(request, call.region, call.now_ms, call.idempotency)
    await context.intake.create_consumable(new)
    return CreateConsumableResourceResponse(
        consumableResourceName=new.name, consumableResourceArn=call.arns.consumable(new.name)
    )


async def describe_consumable_resource(
    context: Context, call: Call, request: DescribeConsumableResourceRequest
) -> DescribeConsumableResourceResponse:
    row = find_consumable(context, call, request.consumableResource)
    if row is None:
        raise _unknown(request.consumableResource)
    return DescribeConsumableResourceResponse(
        consumableResourceName=row.name,
        consumableResourceArn=call.arns.consumable(row.name),
        totalQuantity=_total(row),
        inUseQuantity=row.held,
        availableQuantity=max(0, row.total - row.held),
        resourceType=_kind(row),
        createdAt=row.created_ms,
        tags=context.tags(row.id, row.body),
    )


async def update_consumable_resource(
    context: Context, call: Call, request: UpdateConsumableResourceRequest
) -> UpdateConsumableResourceResponse:
    """The answer tells what there is to be in all, though more may be in use for a while."""
    name = call.arns.consumable_name(request.consumableResource)
    if name is None:
        raise _unknown(request.consumableResource)
    key_of = partial(_key, call, request)
    change = consumables.admit_change(request, call.region, name, call.now_ms, call.idempotency, key_of)
    total = await context.intake.update_consumable(change)
    if total is None:
        raise _unknown(request.consumableResource)
    return UpdateConsumableResourceResponse(
        consumableResourceName=name, consumableResourceArn=call.arns.consumable(name), totalQuantity=total
    )


async def delete_consumable_resource(
    context: Context, call: Call, request: DeleteConsumableResourceRequest
) -> DeleteConsumableResourceResponse:
    """At any time: who has some of it goes on, who wants some waits."""
    name = call.arns.consumable_name(request.consumableResource)
    wish = None if name is None else Deletion(call.region, name, call.now_ms, call.idempotency)
    if wish is None or not await context.intake.delete_consumable(wish):
        raise _unknown(request.consumableResource)
    return DeleteConsumableResourceResponse()


async def list_consumable_resources(
    context: Context, call: Call, request: ListConsumableResourcesRequest
) -> ListConsumableResourcesResponse:
    """By name, capital letters or not."""
    filters = _filters(request.filters or [], "ListConsumableResources", (_NAME,))
    listing = paging.Listing(context, call, "ListConsumableResources", filters)
    limit = paging.limit(request.maxResults)
    after = listing.position(request.nextToken, str) or ""
    names = tuple(map(_match, filters[_NAME])) if filters else None
    rows = context.reader.consumables(call.region, names, after, limit + 1)
    answer = ListConsumableResourcesResponse(consumableResources=[_summary(call, row) for row in rows[:limit]])
    if len(rows) > limit:
        answer.nextToken = listing.token(rows[limit - 1].name)
    return answer


async def list_jobs_by_consumable_resource(
    context: Context, call: Call, request: ListJobsByConsumableResourceRequest
) -> ListJobsByConsumableResourceResponse:
    """Newest first, in every state unless filters say otherwise; an array is one entry. A call looks at a bounded
    number of jobs: the page may be short though a token says that there is more."""
    row = find_consumable(context, call, request.consumableResource)
    if row is None:
        raise _unknown(request.consumableResource)
    filters = _filters(request.filters or [], "ListJobsByConsumableResource", (_JOB_STATUS, _JOB_NAME))
    listing = paging.Listing(context, call, "ListJobsByConsumableResource", row.name, filters)
    limit = paging.limit(request.maxResults)
    before = listing.position(request.nextToken, paging.Number)
    names = tuple(map(_match, filters[_JOB_NAME])) if _JOB_NAME in filters else None
    statuses = frozenset(map(_status, filters.get(_JOB_STATUS, ())))
    page = context.reader.asking(row.id, names, statuses, before, limit)
    answer = ListJobsByConsumableResourceResponse(jobs=[_job(context, call, each) for each in page.rows])
    if page.rest is not None:
        answer.nextToken = listing.token(page.rest)
    return answer


def find_consumable(context: Context, call: Call, given: str) -> ConsumableRow | None:
    """The resource with this name or ARN."""
    name = call.arns.consumable_name(given)
    return None if name is None else context.reader.consumable(call.region, name)


def _unknown(given: str) -> ClientError:
    return ClientError(
        f"ConsumableResource {given or repr(given)} not found.", "ListConsumableResources names those there are."
    )


def _key(call: Call, request: UpdateConsumableResourceRequest, token: str) -> bytes:
    """What makes two calls the same update: the token with everything else that they say."""
    digest = hashlib.blake2b(digest_size=16, person=b"batchyard-token")
    name = call.arns.consumable_name(request.consumableResource)
    for part in (call.region, token, name, request.operation or "", str(request.quantity)):
        digest.update(len(part.encode()).to_bytes(4))
        digest.update(part.encode())
    return digest.digest()


def _total(row: ConsumableRow) -> int:
    """What was taken away while it was in use is shown until it comes back (reference "Consumable resources")."""
    return max(row.total, row.held)


def _kind(row: ConsumableRow) -> str:
    return consumables.REPLENISHABLE if row.replenishable else consumables.NON_REPLENISHABLE


def _summary(call: Call, row: ConsumableRow) -> ConsumableResourceSummary:
    return ConsumableResourceSummary(
        consumableResourceArn=call.arns.consumable(row.name),
        consumableResourceName=row.name,
        totalQuantity=_total(row),
        inUseQuantity=row.held,
        resourceType=_kind(row),
    )


def _job(context: Context, call: Call, asking: AskingJob) -> ListJobsByConsumableResourceSummary:
    row, names = asking.row, context.names
    shown = ListJobsByConsumableResourceSummary(
        jobArn=call.arns.job(ids.job_id(row.uuid, row.index)),
        jobQueueArn=call.arns.queue(names.queue(row.queue)),
        jobName=row.name,
        jobDefinitionArn=call.arns.definition(*names.definition(row.definition)),
        jobStatus=states.NAMES[row.status],
        quantity=asking.quantity,
        createdAt=row.created_ms,
        consumableResourceProperties=row.body.get("consumablesInAll") or row.body["consumableResourceProperties"],
    )
    if row.status_reason is not None:
        shown.statusReason = row.status_reason
    if row.started_ms is not None:
        shown.startedAt = row.started_ms
    return shown


# -- filters ---------------------------------------------------------------------------------------------------------


def _filters(given: list[KeyValuesPair], operation: str, known: tuple[str, ...]) -> dict[str, list[str]]:
    """Values by the name of the filter; ClientError if one cannot be understood."""
    found: dict[str, list[str]] = {}
    for each in given:
        name, values = each.name or "", each.values or []
        if name not in known:
            raise ClientError(
                f"filters.name of {operation} must be one of {', '.join(known)}, got {name[:100] or 'none'}.",
                "Names are in upper case.",
            )
        if name in found:
            raise ClientError(f"filters of {operation} name {name} twice.", "Give all values in one filter.")
        if not 1 <= len(values) <= VALUES_MAX:
            raise ClientError(
                f"filters.values of {name} must have 1 to {VALUES_MAX} entries, got {len(values)}.",
                "Ask in several calls.",
            )
        found[name] = values
    return found


def _match(value: str) -> NameMatch:
    return NameMatch(value.removesuffix("*"), not value.endswith("*"))


def _status(value: str) -> int:
    if value not in states.NUMBERS:
        raise ClientError(
            f"filters.values of {_JOB_STATUS} must be among {', '.join(states.NAMES)}, got {value[:100]!r}.",
            "States are in upper case.",
        )
    return states.NUMBERS[value]
