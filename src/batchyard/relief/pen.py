"""Lines with smooth edges, drawn on pixels of three bytes each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

Inked = dict[int, float]  # pixel, counted row by row from the first row of the strip: how much of it is covered, 0 to 1


def stroke(
    inked: Inked,
    width: int,
    rows: range,
    begin: Sequence[float],
    end: Sequence[float],
    half: float,
    strength: float = 1,
) -> None:
    """Cover what lies within `half` pixels of the straight line from `begin` to `end` (east, south), ends rounded.

    Covers only pixels of `rows` of a picture of this width; where lines meet, the stronger one counts.
    """
    (x0, y0), (x1, y1) = begin, end
    top, bottom = max(int(min(y0, y1) - half - 0.5), rows.start), min(int(max(y0, y1) + half + 1.5), rows.stop)
    left, right = max(int(min(x0, x1) - half - 0.5), 0), min(int(max(x0, x1) + half + 1.5), width)
    east, south = x1 - x0, y1 - y0
    length2 = east * east + south * south or 1.0
    for y in range(top, bottom):
        dy = y + 0.5 - y0
        for x in range(left, right):
            dx = x + 0.5 - x0
            along = min(1.0, max(0.0, (dx * east + dy * south) / length2))
            covered = half + 0.5 - math.hypot(dx - along * east, dy - along * south)
            if covered > 0:
                pixel, covered = (y - rows.start) * width + x, min(1.0, covered) * strength
                if covered > inked.get(pixel, 0.0):
                    inked[pixel] = covered


def ink(pixels: bytearray, inked: Mapping[int, float], colour: Sequence[int]) -> None:
    """Lay the colour over the pixels that are covered."""
    for pixel, covered in inked.items():
        at = 3 * pixel
        for part in range(3):
            under = pixels[at + part]
            pixels[at + part] = round(under + (colour[part] - under) * covered)


def stain(pixels: bytearray, inked: Mapping[int, float], colour: Sequence[int]) -> None:
    """Darken the pixels that are covered, as a glaze of the colour does: what is dark stays darker than the glaze."""
    for pixel, covered in inked.items():
        at = 3 * pixel
        for part in range(3):
            pixels[at + part] = round(pixels[at + part] * (1 - covered * (1 - colour[part] / 255)))
