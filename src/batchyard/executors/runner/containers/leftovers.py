"""Containers that nobody watches any more: of attempts that are over, left where a slot died before it removed them.

An attempt that is not over has its order in ``runner/orders``: its slot goes on with it, or a new one does.
"""

from __future__ import annotations

import logging
import os

from batchyard.executors.runner.containers import labels
from batchyard.executors.runner.containers.engine import Engine, EngineError, Unreachable
from batchyard.executors.runner.wire import EngineAbout

log = logging.getLogger("batchyard.runner")


def remove(data: str, about: EngineAbout) -> None:
    """Remove them. Blocks while the engine does. What cannot be removed is left for the next time."""
    engine = Engine(about)
    try:
        for found in engine.labelled(f"{labels.DATA}={labels.data_id(data)}"):
            attempt = found["Labels"].get(labels.ATTEMPT, "")
            if not os.path.exists(os.path.join(data, "runner/orders", attempt)):
                log.info("removing a container that is left over", extra={"attempt": attempt, "id": found["Id"]})
                engine.remove(found["Id"])
    except (EngineError, Unreachable) as error:
        log.warning("containers that are left over cannot be removed: %s", error)
