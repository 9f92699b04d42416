"""How our containers are known to be ours, and which attempt each is of."""

from __future__ import annotations

import hashlib

DATA, ATTEMPT, CONTAINER = "batchyard.data", "batchyard.attempt", "batchyard.container"


def data_id(data: str) -> str:
    """Of a data directory, by its path."""
    return hashlib.blake2b(data.encode(), digest_size=16).hexdigest()


def labels(data: str, attempt: str, container: str) -> dict[str, str]:
    return {DATA: data_id(data), ATTEMPT: attempt, CONTAINER: container}


def full_name(data: str, attempt: str, container: str) -> str:
    """The container's name on the whole machine; engines allow letters, digits and `_.-`."""
    return f"batchyard-{data_id(data)[:8]}-{attempt.replace(':', '_').replace('#', '_')}-{container}"
