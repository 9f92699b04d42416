"""Lines of JSON over a stream socket, without blocking: what cannot be sent yet waits here."""

from __future__ import annotations

import json
import socket

PROTOCOL = 1
CHUNK = 1 << 16


def encode(message: dict) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


class Lines:
    """One end of a connection. `closed` is set once the other end is gone."""

    def __init__(self, sock: socket.socket):
        sock.setblocking(False)
        self.sock = sock
        self.closed = False
        self._in = bytearray()
        self._out = bytearray()

    def fileno(self) -> int:
        return self.sock.fileno()

    @property
    def unsent(self) -> bool:
        return bool(self._out) and not self.closed

    def put(self, line: bytes) -> None:
        """Queue one encoded line; `flush` sends."""
        self._out += line

    def flush(self) -> None:
        """Send as much as the other end takes."""
        while self._out and not self.closed:
            try:
                sent = self.sock.send(self._out)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self.closed = True
                return
            del self._out[:sent]

    def take(self) -> list[bytes]:
        """Whole lines received since the last call, without their ends."""
        while not self.closed:
            try:
                chunk = self.sock.recv(CHUNK)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                chunk = b""
            if not chunk:
                self.closed = True
                break
            self._in += chunk
            if len(chunk) < CHUNK:
                break
        end = self._in.rfind(b"\n") + 1
        if not end:
            return []
        lines = bytes(self._in[: end - 1]).split(b"\n")
        del self._in[:end]
        return lines

    def close(self) -> None:
        self.closed = True
        self.sock.close()
