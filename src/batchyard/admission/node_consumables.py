"""What the nodes of a multi-node job ask for of consumable resources, range by range.

A quantity is what each node of the range has. Where ranges nest, a node has what all of those around it ask for, and of
each resource as much as the innermost says, as with resourceRequirements. Both are choices of ours
(docs/decisions/20261128-gangs.md). Source: reference "Consumable resources".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from batchyard.admission import consumables
from batchyard.admission.consumables import Asked
from batchyard.model.jobs import Nodes
from batchyard.wire.shapes import ConsumableResourceProperties, NodePropertyOverride

_MEMBER = "consumableResourceProperties"


def of_all(
    nodes: Nodes, around: Sequence[Sequence[int]], listed: Sequence[Mapping[str, Any]], region: str, account: str
) -> list[Asked]:
    """What all nodes ask for together; `around` are the places in `listed` of the ranges around each group of nodes,
    outermost first. ClientError if a rule is broken."""
    of_ranges = [_of_range(each, region, account) for each in listed]
    return consumables.summed(_each(nodes, around, of_ranges))


def override(given: NodePropertyOverride, of_range: dict[str, Any], region: str, account: str) -> None:
    """Change what a range asks for as a submission says; ClientError if a rule is broken."""
    if given.consumableResourcePropertiesOverride is not UNSET:
        wanted = consumables.asked(given.consumableResourcePropertiesOverride, region, account)
        of_range[_MEMBER] = consumables.shown(consumables.merged(_of_range(of_range, region, account), wanted))


def _each(nodes: Nodes, around: Sequence[Sequence[int]], of_ranges: Sequence[list[Asked]]) -> Iterator[Asked]:
    for group, places in zip(nodes.groups, around, strict=True):
        of_node: list[Asked] = []
        for place in places:
            of_node = consumables.merged(of_node, of_ranges[place])
        for each in of_node:
            yield each._replace(quantity=each.quantity * (group.hi - group.lo))


def _of_range(listed: Mapping[str, Any], region: str, account: str) -> list[Asked]:
    if _MEMBER not in listed:
        return []
    return consumables.asked(msgspec.convert(listed[_MEMBER], ConsumableResourceProperties), region, account)
