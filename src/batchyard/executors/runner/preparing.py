"""What a process job needs before it starts, and what takes a while: secrets from the server, a zipped application.

A child of the slot gets it, and unpacks as whom the job runs as: the slot goes on listening, what a stranger's archive
does is not done to it, and a stop is a kill.
"""

from __future__ import annotations

import json
import os
import resource
from typing import Any

from batchyard.executors.runner import asking, sandbox, zips
from batchyard.executors.runner.memory import first_choice


def asked(order: dict) -> bool:
    """Whether the order needs it."""
    return bool(order.get("ask") or order.get("zip"))


class Preparation:
    """`pipe` is readable once there is a `result`, or a part of one: `more` says whether it is whole."""

    def __init__(self, order: dict):
        """The application goes to the current directory."""
        self.pipe, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._told = bytearray()
        with first_choice():
            self.pid = os.fork()
        if self.pid == 0:
            os.set_blocking(writer, True)
            _prepare(order, writer)
        os.close(writer)

    def more(self) -> bool:
        """Take what was told; whether there is more to come."""
        try:
            while data := os.read(self.pipe, 1 << 16):
                self._told += data
        except BlockingIOError:
            return True
        return False

    def result(self) -> dict[str, Any]:
        """`secrets`, by name, and `error`: the whole reason why the job cannot start, or None. The child is reaped."""
        self.end()
        try:
            return json.loads(self._told)
        except ValueError:
            return {"secrets": {}, "error": "ResourceInitializationError: what prepares the job was ended"}

    def end(self) -> None:
        """Wait for the child, which was told to end or has nothing more to say."""
        if self.pipe >= 0:
            os.close(self.pipe)
            self.pipe = -1
            os.waitpid(self.pid, 0)


def _prepare(order: dict, writer: int) -> None:
    """In the child; never returns. The slot's descriptors are closed: their end is the end of the slot to others."""
    try:
        os.closerange(3, writer)
        os.closerange(writer + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        try:
            got = _got(order)
        except Exception as error:
            got = {"secrets": {}, "error": f"ResourceInitializationError: {type(error).__name__}: {error}"}
        told = json.dumps(got).encode()
        while told:
            told = told[os.write(writer, told) :]
    finally:
        os._exit(0)


def _got(order: dict) -> dict[str, Any]:
    name = order["container"]  # as the server calls it
    zipped = order.get("zip")
    answer: dict[str, Any] = {"secrets": {}, "zip": {}, "error": None}
    try:
        if zipped:
            zips.check(zipped)
        if order.get("ask"):
            answer = asking.ask(order["ask"]["url"], order["ask"]["token"])
        if zipped and answer["error"] is None:
            zips.load(zipped)
            sandbox.become_for_good()
            zips.bring(zipped, answer["zip"].get(name), os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    except zips.ZipError as error:
        answer["error"] = str(error)
    return {"secrets": answer["secrets"].get(name) or {}, "error": answer["error"]}
