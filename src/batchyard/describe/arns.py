"""Names and ARNs, both ways (reference "ARNs, identifiers, pagination").

Where a request takes "name or ARN" both must lead to the same object; an ARN of another account or region leads
nowhere. Answers always hold whole ARNs.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from batchyard.errors import ClientError

_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_REVISION = re.compile(r"[1-9][0-9]{0,8}")


class Arns(NamedTuple):
    """ARNs of one account in one region."""

    account: str
    region: str

    def environment(self, name: str) -> str:
        return f"{self._batch}compute-environment/{name}"

    def queue(self, name: str) -> str:
        return f"{self._batch}job-queue/{name}"

    def policy(self, name: str) -> str:
        return f"{self._batch}scheduling-policy/{name}"

    def definition(self, name: str, revision: int) -> str:
        return f"{self._batch}job-definition/{name}:{revision}"

    def consumable(self, name: str) -> str:
        return f"{self._batch}consumable-resource/{name}"

    def job(self, job_id: str) -> str:
        return f"{self._batch}job/{job_id}"

    def role(self, given: str) -> str:
        """A role, given by name or ARN, as an ARN."""
        return given if given.startswith("arn:") else f"arn:aws:iam::{self.account}:role/{given}"

    def cluster(self, environment: str, uuid: str) -> str:
        """The ECS cluster of a compute environment."""
        return f"{self._ecs}cluster/AWSBatch-{environment}-{uuid}"

    def task(self, environment: str, uuid: str, task_id: str) -> str:
        return f"{self._ecs}task/AWSBatch-{environment}-{uuid}/{task_id}"

    def container_instance(self, environment: str, uuid: str, instance_id: str) -> str:
        return f"{self._ecs}container-instance/AWSBatch-{environment}-{uuid}/{instance_id}"

    def log_group(self, name: str) -> str:
        return f"arn:aws:logs:{self.region}:{self.account}:log-group:{name}"

    def environment_name(self, given: str) -> str | None:
        """The name in `given`, a name or ARN; None for an ARN that is not of this account, region and kind."""
        return self._own(given, "compute-environment/")

    def queue_name(self, given: str) -> str | None:
        return self._own(given, "job-queue/")

    def consumable_name(self, given: str) -> str | None:
        return self._own(given, "consumable-resource/")

    def policy_name(self, given: str) -> str | None:
        return self._own(given, "scheduling-policy/")

    def job_id(self, given: str) -> str | None:
        return self._own(given, "job/")

    def kind_and_name(self, given: str) -> tuple[str, str]:
        """What kind of thing an ARN of this account and region names, and its name; ("", "") for any other text."""
        kind, _, name = given[len(self._batch) :].partition("/") if given.startswith(self._batch) else ("", "", "")
        return kind, name

    def definition_name(self, given: str) -> DefinitionName | None:
        """The parts of NAME, NAME:REVISION or an ARN with or without revision; None for somebody else's ARN.

        ClientError if the name has a form that no definition has.
        """
        own = self._own(given, "job-definition/")
        if own is None:
            return None
        name, colon, revision = own.partition(":")
        if not _NAME.fullmatch(name) or (colon and not _REVISION.fullmatch(revision)):
            raise ClientError(f"Provided name {given} is not supported pattern[a-zA-Z_0-9-]{{1,128}}")
        return DefinitionName(name, int(revision) if colon else None)

    def _own(self, given: str, kind: str) -> str | None:
        if not given.startswith("arn:"):
            return given
        prefix = self._batch + kind
        return given[len(prefix) :] if given.startswith(prefix) else None

    @property
    def _batch(self) -> str:
        return f"arn:aws:batch:{self.region}:{self.account}:"

    @property
    def _ecs(self) -> str:
        return f"arn:aws:ecs:{self.region}:{self.account}:"


class DefinitionName(NamedTuple):
    """`revision` None means the newest active one."""

    name: str
    revision: int | None
