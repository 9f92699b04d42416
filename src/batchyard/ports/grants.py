"""What tasks are given of the world outside: secrets, credentials of roles, where an application lies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol


class NotGranted(Exception):
    """Why it cannot be given, naming what was asked and where it was looked for; never with a value in it."""


class RoleCredentials(NamedTuple):
    """Temporary credentials of a role."""

    key_id: str
    secret: str
    token: str
    expires: str  # as ISO 8601, in UTC

    def __repr__(self) -> str:  # a secret does not belong into logs and tracebacks
        return f"RoleCredentials(key_id={self.key_id!r}, expires={self.expires!r})"


class Download(NamedTuple):
    """Where and with which headers a file is fetched; who has them needs no credentials."""

    url: str
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Download(url={self.url!r})"


class Grants(Protocol):
    """All of it may ask other servers, so each call may block for many seconds; any thread may call. What cannot be
    given raises NotGranted."""

    def secret(self, value_from: str, region: str) -> str:
        """The secret or parameter that a `valueFrom` names, to a job of the region."""

    def registry(self, parameter: str, region: str) -> dict[str, str]:
        """`username` and `password` of the registry whose secret a `credentialsParameter` names."""

    def credentials(self, role: str, session: str, region: str) -> RoleCredentials:
        """Those of a role (ARN), in a session of that name; good for five minutes at least."""

    def download(self, address: str, role: str | None, session: str, region: str) -> Download:
        """How the archive at an address (``s3://BUCKET/KEY`` or a URL) is fetched, with the rights of a role."""
