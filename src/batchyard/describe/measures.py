"""Numbers in sentences: resources, times and counts, as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from batchyard.model.needs import Needs
from batchyard.model.verdicts import BID, GPU, MEMORY, VCPU


def vcpus(milli: int) -> str:
    """`1 vCPU`, `0.25 vCPUs`, `8 vCPUs`."""
    text = f"{milli // 1000:,}" if milli % 1000 == 0 else f"{milli // 1000:,}.{milli % 1000:03}".rstrip("0")
    return f"{text} vCPU{'' if milli == 1000 else 's'}"


def amount(dimension: str, number: int) -> str:
    """So much of a dimension of ``model.verdicts``."""
    if dimension == VCPU:
        return vcpus(number)
    if dimension == MEMORY:
        return f"{number:,} MiB of memory"
    if dimension == GPU:
        return f"{number:,} GPU{'' if number == 1 else 's'}"
    assert dimension == BID
    return f"{number} %"


def needs(of: Needs) -> str:
    """All of it: `2 vCPUs, 4,096 MiB of memory and 1 GPU`."""
    parts = [amount(name, number) for name, number in zip((VCPU, MEMORY, GPU), of, strict=True) if number]
    return listed(parts) or "nothing"


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def span(ms: int) -> str:
    """A duration, to about a tenth: `12 seconds`, `3 minutes`, `2 hours`, `5 days`."""
    seconds = max(0, -(-ms // 1000))
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length:
            return count(round(seconds / length), unit)
    return count(seconds, "second")


def listed(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)
