"""The main process of a job comes to be: by posix_spawn, or by a fork where it needs limits of its own.

Forking costs a millisecond or two, spawning a fraction of it; but a limit that is lowered for a moment, so that the job
inherits it, could not be raised again.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Sequence
from typing import NoReturn

from batchyard.executors.runner import limits

# Python ignores these; a job starts with the defaults.
DEFAULT_SIGNALS = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


def spawn(path: str, argv: Sequence[str], environ: dict[str, str], output: int, ulimits: Sequence[dict]) -> int:
    """Start a program in a session of its own, as the user that we really are, with its output in `output`.

    Returns its pid. Raises OSError if it cannot be executed.
    """
    if ulimits:
        return _forked(lambda: _become(path, argv, environ, output, ulimits))
    actions = (
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, output, 1),
        (os.POSIX_SPAWN_DUP2, output, 2),
    )
    return os.posix_spawn(
        path, argv, environ, file_actions=actions, setsid=True, resetids=True,
        setsigmask=(), setsigdef=DEFAULT_SIGNALS,
    )  # fmt: skip


def _become(path: str, argv: Sequence[str], environ: dict[str, str], output: int, ulimits: Sequence[dict]) -> NoReturn:
    """In the child: what posix_spawn would do, and the limits, which root may also raise."""
    os.setsid()
    nothing = os.open("/dev/null", os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    for number in DEFAULT_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    limits.apply(ulimits)
    os.setegid(os.getgid())
    os.seteuid(os.getuid())
    os.execve(path, argv, environ)


def _forked(become: Callable[[], NoReturn]) -> int:
    reader, writer = os.pipe2(os.O_CLOEXEC)  # closed by the exec, unless that fails
    pid = os.fork()
    if pid == 0:
        number = errno.EINVAL
        try:
            become()
        except OSError as error:
            number = error.errno or errno.EINVAL
        finally:
            os.write(writer, number.to_bytes(4, "little"))
            os._exit(127)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        told = file.read()
    if told:
        os.waitpid(pid, 0)
        number = int.from_bytes(told, "little")
        raise OSError(number, os.strerror(number))
    return pid
