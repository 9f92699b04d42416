"""The `pretend` command language, and the program that obeys it for real.

``pretend run_ms=200 exit=3 log=hello memory_mib=300 fork=8 ignore_term=1``, in any order. The pretend executor obeys
the same words without running anything, so one suite can test every executor. Standard library only: under the process
executor this is a job like any other (``python -m batchyard.executors.pretend_program``).
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import NamedTuple

NAME = "pretend"
NOT_FOUND = 127
USAGE_ERROR = 2  # exit code for words that are not of the language
LINE = b"%015d of a long log, and 64 bytes are in each line...\n"


class Pretence(NamedTuple):
    """What a command asks for; every member is a word of the language."""

    run_ms: int = 0  # how long it runs
    exit: int = 0  # its exit code
    signal: int = 0  # the signal it ends itself with instead, 0 for none
    memory_mib: int = 0  # held while it runs; over the job's limit it is killed
    fork: int = 0  # children it leaves behind
    ignore_term: int = 0  # 1: SIGTERM does nothing to it
    log_kib: int = 0  # so much of numbered lines, after the others
    output: bytes = b""  # log=TEXT is a line, log_hex=BYTES any bytes; each may come repeatedly


_MOST = {"run_ms": 10**10, "exit": 255, "signal": 15, "memory_mib": 1 << 20, "fork": 64, "ignore_term": 1} | {
    "log_kib": 64 << 10
}


def parse(words: list[str]) -> Pretence:
    """The pretence that `words` (the command without its name) ask for. ValueError names the word and what is known."""
    values: dict[str, int] = {}
    output = b""
    for word in words:
        name, equals, value = word.partition("=")
        if equals and name == "log":
            output += value.encode("utf-8", "surrogateescape") + b"\n"
        elif equals and name == "log_hex":
            output += _bytes(word, value)
        elif equals and name in _MOST:
            values[name] = _number(word, value, _MOST[name])
        else:
            raise ValueError(f"{word!r} is unknown; use NAME=VALUE with one of log, log_hex, {', '.join(_MOST)}")
    return Pretence(**values, output=output)


def _number(word: str, value: str, most: int) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 20 and int(value) <= most):
        raise ValueError(f"{word!r}: give a whole number from 0 to {most}")
    return int(value)


def _bytes(word: str, value: str) -> bytes:
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise ValueError(f"{word[:80]!r}: give pairs of hexadecimal digits") from None


def refusal(command: list[str]) -> tuple[int | None, str | None]:
    """Exit code and words for a command that cannot start; (None, None) for one that can: only `pretend` can."""
    if not command:
        return None, "no command is given, and without an image there is none to fall back on; give one in `command`"
    if command[0] == NAME:
        return None, None
    where = "no such file or directory" if "/" in command[0] else "executable file not found in $PATH"
    return NOT_FOUND, f'exec: "{command[0]}": {where}'


def written(pretence: Pretence) -> bytes:
    """All that it writes."""
    return pretence.output + b"".join(LINE % number for number in range(pretence.log_kib * 16))


def main(words: list[str]) -> int:
    """Obey for real; returns the exit code."""
    try:
        pretence = parse(words)
    except ValueError as error:
        print(f"{NAME}: {error}", flush=True)
        return USAGE_ERROR
    if pretence.ignore_term:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    left = memoryview(written(pretence))
    while left:
        left = left[os.write(1, left) :]
    end_s = time.monotonic() + pretence.run_ms / 1000
    for _ in range(pretence.fork):
        if os.fork() == 0:
            time.sleep(pretence.run_ms / 1000 + 60)  # outlives its parent, unless somebody sees to it
            os._exit(0)
    held = bytearray(os.urandom(1024)) * (pretence.memory_mib << 10)
    time.sleep(max(0.0, end_s - time.monotonic()))
    del held
    if pretence.signal:
        if pretence.signal not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(pretence.signal, signal.SIG_DFL)
        os.kill(os.getpid(), pretence.signal)
    return pretence.exit


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
