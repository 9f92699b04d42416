"""What is read of the instances that managed environments have, and of what is open on them."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from batchyard.model.environments import HeldInstance


class OpenRow(NamedTuple):
    """An attempt that is open, by its job."""

    job: int
    index: int
    uuid: str
    instance: str  # '' on Fargate
    reclaim_ms: int | None  # when it is killed, if Fargate Spot interrupted it


class Instances(Protocol):
    """Of those that exist."""

    def instances(self, environment: int) -> list[HeldInstance]:
        """Those of a managed environment, in order of launch."""

    def instance(self, name: str) -> HeldInstance | None:
        """The one with this id."""

    def open_in(self, environment: int) -> list[OpenRow]:
        """The attempts that are open in an environment, in order of their jobs."""
