"""The bell: rung by the api process after each of its commits, it wakes the engine. A lost ring costs a second at most.

A datagram socket in the data directory; both ends are here.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path


class BellSocket:
    """The bell: a datagram socket in the data directory, bound by the engine, rung by the api."""

    def __init__(self, data: Path):
        (data / "bell.sock").unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        directory = os.open(data, os.O_PATH)
        self._socket.bind(f"/proc/self/fd/{directory}/bell.sock")  # a socket's own path holds only 107 bytes
        os.close(directory)

    def fileno(self) -> int:
        return self._socket.fileno()

    def drain(self) -> bool:
        rung = False
        while True:
            try:
                self._socket.recv(16)
                rung = True
            except BlockingIOError:
                return rung


class BellRope:
    """The api's end of the bell; an engine that is away finds the requests in the file."""

    def __init__(self, data: Path):
        self._path = f"/proc/self/fd/{os.open(data, os.O_PATH)}/bell.sock"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def ring(self) -> None:
        try:
            self._socket.sendto(b"!", self._path)
        except OSError:
            pass
