"""Where AWS's services are found by those who are told: the variables AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_SERVICE.

All of AWS's SDKs and tools read them. What leads to this server itself is passed over unless an operator wrote it
down: `batchyard env` exports such variables to shells in which, later, a server is started.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

GENERAL = "AWS_ENDPOINT_URL"
S3, SECRETS_MANAGER, SSM, STS = "S3", "SECRETS_MANAGER", "SSM", "STS"

_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))
_PORTS = {"http": 80, "https": 443}


def variables(given: Sequence[str], environ: Mapping[str, str], own: str) -> dict[str, str]:
    """Those that jobs get: as `given` (each a URL, or SERVICE=URL), else those of `environ` that do not lead to `own`,
    the URL of this server."""
    if given:
        return dict(_variable(entry) for entry in given)
    named = {name: url for name, url in environ.items() if name == GENERAL or name.startswith(GENERAL + "_")}
    return {name: url for name, url in named.items() if url and not leads_to(url, own)}


def _variable(entry: str) -> tuple[str, str]:
    service, equals, url = entry.partition("=")
    if not equals or "://" in service:
        return GENERAL, entry
    return f"{GENERAL}_{service.upper().replace('-', '_')}", url


def of_service(service: str, given: str, environ: Mapping[str, str], own: str) -> str | None:
    """Where we find a service: as `given`, else as `environ` says; None if nobody says."""
    if given:
        return given
    found = variables((), environ, own)
    return found.get(f"{GENERAL}_{service}") or found.get(GENERAL)


def leads_to(url: str, own: str) -> bool:
    """Whether the URL is that of this server, under any of the names that a loopback address has."""
    try:
        there, here = urlsplit(url), urlsplit(own)
        ports = [parts.port or _PORTS.get(parts.scheme) for parts in (there, here)]
    except ValueError:  # no URL: nothing is reached by it
        return False
    return ports[0] == ports[1] and {there.hostname, here.hostname} <= _LOOPBACK
