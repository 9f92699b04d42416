"""What is kept no longer is removed by a child: a large directory or a busy journal must not hold up the runner."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable, Container, Sequence
from contextlib import suppress

from batchyard.executors.runner.wire import EngineAbout

# How names of directories end that hold what is an attempt's own: its volumes, the applications of its containers.
OWN_VOLUMES, OWN_APPLICATIONS = ".volumes", ".app"
SWEEP_S = 600.0  # how often old working directories are looked for


def sweep_work(data: str, before_s: float, kept: Container[str]) -> None:
    """Remove working directories last changed before `before_s` (epoch seconds), none of `kept` or of a living slot.

    Jobs filled them, so links in them are never followed.
    """

    def remove() -> None:
        slots = {f".{name}" for name in os.listdir(os.path.join(data, "runner", "slots"))}  # their desks: desk.py
        for name in os.listdir(os.path.join(data, "work")):
            path = os.path.join(data, "work", name)
            attempt = name.removesuffix(OWN_VOLUMES).removesuffix(OWN_APPLICATIONS)
            if attempt not in kept and name not in slots and os.lstat(path).st_mtime < before_s:
                shutil.rmtree(path, ignore_errors=True)

    _in_child(remove)


def sweep_records(data: str, attempts: Sequence[str]) -> None:
    """Remove the exit records of attempts whose endings the server has."""

    def remove() -> None:
        for attempt in attempts:
            with suppress(OSError):
                os.unlink(os.path.join(data, "runner", "exits", attempt))

    _in_child(remove)


def sweep_containers(data: str, engine: EngineAbout) -> None:
    """Remove containers of attempts that are over."""
    from batchyard.executors.runner.containers import leftovers  # only where there is an engine

    _in_child(lambda: leftovers.remove(data, engine))


def _in_child(work: Callable[[], None]) -> None:
    if os.fork():
        return
    try:
        os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])  # the lock and the connections are not ours
        work()
    finally:
        os._exit(0)
