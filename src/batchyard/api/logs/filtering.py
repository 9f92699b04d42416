"""FilterLogEvents: the events of many streams, oldest first, page by page; what `aws logs tail --follow` asks.

Events come in the order of their times over all pages and streams. Who follows asks for what is newer than the newest
event that was told, so an event must not be told while an older one may still come: from a log of which some lines have
no time yet, or from a stream that is read later. ``_bound`` is how far a listing goes for that reason.

A stream is opened when the events told so far reach the time when its attempt was opened, so a page costs what ran at
its time, however many streams there are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from heapq import heappop, heappush, heapreplace
from typing import NamedTuple

from msgspec import UNSET

from batchyard.admission import log_patterns
from batchyard.api.context import Call, Context
from batchyard.api.logs.reading import BLOCK, BLOCK_EVENTS
from batchyard.api.logs.streams import LogListing, find_group, group_name
from batchyard.api.shifts import Steps
from batchyard.errors import InvalidParameter, ResourceNotFound
from batchyard.model.streams import LogEvent, LogState
from batchyard.ports import GoingOn, StreamRow
from batchyard.wire.shapes import FilteredLogEvent, FilterLogEventsRequest, FilterLogEventsResponse

EVENTS_MAX = 10_000
BYTES_MAX = 1 << 20
EXAMINED = 20_000  # events looked at by one call, and bytes of them
READ_MAX = 4 << 20
BLOCK_MIN = 1 << 14  # bytes read of a stream at a time, if there are many
SETTLED_MS = 300  # a line has its time by then, and a stream opened by then is listed
WAITED_MS = 2_000  # for lines that get no time: whoever should write it hangs
FUTURE_MS = 60_000  # times further ahead are of a clock that was put back, and wait for nothing

_FOREVER = 2**62


class Told(NamedTuple):
    """The last event that was examined, in the order of telling; `end` is where its stream goes on."""

    at_ms: int
    stream: str
    end: int


class Place(NamedTuple):
    """Where a page begins."""

    bound_ms: int  # later events are for another listing
    told: Told


class Span(NamedTuple):
    """Events from `from_ms` up to, not including, `until_ms` are wanted."""

    from_ms: int
    until_ms: int


async def filter_log_events(context: Context, call: Call, request: FilterLogEventsRequest) -> FilterLogEventsResponse:
    return await context.shifts.do(_filter(context, call, request))


def _filter(context: Context, call: Call, request: FilterLogEventsRequest) -> Steps[FilterLogEventsResponse]:
    name = group_name(call, request.logGroupName, request.logGroupIdentifier)
    group = find_group(context, call, name)
    _check(request)
    matches = log_patterns.matcher(request.filterPattern or "")
    names, prefix = request.logStreamNames or None, request.logStreamNamePrefix or ""
    span = Span(request.startTime or 0, _FOREVER if request.endTime is UNSET else request.endTime + 1)
    listing = LogListing(context, call, "FilterLogEvents", name, names, prefix, span, request.filterPattern or "")
    place = listing.position(request.nextToken, Place)
    now_ms = int(context.wall_s() * 1000)
    at_ms = span.from_ms if place is None else place.told.at_ms
    until_ms = min(span.until_ms, max(call.now_ms, now_ms) + 1)
    if names:
        going_on = yield from _named(context, group, names)
    else:
        going_on = context.past.streams_going_on(group, prefix, at_ms, until_ms)
        yield
    bound_ms = place.bound_ms if place else (yield from _bound(context, now_ms, going_on))
    page = _Page(context, span, bound_ms, place.told if place else None, len(going_on.rows))
    answer, told = yield from page.gather(going_on, matches, request.limit or EVENTS_MAX)
    if told is not None:
        answer.nextToken = listing.token(Place(bound_ms, told))
    return answer


def _check(request: FilterLogEventsRequest) -> None:
    if request.logStreamNames and request.logStreamNamePrefix:
        raise InvalidParameter("logStreamNames and logStreamNamePrefix cannot both be given.", "Leave one of them out.")
    if request.startFromHead is False:
        raise InvalidParameter(
            "startFromHead false is not supported: Batchyard tells events from the oldest to the newest.",
            "Leave startFromHead out; startTime says from when on.",
        )


def _named(context: Context, group: int, names: list[str]) -> Steps[GoingOn]:
    rows = []
    for name in dict.fromkeys(names):
        row = context.past.stream(group, name)
        if row is None:
            raise ResourceNotFound("The specified log stream does not exist.")
        rows.append(row)
        yield
    return GoingOn(sorted(rows, key=lambda row: row.opened_ms), None)


def _bound(context: Context, now_ms: int, going_on: GoingOn) -> Steps[int]:
    """Up to which time nothing can be missing, as far as is known since `now_ms`."""
    bound_ms = now_ms if going_on.next_ms is None else now_ms - SETTLED_MS
    for row in going_on.rows:
        state = None if row.closed else context.logs.state(row.log, row.opened_ms)
        if state is not None and state.size > state.timed:
            bound_ms = min(bound_ms, state.last_ms or row.opened_ms)
        yield
    return max(bound_ms, now_ms - WAITED_MS)


_Placed = tuple[int, str, int, LogEvent]  # time, stream, offset: the order of telling


class _Page:
    """The events of one call."""

    def __init__(self, context: Context, span: Span, bound_ms: int, told: Told | None, streams: int):
        self._logs = context.logs
        self._span = span
        self._bound_ms = bound_ms
        self._told = told
        self._block = min(max(BLOCK_MIN, BYTES_MAX // max(streams, 1)), BLOCK)

    def gather(
        self, going_on: GoingOn, matches: Callable[[str], bool], limit: int
    ) -> Steps[tuple[FilterLogEventsResponse, Told | None]]:
        """The events that match, and the last one examined if there may be more."""
        answer = FilterLogEventsResponse(events=[], searchedLogStreams=[])
        told, size, read, examined = self._told, 0, 0, 0
        for placed in self._in_order(going_on.rows):
            yield
            if placed is None:
                continue
            at_ms, stream, _, event = placed
            if going_on.next_ms is not None and at_ms >= going_on.next_ms:
                break
            length = event.end - event.offset
            if matches(event.message):
                if len(answer.events) == limit or (answer.events and size + length > BYTES_MAX):
                    return answer, told
                answer.events.append(_shown(stream, event))
                size += length
            told, read, examined = Told(at_ms, stream, event.end), read + length, examined + 1
            if examined == EXAMINED or read > READ_MAX:
                return answer, told
        return answer, None if going_on.next_ms is None else Told(going_on.next_ms, "", 0)

    def _in_order(self, rows: list[StreamRow]) -> Iterator[_Placed | None]:
        """All of them merged, and None between steps; a stream is opened when it may have the next event."""
        waiting, heap = deque(rows), []
        while heap or waiting:
            while waiting and (not heap or waiting[0].opened_ms <= heap[0][0][0]):
                events = self._events(waiting.popleft())
                if (first := (yield from _following(events))) is not None:
                    heappush(heap, (first, events))
                yield None
            if heap:
                placed, events = heap[0]
                yield placed
                following = yield from _following(events)
                if following is None:
                    heappop(heap)
                else:
                    heapreplace(heap, (following, events))

    def _events(self, row: StreamRow) -> Iterator[_Placed | None]:
        """What is left to tell of a stream, and None after each block of it."""
        state = self._logs.state(row.log, row.opened_ms)
        start = None if state is None else self._start(row, state)
        if start is None:
            return
        offset, from_ms = start
        while events := self._logs.read_forward(row.log, row.opened_ms, offset, BLOCK_EVENTS, self._block, row.closed):
            for event in events:
                at_ms = event.timestamp_ms
                if at_ms >= self._span.until_ms or self._bound_ms < at_ms <= self._bound_ms + FUTURE_MS:
                    return
                if not row.closed and event.end > state.timed:
                    return  # its time may change yet
                if at_ms >= from_ms:
                    yield at_ms, row.name, event.offset, event
            offset = events[-1].end
            yield None

    def _start(self, row: StreamRow, state: LogState) -> tuple[int, int] | None:
        """From which offset and which time on; None if nothing is left."""
        from_ms = self._span.from_ms
        if self._told is not None:
            if row.name == self._told.stream:
                return self._told.end, from_ms
            from_ms = max(from_ms, self._told.at_ms + (row.name < self._told.stream))
        if state.last_ms is not None and state.last_ms < from_ms:
            return None
        return self._logs.offset_at(row.log, row.opened_ms, from_ms), from_ms


def _following(events: Iterator[_Placed | None]) -> Steps[_Placed | None]:
    """The next event of a stream; None at its end."""
    for placed in events:
        if placed is not None:
            return placed
        yield
    return None


def _shown(stream: str, event: LogEvent) -> FilteredLogEvent:
    task = int(stream.rpartition("/")[2], 16)
    return FilteredLogEvent(
        logStreamName=stream,
        timestamp=event.timestamp_ms,
        message=event.message,
        ingestionTime=event.timestamp_ms,
        eventId=f"{task:039d}{event.offset:017d}",
    )
