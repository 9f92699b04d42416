"""Consumable resources: what is created and changed, and what jobs ask for (reference "Consumable resources").

A job may ask for what does not exist; it waits for it then. So only the form of a name is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from batchyard.admission import names, tags
from batchyard.errors import ClientError
from batchyard.model.consumables import ADD, MOST, REMOVE, SET, ConsumableChange, NewConsumable
from batchyard.wire.shapes import (
    ConsumableResourceProperties,
    CreateConsumableResourceRequest,
    UpdateConsumableResourceRequest,
)

ASKED_MOST = 5  # resources of one job
REPLENISHABLE, NON_REPLENISHABLE = "REPLENISHABLE", "NON_REPLENISHABLE"
TOKEN_MS = 8 * 3_600_000  # how long a clientToken counts
TOKEN_LENGTH = 64

_ARN = re.compile(r"arn:aws:batch:([a-z0-9-]+):([0-9]{12}):consumable-resource/(.*)", re.DOTALL)


class Asked(NamedTuple):
    """One entry of a consumableResourceList: the resource's name, what the caller wrote for it, and how much."""

    name: str
    given: str
    quantity: int


def admit(request: CreateConsumableResourceRequest, region: str, now_ms: int, key: bytes | None) -> NewConsumable:
    """The resource to store, or ClientError. Without totalQuantity there is none of it yet."""
    names.check_consumable_name(request.consumableResourceName)
    kind = request.resourceType or REPLENISHABLE
    if kind not in (REPLENISHABLE, NON_REPLENISHABLE):
        raise ClientError(
            f"resourceType {kind[:100]!r} is not valid.",
            f"Use {REPLENISHABLE} or {NON_REPLENISHABLE}, or leave it out.",
        )
    total = 0 if request.totalQuantity is UNSET else request.totalQuantity
    if total < 0:
        raise ClientError("totalQuantity cannot be a negative number.")
    _check_most("totalQuantity", total)
    body = msgspec.json.encode({"tags": tags.checked(request.tags)})
    return NewConsumable(region, request.consumableResourceName, kind == REPLENISHABLE, total, body, now_ms, key)


def admit_change(
    request: UpdateConsumableResourceRequest,
    region: str,
    name: str,
    now_ms: int,
    key: bytes | None,
    key_of: Callable[[str], bytes],
) -> ConsumableChange:
    """What to change, or ClientError. `key` is that of the call, `key_of` makes one of a clientToken, which comes
    before it and counts for eight hours."""
    operation = request.operation or SET
    if operation not in (SET, ADD, REMOVE):
        raise ClientError(f"operation {operation[:100]!r} is not valid.", "Use SET, ADD or REMOVE.")
    if request.quantity is UNSET:
        raise ClientError(f"quantity is required to {operation} some of {name}.", "Give a number, 0 or more.")
    if request.quantity < 0:
        raise ClientError(
            f"quantity cannot be a negative number, got {request.quantity}.", "REMOVE takes away what it names."
        )
    _check_most("quantity", request.quantity)
    token = request.clientToken or ""
    if len(token) > TOKEN_LENGTH:
        raise ClientError(
            f"clientToken can be at most {TOKEN_LENGTH} characters long, got {len(token)}.", "A UUID does well."
        )
    change = ConsumableChange(region, name, operation, request.quantity, now_ms, key)
    return change._replace(idempotency=key_of(token), valid_from_ms=now_ms - TOKEN_MS) if token else change


def asked(properties: ConsumableResourceProperties | UnsetType, region: str, account: str) -> list[Asked]:
    """What a definition or a submission asks for; [] if the member is absent. ClientError if a rule is broken."""
    if properties is UNSET:
        return []
    listed = [_asked(each, region, account) for each in properties.consumableResourceList or ()]
    _check_list(listed)
    return listed


def merged(of_definition: list[Asked], override: list[Asked]) -> list[Asked]:
    """The override replaces quantities, and adds what the definition does not name."""
    by_name = {each.name: each for each in of_definition}
    for each in override:
        given = by_name[each.name].given if each.name in by_name else each.given
        by_name[each.name] = each._replace(given=given)
    listed = list(by_name.values())
    _check_list(listed)
    return listed


def summed(listed: Iterable[Asked]) -> list[Asked]:
    """Each resource once, with all that is asked for of it. ClientError if that is more than there can ever be."""
    by_name: dict[str, Asked] = {}
    for each in listed:
        before = by_name.get(each.name, each._replace(quantity=0))
        by_name[each.name] = before._replace(quantity=before.quantity + each.quantity)
    for each in by_name.values():
        _check_most(f"quantity of consumable resource {each.given[:200]} for all nodes together", each.quantity)
    return list(by_name.values())


def shown(listed: list[Asked]) -> dict[str, Any]:
    """As DescribeJobs gives it back."""
    return {
        "consumableResourceList": [{"consumableResource": each.given, "quantity": each.quantity} for each in listed]
    }


def _asked(entry: Any, region: str, account: str) -> Asked:
    given = entry.consumableResource or ""
    if not given:
        raise ClientError(f"consumableResource {given!r} names none.", "Give a name or ARN in each entry.")
    if entry.quantity is UNSET:
        raise ClientError(f"quantity of consumable resource {given[:200]} is required.", "Give a number of 1 or more.")
    if entry.quantity < 1:
        raise ClientError(
            f"quantity of consumable resource {given[:200]} must be at least 1, got {entry.quantity}.",
            "Leave the entry out if none is needed.",
        )
    _check_most(f"quantity of consumable resource {given[:200]}", entry.quantity)
    return Asked(_name(given, region, account), given, entry.quantity)


def _name(given: str, region: str, account: str) -> str:
    if not given.startswith("arn:"):
        names.check_consumable_name(given)
        return given
    match = _ARN.fullmatch(given)
    if match is None or match[1] != region or match[2] != account:
        raise ClientError(
            f"{given[:200]} is not the ARN of a consumable resource in region {region} of account {account}.",
            "A job can only ask for resources of its own region and account.",
        )
    names.check_consumable_name(match[3])
    return match[3]


def _check_list(listed: list[Asked]) -> None:
    if len(listed) > ASKED_MOST:
        raise ClientError(f"Each ConsumableResourceProperty can have at most {ASKED_MOST} consumableResources")
    if len({each.name for each in listed}) < len(listed):
        raise ClientError("Cannot have duplicate consumableResource in consumableResourceProperties")


def _check_most(member: str, quantity: int) -> None:
    if quantity > MOST:
        raise ClientError(f"{member} can be at most {MOST}, got {quantity}.", "Count in larger units.")
