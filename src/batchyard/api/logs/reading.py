"""GetLogEvents: one stream, forward or backward (reference traps T14, T15).

A token is a place in the log, so it survives a restart: `f/OFFSET` reads on from there, `b/OFFSET` reads what lies
before.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from msgspec import UNSET

from batchyard.api.context import Call, Context
from batchyard.api.logs.streams import find_group, group_name
from batchyard.api.shifts import Steps
from batchyard.errors import InvalidParameter, ResourceNotFound
from batchyard.model.streams import LogEvent
from batchyard.ports import StreamRow
from batchyard.wire.shapes import GetLogEventsRequest, GetLogEventsResponse, OutputLogEvent

EVENTS_MAX = 10_000
BYTES_MAX = 1 << 20
SEARCHED = 8 * BYTES_MAX  # bytes looked at by one call for events within its times
BLOCK, BLOCK_EVENTS = 1 << 16, 500  # bytes and events read of a stream at a time

_TOKEN = re.compile(r"([fb])/([0-9]{1,18})")


class Window(NamedTuple):
    """A stretch of the log and the events in it that were asked for."""

    lo: int
    hi: int
    events: list[LogEvent]


async def get_log_events(context: Context, call: Call, request: GetLogEventsRequest) -> GetLogEventsResponse:
    """A page of a stream, oldest event first. At either end the token given comes back, and clients stop there."""
    return await context.shifts.do(_page(context, call, request))


def _page(context: Context, call: Call, request: GetLogEventsRequest) -> Steps[GetLogEventsResponse]:
    stream = _stream(context, call, request)
    size = context.logs.size(stream.log, stream.opened_ms)
    if size is None:
        raise ResourceNotFound("The specified log stream does not exist.")
    forward, offset = _start(request, size)
    read = _forward if forward else _backward
    window = yield from read(context, stream, offset, request)
    return GetLogEventsResponse(
        events=[
            OutputLogEvent(timestamp=event.timestamp_ms, message=event.message, ingestionTime=event.timestamp_ms)
            for event in window.events
        ],
        nextForwardToken=f"f/{window.hi}",
        nextBackwardToken=f"b/{window.lo}",
    )


def _stream(context: Context, call: Call, request: GetLogEventsRequest) -> StreamRow:
    """The attempt whose log is asked for."""
    name = group_name(call, request.logGroupName, request.logGroupIdentifier)
    row = context.past.stream(find_group(context, call, name), request.logStreamName)
    if row is None:
        raise ResourceNotFound("The specified log stream does not exist.")
    return row


def _start(request: GetLogEventsRequest, size: int) -> tuple[bool, int]:
    """Which way to read, and from which byte."""
    if not request.nextToken:
        return (True, 0) if request.startFromHead else (False, size)
    token = _TOKEN.fullmatch(request.nextToken)
    if token is None:
        raise InvalidParameter("The specified nextToken is invalid.")
    return token[1] == "f", min(int(token[2]), size)


def _limit(request: GetLogEventsRequest) -> int:
    return EVENTS_MAX if request.limit is UNSET else request.limit


def _within(event: LogEvent, request: GetLogEventsRequest) -> bool:
    """startTime belongs to the range, endTime does not."""
    if request.startTime is not UNSET and event.timestamp_ms < request.startTime:
        return False
    return request.endTime is UNSET or event.timestamp_ms < request.endTime


def _forward(context: Context, stream: StreamRow, offset: int, request: GetLogEventsRequest) -> Steps[Window]:
    limit, events, hi, size = _limit(request), [], offset, 0
    while len(events) < limit and hi - offset < SEARCHED:
        most, room = min(BLOCK_EVENTS, limit - len(events)), BYTES_MAX - size
        page = context.logs.read_forward(stream.log, stream.opened_ms, hi, most, min(BLOCK, room), stream.closed)
        found = [event for event in page if _within(event, request)]
        size += sum(event.end - event.offset for event in found)
        if not page or (events and size > BYTES_MAX):
            break
        hi = page[-1].end
        events += found
        yield
    return Window(offset, hi, events)


def _backward(context: Context, stream: StreamRow, offset: int, request: GetLogEventsRequest) -> Steps[Window]:
    limit, blocks, lo, hi, size = _limit(request), [], offset, None, 0
    while limit > 0 and offset - lo < SEARCHED:
        most, room = min(BLOCK_EVENTS, limit), BYTES_MAX - size
        page = context.logs.read_backward(stream.log, stream.opened_ms, lo, most, min(BLOCK, room), stream.closed)
        found = [event for event in page if _within(event, request)]
        size += sum(event.end - event.offset for event in found)
        if not page:
            lo = 0  # nothing but perhaps a line without its end lies before
            break
        if blocks and size > BYTES_MAX:
            break
        lo = page[0].offset
        if hi is None:
            hi = page[-1].end  # not `offset`: a line that is still being written is left for later
        blocks.append(found)
        limit -= len(found)
        yield
    events = [event for block in reversed(blocks) for event in block]
    return Window(lo, lo if hi is None else hi, events)
