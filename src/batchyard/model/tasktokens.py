"""The addresses at which a task asks this server for what is its own, and the tokens that it shows there.

Each token opens one door of one attempt, so that a job's code, which has those for its role's credentials and its
metadata, cannot ask what only its slot may: the secrets of other containers, the password of a registry. They are
derived, so none is stored, and are good as long as the attempt is open. Source: reference "Environment variables
inside the container" (set by ECS).
"""

from __future__ import annotations

import hmac
from urllib.parse import quote

PREFIX = "/x/tasks/"
START, CREDENTIALS, METADATA = "start", "credentials", "v4"
PROCESS = "process"  # the query of START from whom neither pulls images nor has log drivers


def token(key: bytes, door: str, attempt: str, container: str = "") -> str:
    """64 hexadecimal digits. `key` is the server's; METADATA has one for each container."""
    return hmac.digest(key, "\0".join((door, attempt, container)).encode(), "sha256").hex()


def path(attempt: str, door: str, *more: str) -> str:
    """The path of a door, percent-encoded: the attempt of a node has a `#`."""
    return PREFIX + "/".join((quote(attempt, safe=":"), door, *(quote(part, safe="") for part in more)))
