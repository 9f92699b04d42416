"""What this runner has found out about its machine, for whoever tells users: ``runner/about.json``."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from batchyard.executors.runner import slot

FILE = "about.json"


def write(place: slot.Place, weaker: Sequence[str]) -> None:
    """Write the file whole; readers see the old or the new one."""
    told = {"isolation": place.isolation, "weaker": list(weaker), "groups": place.groups, "uid": os.geteuid()}
    path = os.path.join(place.data, "runner", FILE)
    with open(f"{path}.new", "w") as file:
        json.dump(told, file)
    os.replace(f"{path}.new", path)
