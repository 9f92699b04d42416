"""Lists of overrides over those of a definition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct


def by(key: str, old: Iterable[Mapping[str, Any]] | None, new: list[Struct]) -> list[dict[str, Any]]:
    """`old` with entries of the same key replaced in place and new ones appended."""
    merged = {entry[key]: entry for entry in old or ()}
    for entry in msgspec.to_builtins(new):
        merged[entry[key]] = entry
    return list(merged.values())
