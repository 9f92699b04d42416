"""CreateSchedulingPolicy and UpdateSchedulingPolicy: a request becomes a NewPolicy or a PolicyChange, or is refused
(reference "Scheduling: FIFO and fair share")."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from batchyard.admission import names, tags
from batchyard.errors import ClientError
from batchyard.model.shares import WEIGHT_ONE, NewPolicy, PolicyChange, SharePolicy
from batchyard.wire.shapes import (
    CreateSchedulingPolicyRequest,
    FairsharePolicy,
    ShareAttributes,
    UpdateSchedulingPolicyRequest,
)

SHARES_MAX = 500
DECAY_MAX_S = 604_800
RESERVATION_MAX = 99
WEIGHT_BOUND = 1000 * WEIGHT_ONE
IDLE_STRATEGY = "FIFO"


def admit(
    request: CreateSchedulingPolicyRequest, region: str, now_ms: int, idempotency: bytes | None = None
) -> NewPolicy:
    """The policy to store, or ClientError. Without a kind it is a fairsharePolicy that leaves everything out."""
    names.check_policy_name(request.name)
    given = _fairshare(request)
    body = {"fairsharePolicy": given, "tags": tags.checked(request.tags)}
    value = read(given)
    return NewPolicy(region, request.name, value, msgspec.json.encode(body), now_ms, idempotency)


def admit_change(
    request: UpdateSchedulingPolicyRequest, region: str, name: str, now_ms: int, idempotency: bytes | None
) -> PolicyChange:
    """What the policy is from now on, or ClientError; what the new one leaves out has its default again."""
    if request.fairsharePolicy is UNSET and request.quotaSharePolicy is UNSET:
        raise ClientError(
            f"UpdateSchedulingPolicy names nothing to change of scheduling policy {name}.", "Give fairsharePolicy."
        )
    given = _fairshare(request)
    members: dict[str, Any] = {"fairsharePolicy": msgspec.to_builtins(given)}
    return PolicyChange(region, name, read(given), members, now_ms, idempotency)


def _fairshare(request: CreateSchedulingPolicyRequest | UpdateSchedulingPolicyRequest) -> FairsharePolicy:
    """The fairsharePolicy of the request; the other kind is for queues that Batchyard does not have."""
    quota = request.quotaSharePolicy
    if quota is UNSET:
        return FairsharePolicy() if request.fairsharePolicy is UNSET else request.fairsharePolicy
    if request.fairsharePolicy is not UNSET:
        raise ClientError("A scheduling policy can have either fairsharePolicy or quotaSharePolicy")
    if quota.idleResourceAssignmentStrategy not in (UNSET, IDLE_STRATEGY):
        raise ClientError(f"Idle resource assignment strategy must be one of [{IDLE_STRATEGY}].")
    raise ClientError(
        f"Batchyard does not support quotaSharePolicy {{{IDLE_STRATEGY}}} yet: it is for queues of SageMaker Training "
        "jobs.",
        "Give a fairsharePolicy.",
    )


def read(given: FairsharePolicy) -> SharePolicy:
    """The policy as the scheduler knows it; ClientError if it breaks a rule."""
    decay_s = _within(given.shareDecaySeconds, "shareDecaySeconds", DECAY_MAX_S)
    percent = _within(given.computeReservation, "computeReservation", RESERVATION_MAX)
    distribution = given.shareDistribution or []
    if len(distribution) > SHARES_MAX:
        raise ClientError(f"ShareDistribution size cannot be greater than {SHARES_MAX}.")
    weights = tuple((entry.shareIdentifier, _weight(entry)) for entry in distribution)
    _check_apart([share for share, _ in weights])
    return SharePolicy(decay_s, percent, weights)


def _within(given: int | Any, member: str, most: int) -> int:
    if given is UNSET:
        return 0
    if not 0 <= given <= most:
        raise ClientError(f"{member} must be between 0 and {most}, got {given}.", "Leave it out for the default, 0.")
    return given


def _weight(entry: ShareAttributes) -> int:
    """In ten-thousandths."""
    names.check_share(entry.shareIdentifier)
    if entry.weightFactor is UNSET:
        return WEIGHT_ONE
    weight = round(max(0, min(entry.weightFactor, 1000)) * WEIGHT_ONE)
    if not 0 < weight < WEIGHT_BOUND:
        raise ClientError("Weight factor should be between 0.0001 and 999.9999.")
    return weight


def _check_apart(shares: list[str]) -> None:
    """No two entries may be of one share: whatever begins with a prefix stands right behind it in order."""
    if len(set(shares)) < len(shares):
        raise ClientError("Cannot have two or more identical shareIdentifiers.")
    ordered = sorted((share.removesuffix("*"), not share.endswith("*"), share) for share in shares)
    for (stem, whole, share), (other_stem, _, other) in zip(ordered, ordered[1:], strict=False):
        if not whole and other_stem.startswith(stem):
            raise ClientError(f"Share identifier {other} matches another share identifier {share}")
