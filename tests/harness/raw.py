"""Bytes to and from a site, as a client would send them that obeys nobody: raw sockets, requests signed or not."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from batchyard.access import sigv4
from tests.harness.site import REGION, Site


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The error's code as AWS's clients find it, after the rest of the error's form was checked."""
        assert self.headers["x-amzn-requestid"], self
        assert isinstance(json.loads(self.body)["message"], str), self
        return self.headers["x-amzn-errortype"]


class Raw:
    """Speaks to a site byte by byte."""

    def __init__(self, site: Site):
        self.host, port = site.url.removeprefix("http://").rsplit(":", 1)
        self.port = int(port)
        self.authority = f"{self.host}:{port}"
        self.key_id, self.secret = site.key

    def connect(self, timeout_s: float = 10) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout_s)

    def request(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
        """A request without a signature. Host and Content-Length are added if not given; None leaves one out."""
        given = {"Host": self.authority, "Content-Length": str(len(body))} | (headers or {})
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value is not None)
        return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body

    def signed(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        service: str = "batch",
        late_s: int = 0,
    ) -> bytes:
        """A request with a signature that was made `late_s` seconds ago."""
        given = {"Host": self.authority} | (headers or {})
        amz_date = (datetime.now(UTC) - timedelta(seconds=late_s)).strftime("%Y%m%dT%H%M%SZ")
        raw_path, _, query = path.partition("?")
        key = (self.key_id, self.secret)
        added = sigv4.sign(method, raw_path, query, given, body, *key, REGION, service, amz_date)
        return self.request(method, path, body, given | added)

    def operation(self, name: str, body: bytes | dict) -> bytes:
        """A signed request for a Batch operation."""
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.signed("POST", f"/v1/{name.lower()}", text)

    def exchange(self, *pieces: bytes, half_close: bool = False) -> Answer | None:
        """Send on a connection of its own; the first answer, or None if the server only closed."""
        with self.connect() as sock:
            try:
                for piece in pieces:
                    sock.sendall(piece)
                if half_close:
                    sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # cut while sending: what was answered before that can still be read
            return receive(sock)


def receive(sock: socket.socket, head_only: bool = False) -> Answer | None:
    """The next answer on the connection; None if it ends before a whole one came. Raises TimeoutError."""
    text = b""
    while b"\r\n\r\n" not in text:
        piece = _piece(sock, 1)
        if not piece:
            return None
        text += piece
    first, *lines = text.decode("latin-1").split("\r\n")[:-2]
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    length = 0 if head_only else int(headers.get("content-length", 0))
    body = b""
    while len(body) < length:
        piece = _piece(sock, length - len(body))
        if not piece:
            return None
        body += piece
    return Answer(int(first.split()[1]), headers, body)


def _piece(sock: socket.socket, size: int) -> bytes:
    try:
        return sock.recv(size)
    except ConnectionResetError:
        return b""
