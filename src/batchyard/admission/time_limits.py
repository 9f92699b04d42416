"""jobStateTimeLimitActions: for how long a job may block its queue (reference "Blocked job queues and
jobStateTimeLimitActions")."""

from __future__ import annotations

from typing import Any

from batchyard.errors import ClientError
from batchyard.model.blocked import CAPACITY, JOB_REQUIREMENT, LIMITED, MAX_RESOURCE, TEXTS
from batchyard.wire.shapes import JobStateTimeLimitAction

MEMBER = "jobStateTimeLimitActions"
LEAST_S, MOST_S = 600, 86_400
ACTIONS = ("CANCEL",)  # of container queues
# As older documents have them.
OLDER = {
    CAPACITY: f"{CAPACITY} - All compute environments have insufficient capacity to service the job.",
    MAX_RESOURCE: f"{MAX_RESOURCE} - All compute environments have a maxVcpu setting that is smaller than the job "
    "requirements.",
    JOB_REQUIREMENT: f"{JOB_REQUIREMENT} - All compute environments have no connected instances that meet the job "
    "requirements.",
}


def admitted(given: list[JobStateTimeLimitAction]) -> list[dict[str, Any]]:
    """The actions as the queue's body keeps them, or ClientError."""
    seen: set[str] = set()
    for place, action in enumerate(given):
        if action.action not in ACTIONS:
            raise ClientError(f"Invalid job action. Valid job actions: [{', '.join(ACTIONS)}]")
        if not isinstance(action.maxTimeSeconds, int) or not LEAST_S <= action.maxTimeSeconds <= MOST_S:
            raise ClientError(
                f"{MEMBER}[{place}].maxTimeSeconds is {action.maxTimeSeconds}: it should be between {LEAST_S} and "
                f"{MOST_S}.",
                "Give seconds from ten minutes to a day.",
            )
        code = _code(str(action.reason), place)
        if code in seen:
            raise ClientError("Duplicate job state limit actions are not allowed.")
        seen.add(code)
    return [
        {
            "reason": action.reason,
            "state": action.state,
            "maxTimeSeconds": action.maxTimeSeconds,
            "action": action.action,
        }
        for action in given
    ]


def _code(reason: str, place: int) -> str:
    """The code of a reason: its text, its beginning with the whole code in it, or the text of older documents."""
    for code, text in TEXTS.items():
        if (reason.startswith(code) and text.startswith(reason)) or reason == OLDER.get(code):
            if code in LIMITED:
                return code
            raise ClientError(
                f"{MEMBER}[{place}].reason is {code}: no action can be taken for it, since its cause is not the job's.",
                f"Reasons for which one can: {', '.join(LIMITED)}.",
            )
    raise ClientError(
        f"{MEMBER}[{place}].reason is {_short(reason)}, which is none of the reasons for which an action can be taken.",
        f"Give one of {', '.join(LIMITED)}, with or without the text that follows it.",
    )


def _short(text: str) -> str:
    return repr(text if len(text) <= 100 else text[:100] + "...")
