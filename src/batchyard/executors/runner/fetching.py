"""An archive is fetched by HTTP: within a bound, in time, and from nowhere but where it may come from."""

from __future__ import annotations

import http.client
import os
import ssl
import time
from collections.abc import Callable, Mapping
from urllib.parse import urljoin, urlsplit

REDIRECTS_MOST = 5
SILENCE_S = 30.0  # how long the other side may say nothing
DEADLINE_S = 900.0  # how long all of it may take
CHUNK = 1 << 18
_MOVED = (301, 302, 303, 307, 308)
_SECRET_HEADERS = ("authorization", "cookie", "x-amz-security-token")


class FetchError(Exception):
    """It could not be fetched; the message is the end of a sentence, and shows no query: that may be a signature."""


def fetch(
    url: str,
    headers: Mapping[str, str],
    may_follow: Callable[[str], bool],
    most_bytes: int,
    file: int,
    given_up: Callable[[], bool] = bool,
) -> None:
    """Write what is at `url` to the open file. `may_follow` judges where a redirect leads. Raises FetchError."""
    until_s = time.monotonic() + DEADLINE_S

    def check() -> None:
        if given_up():
            raise FetchError(f"{shown(url)}: it is not needed any more")
        if time.monotonic() > until_s:
            raise FetchError(f"{shown(url)}: it takes longer than {DEADLINE_S:g} s")

    for _ in range(REDIRECTS_MOST + 1):
        try:
            moved = _get(url, headers, most_bytes, file, check)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise FetchError(f"{shown(url)}: {error or type(error).__name__}") from None
        if moved is None:
            return
        target = urljoin(url, moved)
        if not may_follow(target):
            raise FetchError(f"{shown(url)} redirects to {shown(target)}, which is not allowed")
        if _origin(target) != _origin(url):
            headers = {}  # they were for the one that was asked: keys, or what a signature was made of
        url = target
    raise FetchError(f"{shown(url)}: more than {REDIRECTS_MOST} redirects")


def same_origin(first: str, second: str) -> bool:
    """Whether both are asked of the same server."""
    return _origin(first) == _origin(second)


def shown(url: str) -> str:
    """An address as it may be told to users."""
    return url.partition("?")[0]


def _origin(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, parts.hostname, parts.port or (443 if scheme == "https" else 80)


def _get(url: str, headers: Mapping[str, str], most_bytes: int, file: int, check: Callable[[], None]) -> str | None:
    """Fetch it; the address it has moved to instead, if it has."""
    scheme, host, port = _origin(url)
    if scheme not in ("http", "https") or not host:
        raise ValueError(f"{scheme!r} is not fetched")
    connection: http.client.HTTPConnection
    if scheme == "https":
        connection = http.client.HTTPSConnection(host, port, timeout=SILENCE_S, context=ssl.create_default_context())
    else:
        connection = http.client.HTTPConnection(host, port, timeout=SILENCE_S)
    try:
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"Accept-Encoding": "identity", **headers})
        answer = connection.getresponse()
        if answer.status in _MOVED and answer.headers["Location"]:
            return answer.headers["Location"]
        if answer.status != 200:
            raise FetchError(f"{shown(url)}: the answer is {answer.status} {answer.reason}")
        _take(answer, url, most_bytes, file, check)
        return None
    finally:
        connection.close()


def _take(answer: http.client.HTTPResponse, url: str, most_bytes: int, file: int, check: Callable[[], None]) -> None:
    told, taken = answer.length, 0
    while True:
        piece = b"" if (told or 0) > most_bytes else answer.read1(CHUNK)
        taken += len(piece)
        if max(taken, told or 0) > most_bytes:
            raise FetchError(f"{shown(url)}: it is larger than {most_bytes >> 20} MiB (setting zip_max_mib)")
        if not piece:
            break
        check()
        _write(file, piece)
    if told is not None and taken != told:
        raise FetchError(f"{shown(url)}: the answer ended after {taken} of {told} bytes")


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
