"""sd_notify: a service manager is told on the socket that it names, and nobody else hears of it."""

from __future__ import annotations

import socket

import pytest

from batchyard.server.notify import Notifier


@pytest.mark.parametrize("abstract", [False, True])
def test_lines_arrive_as_one_datagram(tmp_path, abstract):
    name = f"@batchyard-test-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name[1:] if abstract else name)
        environ = {"NOTIFY_SOCKET": name, "OTHER": "x"}
        notifier = Notifier(environ)
        assert environ == {"OTHER": "x"}, "no child may speak for us"
        notifier.tell("READY=1", "STATUS=Answers at http://x")
        assert manager.recv(4096) == b"READY=1\nSTATUS=Answers at http://x"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nowhere/at/all"}])
def test_without_a_manager_nothing_happens(environ):
    Notifier(environ).tell("READY=1")
