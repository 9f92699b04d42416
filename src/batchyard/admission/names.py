"""The forms of names (reference "Wire protocol and errors", section on length constraints)."""

from __future__ import annotations

import re

from batchyard.errors import ClientError

NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
SHARE, SHARE_MAX = re.compile(r"[A-Za-z0-9_-]+\*?"), 255
JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


def check_definition_name(name: str) -> None:
    """ClientError unless `name` may be the name of a job definition."""
    if not NAME.fullmatch(name):
        raise ClientError(f"Provided name {name} is not supported pattern[a-zA-Z_0-9-]{{1,128}}")


def check_queue_name(name: str) -> None:
    """ClientError unless `name` may be the name of a job queue."""
    if not NAME.fullmatch(name):
        raise ClientError("Job Queue name should match a valid pattern.")


def check_policy_name(name: str) -> None:
    """ClientError unless `name` may be the name of a scheduling policy."""
    if not NAME.fullmatch(name):
        raise ClientError("Scheduling policy name should match a valid pattern.")


def check_policy_arn(given: str) -> None:
    """ClientError unless `given` looks like the ARN of a scheduling policy, which are never given by name."""
    if not (given.startswith("arn:") and ":scheduling-policy/" in given):
        raise ClientError("Only scheduling policy Arn can be allowed.")


def check_share(share: str) -> None:
    """ClientError unless `share` may be a share identifier, be it a prefix of some that ends in an asterisk."""
    if not SHARE.fullmatch(share) or len(share) > SHARE_MAX:
        raise ClientError("ShareIdentifier name should match a valid pattern.")


def check_environment_name(name: str) -> None:
    """ClientError unless `name` may be the name of a compute environment."""
    if not NAME.fullmatch(name):
        raise ClientError(
            f"Compute Environment name {name!r} should match a valid pattern.",
            "Use 1 to 128 letters, digits, hyphens and underscores.",
        )


def check_consumable_name(name: str) -> None:
    """ClientError unless `name` may be the name of a consumable resource."""
    if not NAME.fullmatch(name):
        raise ClientError("ConsumableResource name should match a valid pattern.")


def check_job_name(name: str) -> None:
    """ClientError unless `name` may be the name of a job: it must start with a letter or digit."""
    if not JOB_NAME.fullmatch(name):
        raise ClientError("Job name should match valid pattern")
