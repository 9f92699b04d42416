"""TagResource, UntagResource and ListTagsForResource (reference "Tags").

The tags of a resource are those of its creation until somebody changes them; from then on the store keeps them whole.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from batchyard.admission import tags
from batchyard.api.batch.compute_environments import find_environment
from batchyard.api.batch.consumable_resources import find_consumable
from batchyard.api.batch.job_queues import find_queue
from batchyard.api.batch.jobs import find_job
from batchyard.api.batch.scheduling_policies import find_policy
from batchyard.api.context import Call, Context
from batchyard.errors import ClientError
from batchyard.model import ids
from batchyard.ports import DefinitionRow
from batchyard.wire.shapes import (
    ListTagsForResourceRequest,
    ListTagsForResourceResponse,
    TagResourceRequest,
    TagResourceResponse,
    UntagResourceRequest,
    UntagResourceResponse,
)

_LATER = {
    "service-environment": "service environments",
    "service-job": "service jobs",
}


class Tagged(NamedTuple):
    number: int
    body: dict[str, Any]


async def tag_resource(context: Context, call: Call, request: TagResourceRequest) -> TagResourceResponse:
    """What is given replaces or joins what is there."""
    await _change(context, call, request.resourceArn, partial(tags.joined, more=request.tags))
    return TagResourceResponse()


async def untag_resource(context: Context, call: Call, request: UntagResourceRequest) -> UntagResourceResponse:
    """Keys that are not there are no mistake."""
    await _change(context, call, request.resourceArn, partial(tags.without, keys=request.tagKeys))
    return UntagResourceResponse()


async def list_tags_for_resource(
    context: Context, call: Call, request: ListTagsForResourceRequest
) -> ListTagsForResourceResponse:
    found = _find(context, call, request.resourceArn)
    return ListTagsForResourceResponse(tags=context.tags(*found))


async def _change(context: Context, call: Call, arn: str, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    if not await context.intake.change_tags(_find(context, call, arn).number, change):
        raise _unknown(call, arn)  # it went in this very moment


def _find(context: Context, call: Call, arn: str) -> Tagged:
    """The resource with this ARN; ClientError if there is none, or it is of a kind that bears no tags."""
    kind, name = call.arns.kind_and_name(arn)
    if kind in _LATER:
        raise ClientError(f"resourceArn {arn} does not exist: Batchyard has no {_LATER[kind]} yet.", _TAGGABLE)
    if "/quota-share/" in name:
        raise ClientError(f"resourceArn {arn} does not exist: Batchyard has no quota shares yet.", _TAGGABLE)
    look = _LOOK.get(kind)
    row = look(context, call, arn) if look else None
    if row is None:
        raise _unknown(call, arn)
    return row


_TAGGABLE = (
    "Compute environments, job queues, scheduling policies, job definition revisions, consumable resources and jobs "
    "can be tagged."
)


def _unknown(call: Call, arn: str) -> ClientError:
    return ClientError(
        f"resourceArn {arn} does not exist in region {call.region} of account {call.arns.account}.",
        "Give the ARN as Describe and List calls show it.",
    )


def _environment(context: Context, call: Call, arn: str) -> Tagged | None:
    row = find_environment(context, call, arn)
    return row and Tagged(row.id, row.body)


def _policy(context: Context, call: Call, arn: str) -> Tagged | None:
    row = find_policy(context, call, arn)
    return row and Tagged(row.id, row.body)


def _queue(context: Context, call: Call, arn: str) -> Tagged | None:
    row = find_queue(context, call, arn)
    return row and Tagged(row.id, row.body)


def _consumable(context: Context, call: Call, arn: str) -> Tagged | None:
    row = find_consumable(context, call, arn)
    return row and Tagged(row.id, row.body)


def _definition(context: Context, call: Call, arn: str) -> Tagged | None:
    named = call.arns.definition_name(arn)
    if named is not None and named.revision is None:
        raise ClientError(
            f"resourceArn {arn} names no revision, and tags are of revisions.", f"Add one, such as {arn}:1."
        )
    row: DefinitionRow | None = named and context.reader.definition(call.region, *named)
    return row and Tagged(row.id, row.body)


def _job(context: Context, call: Call, arn: str) -> Tagged | None:
    """Children of arrays have no tags of their own: their ARNs are rejected."""
    row = find_job(context, call, arn)
    if row is not None and row.index != ids.WHOLE:
        raise ClientError(
            f"resourceArn {arn} is a child of an array job, and children bear no tags.",
            f"Tag the array: {call.arns.job(row.uuid)}.",
        )
    return row and Tagged(row.seq, row.body)


_LOOK: dict[str, Callable[[Context, Call, str], Tagged | None]] = {
    "compute-environment": _environment,
    "job-queue": _queue,
    "scheduling-policy": _policy,
    "consumable-resource": _consumable,
    "job-definition": _definition,
    "job": _job,
}
