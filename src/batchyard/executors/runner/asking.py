"""What a slot asks of the server before a task starts: secrets, registry credentials, where its application lies.

They are in no order and no file of ours, so that they are nowhere but in the memory of who needs them. The few lines
of HTTP are written out: `http.client` brings OpenSSL and email with it, 7 MiB in each slot, to ask one's own machine.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

WAIT_S = 60.0  # for a server that restarts
ANSWER_S = 60.0  # for one that was asked: it may have to ask others
PAUSE_S = 0.25
ANSWER_MAX = 8 << 20  # bytes

FAILED = "ResourceInitializationError: unable to pull secrets or registry auth: "
BUSY = 503

_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r]")
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,9})\r\n", re.IGNORECASE)


def ask(url: str, token: str, wait_s: float = WAIT_S, given_up: Callable[[], bool] = bool) -> dict[str, Any]:
    """The answer of the address in an order's `ask`: `secrets`, `auth` and `zip` by container, and `error`.

    Never raises: `error` is None, or why the task cannot start, as container.reason tells it; then nothing else counts.
    Blocks, and asks again while the server is not there or is too busy, at most `wait_s` long or until `given_up`.
    """
    until_s = time.monotonic() + wait_s
    while True:
        try:
            status, body = _get(url, token)
            if status != BUSY:
                return _read(url, status, body)
            failure = "the server is too busy"
        except (OSError, ValueError) as error:
            failure = f"{type(error).__name__}: {error}"
        if time.monotonic() >= until_s or given_up():
            return _failed(f"{_place(url)} did not answer within {wait_s:g} s ({failure})")
        time.sleep(PAUSE_S)


def _read(url: str, status: int, body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        return _failed(f"{_place(url)} answered {status} with something else than JSON")
    if status != 200:
        return _failed(str(told.get("message") or f"{_place(url)} answered {status}"))
    return {"secrets": {}, "auth": {}, "zip": {}, "error": None} | told


def _failed(why: str) -> dict[str, Any]:
    return {"secrets": {}, "auth": {}, "zip": {}, "error": FAILED + why}


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"the server at {parts.scheme}://{parts.netloc}"


def _get(url: str, token: str) -> tuple[int, bytes]:
    """Status and body. Raises OSError when nobody is there, ValueError for what is no answer or is not whole."""
    parts = urlsplit(url)
    request = (
        f"GET {parts.path}{'?' * bool(parts.query)}{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Authorization: Bearer {token}\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection((parts.hostname or "", parts.port or 80), ANSWER_S) as connection:
        connection.sendall(request.encode("ascii"))
        answer = bytearray()
        while piece := connection.recv(1 << 16):
            answer += piece
            if len(answer) > ANSWER_MAX:
                raise ValueError(f"the answer is larger than {ANSWER_MAX} bytes")
    head, _, body = bytes(answer).partition(b"\r\n\r\n")
    status, length = _STATUS.match(head), _LENGTH.search(head + b"\r\n")
    if status is None or length is None or len(body) != int(length[1]):
        raise ValueError("the answer is not whole")
    return int(status[1]), body
