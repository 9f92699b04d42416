"""Container engines: where their sockets are, and whether anybody answers there."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import NamedTuple

ANSWER_WAIT_S = 1.0
_PING = b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n"


class Engine(NamedTuple):
    name: str  # of the command too
    package: str
    how_to_start: str
    variable: str  # of the environment: an address that goes before the usual ones
    system: str  # socket of the machine's own
    own: str  # of a user's own, below XDG_RUNTIME_DIR

    def sockets(self, environ: Mapping[str, str]) -> list[str]:
        """Paths at which it may listen, in the order in which its own command would try them."""
        named = environ.get(self.variable, "")
        if named.startswith("unix://"):
            return [named.removeprefix("unix://")]
        runtime = environ.get("XDG_RUNTIME_DIR")
        return [*([f"{runtime}/{self.own}"] if runtime else []), self.system]


KNOWN = (
    Engine(
        "docker",
        "docker.io",
        "systemctl start docker, and be root or in the group docker",
        "DOCKER_HOST",
        "/var/run/docker.sock",
        "docker.sock",
    ),
    Engine(
        "podman",
        "podman",
        "systemctl start podman.socket (for a user: systemctl --user start podman.socket)",
        "CONTAINER_HOST",
        "/run/podman/podman.sock",
        "podman/podman.sock",
    ),
)


def usual(environ: Mapping[str, str]) -> list[str]:
    """Where engines usually listen: paths, in the order in which they are to be tried."""
    return [path for engine in KNOWN for path in engine.sockets(environ)]


def answers(path: str) -> bool:
    """Whether an engine answers the ping of Docker's API (Podman speaks it too) at the socket `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_WAIT_S)
        try:
            connection.connect(path)
            connection.sendall(_PING)
            return b" 200 " in connection.recv(4096).split(b"\r\n")[0]
        except OSError:  # a path of more than 107 bytes included
            return False
