"""Log groups, streams and events as the api reads them: values only; the ports that bring them are in ``ports``."""

from __future__ import annotations

from typing import NamedTuple


class GroupRow(NamedTuple):
    """A log group."""

    id: int
    name: str
    created_ms: int


class StreamRow(NamedTuple):
    """A log stream, and where its log is."""

    log: str  # what it is called (``tasks.log_name``)
    name: str
    opened_ms: int  # names the day's directory
    stopped_ms: int | None

    @property
    def closed(self) -> bool:
        """Whether nothing will be written to it any more."""
        return self.stopped_ms is not None


class StreamPosition(NamedTuple):
    """A place in the listing of streams by their ends; nothing but the store makes sense of it."""

    section: int
    at_ms: int
    opened_ms: int
    log: int
    job: int
    index: int
    number: int


class StreamPage(NamedTuple):
    rows: list[StreamRow]
    rest: StreamPosition | None  # go on after it; None: there is no more


class GoingOn(NamedTuple):
    """Streams in the order of opening."""

    rows: list[StreamRow]
    next_ms: int | None  # when the next one after these was opened; None: there is no more


class LogEvent(NamedTuple):
    timestamp_ms: int
    message: str
    offset: int  # of the line's first byte in the attempt's log
    end: int  # of the byte after its line end


class LogState(NamedTuple):
    """How much there is of an attempt's log. Of a running attempt the last bytes may have no time yet."""

    size: int
    timed: int  # bytes whose lines' times are final
    first_ms: int | None  # of the first and of the last of those; None: there are none
    last_ms: int | None
