"""What `valueFrom` and `credentialsParameter` of definitions name (reference "Container semantics", secrets).

| form | what it is |
| --- | --- |
| ``arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-SUFFIX`` | a secret, whole |
| the same and ``:KEY:STAGE:VERSION``, each of which may be empty | a member of its JSON, or an older version |
| ``arn:aws:ssm:REGION:ACCOUNT:parameter/NAME`` or a mere name | a parameter of Systems Manager |
| a mere name in `credentialsParameter` | a secret |
"""

from __future__ import annotations

import re
from typing import NamedTuple

from batchyard.ports.grants import NotGranted

SECRET, PARAMETER = "secret", "parameter"

_NAME = re.compile(r"[A-Za-z0-9/_+=.@:-]{1,2048}")
_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}")  # Secrets Manager adds it to the names in its ARNs


class Reference(NamedTuple):
    """`id` is what the service is asked for; `names` are what files and variables may be called, the likeliest first.
    `key`, `stage` and `version` are empty if not given."""

    kind: str
    id: str
    names: tuple[str, ...]
    region: str
    key: str = ""
    stage: str = ""
    version: str = ""

    @property
    def is_current(self) -> bool:
        """Whether it is the present version, the only one that files and variables have."""
        return not self.version and self.stage in ("", "AWSCURRENT")


def parse(given: str, region: str, kind: str = PARAMETER) -> Reference:
    """What `given` names; a mere name is one of this kind and region. Raises NotGranted for what names neither."""
    if not _NAME.fullmatch(given):
        raise NotGranted(f"{given[:200]!r} is no name and no ARN of a secret or parameter")
    if not given.startswith("arn:"):
        return Reference(kind, given, _plain(given, kind), region)
    service, there, *rest = (given.split(":", 5)[2:4] + given.split(":", 5)[5:]) if given.count(":") >= 5 else ("", "")
    resource = rest[0] if rest else ""
    if service == "secretsmanager" and resource.startswith("secret:"):
        return _secret(given, there or region, resource.split(":")[1:])
    if service == "ssm" and resource.startswith("parameter/"):
        return Reference(PARAMETER, given, _plain(resource.removeprefix("parameter/"), PARAMETER), there or region)
    raise NotGranted(f"{given} is neither an ARN of a secret in Secrets Manager nor one of a parameter in SSM")


def _secret(given: str, region: str, parts: list[str]) -> Reference:
    name, *more = parts
    if not name or len(more) not in (0, 3):
        raise NotGranted(f"{given}: after a secret's name come :json-key:version-stage:version-id, or nothing")
    whole = given.rsplit(":", 3)[0] if more else given
    names = (name[:-7], name) if _SUFFIX.fullmatch(name[-7:]) else (name,)
    return Reference(SECRET, whole, names, region, *more)


def _plain(name: str, kind: str) -> tuple[str, ...]:
    """Parameters may begin with a slash, and choose a version or label after a colon, which nobody else has."""
    if kind == PARAMETER and ":" in name:
        return ()
    return (name.lstrip("/"),)
