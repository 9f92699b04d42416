"""Where an attempt's log is in CloudWatch's words: region, group, stream (reference "Logs and metrics").

A definition's logConfiguration may choose the group and how its streams' names begin; the rest of a stream's name is
the attempt's task id.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from batchyard.model import ids
from batchyard.model.tasks import DEFAULT

DEFAULT_GROUP = "/aws/batch/job"
GROUP_OPTION, PREFIX_OPTION = "awslogs-group", "awslogs-stream-prefix"

_STREAM = re.compile(r"(.*/)([0-9a-f]{32})", re.DOTALL)


class LogPlace(NamedTuple):
    """What the streams of a definition have in common."""

    region: str
    group: str
    beginning: str  # of a stream's name, up to its last slash

    def stream(self, attempt: str) -> str:
        """`BEGINNING/CONTAINER/TASKID` for an attempt id."""
        return self.beginning + ids.task_id(attempt)


def log_place(region: str, definition_name: str, container: Mapping[str, Any], name: str = DEFAULT) -> LogPlace:
    """Where a (merged) container of this name logs; a definition's name counts with 200 characters."""
    configured = container.get("logConfiguration") or {}
    options = (configured.get("options") or {}) if configured.get("logDriver") == "awslogs" else {}
    prefix = options.get(PREFIX_OPTION) or definition_name[:200]
    return LogPlace(region, options.get(GROUP_OPTION) or DEFAULT_GROUP, f"{prefix}/{name}/")


def split_stream(name: str) -> tuple[str, str] | None:
    """The beginning of a stream's name and the task id; None for a name that no stream has."""
    found = _STREAM.fullmatch(name)
    return found and (found[1], found[2])
