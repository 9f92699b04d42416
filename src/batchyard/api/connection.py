"""One HTTP connection, and the door they all come through: what a client may send, and how long it may take.

uvicorn speaks HTTP/1.1 and leaves these bounds to a proxy in front of it, which a server on loopback does not have.
Nobody is known before a request is whole, so every bound is for strangers: a slow, silent or endless client costs
itself its connection, and at most a bounded number of bytes and descriptors here.

Timeouts: a whole request must arrive within RECEIVE_S of the connection, or of the answer before; an answer must be
taken within the same time. When there are too many connections, or too many bytes wait in unfinished requests, the
one that has kept us waiting longest is cut, so the next honest client is always served.
"""

from __future__ import annotations

import logging
import resource
import uuid
from asyncio import TimerHandle
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from batchyard.api.app import BODY_MAX
from batchyard.errors import ApiError, ClientError, TooLarge
from batchyard.wire import faults

HEAD_MAX = 128 << 10  # bytes of a request line with its headers; UntagResource alone may need 80 KiB for its keys
QUEUED_MAX = 1000  # requests that a client sends ahead of the answers
HELD_MAX = 64 << 20  # bytes of bodies that are not whole yet, over all connections
CONNECTIONS_MAX = 1000
RECEIVE_S = 30.0

log = logging.getLogger(__name__)


class Door:
    """All connections of one server; call it to make one (it is uvicorn's ``http`` setting)."""

    def __init__(self, connections_max: int = CONNECTIONS_MAX):
        self._connections_max = connections_max
        self._waiting: dict[Connection, None] = {}  # those that owe us a whole request, the longest first
        self.held = 0  # bytes of their bodies

    def __call__(self, **given: Any) -> Connection:
        return Connection(self, **given)

    def expect(self, connection: Connection) -> None:
        """`connection` owes us a request from now on."""
        self._waiting[connection] = None
        if len(connection.connections) > self._connections_max:
            self._cut()

    def hold(self, connection: Connection, size: int) -> None:
        """`size` more bytes of its request's body have arrived."""
        size = min(size, BODY_MAX - connection.held)  # what comes after that is thrown away as it comes
        connection.held += size
        self.held += size
        if self.held > HELD_MAX:
            self._cut(of_holders=True)

    def settle(self, connection: Connection) -> None:
        """It owes nothing any more: its request is whole, or it is gone."""
        self._waiting.pop(connection, None)
        self.held -= connection.held
        connection.held = 0

    def _cut(self, of_holders: bool = False) -> None:
        longest = next((each for each in self._waiting if each.held or not of_holders), None)
        if longest is not None:
            log.debug("%d connections, %d bytes held: cut the one that kept us longest", len(self._waiting), self.held)
            longest.abort()


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with bounds, and with AWS's error shape for what is not HTTP."""

    def __init__(self, door: Door, **given: Any):
        super().__init__(**given)
        self._door = door
        self.held = 0
        self._receive_by: TimerHandle | None = None
        self._take_by: TimerHandle | None = None
        self._in_head = True
        self._head = 0  # bytes of an unfinished head, less those of its first piece
        self._running: Any = None  # the cycle that is being answered

    # -- life ---------------------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._settle()
        self._taken()

    def shutdown(self) -> None:
        """The server ends: who has not sent a whole request by now is not waited for."""
        if self.cycle is not None and not self.cycle.response_complete and self.cycle.more_body:
            self.abort()
        else:
            super().shutdown()

    def abort(self) -> None:
        self._settle()
        self.transport.abort()

    def _expect(self) -> None:
        self._door.expect(self)
        if self._receive_by is not None:
            self._receive_by.cancel()
        self._receive_by = self.loop.call_later(RECEIVE_S, self.abort)

    def _settle(self) -> None:
        self._door.settle(self)
        if self._receive_by is not None:
            self._receive_by.cancel()
            self._receive_by = None

    # -- what arrives -------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        in_head = self._in_head
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.cycle.keep_alive = False  # answered like any request; the parser cannot go on
        except httptools.HttpParserError as error:
            self._refuse(_reason(error))
        else:
            self._head += len(data) if in_head and self._in_head else 0
            if self._head > HEAD_MAX:
                self._refuse(_head_too_long())

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head = True, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # a trailer is no header: nothing that was not there at first may change what is meant
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > HEAD_MAX:
            raise _head_too_long()
        super().on_headers_complete()
        if len(self.pipeline) > QUEUED_MAX:
            raise ClientError(f"More than {QUEUED_MAX} requests wait for an answer.", "Read the answers in between.")

    def on_body(self, body: bytes) -> None:
        if not self.cycle.response_complete:
            self._door.hold(self, len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head, self._head = True, 0
        self._settle()

    def _refuse(self, error: ApiError) -> None:
        """Answer what cannot be read, and close. What was whole before it is answered first, and alone."""
        running, broken = self._running, self.cycle
        if running is not None and not running.response_complete and not (running is broken and broken.more_body):
            self.pipeline.clear()
            running.keep_alive = False
            self.flow.pause_reading()
            return
        status, headers, body = faults.render(error, "batch", str(uuid.uuid4()))
        headers += [(b"content-length", str(len(body)).encode()), (b"connection", b"close")]
        lines = [b"%s: %s\r\n" % pair for pair in [*self.server_state.default_headers, *headers]]
        self.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", body]))
        self.transport.close()

    # -- what is answered ---------------------------------------------------------------------------------------

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._running.response_complete or self._running.more_body:  # no queued request is next, or not a whole one
            self._expect()  # also where the connection closes: its last answer must be taken, too

    def pause_writing(self) -> None:
        super().pause_writing()
        self._take_by = self.loop.call_later(RECEIVE_S, self.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._taken()

    def _taken(self) -> None:
        if self._take_by is not None:
            self._take_by.cancel()
            self._take_by = None


def _head_too_long() -> TooLarge:
    return TooLarge(f"The request's line and headers are larger than {HEAD_MAX} bytes.", "No client of this API is.")


def _reason(error: BaseException) -> ApiError:
    """Ours if one of ours was raised while the parser called back; else what is not HTTP."""
    cause = error.__context__ or error.__cause__
    if isinstance(cause, ApiError):
        return cause
    return ClientError("What arrived is not a request of HTTP/1.1.", "Send one, unencrypted: http:// and not https://.")


def connections_max() -> int:
    """How many connections descriptors allow for; asks the system for more if it grants few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS_MAX + 200
    if 0 <= soft < wanted:
        soft = wanted if hard < 0 else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return CONNECTIONS_MAX if soft < 0 else max(16, min(CONNECTIONS_MAX, soft - 200))
