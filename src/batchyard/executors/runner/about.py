"""What this runner has found out about its machine, for whoever tells users: ``runner/about.json``."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from batchyard.executors.runner import limits, sandbox, slot
from batchyard.executors.runner.wire import EngineAbout

FILE = "about.json"


def engine(found: EngineAbout | None) -> dict[str, Any] | None:
    """What is told of the engine that runs containers."""
    return None if found is None else {name: getattr(found, name) for name in ("name", "version", "socket", "rootless")}


def write(place: slot.Place, weaker: Sequence[str], engine_failure: str | None) -> None:
    """Write the file whole; readers see the old or the new one."""
    told = {"isolation": place.isolation, "weaker": list(weaker), "groups": place.groups, "uid": os.geteuid()}
    told |= {"limits": limits.most(place.isolation != sandbox.USER_NAMESPACES)}
    told |= {"engine": engine(place.engine), "engine_failure": engine_failure}
    path = os.path.join(place.data, "runner", FILE)
    with open(f"{path}.new", "w") as file:
        json.dump(told, file)
    os.replace(f"{path}.new", path)
