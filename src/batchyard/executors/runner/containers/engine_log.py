"""The log of a container as the engine's API tells it once it has ended."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from batchyard.executors.runner.wire import EngineAbout

Source = tuple[Any, str]


def source_of(client: Any, inspected: Mapping[str, Any], _engine: EngineAbout) -> Source:
    return client, inspected["Id"]


def log_config(engine: str, log_bytes: int) -> dict[str, Any]:
    return {"Type": "k8s-file" if engine == "podman" else "json-file", "Config": {"max-size": str(log_bytes)}}


class Reading:
    """Takes all at the end."""

    def __init__(
        self, open_file: Callable[[str, int], int], remove_file: Callable[[str], None], log_bytes: int, now_ms: int
    ):
        self._open_file = open_file
        self._log = open_file("log", 0)
        self._bound_bytes = log_bytes
        self._began_ms = now_ms
        self._source: Source | None = None
        self.more = False

    def attach(self, source: Source) -> None:
        self._source = source

    def take(self, now_ms: int) -> None:
        pass

    def finish(self, now_ms: int) -> None:
        size = 0
        if self._source is not None:
            client, container = self._source
            for data in client.logs(container, stream=True, stdout=True, stderr=True):
                size += os.write(self._log, data[: max(0, self._bound_bytes - size)])
        if size:
            index = self._open_file("idx", os.O_APPEND)
            os.write(index, f"{self._began_ms} 0\n{max(now_ms, self._began_ms)} {size} end\n".encode())
            os.close(index)
        os.close(self._log)
