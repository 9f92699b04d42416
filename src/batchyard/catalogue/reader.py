"""Reads the catalogue and resolves what callers write in `instanceTypes`: types, families and keywords.

Source: reference "Allocation strategies and scaling" (keywords, families, usable memory). Prices become millionths of a
dollar. Of its memory a machine keeps 32 MiB for the agent and 4 percent for its kernel and devices: less is usable than
the type says, so a job that asks for all of it never fits, as on AWS.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources

from batchyard.model.environments import InstanceType
from batchyard.model.needs import Needs

FILE = "catalogue.csv"  # in the data directory: the operator's own

OPTIMAL = "optimal"
DEFAULT = "default_x86_64"
KEYWORDS = {
    OPTIMAL: ("m6i", "c6i", "r6i", "c7i"),  # behaves as default_x86_64 since 2025-11-01
    DEFAULT: ("m6i", "c6i", "r6i", "c7i"),
    "default_arm64": ("m6g", "c6g", "r6g", "c7g"),
}
ARM = "arm64"
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
            except (KeyError, TypeError, ValueError) as error:
                raise CatalogueError(f"line {line}: {error!s}; columns are {', '.join(COLUMNS)}") from None
            self._types[found.name] = found
            self._families.setdefault(found.name.partition(".")[0], []).append(found.name)
            if row["arch"] == ARM:
                self._arm.add(found.name)
        for names in self._families.values():
            names.sort(key=lambda name: (self._types[name].room, name))

    def __len__(self) -> int:
        return len(self._types)

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
    rows = csv.DictReader(io.StringIO(text, newline=""))
    missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise CatalogueError(f"the column {missing[0]} is missing; columns are {', '.join(COLUMNS)}")
    return Catalogue(rows)


@cache
def built_in() -> Catalogue:
    """The catalogue that comes with Batchyard."""
    return parse(resources.files(__package__).joinpath("instance-types.csv").read_text())


def usable_mib(memory_mib: int) -> int:
    """What jobs may hold of an instance's memory."""
    return max(0, memory_mib - _AGENT_MIB - memory_mib * _KERNEL_PERCENT // 100)


def _instance_type(row: Mapping[str, str]) -> InstanceType:
    name, memory = row["instance_type"], int(row["memory_mib"])
    room = Needs(int(row["vcpus"]) * 1000, memory, int(row["gpus"] or 0))
    if not name or min(room) < 0 or not room.cpu_milli or not memory:
        raise ValueError(f"{name or 'a type without a name'} has {row['vcpus']} vCPUs and {memory} MiB")
    price = _millionths(row["on_demand_usd_h_us_east_1"])
    saving, band = row["spot_savings_pct"], row["spot_interruption_band_0to4"]
    spot_price = price * (100 - int(saving)) // 100 if saving else price
    return InstanceType(name, room, usable_mib(memory), price, spot_price, int(band) if band else _UNKNOWN_BAND)


def _millionths(dollars: str) -> int:
    whole, _, part = dollars.partition(".")
    return int(whole) * 1_000_000 + int((part + "000000")[:6])
