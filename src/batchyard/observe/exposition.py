"""Prometheus' text format, version 0.0.4: one sample a line, families in the order of METRICS."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from batchyard.observe.metrics import HISTOGRAM, Metric, decimal


class Sample(NamedTuple):
    """A number with its labels' values, in the order of the metric's labels. Of a histogram: one count for each bound,
    one for all above, and the sum."""

    labels: tuple[str, ...]
    value: int | Sequence[int]


def family(metric: Metric, samples: Iterable[Sample]) -> str:
    """All lines of a metric; only its head if there is no sample."""
    lines = [f"# HELP {metric.name} {_help(metric.help)}", f"# TYPE {metric.name} {metric.kind}"]
    for labels, value in samples:
        pairs = [f'{name}="{escaped(given)}"' for name, given in zip(metric.labels, labels, strict=True)]
        if metric.kind == HISTOGRAM:
            lines += _histogram(metric, pairs, value)
        else:
            lines.append(f"{metric.name}{_braced(pairs)} {decimal(value, metric.times, metric.by)}")
    return "\n".join(lines) + "\n"


def _histogram(metric: Metric, pairs: list[str], value: Sequence[int]) -> list[str]:
    *counts, total = value
    lines, below = [], 0
    for bound, count in zip((*metric.buckets, "+Inf"), counts, strict=True):
        below += count
        bucket = _braced([*pairs, f'le="{bound}"'])
        lines.append(f"{metric.name}_bucket{bucket} {below}")
    lines.append(f"{metric.name}_sum{_braced(pairs)} {decimal(total, metric.times, metric.by)}")
    lines.append(f"{metric.name}_count{_braced(pairs)} {below}")
    return lines


def _braced(pairs: list[str]) -> str:
    return "{" + ",".join(pairs) + "}" if pairs else ""


def escaped(value: str) -> str:
    """A label's value as it stands between quotes."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")
