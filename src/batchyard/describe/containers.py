"""The container of a definition or job."""

from __future__ import annotations

from typing import Any

EMPTY_LISTS = ("command", "volumes", "environment", "mountPoints", "ulimits", "resourceRequirements", "secrets")


def with_empty_lists(container: dict[str, Any]) -> dict[str, Any]:
    """The container as it is shown: what was given, as given, and [] for lists that were not."""
    return container | {name: [] for name in EMPTY_LISTS if name not in container}
