"""What all strips have counted together, as text (step F)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from batchyard.relief.model import PIXEL_M, Model

BAR_WIDTH = 40
_STEP_M = 100
_EIGHTHS = " ▏▎▍▌▋▊▉█"


class Counts(NamedTuple):
    """Sums over the map."""

    metres: Counter[int]  # pixels by height
    degrees: Counter[int]  # pixels by steepness
    line_km: float  # of contour lines


def added(strips: Sequence[dict[str, Any]]) -> Counts:
    """The sum of what `contours.counted` found in each strip; names of members may have become text on the way."""
    metres: Counter[int] = Counter()
    degrees: Counter[int] = Counter()
    for strip in strips:
        metres.update({int(height): pixels for height, pixels in strip["metres"].items()})
        degrees.update({int(angle): pixels for angle, pixels in strip["degrees"].items()})
    return Counts(metres, degrees, math.fsum(strip["line_m"] for strip in strips) / 1000)


def told(model: Model, survey: dict[str, Any], counts: Counts) -> str:
    """A few lines for a person."""
    across, down = (pixels * PIXEL_M / 1000 for pixels in (model.width, model.height))
    pixels = counts.metres.total()
    lines = [
        f"{across:.0f} by {down:.0f} km of Tennessee: {model.columns * model.rows:,} measured elevations, "
        f"{survey['lowest']:,} to {survey['highest']:,} m, became {pixels:,} pixels.",
        "",
        "How much of the land lies above",
    ]
    first = -(-survey["lowest"] // _STEP_M) * _STEP_M
    for level in range(survey["highest"] // _STEP_M * _STEP_M, first - 1, -_STEP_M):
        part = sum(many for metres, many in counts.metres.items() if metres >= level) / pixels
        lines.append(f"  {level:>5,} m  {bar(part, BAR_WIDTH)} {100 * part:.{0 if part >= 0.1 else 1}f} %")
    lines += [
        "",
        f"Half of it lies above {middle(counts.metres):,} m, half of it is steeper than {middle(counts.degrees)}°, "
        f"and no slope is steeper than {max(counts.degrees) + 1}°.",
        f"{survey['streams_km']:,.0f} km of streams, {survey['lakes_km2']:.1f} km² of lakes, "
        f"{counts.line_km:,.0f} km of contour lines.",
    ]
    return "\n".join(lines)


def middle(counter: Counter[int]) -> int:
    """The value that half of all do not reach."""
    reached, half = 0, counter.total() / 2
    for value in sorted(counter):
        reached += counter[value]
        if reached > half:
            return value
    raise ValueError("nothing was counted")


def bar(part: float, width: int) -> str:
    """`part` (0 to 1) of a bar of so many cells, exact to an eighth of a cell."""
    eighths = round(8 * width * part)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
