"""How our containers are known to be ours, and which attempt each is of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

DATA, ATTEMPT, CONTAINER = "batchyard.data", "batchyard.attempt", "batchyard.container"


def data_id(data: str) -> str:
    """Of a data directory, by its path."""
    return hashlib.blake2b(data.encode(), digest_size=16).hexdigest()


def labels(data: str, attempt: str, container: str) -> dict[str, str]:
    return {DATA: data_id(data), ATTEMPT: attempt, CONTAINER: container}


def full_name(data: str, attempt: str, container: str) -> str:
    """The container's name on the whole machine; engines allow letters, digits and `_.-`."""
    return _name(labels(data, attempt, container))


def belongs_to(name: str, found: Mapping[str, str] | None) -> bool:
    """Whether a container that has this name and these labels is ours, and not one that somebody has called so."""
    return found is not None and {DATA, ATTEMPT, CONTAINER} <= found.keys() and _name(found) == name


def _name(of: Mapping[str, str]) -> str:
    return f"batchyard-{of[DATA][:8]}-{of[ATTEMPT].replace(':', '_').replace('#', '_')}-{of[CONTAINER]}"
