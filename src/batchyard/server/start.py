"""``serve``: make the data directory, lock it, migrate its files, open the socket; then the supervisor's loop."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from batchyard import loglines
from batchyard.config import Settings
from batchyard.server.children import enrol_followers, known_keys, metrics_token, task_key, title
from batchyard.server.failures import AlreadyServing, PortTaken, explained
from batchyard.server.notify import Notifier
from batchyard.server.supervisor import Supervisor
from batchyard.store import sqlite

LOCK_WAIT_S = 10.0  # children of a serve that was killed end within this


def serve(settings: Settings, ready: Callable[[str], None] | None = None) -> int:
    """Run in the foreground until SIGTERM or SIGINT; calls `ready(url)` once the api answers.

    With the setting `quit_runner` the runner and its jobs end with the server; otherwise jobs go on and the next
    server finds them. Raises ServeError.
    """
    title("batchyard serve")
    loglines.setup("serve", settings.log_level, settings.log_format)
    notifier = Notifier()
    data = settings.data_path
    with explained(data):
        prepare(settings)
        lock = _lock(data)
        listener = _listen(settings)
        url = f"http://{_in_url(settings.host)}:{listener.getsockname()[1]}"
        sqlite.migrate(data)
        enrol_followers(settings)
        known_keys(settings)  # made, or refused, before anything starts
        metrics_token(settings)
        task_key(settings)
        _publish(data / "endpoint", url)
    supervisor = Supervisor(settings, lock, listener)

    def answering() -> None:
        notifier.tell("READY=1", f"STATUS=Answers at {url}")
        if ready:
            ready(url)

    try:
        supervisor.run(answering)
    finally:
        notifier.tell("STOPPING=1")
        supervisor.stop()
        (data / "endpoint").unlink(missing_ok=True)
        listener.close()
        os.close(lock)
    return 0


def prepare(settings: Settings) -> Path:
    """Make the data directory and what lies in it, closed to others. Returns its path. Raises OSError."""
    data = settings.data_path
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("logs", "work", "runner", "runner/slots", "runner/exits"):
        (data / name).mkdir(mode=0o700, exist_ok=True)
    return data


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _lock(data: Path) -> int:
    """Lock the data directory; waits a little for the children of a server that was killed."""
    lock = os.open(data / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip()
            if time.monotonic() > deadline or _alive(holder):
                os.close(lock)
                raise AlreadyServing(
                    f"Another server (process {holder or 'unknown'}) uses the data directory {data}.",
                    "Stop it, or start this one with another --data.",
                ) from None
            time.sleep(0.05)
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _alive(pid: str) -> bool:
    """Whether the serve that wrote its number into the lock still runs."""
    try:
        return b"serve" in Path(f"/proc/{int(pid)}/cmdline").read_bytes()
    except (OSError, ValueError):
        return False


def _listen(settings: Settings) -> socket.socket:
    host = "127.0.0.1" if settings.host == "localhost" else settings.host
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, settings.port))
    except OSError as error:
        listener.close()
        raise PortTaken(
            f"Port {settings.port} on {host} cannot be used: {error.strerror}.",
            "Choose another with --port, or --port 0 for any free one.",
        ) from None
    listener.listen(1024)
    return listener


def _publish(path: Path, url: str) -> None:
    """Whole or not at all: clients read it at any moment."""
    draft = path.with_name(".endpoint")
    draft.write_text(url + "\n")
    os.replace(draft, path)
