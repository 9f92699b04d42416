"""DescribeLogGroups and DescribeLogStreams, and what a request means by a group.

Groups are those that definitions chose, each from its first attempt on. The default group can be read before that, so
that who follows it may begin before the first job.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import UNSET, UnsetType

from batchyard.api.context import Call, Context
from batchyard.api.paging import Listing
from batchyard.api.shifts import Steps
from batchyard.errors import ClientError, InvalidParameter, ResourceNotFound
from batchyard.model.logplaces import DEFAULT_GROUP
from batchyard.ports import GroupRow, StreamPosition, StreamRow
from batchyard.wire.shapes import (
    DescribeLogGroupsRequest,
    DescribeLogGroupsResponse,
    DescribeLogStreamsRequest,
    DescribeLogStreamsResponse,
    LogGroup,
    LogStream,
)

PAGE_MAX = 50
NO_GROUP = 0  # the number of the default group before its first attempt: nothing is in it
_ARN = re.compile(r"arn:aws:logs:([a-z0-9-]+):([0-9]{12}):log-group:(.+?)(?::\*)?")


class LogListing(Listing):
    """Pages of a listing of CloudWatch Logs, whose errors are its own."""

    def position(self, given: str | UnsetType, kind: Any) -> Any:
        """As in ``Listing``; InvalidParameter for a token that is not ours."""
        try:
            return super().position(given, kind)
        except ClientError:
            raise InvalidParameter("The specified nextToken is invalid.") from None


def group_name(call: Call, name: str | UnsetType, identifier: str | UnsetType) -> str:
    """The name of the group that is meant. An ARN of another account or region is that of no group."""
    if (name is UNSET) == (identifier is UNSET):
        given = "neither" if name is UNSET else "both"
        raise InvalidParameter(
            f"Exactly one of logGroupName and logGroupIdentifier must be given, got {given}.",
            f"Give logGroupName, such as {DEFAULT_GROUP}.",
        )
    if name is not UNSET:
        return name
    arn = _ARN.fullmatch(identifier)
    if arn is None:
        return identifier
    if arn.groups()[:2] != (call.region, call.arns.account):
        raise ResourceNotFound("The specified log group does not exist.")
    return arn[3]


def find_group(context: Context, call: Call, name: str) -> int:
    """The number of the group with this name in the call's region; ResourceNotFound if there is none."""
    number = context.past.log_group(call.region, name)
    if number is not None:
        return number
    if name == DEFAULT_GROUP:
        return NO_GROUP
    raise ResourceNotFound("The specified log group does not exist.")


async def describe_log_groups(
    context: Context, call: Call, request: DescribeLogGroupsRequest
) -> DescribeLogGroupsResponse:
    """By name. Batchyard's groups are all of the STANDARD class, and no other account's can be seen."""
    return await context.shifts.do(_groups(context, call, request))


def _groups(context: Context, call: Call, request: DescribeLogGroupsRequest) -> Steps[DescribeLogGroupsResponse]:
    prefix, part = request.logGroupNamePrefix or "", request.logGroupNamePattern or ""
    if prefix and part:
        raise InvalidParameter("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
    if request.logGroupClass not in (UNSET, "STANDARD"):
        return DescribeLogGroupsResponse(logGroups=[])
    if request.logGroupIdentifiers:
        found = yield from _identified(context, call, request.logGroupIdentifiers)
        return DescribeLogGroupsResponse(logGroups=[_group(call, row) for row in found])
    limit = PAGE_MAX if request.limit is UNSET else request.limit
    listing = LogListing(context, call, "DescribeLogGroups", prefix, part)
    after = listing.position(request.nextToken, str) or ""
    rows = context.past.log_groups(call.region, after, limit + 1, prefix, part)
    answer = DescribeLogGroupsResponse(logGroups=[_group(call, row) for row in rows[:limit]])
    if len(rows) > limit:
        answer.nextToken = listing.token(rows[limit - 1].name)
    return answer


def _identified(context: Context, call: Call, identifiers: list[str]) -> Steps[list[GroupRow]]:
    found: dict[str, GroupRow] = {}
    for identifier in identifiers:
        try:
            name = group_name(call, UNSET, identifier)
        except ResourceNotFound:
            continue
        rows = context.past.log_groups(call.region, "", 1, prefix=name)  # of all that begin so it is the first
        found.update((row.name, row) for row in rows if row.name == name)
        yield
    return [found[name] for name in sorted(found)]


def _group(call: Call, row: GroupRow) -> LogGroup:
    arn = call.arns.log_group(row.name)
    return LogGroup(
        logGroupName=row.name,
        creationTime=row.created_ms,
        metricFilterCount=0,
        arn=f"{arn}:*",
        logGroupArn=arn,
        logGroupClass="STANDARD",
    )


async def describe_log_streams(
    context: Context, call: Call, request: DescribeLogStreamsRequest
) -> DescribeLogStreamsResponse:
    """By name, or by the time of the last event: by the attempts' ends, those that go on being the last."""
    return await context.shifts.do(_streams(context, call, request))


def _streams(context: Context, call: Call, request: DescribeLogStreamsRequest) -> Steps[DescribeLogStreamsResponse]:
    name = group_name(call, request.logGroupName, request.logGroupIdentifier)
    group = find_group(context, call, name)
    by_time = request.orderBy == "LastEventTime"
    prefix, descending = request.logStreamNamePrefix or "", request.descending is True
    if by_time and prefix:
        raise InvalidParameter("Cannot order by LastEventTime with a logStreamNamePrefix.")
    limit = PAGE_MAX if request.limit is UNSET else request.limit
    listing = LogListing(context, call, "DescribeLogStreams", name, by_time, descending, prefix)
    if by_time:
        after = listing.position(request.nextToken, StreamPosition)
        page = context.past.streams_by_end(group, descending, after, limit)
        rows, rest = page.rows, page.rest
    else:
        last = listing.position(request.nextToken, str) or ""
        more = context.past.streams_by_name(group, prefix, last, descending, limit + 1)
        rows, rest = more[:limit], more[limit - 1].name if len(more) > limit else None
    answer = DescribeLogStreamsResponse(logStreams=[])
    for row in rows:
        yield
        if (stream := _stream(context, call, name, row)) is not None:
            answer.logStreams.append(stream)
    if rest is not None:
        answer.nextToken = listing.token(rest)
    return answer


def _stream(context: Context, call: Call, group: str, row: StreamRow) -> LogStream | None:
    """None for an attempt whose log is not there."""
    state = context.logs.state(row.log, row.opened_ms)
    if state is None:
        return None
    shown = LogStream(
        logStreamName=row.name,
        creationTime=row.opened_ms,
        arn=f"{call.arns.log_group(group)}:log-stream:{row.name}",
        storedBytes=state.size,
    )
    first, last = state.first_ms, state.last_ms
    if first is None and row.closed and state.size:
        first = last = row.opened_ms  # its times could not be written
    if first is not None:
        shown.firstEventTimestamp = first
        shown.lastEventTimestamp = shown.lastIngestionTime = last
    return shown
