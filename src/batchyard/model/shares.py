"""Fair share as the scheduler knows it. Source: reference "Scheduling: FIFO and fair share"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

WEIGHT_ONE = 10_000  # weights are ten-thousandths: 0.0001 to 999.9999
WINDOW_MIN_S = 600


class SharePolicy(NamedTuple):
    """A fairsharePolicy. `weights` names share identifiers, or prefixes that end in `*`; no two match one share."""

    decay_s: int = 0
    reservation_percent: int = 0
    weights: tuple[tuple[str, int], ...] = ()

    @property
    def window_ms(self) -> int:
        """The period over which use counts."""
        return max(WINDOW_MIN_S, self.decay_s) * 1000

    def weight_of(self, share: str) -> int:
        """Ten-thousandths; the lower, the more resources. Who is not listed weighs 1."""
        for name, weight in self.weights:
            if name == share or (name.endswith("*") and share.startswith(name[:-1])):
                return weight
        return WEIGHT_ONE


class NewPolicy(NamedTuple):
    """A scheduling policy to store. `body` is the JSON object of its fairsharePolicy as given, and its tags."""

    region: str
    name: str
    value: SharePolicy
    body: bytes
    created_ms: int
    idempotency: bytes | None = None  # as of ``jobs.NewQueue``


class PolicyChange(NamedTuple):
    """An update of a scheduling policy; `members` take the place of those of its body."""

    region: str
    name: str
    value: SharePolicy
    members: Mapping[str, Any]
    at_ms: int
    idempotency: bytes | None = None


class HeldShare(NamedTuple):
    """What a share has used, as its row tells it: thousandths of a vCPU times ms, decayed, up to `charged_ms`."""

    queue: int
    share: str
    usage: int
    charged_ms: int
    used_ms: int = 0  # when an attempt of it last opened or closed; 0: never
    latest_cpu_milli: int = 0  # of that attempt
