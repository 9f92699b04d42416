"""``ports.Grants``: where tasks get what no definition and no order holds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping

from batchyard.config import Settings
from batchyard.grants import calls, roles, sources
from batchyard.grants.calls import Credentials, Service
from batchyard.grants.downloads import S3, Shelf
from batchyard.grants.references import SECRET, Reference, parse
from batchyard.grants.remembered import Remembered
from batchyard.model import endpoints
from batchyard.ports.grants import Download, NotGranted, RoleCredentials

SECRET_S = 5.0  # how long a secret is remembered: what starts together asks once, what starts later sees a new value


class Desk:
    """`environ` is the server's environment, whose credentials it asks with; `own` its URL, '' while it has none."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        own: Callable[[], str],
        wall_s: Callable[[], float] = time.time,
    ):
        self._settings = settings
        self._environ = environ
        self._own = own
        self._wall_s = wall_s
        self._sources = sources.Sources(settings, environ)
        self._secrets: Remembered[Reference, str] = Remembered()
        self._roles: Remembered[tuple[str, str, str], RoleCredentials] = Remembered()

    def secret(self, value_from: str, region: str) -> str:
        return self._secret(parse(value_from, region))

    def registry(self, parameter: str, region: str) -> dict[str, str]:
        wanted = parse(parameter, region, SECRET)
        try:
            told = json.loads(self._secret(wanted))
            return {"username": str(told["username"]), "password": str(told["password"])}
        except (ValueError, TypeError, KeyError):
            raise NotGranted(f"{wanted.id} holds no JSON object with username and password") from None

    def _secret(self, wanted: Reference) -> str:
        whole = wanted._replace(key="")
        text = self._secrets.get(whole, lambda: (self._sources.find(whole, self._own()), SECRET_S))
        return sources.member(text, wanted)

    def credentials(self, role: str, session: str, region: str) -> RoleCredentials:
        url = self._sts()
        if url is None:
            raise NotGranted(f"role {role} cannot be assumed: give an STS with the setting sts_url")
        service = Service(url.replace("{region}", region), "sts", region, self._environ, self._wall_s)
        return self._roles.get((role, session, region), lambda: roles.assume(service, role, session))

    def _sts(self) -> str | None:
        return endpoints.of_service(endpoints.STS, self._settings.sts_url, self._environ, self._own())

    def download(self, address: str, role: str | None, session: str, region: str) -> Download:
        if not address.startswith(S3):
            return Download(address, {})
        found = endpoints.variables(self._settings.job_endpoints, self._environ, self._own())
        url = found.get(f"{endpoints.GENERAL}_{endpoints.S3}") or found.get(endpoints.GENERAL)
        return Shelf(url, region).download(address, self._rights(role, session, region), self._wall_s())

    def _rights(self, role: str | None, session: str, region: str) -> Credentials | None:
        """A job's role fetches its application; without one the server does, as it can."""
        if role and self._sts() is not None:
            given = self.credentials(role, session, region)
            return Credentials(given.key_id, given.secret, given.token)
        return calls.from_environment(self._environ)
