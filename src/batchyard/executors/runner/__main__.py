"""``python -P -m batchyard.executors.runner --data DIR``: the runner of a data directory, in the foreground.

Whoever starts it puts it in a session of its own. It leaves at once if another one holds ``DIR/runner/lock``.
"""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
import resource
import signal
import sys
import time

from setproctitle import setproctitle

from batchyard import loglines
from batchyard.executors.runner import memory, own_log, sandbox, slot, volumes
from batchyard.executors.runner.choice import Choice
from batchyard.executors.runner.parent import Runner

log = logging.getLogger("batchyard.runner")

DIRECTORIES = (
    "logs",
    "work",
    volumes.KEPT_IN,
    "runner",
    "runner/slots",
    "runner/exits",
    "runner/orders",
    "runner/pulls",
)
LOCK_WAIT_S = 0.5  # a child that a killed runner was just forking holds the lock for a moment


def main() -> int:
    arguments = _arguments()
    loglines.setup("runner", arguments.log_level, arguments.log_format)
    data = os.path.realpath(arguments.data)
    for name in DIRECTORIES:
        os.makedirs(os.path.join(data, name), mode=0o700, exist_ok=True)
    os.umask(0o077)
    lock = _lock(data)
    if lock is None:
        log.info("another runner holds %s/runner/lock: nothing to do", data)
        return 0
    setproctitle(f"batchyard runner {data}")
    own_log.open_in(os.path.join(data, "runner"))
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sandbox.adopt_orphans()
    sandbox.hide_memory()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    place = slot.Place(data, arguments.isolation or sandbox.SESSION, tuple(arguments.hide), soft)
    weaker: list[str] = []
    if arguments.isolation is None:
        kind, weaker = sandbox.best_kind(lambda kind: _trial(place._replace(isolation=kind)))
        place = place._replace(isolation=kind)
    place = place._replace(groups=memory.make_base(data))
    if place.isolation == sandbox.SESSION and os.geteuid() == 0:
        _close_to_others(data)
    choice = Choice(arguments.executor, arguments.engine_socket, data)
    choice.try_now()
    told = {"isolation": place.isolation, "memory_groups": place.groups, "weaker": weaker}
    log.info("started", extra=told | {"engine": choice.engine, "engine_failure": choice.failure})
    Runner(place, weaker, choice, arguments.work_keep_hours).run()
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="batchyard runner", description=__doc__)
    parser.add_argument("--data", required=True, help="data directory")
    parser.add_argument("--hide", action="append", default=[], help="a path that jobs must not see; may be repeated")
    parser.add_argument("--work-keep-hours", type=float, default=24, help="how long working directories are kept")
    parser.add_argument(
        "--executor", choices=("auto", "container", "process"), default="process", help="process: try no engine"
    )
    parser.add_argument(
        "--engine-socket", action="append", default=[], help="of an engine to be tried; the first that passes is taken"
    )
    parser.add_argument("--log-level", default="warning", help="what goes to runner.log")
    parser.add_argument("--log-format", choices=loglines.FORMATS, default=loglines.TEXT)
    parser.add_argument("--isolation", choices=sandbox.KINDS, help="instead of the best that works here")
    return parser.parse_args()


def _lock(data: str) -> int | None:
    """Hold the lock until we die; slots close it. None if another runner holds it."""
    lock = os.open(os.path.join(data, "runner", "lock"), os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(lock)
                return None
            time.sleep(0.02)


def _trial(place: slot.Place) -> list[str]:
    """Furnish a slot that runs nothing; returns what is weaker than it should be."""
    notes = sandbox.furnish(place.isolation)
    sandbox.cover(place.data, place.hidden)
    sandbox.drop_capabilities()
    return notes


def _close_to_others(data: str) -> None:
    """Jobs run as another user, and only owner and mode protect files: working directories must be reachable, and
    nothing else."""
    for entry in os.scandir(data):
        if entry.is_file(follow_symlinks=False):
            os.chmod(entry.path, 0o600)
    for path in (data, os.path.join(data, "work")):
        os.chmod(path, 0o711)


if __name__ == "__main__":
    sys.exit(main())
