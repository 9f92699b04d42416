"""Credentials of roles, from an STS that is not ours."""

from __future__ import annotations

from datetime import UTC, datetime

from batchyard.grants.calls import CallFailed, Service
from batchyard.ports.grants import NotGranted, RoleCredentials

LIFE_S = 3600  # the longest that a role may have which was assumed with the credentials of another
RENEWED_S = 300.0  # so long before they expire others are fetched


def assume(service: Service, role: str, session: str) -> tuple[RoleCredentials, float]:
    """New credentials, and for how many seconds they may be given away. Raises NotGranted."""
    asked = {
        "Action": "AssumeRole",
        "Version": "2011-06-15",
        "RoleArn": role,
        "RoleSessionName": session,
        "DurationSeconds": str(LIFE_S),
    }
    try:
        told = service.form(asked)
        key = told["AccessKeyId"], told["SecretAccessKey"], told["SessionToken"]
        expires = datetime.fromisoformat(told["Expiration"]).astimezone(UTC)
    except CallFailed as error:
        raise NotGranted(f"role {role} cannot be assumed: {error}") from None
    except (KeyError, ValueError):
        raise NotGranted(f"role {role}: {service.place} answered without credentials") from None
    given = RoleCredentials(*key, expires.strftime("%Y-%m-%dT%H:%M:%SZ"))
    return given, expires.timestamp() - service.wall_s() - RENEWED_S
