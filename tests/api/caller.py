"""Ways to call the application in this process: raw ASGI, and stock boto3 clients whose requests end up there."""

from __future__ import annotations

import asyncio
from typing import NamedTuple
from urllib.parse import urlsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials

KEY_ID, SECRET = "BYAKEXAMPLE", "a-secret"
TOKEN = "a-token-for-metrics"
TASK_KEY = bytes(range(32))
ENDPOINT = "http://127.0.0.1:22824"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class _Raw:
    def __init__(self, body: bytes):
        self._body = body

    def stream(self, amount=1024, decode_content=None):
        yield self._body

    def read(self, *_):
        return self._body


def call(app, method: str, url: str, headers: list[tuple[str, str]], body: bytes | list[bytes] = b"") -> Answer:
    """One request; a list of bytes is a body in chunks."""
    return asyncio.run(answer(app, method, url, headers, body))


async def answer(
    app, method: str, url: str, headers: list[tuple[str, str]], body: bytes | list[bytes] = b"", leaves=None
) -> Answer:
    """The same among others at one time; the client leaves when the future `leaves` is done."""
    chunks = [body] if isinstance(body, bytes) else list(body)
    whole = bool(chunks)  # an empty list is a client that leaves before its request is whole
    parts = urlsplit(url)
    scope = {
        "type": "http",
        "method": method,
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
    }
    sent = []

    async def receive():
        if not chunks and whole:
            await (leaves or asyncio.Event().wait())  # the client is there until it is answered
        if not chunks:
            return {"type": "http.disconnect"}
        chunk = chunks.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    if not sent:
        raise ConnectionError("no answer")
    start, *rest = sent
    found = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], found, b"".join(part["body"] for part in rest))


def signed(app, method: str, path: str, body: bytes = b"", service="batch", region="us-east-1", **headers) -> Answer:
    """A request signed by botocore; underscores in header names become hyphens."""
    return call(app, *prepared(method, path, body, service, region, **headers))


def prepared(method: str, path: str, body: bytes = b"", service="batch", region="us-east-1", **headers) -> tuple:
    """The same as ``call`` and ``answer`` take it."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    request = AWSRequest(method, ENDPOINT + path, data=body, headers=given)
    SigV4Auth(Credentials(KEY_ID, SECRET), service, region).add_auth(request)
    ready = request.prepare()
    named = {name: value if isinstance(value, str) else value.decode() for name, value in ready.headers.items()}
    return method, ready.url, [("host", "127.0.0.1:22824"), *named.items()], body


def client(app, service: str, region: str = "us-east-1"):
    """A stock boto3 client whose requests are answered by `app`."""
    made = boto3.session.Session().client(
        service,
        region_name=region,
        endpoint_url=ENDPOINT,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        config=Config(retries={"total_max_attempts": 1}),
    )

    def answer(request, **_):
        headers = [
            (name, value.decode() if isinstance(value, bytes) else value) for name, value in request.headers.items()
        ]
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        found = call(app, request.method, request.url, [("host", urlsplit(request.url).netloc), *headers], body)
        return AWSResponse(request.url, found.status, found.headers, _Raw(found.body))

    made.meta.events.register("before-send", answer)
    return made
