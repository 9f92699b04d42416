"""Which container engine is used: the first that passes a trial. Where none did, they are tried again now and then."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from batchyard.executors.runner.wire import EngineAbout

PROCESS = "process"  # value of the setting `executor`: no engine is wanted
AGAIN_S = 20.0


class Choice:
    """`engine` or else, in `failure`, why there is none (None: none is wanted)."""

    def __init__(self, executor: str, sockets: Sequence[str], data: str):
        self.executor, self.sockets = executor, tuple(sockets)
        self.engine: EngineAbout | None = None
        self.failure: str | None = None
        self._data = data
        self._tried_s = 0.0

    def try_now(self) -> bool:
        """Try them, which may take seconds; whether one passed."""
        if self.executor == PROCESS:
            return False
        # Only now, and for all slots: they share what is imported here.
        from batchyard.executors.runner.containers import task, trial  # noqa: F401

        self.engine, self.failure = trial.find(self.sockets, self._data)
        self._tried_s = time.monotonic()
        return self.engine is not None

    def try_again(self) -> bool:
        """To be called often, in quiet moments: an engine may have been started after us. Whether one passed."""
        if self.executor == PROCESS or self.engine is not None or time.monotonic() - self._tried_s < AGAIN_S:
            return False
        self._tried_s = time.monotonic()
        return any(os.path.exists(path) for path in self.sockets) and self.try_now()
