"""nodeProperties and nodeOverrides: which container each node of a multi-node job runs, and what it needs.

Ranges may nest: what a range that lies within another says of its container takes the other's place, member by member
(resourceRequirements by type); ecsProperties take it as a whole. Source: reference "Multi-node parallel jobs"; texts
that are not AWS's are ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from batchyard.admission import containers, node_consumables, overrides, requirements, tasks
from batchyard.admission.compiled import CompiledDefinition
from batchyard.admission.consumables import Asked
from batchyard.errors import ClientError
from batchyard.model.jobs import NodeGroup, Nodes
from batchyard.model.needs import Needs
from batchyard.model.tasks import is_task
from batchyard.wire.shapes import ContainerProperties, NodeOverrides, NodeProperties, NodePropertyOverride

NODES_MAX, RANGES_MAX = 1000, 5

_TARGET = re.compile(r"([0-9]{0,6})(:?)([0-9]{0,6})")


class Range(NamedTuple):
    """Nodes lo..hi-1; `open` if it goes to the last node, however many there are."""

    lo: int
    hi: int
    open: bool


class Merged(NamedTuple):
    """A multi-node job: its nodes, the container of each group of them, what Describe shows, notices, askings."""

    nodes: Nodes
    containers: list[dict[str, Any]]  # or their tasks
    shown: dict[str, Any]
    ranges: list[dict[str, Any]]  # nodeRangeProperties of `shown`
    said: list[str]
    asks: list[Asked]  # of consumable resources, all nodes together


def check(properties: NodeProperties, region: str, account: str) -> None:
    """ClientError if nodeProperties of a definition break a rule."""
    listed = properties.nodeRangeProperties
    if not listed:
        raise ClientError(
            f"nodeProperties of {properties.numNodes} nodes has no nodeRangeProperties.", "Give a range, such as 0:."
        )
    for each in listed:
        where = f"node range {each.targetNodes}"
        if each.container is not UNSET and each.ecsProperties is not UNSET:
            raise ClientError("NodeRangeProperties can not use both ecsProperties and container fields")
        if each.eksProperties is not UNSET:
            raise ClientError(
                f"Batchyard does not support eksProperties of {where} yet.", "Give it a container or ecsProperties."
            )
        if each.container is UNSET and each.ecsProperties is UNSET:
            raise ClientError(f"Must specify container for {where}")
        if each.ecsProperties is not UNSET:
            tasks.check(each.ecsProperties, fargate=False)
            _check_types(each.instanceTypes)
        elif each.instanceTypes:
            raise ClientError(
                "Using instanceTypes with nodeRangeProperty is only allowed for ecsProperties jobs.",
                "Name the type in container.instanceType.",
            )
    given = msgspec.to_builtins(properties)
    nodes, _, around = groups_of(given)
    node_consumables.of_all(nodes, around, given["nodeRangeProperties"], region, account)


def _check_types(types: list[str] | UnsetType) -> None:
    if types and len(types) > 1:
        raise ClientError(f"instanceTypes of a node range can name one type, got {', '.join(types)}.", "Name one.")


def groups_of(properties: Mapping[str, Any]) -> tuple[Nodes, list[dict[str, Any]], list[list[int]]]:
    """The groups of equal nodes with the merged container, or the task, of each, and the places of the ranges around
    it, outermost first; ClientError if a rule is broken."""
    count, main, listed = properties["numNodes"], properties["mainNode"], properties["nodeRangeProperties"]
    if not 1 <= count <= NODES_MAX:
        raise ClientError(f"Number of nodes must be between 1 and {NODES_MAX}.")
    if not 0 <= main < count:
        raise ClientError("Main node index is out of range, must be less than numNodes.")
    if len(listed) > RANGES_MAX:
        raise ClientError(f"Maximum allowed size of node range properties is {RANGES_MAX}")
    ranges = [_range(each["targetNodes"], count) for each in listed]
    _check_nested(ranges, [each["targetNodes"] for each in listed])
    borders = sorted({0, count, *(each.lo for each in ranges), *(each.hi for each in ranges)})
    groups, merged, around, types = [], [], [], set()
    for lo, hi in zip(borders, borders[1:], strict=False):
        outside_in = sorted((each.lo - each.hi, place) for place, each in enumerate(ranges) if each.lo <= lo < each.hi)
        if not outside_in:
            raise ClientError(
                f"Node range properties do not cover nodes {lo} to {hi - 1}.", "Every node must be in a range."
            )
        around.append([place for _, place in outside_in])
        work, kind = _merged([listed[place] for place in around[-1]])
        groups.append(NodeGroup(lo, hi, _needs(work)))
        merged.append(work)
        types.add(kind)
    if len(types) > 1:
        named = ", ".join(sorted(each or "none" for each in types))
        raise ClientError(
            f"All node ranges must have the same instanceType, got {named}.", "Give all of them the same one, or none."
        )
    return Nodes(main, tuple(groups), types.pop()), merged, around


def _merged(outside_in: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], str | None]:
    """What nodes run that lie in these ranges, and the instance type that they ask for.

    A container takes its place member by member, a task as a whole, as does one of the other kind.
    """
    work: dict[str, Any] = {}
    kind = None
    for each in outside_in:
        if "ecsProperties" in each:
            work = tasks.task_of(each["ecsProperties"])
            kind = next(iter(each.get("instanceTypes") or ()), kind)
        else:
            work = _over({} if is_task(work) else work, each["container"])
            kind = work.get("instanceType") or kind
    return work, kind


def _needs(work: Mapping[str, Any]) -> Needs:
    if is_task(work):
        return tasks.needs_of(work, fargate=False)
    given = msgspec.convert(work, ContainerProperties)
    containers.check(given, fargate=False)
    return requirements.complete(
        requirements.read(given.resourceRequirements, given.vcpus, given.memory, False), fargate=False
    )


def merge(
    definition: CompiledDefinition, asked: NodeOverrides | msgspec.UnsetType, region: str, account: str
) -> Merged:
    """The job that a multi-node definition makes with these overrides."""
    assert definition.nodes is not None
    shown: dict[str, Any] = {**definition.nodes}
    listed = [dict(each) for each in shown["nodeRangeProperties"]]
    said: list[str] = []
    shown["nodeRangeProperties"] = listed
    if asked is not UNSET and asked.numNodes is not UNSET:
        _check_count(asked.numNodes, shown, listed)
        shown["numNodes"] = asked.numNodes
    for override in (asked.nodePropertyOverrides or ()) if asked is not UNSET else ():
        matching = [each for each in listed if each["targetNodes"] == override.targetNodes]
        if not matching:
            raise ClientError(
                f"NodeOverride targets should match job definition. Non matching targets - {override.targetNodes}"
            )
        _check_kind(override, "ecsProperties" in matching[0])
        node_consumables.override(override, matching[0], region, account)
        if override.ecsPropertiesOverride:
            task = tasks.task_of(matching[0]["ecsProperties"])
            task = tasks.merge(override.ecsPropertiesOverride, task, fargate=False)
            matching[0]["ecsProperties"] = {"taskProperties": [task]}
        if override.instanceTypes:
            _check_types(override.instanceTypes)
            matching[0]["instanceTypes"] = override.instanceTypes
        if override.containerOverrides:
            of_range = definition._replace(container=matching[0]["container"])
            container, _, more = overrides.merge(override.containerOverrides, of_range)
            if override.containerOverrides.instanceType:
                container["instanceType"] = override.containerOverrides.instanceType
            matching[0]["container"] = container
            said += [each for each in more if "instanceType" not in each]
    nodes, merged, around = groups_of(shown)
    asks = node_consumables.of_all(nodes, around, listed, region, account)
    return Merged(nodes, merged, shown, listed, said, asks)


def _check_kind(override: NodePropertyOverride, has_task: bool) -> None:
    """ClientError for members that do not fit a range with ecsProperties, or one with a container."""
    foreign = ("containerOverrides",) if has_task else ("ecsPropertiesOverride", "instanceTypes")
    for member in ("eksPropertiesOverride", *foreign):
        if getattr(override, member):
            has = "ecsProperties" if has_task else "a container"
            raise ClientError(
                f"nodeOverrides: {member} does not apply to the range {override.targetNodes}, which has {has}.",
                "Leave it out.",
            )


def _check_count(count: int, shown: Mapping[str, Any], listed: Sequence[Mapping[str, Any]]) -> None:
    """ClientError unless the definition leaves open how many nodes there are, and so many are possible."""
    lowest = [_range(each["targetNodes"], NODES_MAX) for each in listed]
    if not any(each.open for each in lowest):
        raise ClientError(
            "NumNodes override can only be applied if the job definition has at least 1 target node without a "
            "range_end i.e (:) or (range_start:)."
        )
    if count <= shown["mainNode"]:
        raise ClientError("Main node index is out of range, must be less than numNodes.")
    for each, given in zip(lowest, listed, strict=True):
        if (each.lo if each.open else each.hi - 1) >= count:
            raise ClientError(
                f"nodeOverrides: numNodes {count} leaves no node for the range {given['targetNodes']}.",
                "Ask for more nodes.",
            )


def _range(target: str, count: int) -> Range:
    """`a:b` (b is in it), `:b`, `a:`, `:` or `n`; ClientError if it has another form or no such nodes exist."""
    found = _TARGET.fullmatch(target)
    if found is None or not target:
        raise ClientError("targetNodes should contain only digits.")
    first, colon, last = found.groups()
    lo = int(first or 0)
    hi = (int(last) + 1 if last else count) if colon else lo + 1
    if not lo < hi <= count:
        raise ClientError(
            f"targetNodes {target} is out of range: there are nodes 0 to {count - 1}.", "Name existing nodes, in order."
        )
    return Range(lo, hi, bool(colon) and not last)


def _check_nested(ranges: Sequence[Range], targets: Sequence[str]) -> None:
    for place, one in enumerate(ranges):
        for other, target in zip(ranges[:place], targets, strict=False):
            apart = one.hi <= other.lo or other.hi <= one.lo
            within = (one.lo >= other.lo and one.hi <= other.hi) or (other.lo >= one.lo and other.hi <= one.hi)
            if one[:2] == other[:2] or not (apart or within):
                raise ClientError(
                    f"Node ranges {target} and {targets[place]} overlap.",
                    "A range must lie wholly within another or apart from it.",
                )


def _over(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> dict[str, Any]:
    """The container of an inner range over that of an outer one."""
    merged = {**outer, **inner}
    asked = {each["type"]: each for each in outer.get("resourceRequirements") or ()}
    asked |= {each["type"]: each for each in inner.get("resourceRequirements") or ()}
    for member, kind in (("vcpus", "VCPU"), ("memory", "MEMORY")):
        if member in inner:
            asked.pop(kind, None)
        elif kind in asked:
            merged.pop(member, None)
    if asked or "resourceRequirements" in merged:
        merged["resourceRequirements"] = list(asked.values())
    return merged
