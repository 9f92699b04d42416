"""What the api asks the store about scheduling policies."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from batchyard.model.jobs import Deletion
from batchyard.model.shares import NewPolicy, PolicyChange


class PolicyRow(NamedTuple):
    id: int
    region: str
    name: str
    body: dict[str, Any]


class PolicyIntake(Protocol):
    """Writes what was asked about scheduling policies."""

    async def create_policy(self, new: NewPolicy) -> int:
        """Store it and return its number; ClientError `Object already exists` if the name is taken."""

    async def update_policy(self, change: PolicyChange) -> bool:
        """Store the change, which holds at once in every queue that goes by the policy; False if there is none."""

    async def delete_policy(self, deletion: Deletion) -> bool:
        """Delete it; False if there is none, ClientError while a queue goes by it."""


class PolicyReader(Protocol):
    """Reads of scheduling policies."""

    def policy(self, region: str, name: str) -> PolicyRow | None: ...

    def policies(self, region: str, after: int, limit: int) -> list[PolicyRow]:
        """In order of creation, those whose number is above `after`."""
