"""What an order gives a task to ask this server with: variables for its code, and an address for its slot.

No secret is in it: secrets, credentials and metadata are asked for while the attempt is open, with tokens that are
worth nothing afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchyard.config import Settings
from batchyard.model import endpoints, tasktokens, zip_images
from batchyard.model.jobs import AttemptSpec, role_of

ALONE = "default"  # name of the container of containerProperties


class Granting:
    """`key` is the task key, `environ` the server's environment."""

    def __init__(self, settings: Settings, key: bytes, environ: Mapping[str, str]):
        self.settings = settings
        self._key = key
        self._environ = environ
        self._own_url = ""
        self._endpoints: dict[str, str] | None = None

    def endpoints(self) -> dict[str, str]:
        """Where its code finds AWS's services, unless the job says otherwise itself."""
        if self._endpoints is None or not self._own_url:
            self._endpoints = endpoints.variables(self.settings.job_endpoints, self._environ, self._own())
        return self._endpoints

    def variables(self, spec: AttemptSpec, container: str = ALONE) -> dict[str, str]:
        """Where its code finds its role's credentials and its metadata, whatever the job says; nothing while the server
        has no address."""
        own = self._own()
        return self._role(spec, own) | self._metadata(spec, container, own) if own else {}

    def ask(
        self, spec: AttemptSpec, containers: Mapping[str, Mapping[str, Any]], in_containers: bool = True
    ) -> dict[str, str] | None:
        """Where its slot asks for what is in no order; None if its containers need nothing of the kind. A process pulls
        no image and has no log driver, so it is not kept from starting by what they would need."""
        own = self._own()
        if not own or not any(_has_to_ask(each, in_containers) for each in containers.values()):
            return None
        kind = "" if in_containers else f"?{tasktokens.PROCESS}"
        return {
            "url": own + tasktokens.path(spec.attempt, tasktokens.START) + kind,
            "token": tasktokens.token(self._key, tasktokens.START, spec.attempt),
        }

    def _role(self, spec: AttemptSpec, own: str) -> dict[str, str]:
        """Nothing without a place to assume roles at: SDKs would ask, and fail, where they could find credentials."""
        if not role_of(spec.task or spec.container):
            return {}
        if not endpoints.of_service(endpoints.STS, self.settings.sts_url, self._environ, own):
            return {}
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": own + tasktokens.path(spec.attempt, tasktokens.CREDENTIALS),
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": tasktokens.token(self._key, tasktokens.CREDENTIALS, spec.attempt),
        }

    def _metadata(self, spec: AttemptSpec, container: str, own: str) -> dict[str, str]:
        """Whoever reads metadata sends no header, so that the token is part of the address."""
        shown = tasktokens.token(self._key, tasktokens.METADATA, spec.attempt, container)
        address = own + tasktokens.path(spec.attempt, tasktokens.METADATA, container, shown)
        return {"ECS_CONTAINER_METADATA_URI_V4": address}

    def _own(self) -> str:
        """Where this server answers: known before an engine is started, and the same as long as it lives."""
        if not self._own_url:
            try:
                self._own_url = (self.settings.data_path / "endpoint").read_text().strip()
            except OSError:
                return ""
        return self._own_url


def _has_to_ask(container: Mapping[str, Any], in_containers: bool) -> bool:
    address = zip_images.address_of(container.get("image") or "")
    zipped = address is not None and not address.startswith("file:")  # which the slot opens by itself
    options = (container.get("logConfiguration") or {}).get("secretOptions")
    pulls = in_containers and (options or container.get("repositoryCredentials"))
    return bool(container.get("secrets") or pulls) or zipped
