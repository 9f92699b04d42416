"""Register, Describe and DeregisterJobDefinition (reference "Job definitions")."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from batchyard.admission import job_definitions
from batchyard.api import paging
from batchyard.api.context import Call, Context
from batchyard.describe.arns import Arns
from batchyard.describe.containers import definition_with_empty_lists
from batchyard.errors import ClientError
from batchyard.ports import DefinitionRow
from batchyard.wire.shapes import (
    DeregisterJobDefinitionRequest,
    DeregisterJobDefinitionResponse,
    DescribeJobDefinitionsRequest,
    DescribeJobDefinitionsResponse,
    JobDefinition,
    RegisterJobDefinitionRequest,
    RegisterJobDefinitionResponse,
)

_OPERATION = "DescribeJobDefinitions"
_STATUSES = {"ACTIVE": True, "INACTIVE": False}


async def register_job_definition(
    context: Context, call: Call, request: RegisterJobDefinitionRequest
) -> RegisterJobDefinitionResponse:
    new = job_definitions.admit(request, call.region, call.arns.account, call.now_ms, len(call.body))
    revision = await context.intake.register_definition(new)
    return RegisterJobDefinitionResponse(
        jobDefinitionName=new.name, jobDefinitionArn=call.arns.definition(new.name, revision), revision=revision
    )


async def describe_job_definitions(
    context: Context, call: Call, request: DescribeJobDefinitionsRequest
) -> DescribeJobDefinitionsResponse:
    if request.jobDefinitions:
        others = {name: getattr(request, name) for name in ("maxResults", "nextToken", "jobDefinitionName", "status")}
        paging.check_names(request.jobDefinitions, "jobDefinitions", others)
        rows = _named(context, call, request.jobDefinitions)
        return DescribeJobDefinitionsResponse(jobDefinitions=[_detail(context, call.arns, row) for row in rows])
    name = request.jobDefinitionName or None
    listing = paging.Listing(context, call, _OPERATION, name, request.status or None)
    limit = paging.limit(request.maxResults)
    after = listing.position(request.nextToken, tuple[str, paging.Number])
    rows = context.reader.definitions(call.region, name, _active(request.status), after, limit + 1)
    answer = DescribeJobDefinitionsResponse(jobDefinitions=[_detail(context, call.arns, row) for row in rows[:limit]])
    if len(rows) > limit:
        last = rows[limit - 1]
        answer.nextToken = listing.token((last.name, last.revision))
    return answer


async def deregister_job_definition(
    context: Context, call: Call, request: DeregisterJobDefinitionRequest
) -> DeregisterJobDefinitionResponse:
    """The revision becomes INACTIVE: nothing more can be submitted with it. Repeats do no harm."""
    given = request.jobDefinition
    named = call.arns.definition_name(given)
    if named is not None and named.revision is None:
        raise ClientError(
            f"jobDefinition {given} names no revision, and revisions are deregistered one by one.",
            f"Add one, such as {given}:1.",
        )
    if named is None or not await context.intake.deregister_definition(
        call.region, named.name, named.revision, call.now_ms
    ):
        raise ClientError(f"{given} does not exist")
    return DeregisterJobDefinitionResponse()


def _named(context: Context, call: Call, given: list[str]) -> list[DefinitionRow]:
    """Definitions by NAME:REVISION or ARN; a bare name brings all revisions; what is unknown is left out."""
    found: dict[int, DefinitionRow] = {}
    for text in given:
        try:
            named = call.arns.definition_name(text)
        except ClientError:
            continue  # no definition can have such a name
        if named is None:
            continue
        if named.revision is None:
            rows = context.reader.definitions(call.region, named.name, None, None, paging.PAGE_MAX)
        else:
            row = context.reader.definition(call.region, *named)
            rows = [] if row is None else [row]
        found.update((row.id, row) for row in rows)
    return list(found.values())[: paging.PAGE_MAX]


def _active(status: Any) -> bool | None:
    if status is UNSET or status == "":
        return None
    if status not in _STATUSES:
        raise ClientError(f"status {status!r} is not valid.", "Use ACTIVE or INACTIVE, or leave it out for both.")
    return _STATUSES[status]


def _detail(context: Context, arns: Arns, row: DefinitionRow) -> JobDefinition:
    body = definition_with_empty_lists(row.body)
    return JobDefinition(
        jobDefinitionName=row.name,
        jobDefinitionArn=arns.definition(row.name, row.revision),
        revision=row.revision,
        status="ACTIVE" if row.active else "INACTIVE",
        containerOrchestrationType="ECS",
        **({"parameters": {}} | body | {"tags": context.tags(row.id, body)}),
    )
