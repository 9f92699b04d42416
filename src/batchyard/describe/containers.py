"""The container of a definition or job, and its containers where it has several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_OF_TASK = ("command", "dependsOn", "environment", "mountPoints", "resourceRequirements", "secrets", "ulimits")
EMPTY_LISTS = ("command", "volumes", "environment", "mountPoints", "ulimits", "resourceRequirements", "secrets")


def with_empty_lists(container: dict[str, Any]) -> dict[str, Any]:
    """The container as it is shown: what was given, as given, and [] for lists that were not."""
    return container | {name: [] for name in EMPTY_LISTS if name not in container}


def task_with_empty_lists(task: Mapping[str, Any]) -> dict[str, Any]:
    """Likewise a task of several containers."""
    each_one = [each | {name: [] for name in _OF_TASK if name not in each} for each in task["containers"]]
    return {"volumes": []} | {**task, "containers": each_one}


def definition_with_empty_lists(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a definition as it is shown."""
    if "containerProperties" in body:
        return {**body, "containerProperties": with_empty_lists(body["containerProperties"])}
    if "ecsProperties" in body:
        (task,) = body["ecsProperties"]["taskProperties"]
        return {**body, "ecsProperties": {"taskProperties": [task_with_empty_lists(task)]}}
    return dict(body)
