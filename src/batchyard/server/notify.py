"""How ``serve`` tells systemd that it is ready: sd_notify(3), a datagram to the socket named in the environment."""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

VARIABLE = "NOTIFY_SOCKET"


class Notifier:
    """Takes the socket's name out of `environ`, so that no child speaks for us; without one, tells nobody."""

    def __init__(self, environ: MutableMapping[str, str] = os.environ):
        self._address = environ.pop(VARIABLE, "")

    def tell(self, *lines: str) -> None:
        """Such as ``READY=1``, ``STOPPING=1``, ``STATUS=words``. Never fails: a service manager may be gone."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as speaker:
            try:
                speaker.connect(address)
                speaker.sendall("\n".join(lines).encode())
            except OSError:
                pass
