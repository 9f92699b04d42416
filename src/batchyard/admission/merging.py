"""Overrides over what a definition says: what those of a job's container and of a task's have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from batchyard.admission import containers
from batchyard.wire.shapes import ContainerOverrides, TaskContainerOverrides


def by(key: str, old: Iterable[Mapping[str, Any]] | None, new: list[Struct]) -> list[dict[str, Any]]:
    """`old` with entries of the same key replaced in place and new ones appended."""
    merged = {entry[key]: entry for entry in old or ()}
    for entry in msgspec.to_builtins(new):
        merged[entry[key]] = entry
    return list(merged.values())


def command_and_environment(
    overrides: ContainerOverrides | TaskContainerOverrides, container: Mapping[str, Any]
) -> dict[str, Any]:
    """A copy of `container` with both: the command is replaced as a whole (an empty one replaces nothing), environment
    merges by name. ClientError if an override breaks a rule."""
    merged = dict(container)
    if overrides.command:
        containers.check_command(overrides.command)
        merged["command"] = overrides.command
    if overrides.environment:
        containers.check_environment(overrides.environment)
        merged["environment"] = by("name", container.get("environment"), overrides.environment)
    return merged
