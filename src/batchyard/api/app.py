"""The ASGI application: ``_answer`` is the list of what happens to every request, in order.

limit -> identify -> refuse strangers -> route -> authenticate -> parse -> validate -> operate -> serialise.
Whatever goes wrong on the way becomes an error in AWS's shape; a malformed request is never a 500.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from batchyard import loglines
from batchyard.access import tokens
from batchyard.access.authenticate import SignedRequest, authenticate
from batchyard.api import batch, extra, logs, sts, tasks
from batchyard.api.context import Call, Context
from batchyard.api.streamed import Stream
from batchyard.describe.arns import Arns
from batchyard.errors import ApiError, BadSignature, ClientError, Forbidden, TooLarge
from batchyard.model.tasktokens import PREFIX
from batchyard.wire import faults, json11, query_xml, rest_json, router, validate
from batchyard.wire.shapes import Shape

BODY_MAX = 1 << 20  # bytes
DISCARD_MAX = 16 << 20  # bytes read of a body that is too large: who is still sending does not see the refusal
PATH_TOLD = 100  # characters of a path that an access line repeats

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_HERE = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)
_OPERATIONS = {"batch": batch.OPERATIONS, "logs": logs.OPERATIONS, "sts": sts.OPERATIONS}
_SCOPES = {"batch": ("batch",), "logs": ("logs",), "sts": ("sts",), "extra": ("batch", "x")}

log = logging.getLogger(__name__)
access = logging.getLogger("batchyard.access")  # a line for each request, at level info


class _Gone(Exception):
    """The client left before its request was whole; there is nobody to answer."""


class _Answer(NamedTuple):
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes | Stream

    @property
    def size(self) -> int | None:
        """Bytes of the body; None if it ends when it ends."""
        return self.body.size if isinstance(self.body, Stream) else len(self.body)


@dataclass(slots=True)
class _Seen:
    """What is known of a request by the time it is answered: who asked, and for what."""

    operation: str = ""
    key_id: str = ""


def build_app(context: Context) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """An ASGI 3 application over `context`."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            await _serve(context, scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1003})

    return app


async def _live(receive: Receive, send: Send) -> None:
    """Start and stop with the server; the adapters are opened and closed by who made them."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _serve(context: Context, scope: Scope, receive: Receive, send: Send) -> None:
    request_id, seen, began_s = context.mint(), _Seen(), time.perf_counter()
    loglines.request_id.set(request_id)
    try:
        answer = await _answer(context, scope, receive, request_id, seen)
    except _Gone:
        return
    except Exception as error:
        if not isinstance(error, ApiError):
            log.exception("request %s (%s) failed", request_id, seen.operation or _asked(scope))
        answer = _Answer(*faults.render(error, _protocol(scope), request_id))
        if isinstance(error, TooLarge):
            answer.headers.append((b"connection", b"close"))  # the rest of its body is not read
    length = [] if answer.size is None else [(b"content-length", str(answer.size).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": [*answer.headers, *length]})
    if isinstance(answer.body, Stream):
        await _send_pieces(answer.body, receive, send)
    else:
        await send({"type": "http.response.body", "body": answer.body})
    if access.isEnabledFor(logging.INFO):
        _tell(scope, seen, answer, time.perf_counter() - began_s)


async def _send_pieces(stream: Stream, receive: Receive, send: Send) -> None:
    """Piece by piece, each when the one before is on its way; a client that leaves ends it."""
    gone = asyncio.ensure_future(receive())  # all of the request was received: what comes now is that nobody listens
    try:
        async for piece in stream:
            if gone.done():
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()
        with suppress(ValueError):  # a generator that a thread is still in: its lock goes with it
            stream.close()


def _tell(scope: Scope, seen: _Seen, answer: _Answer, took_s: float) -> None:
    """The access line: no query, no header and no body of the request is in it."""
    path = scope.get("raw_path", b"").decode("latin-1")
    level = logging.DEBUG if path == extra.HEALTH and answer.status == 200 else logging.INFO
    fields: dict[str, Any] = {"status": answer.status, "ms": round(took_s * 1000, 2), "bytes": answer.size}
    if seen.key_id:
        fields["key"] = seen.key_id
    operation = (seen.operation or _asked(scope))[:PATH_TOLD]
    access.log(level, "%s", operation, extra=fields)


def _asked(scope: Scope) -> str:
    """Method and path, without the token that may be part of it."""
    path = scope.get("raw_path", b"").decode("latin-1")
    return f"{scope['method']} {tasks.told(path) if path.startswith(PREFIX) else path}"


def _protocol(scope: Scope) -> str:
    """Whose errors the caller can read: known even where the operation is not."""
    names = dict(scope["headers"])
    if b"x-amz-target" in names:
        return "logs"
    form = names.get(b"content-type", b"").startswith(query_xml.FORM)
    return "sts" if form and scope.get("raw_path") == b"/" else "batch"


async def _answer(context: Context, scope: Scope, receive: Receive, request_id: str, seen: _Seen) -> _Answer:
    """The way of a request, noting in `seen` whose it is. Raises ApiError for what the caller did wrong."""
    headers = scope["headers"]
    body = await _limited_body(receive, headers)
    now_ms = context.clock.now_ms()
    _refuse_strangers(headers)
    method, raw_path = scope["method"], scope.get("raw_path", b"").decode("latin-1")
    if (method, raw_path) == ("GET", extra.HEALTH):
        return _success(extra.health(), b"application/json", request_id)
    if (method, raw_path) == ("GET", extra.METRICS) and tokens.bears(headers, context.metrics_token):
        return _success(extra.metrics(context), extra.METRICS_TYPE, request_id)
    if raw_path.startswith(PREFIX):
        query = scope.get("query_string", b"").decode("latin-1")
        return _success(await tasks.answer(context, method, raw_path, query, headers), b"application/json", request_id)
    by_name = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
    action = query_xml.action(body) if raw_path == "/" else None
    route = router.route(method, raw_path, by_name.get("x-amz-target"), action)
    query = scope.get("query_string", b"").decode("latin-1")
    caller = authenticate(SignedRequest(method, raw_path, query, headers, body), context.directory, context.wall_s())
    seen.operation, seen.key_id = route.operation, caller.key_id
    _check_scope(caller.service, route.service)
    arns = Arns(context.settings.account, caller.region)
    call = Call(request_id, now_ms, arns, caller.key_id, by_name, body)
    if (method, raw_path) == ("GET", extra.METRICS):
        return _success(extra.metrics(context), extra.METRICS_TYPE, request_id)
    if route.service == "extra":
        made = await extra.answer(context, call, method, raw_path)
        kind = made.content_type if isinstance(made, Stream) else b"application/json"
        return _success(made, kind, request_id)
    operate = _operation(route)
    request = _parse(route, body, query)
    validate.check(route.operation, request)
    operating = operate(context, call, request)
    answer = await (_unless_gone(receive, operating) if route.service == "logs" else operating)
    return _serialise(route, answer, request_id)


async def _unless_gone(receive: Receive, operating: Awaitable[Any]) -> Any:
    """What `operating` answers. It only reads, so it is ended, and _Gone raised, when its client leaves before."""
    gone, answer = asyncio.ensure_future(receive()), asyncio.ensure_future(operating)
    try:
        await asyncio.wait((gone, answer), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise _Gone
        return answer.result()
    finally:
        gone.cancel()
        answer.cancel()


def _parse(route: router.Route, body: bytes, query: str) -> Shape:
    if route.service == "logs":
        return json11.decode(route.operation, body)
    if route.service == "sts":
        return query_xml.decode(route.operation, body)
    return rest_json.decode(route.operation, body, route.path_args, query)


def _serialise(route: router.Route, answer: Shape | None, request_id: str) -> _Answer:
    if route.service == "logs":
        return _success(json11.encode(route.operation, answer), json11.CONTENT_TYPE, request_id)
    if route.service == "sts":
        return _success(query_xml.encode(route.operation, answer, request_id), query_xml.CONTENT_TYPE, request_id)
    return _success(rest_json.encode(route.operation, answer), b"application/json", request_id)


async def _limited_body(receive: Receive, headers: list[tuple[bytes, bytes]]) -> bytes:
    """The whole body, or TooLarge, by its announced or by its real length; at most BODY_MAX of it is held."""
    names = dict(headers)
    announced = names.get(b"content-length", b"0")
    fits = announced.isdigit() and int(announced[:20]) <= BODY_MAX
    if not fits and b"expect" in names:
        raise _too_large()  # the client waits to be told whether to send it
    body, size, more = bytearray(), 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise _Gone
        chunk, more = message.get("body", b""), message.get("more_body", False)
        size += len(chunk)
        fits = fits and size <= BODY_MAX
        if size > DISCARD_MAX:
            break
        if fits:
            body += chunk
    if not fits:
        raise _too_large()
    return bytes(body)


def _too_large() -> TooLarge:
    return TooLarge(f"The request's body is larger than {BODY_MAX} bytes.", "No request of this API needs that much.")


def _refuse_strangers(headers: list[tuple[bytes, bytes]]) -> None:
    """Refuse what a web page could send: any Origin, and any Host that is not this machine (DNS rebinding)."""
    hosts = []
    for name, value in headers:
        if name == b"origin":
            raise Forbidden(
                f"Requests from web pages are refused: this one is from {value[:100].decode('latin-1')!r} (Origin).",
                "Use an AWS SDK, the aws CLI or the batchyard command.",
            )
        if name == b"host":
            hosts.append(value.decode("latin-1"))
    if len(hosts) != 1 or not _HERE.fullmatch(hosts[0]):
        raise Forbidden(
            f"Requests for the host {', '.join(hosts)[:200] or '(none given)'} are refused.",
            "Name the server as localhost, 127.0.0.1 or [::1].",
        )


def _check_scope(signed_for: str, service: str) -> None:
    if signed_for not in _SCOPES[service]:
        raise BadSignature(
            f"Credential should be scoped to correct service: {_SCOPES[service][0]}, not {signed_for}.",
            f"Sign it for the service {_SCOPES[service][0]}.",
        )


def _operation(route: router.Route) -> Callable[..., Awaitable[Any]]:
    operate = _OPERATIONS[route.service].get(route.operation)
    if operate is None:
        built = ", ".join(sorted(_OPERATIONS[route.service]))
        raise ClientError(f"{route.operation} is not supported yet by Batchyard.", f"Supported are: {built}.")
    return operate


def _success(body: bytes | Stream, content_type: bytes, request_id: str) -> _Answer:
    headers = [(b"content-type", content_type), (b"x-amzn-requestid", request_id.encode())]
    return _Answer(200, headers, body)
