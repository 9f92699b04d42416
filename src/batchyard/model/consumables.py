"""Consumable resources as they cross the doors. Source: reference "Consumable resources"."""

from __future__ import annotations

from typing import NamedTuple

Asks = tuple[tuple[int, int], ...]  # (number of a resource, quantity), in order of numbers; each resource once


class HeldConsumable(NamedTuple):
    """What a resource's row tells: how much was consumed for good. What is held is told by open attempts."""

    number: int
    consumed: int
