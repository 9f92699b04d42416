"""HTTP as sinks need it: POST to one URL over a connection that is kept; no redirect is followed.

What is said of failures names the host and nothing else of the URL, which may hold a secret.
"""

from __future__ import annotations

import base64
import http.client
import ssl
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from batchyard import __version__
from batchyard.observe.follow import Failed

TIMEOUT_S = 10.0  # to connect, and for each piece of the answer
ANSWER_MAX = 1 << 16  # bytes of an answer that are read; more ends the connection

Headers = dict[str, str]


class Answer(NamedTuple):
    status: int
    body: bytes


class Post:
    """For one thread. `sign`, if given, gets path, query, headers and body, and returns headers to add."""

    def __init__(self, url: str, sign: Callable[[str, str, Headers, bytes], Headers] | None = None):
        parts = urlsplit(url)
        self.host = parts.hostname or ""
        self._secure = parts.scheme.lower() == "https"
        self._port = parts.port
        self._path, self._query = parts.path or "/", parts.query
        bracketed = f"[{self.host}]" if ":" in self.host else self.host
        self._headers = {
            "Host": bracketed if self._port is None else f"{bracketed}:{self._port}",
            "User-Agent": f"batchyard/{__version__}",
        }
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        self._sign = sign
        self._trusted: ssl.SSLContext | None = None
        self._connection: http.client.HTTPConnection | None = None

    def __call__(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Raises Failed if there is no answer."""
        sent = self._headers | dict(headers)
        if self._sign is not None:
            sent |= self._sign(self._path, self._query, sent, body)
        try:
            if self._connection is not None:
                try:
                    return self._exchange(body, sent)
                except (ConnectionError, http.client.BadStatusLine):
                    pass  # it was closed since: what was sent may have arrived, and is sent once more
            return self._exchange(body, sent)
        except (OSError, http.client.HTTPException) as error:
            raise Failed(f"no answer from {self.host} ({_reason(error)})") from None

    def _exchange(self, body: bytes, headers: Headers) -> Answer:
        connection, self._connection = self._connection or self._connect(), None
        target = f"{self._path}?{self._query}" if self._query else self._path
        try:
            connection.request("POST", target, body, headers)
            response = connection.getresponse()
            answer = Answer(response.status, response.read(ANSWER_MAX))
        except BaseException:
            connection.close()
            raise
        if response.isclosed() and not response.will_close:
            self._connection = connection
        else:
            connection.close()
        return answer

    def _connect(self) -> http.client.HTTPConnection:
        if self._secure:
            self._trusted = self._trusted or ssl.create_default_context()
            return http.client.HTTPSConnection(self.host, self._port, timeout=TIMEOUT_S, context=self._trusted)
        return http.client.HTTPConnection(self.host, self._port, timeout=TIMEOUT_S)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"nothing came within {TIMEOUT_S:.0f} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
