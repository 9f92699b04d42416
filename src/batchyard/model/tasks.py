"""Tasks of several containers (reference "Multi-container jobs"): what their containers and their logs are called.

A task is the merged ``ecsProperties.taskProperties[0]`` of a job's body, in which every container has its name. A job
of ``containerProperties`` has no task but one container, whose name is DEFAULT.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

DEFAULT = "default"

START, COMPLETE, SUCCESS = "START", "COMPLETE", "SUCCESS"
CONDITIONS = (START, COMPLETE, SUCCESS)  # when one that depends on a container may start


class ContainerEnding(NamedTuple):
    """How one container of a task ended; without an exit code nothing of it ran."""

    name: str
    exit_code: int | None = None
    reason: str | None = None


def names(task: Mapping[str, Any]) -> list[str]:
    """The containers of a task, in the order in which they were given."""
    return [each["name"] for each in task["containers"]]


def is_task(work: Mapping[str, Any]) -> bool:
    """Whether what nodes run is a task of several containers, and not a container."""
    return "containers" in work


def is_essential(container: Mapping[str, Any]) -> bool:
    """Whether the task ends with it."""
    return container.get("essential", True)


def has_own_logs(of: Sequence[str]) -> bool:
    """Whether containers of these names have a log each; an only one has the attempt's, as where it is a process."""
    return len(of) > 1


def log_name(attempt: str, container: str, of: Sequence[str]) -> str:
    """What the log of a container is called (file `NAME.log`), `of` being the names of the attempt's containers."""
    return own_log(attempt, container) if has_own_logs(of) else attempt


def own_log(attempt: str, container: str) -> str:
    """Likewise, of a container that has a log of its own; `container` "" is the attempt itself."""
    return f"{attempt}~{container}" if container else attempt
