"""A stock boto client whose requests are answered in this process, by our grammar, without a socket."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config

from batchyard.access.authenticate import Caller, SignedRequest, authenticate
from batchyard.access.keys import Keyring, generate
from batchyard.wire import faults, json11, query_xml, rest_json, router, validate

KEY = generate()
REQUEST_ID = "6f9d5a3e-0000-4000-8000-000000000000"


class Seen(NamedTuple):
    """What our side made of the last request."""

    route: router.Route
    caller: Caller
    request: Any


class Served:
    """botocore in front, our wire and access rooms behind; `answer(operation, request)` stands for the rest."""

    def __init__(self, service: str, answer: Callable[[str, Any], Any] | None = None):
        self.answer = answer or (lambda operation, request: None)
        self.seen: Seen | None = None
        self.service = service
        self.client = botocore.session.get_session().create_client(
            service,
            region_name="eu-west-1",
            endpoint_url="http://127.0.0.1:22824",
            aws_access_key_id=KEY.id,
            aws_secret_access_key=KEY.secret,
            config=Config(retries={"total_max_attempts": 1}),
        )
        self.client.meta.events.register("before-send", self._serve)

    def call(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """The client's answer without its metadata; raises botocore's ClientError."""
        self.seen = None
        answer = self.client._make_api_call(operation, parameters)
        answer.pop("ResponseMetadata")
        return answer

    def _serve(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        try:
            status, headers, body = 200, [], self._operate(request)
        except Exception as error:
            status, headers, body = faults.render(error, self.service, REQUEST_ID)
        plain = {name.decode(): value.decode() for name, value in headers}
        return AWSResponse(request.url, status, plain, _Raw(body))

    def _operate(self, request: AWSPreparedRequest) -> bytes:
        url = urlsplit(request.url)
        body = _bytes(request.body or b"")
        headers = [(name.lower().encode(), _bytes(value)) for name, value in request.headers.items()]
        headers.append((b"host", url.netloc.encode()))
        route = router.route(
            request.method, url.path, _text(request.headers.get("X-Amz-Target")), query_xml.action(body)
        )
        signed = SignedRequest(request.method, url.path, url.query, headers, body)
        caller = authenticate(signed, Keyring([KEY]), time.time())
        if route.service == "logs":
            decoded = json11.decode(route.operation, body)
        elif route.service == "sts":
            decoded = query_xml.decode(route.operation, body)
        else:
            decoded = rest_json.decode(route.operation, body, route.path_args, url.query)
        self.seen = Seen(route, caller, decoded)
        validate.check(route.operation, decoded)
        answer = self.answer(route.operation, decoded)
        if route.service == "sts":
            return query_xml.encode(route.operation, answer, REQUEST_ID)
        return (json11 if route.service == "logs" else rest_json).encode(route.operation, answer)


class _Raw(io.BytesIO):
    def stream(self, **_: Any):
        yield self.read()


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def _text(value: str | bytes | None) -> str | None:
    return value.decode() if isinstance(value, bytes) else value
