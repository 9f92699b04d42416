"""Reads the catalogue and resolves what callers write in `instanceTypes`: types, families and keywords.

Source: reference "Allocation strategies and scaling" (keywords, families, usable memory). Prices become millionths of a
dollar. Of its memory a machine keeps 32 MiB for the agent and 4 percent for its kernel and devices: less is usable than
the type says, so a job that asks for all of it never fits, as on AWS.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources

from batchyard.model.environments import InstanceType
from batchyard.model.needs import Needs

OPTIMAL = "optimal"
DEFAULT = "default_x86_64"
KEYWORDS = {
    OPTIMAL: ("m6i", "c6i", "r6i", "c7i"),  # behaves as default_x86_64 since 2025-11-01
    DEFAULT: ("m6i", "c6i", "r6i", "c7i"),
    "default_arm64": ("m6g", "c6g", "r6g", "c7g"),
}
ARM = "arm64"
ARCHITECTURES = ("x86_64", "i386+x86_64", ARM)
MOST = 100_000_000  # of vCPUs, MiB or GPUs of one instance
COLUMNS = (
    "instance_type", "vcpus", "memory_mib", "gpus", "arch", "on_demand_usd_h_us_east_1", "spot_savings_pct",
    "spot_interruption_band_0to4",
)  # fmt: skip

_AGENT_MIB = 32
_KERNEL_PERCENT = 4
_TINY_MIB = 2048  # a family stands for its types from here on
_UNKNOWN_BAND = 4


class CatalogueError(ValueError):
    """The file is no catalogue; the message says where and why."""


class UnknownType(LookupError):
    """No type, family or keyword has this name."""


class Catalogue:
    """Instance types by name. Immutable."""

    def __init__(self, rows: Iterable[Mapping[str, str]]):
        self._types: dict[str, InstanceType] = {}
        self._families: dict[str, list[str]] = {}
        self._arm: set[str] = set()
        for line, row in enumerate(rows, 2):
            try:
                found = _instance_type(row)
            except ValueError as error:
                raise CatalogueError(f"line {line}: {error}") from None
            if found.name in self._types:
                raise CatalogueError(f"line {line}: {found.name} is there twice")
            self._types[found.name] = found
            self._families.setdefault(found.name.partition(".")[0], []).append(found.name)
            if row["arch"] == ARM:
                self._arm.add(found.name)
        for names in self._families.values():
            names.sort(key=lambda name: (self._types[name].room, name))

    def __len__(self) -> int:
        return len(self._types)

    @property
    def types(self) -> Mapping[str, InstanceType]:
        """All of them, by name."""
        return self._types

    def resolve(self, names: Sequence[str]) -> tuple[InstanceType, ...]:
        """The types that `names` stand for, in order, each once. Raises UnknownType."""
        found = dict.fromkeys(each for name in names for each in self._expand(name))
        return tuple(self._types[name] for name in found)

    def is_arm(self, found: InstanceType) -> bool:
        return found.name in self._arm

    def smallest_holding(self, needs: Needs) -> str | None:
        """The smallest type, neither bare metal nor of ARM, on which jobs may hold so much; GPUs only for who asks."""
        found = [
            each
            for each in self._types.values()
            if needs.fits(each.usable) and (needs.gpus or not each.room.gpus) and ".metal" not in each.name
        ]
        found = [each for each in found if each.name not in self._arm]
        return min(found, key=lambda each: (each.room, each.price, each.name)).name if found else None

    def _expand(self, name: str) -> list[str]:
        if name in KEYWORDS:
            return [each for family in KEYWORDS[name] for each in self._family(family)]
        if name in self._types:
            return [name]
        if name not in self._families:
            raise UnknownType(name)
        return self._family(name)

    def _family(self, family: str) -> list[str]:
        """Its types but bare metal and tiny ones, smallest first."""
        members = [self._types[name] for name in self._families.get(family, ())]
        return [each.name for each in members if ".metal" not in each.name and each.room.memory_mib >= _TINY_MIB]


def parse(text: str) -> Catalogue:
    """The catalogue in a CSV file. Raises CatalogueError."""
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            raise CatalogueError(f"the column {missing[0]} is missing; columns are {', '.join(COLUMNS)}")
        found = Catalogue(rows)
    except csv.Error as error:
        raise CatalogueError(f"near line {rows.line_num + 1}: it is not CSV: {error}") from None
    if not found:
        raise CatalogueError("it has no types")
    return found


@cache
def built_in() -> Catalogue:
    """The catalogue that comes with Batchyard."""
    return parse(built_in_text())


def built_in_text() -> str:
    return resources.files(__package__).joinpath("instance-types.csv").read_text()


def usable_mib(memory_mib: int) -> int:
    """What jobs may hold of an instance's memory."""
    return max(0, memory_mib - _AGENT_MIB - memory_mib * _KERNEL_PERCENT // 100)


def _instance_type(row: Mapping[str, str]) -> InstanceType:
    """ValueError names the column."""
    name = row["instance_type"] or ""
    if not re.fullmatch(r"[a-z0-9-]+\.[a-z0-9-]+", name):
        raise ValueError(f"column instance_type: {name!r} is no name such as c5.large")
    vcpus, memory = _number(row, "vcpus", 1), _number(row, "memory_mib", 1)
    room = Needs(vcpus * 1000, memory, _number(row, "gpus", 0, empty=0))
    if row["arch"] not in ARCHITECTURES:
        raise ValueError(f"column arch: {row['arch']!r} is none of {', '.join(ARCHITECTURES)}")
    price = _millionths(row["on_demand_usd_h_us_east_1"])
    saving = _number(row, "spot_savings_pct", 0, 100, empty=0)
    band = _number(row, "spot_interruption_band_0to4", 0, 4, empty=_UNKNOWN_BAND)
    return InstanceType(name, room, usable_mib(memory), price, price * (100 - saving) // 100, band)


def _number(row: Mapping[str, str], column: str, least: int, most: int = MOST, empty: int | None = None) -> int:
    text = (row[column] or "").strip()
    if not text and empty is not None:
        return empty
    if not re.fullmatch("[0-9]{1,9}", text) or not least <= int(text) <= most:
        raise ValueError(f"column {column}: {text!r} is no whole number from {least} to {most}")
    return int(text)


def _millionths(dollars: str | None) -> int:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,9})?", dollars or ""):
        raise ValueError(f"column on_demand_usd_h_us_east_1: {dollars!r} is no price in dollars, such as 0.085")
    whole, _, part = (dollars or "").partition(".")
    return int(whole) * 1_000_000 + int((part + "000000")[:6])
