"""Contour lines, and what a strip can tell of the land (step D)."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from batchyard.relief import pen
from batchyard.relief.model import PIXEL_M
from batchyard.relief.refine import Strip

EVERY_M, HEAVY_M = 50, 250  # from line to line, and from heavy line to heavy line
_LINE, _HEAVY = (0.30, 0.24), (0.55, 0.36)  # half their width in pixels, and how dark they are
FLAT = 0.004  # on less steep land (rise per metre) a line would be a smudge: it is drawn as on this slope


def lines(strip: Strip) -> pen.Inked:
    """The pixels that contour lines cover, and how much.

    A pixel is as far from a line as its height is from the line's, over its slope: no line is ever followed.
    """
    inked: pen.Inked = {}
    reach = _HEAVY[0] + 0.5
    for pixel, (metres, east, south) in enumerate(zip(strip.heights, strip.east, strip.south, strict=True)):
        nearest = round(metres / EVERY_M) * EVERY_M
        away = abs(metres - nearest)
        steep = PIXEL_M * max(FLAT, math.sqrt(east * east + south * south))  # metres from this pixel to the next
        if away < reach * steep:
            half, strength = _LINE if nearest % HEAVY_M else _HEAVY
            covered = half + 0.5 - away / steep
            if covered > 0:
                inked[pixel] = min(1.0, covered) * strength
    return inked


def counted(strip: Strip) -> dict[str, Any]:
    """Pixels by height (whole metres) and by steepness (whole degrees), and the metres of contour lines."""
    rises = [math.sqrt(east * east + south * south) for east, south in zip(strip.east, strip.south, strict=True)]
    return {
        "metres": Counter(map(math.floor, strip.heights)),
        "degrees": Counter(int(math.degrees(math.atan(rise))) for rise in rises),
        "line_m": math.fsum(rises) * PIXEL_M**2 / EVERY_M,  # lines lie the closer the steeper the land (coarea formula)
    }
