"""Consumable resources as they cross the doors. Source: reference "Consumable resources"."""

from __future__ import annotations

from typing import NamedTuple

Asks = tuple[tuple[int, int], ...]  # (number of a resource, quantity), in order of numbers; each resource once


class HeldConsumable(NamedTuple):
    """What a resource's row tells: how much was consumed for good since its creation. What is held is told by open
    attempts."""

    number: int
    consumed: int


SET, ADD, REMOVE = "SET", "ADD", "REMOVE"
MOST = 10**12  # of one resource, or asked for by one job


class NewConsumable(NamedTuple):
    """A consumable resource to store. `body` is a JSON object with its tags."""

    region: str
    name: str
    replenishable: bool
    total: int
    body: bytes
    created_ms: int
    idempotency: bytes | None = None


class ConsumableChange(NamedTuple):
    """An update of a consumable resource: SET, ADD or REMOVE a quantity.

    A call with the same key was carried out if that was at `valid_from_ms` or later; an older one does not count.
    """

    region: str
    name: str
    operation: str
    quantity: int
    at_ms: int
    idempotency: bytes | None
    valid_from_ms: int = 0
