"""Blocked queues: AWS's reasons to the letter, time limits, and what rows keep (reference "Blocked job queues and
jobStateTimeLimitActions").

A reason begins with its code; the rest is for people. An instance type in brackets is filled in where there is one.
"""

from __future__ import annotations

from typing import NamedTuple

CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"
MAX_RESOURCE = "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE"
JOB_REQUIREMENT = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"
UNSUPPORTED = "MISCONFIGURATION:EC2_INSTANCE_CONFIGURATION_UNSUPPORTED"
SERVICE_ROLE = "MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS"
ACTION_REQUIRED = "ACTION_REQUIRED"
UNDETERMINED = "UNDETERMINED"

TYPE = "[instanceTypeName]"  # the placeholder, as it stands in the reason of an action
TEXTS = {
    CAPACITY: f"{CAPACITY} - Service cannot fulfill the capacity requested for instance type {TYPE}",
    MAX_RESOURCE: f"{MAX_RESOURCE} - CE(s) associated with the job queue cannot meet the CPU requirement of the job.",
    JOB_REQUIREMENT: f"{JOB_REQUIREMENT} - The job resource requirement (vCPU/memory/GPU) is higher than that can be "
    "met by the CE(s) attached to the job queue.",
    UNSUPPORTED: f"{UNSUPPORTED} - Your compute environment associated with this job queue has an unsupported instance "
    "type configuration.",
    SERVICE_ROLE: f"{SERVICE_ROLE} – Batch service role has a permission issue.",
    ACTION_REQUIRED: f"{ACTION_REQUIRED} - CE(s) associated with the job queue are invalid.",
    UNDETERMINED: f"{UNDETERMINED} - Batch job is blocked, root cause is undetermined.",
}
# Those that a time limit may name: a job is not cancelled for what an operator has to repair.
LIMITED = (CAPACITY, MAX_RESOURCE, JOB_REQUIREMENT, UNSUPPORTED)

CANCELED = "Canceled by JobStateTimeLimit action due to reason: "


def text_of(code: str, type_name: str = "") -> str:
    """The reason with this code as a job's statusReason."""
    text = TEXTS[code]
    return text.replace(TYPE, f"[{type_name}]") if type_name else text


def code_of(reason: str) -> str:
    """The code with which the reason begins."""
    return next(code for code in TEXTS if reason.startswith(code))


class TimeLimit(NamedTuple):
    """A jobStateTimeLimitAction: a job at the head that is blocked for this reason for so long is cancelled."""

    code: str
    most_ms: int


class Block(NamedTuple):
    """The head of a queue cannot start: why, since when, and whether it was told (after a while; see Timing)."""

    queue: int
    job: int
    index: int
    reason: str
    since_ms: int
    told: bool = False
