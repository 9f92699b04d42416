"""What holds the namespaces that the containers of a task share: a container that does nothing and ends last.

One of the task's own could not: it may end before the others, and with the first process of a PID namespace all others
in it are killed.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from batchyard.executors.runner.containers import programs
from batchyard.executors.runner.containers.engine import Engine, EngineError, NoSuchImage, Unreachable
from batchyard.executors.runner.containers.labels import full_name, labels

IMAGE = "batchyard/pause-1:latest"
FOR_EVER_S = 1e9
NAME = ".holder"  # no container of a task can have it


def is_needed(order: Mapping[str, Any]) -> bool:
    """Whether the containers of the order share a namespace; whatever their network, they have one."""
    several = len(order["containers"]) > 1
    return "task" in (order["ipc"], order["pid"]) or (several and order["network"] != "host")


class Holder:
    """Used by the hands alone; `id` once it is made."""

    def __init__(self, engine: Engine, data: str, attempt: str):
        self.id: str | None = None
        self._engine = engine
        self._name = full_name(data, attempt, NAME)
        self._labels = labels(data, attempt, NAME)

    def make(self, order: Mapping[str, Any]) -> None:
        """Make it and start it, or find it where another slot has made it. Raises EngineError and Unreachable."""
        host: dict[str, Any] = {"NetworkMode": order["network"]}
        if order["ipc"] == "task":
            shm = max((asked["shm_mib"] or 0 for asked in order["containers"]), default=0)
            host |= {"IpcMode": "shareable"} | ({"ShmSize": shm << 20} if shm else {})
        body = {"Image": IMAGE, "HostConfig": host, "Labels": self._labels}
        try:
            self.id = self._engine.create(self._name, body)
        except NoSuchImage:
            self._engine.load(IMAGE, programs.image(b"", FOR_EVER_S, 0), programs.PATH)
            self.id = self._engine.create(self._name, body)
        self._engine.start(self.id)

    def remove(self) -> None:
        with suppress(EngineError, Unreachable):
            self._engine.remove(self.id or self._engine.named(self._name)["Id"])
