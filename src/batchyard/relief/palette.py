"""Which colour a height gets in which light. Part of the survey (step A): heights are ranked over the whole model.

Low land is green and hazy, high land pale and clear; light is warm and shadow blue, as painters of relief maps have it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

from batchyard.relief.model import Model

TINTS, LIGHTS = 128, 256  # rows and columns of the table of colours
DARKEST, BRIGHTEST = -1.0, 0.6  # the light that the first and the last column stand for; level ground in the open: 0
PAPER, INK = (247, 243, 233), (62, 56, 60)
WATER, CONTOUR = (72, 116, 156), (92, 64, 44)
Colour = tuple[float, float, float]
_LIGHT, _SHADE = (255, 250, 231), (44, 50, 92)
_LANDS = (  # height as a fraction of all, and its colour
    (0.0, (136, 167, 141)),
    (0.16, (167, 189, 149)),
    (0.36, (205, 210, 163)),
    (0.56, (230, 217, 173)),
    (0.76, (233, 206, 172)),
    (1.0, (246, 234, 221)),
)


def tints(model: Model) -> tuple[int, list[int]]:
    """The lowest elevation, and for it and each metre above it up to the highest one the row of the table of colours.

    Half by rank and half by height: equal parts of the land get equal parts of the colours, yet peaks stand out.
    """
    ranked = sorted(model.metres)
    lowest, span = ranked[0], max(1, ranked[-1] - ranked[0])
    parts = [
        (bisect_left(ranked, metre) / len(ranked) + (metre - lowest) / span) / 2
        for metre in range(lowest, ranked[-1] + 1)
    ]
    return lowest, [round(part * (TINTS - 1)) for part in parts]


def table() -> bytes:
    """The colours: three bytes for every light of the first tint, of the second, and so on."""
    lights = [DARKEST + (BRIGHTEST - DARKEST) * column / (LIGHTS - 1) for column in range(LIGHTS)]
    found = bytearray()
    for row in range(TINTS):
        height = row / (TINTS - 1)
        land, clear = of_height(height), 0.8 + 0.35 * height  # the haze lies in the valleys
        for light in lights:
            found += bytes(round(part) for part in _lit(land, light * clear))
    return bytes(found)


def of_height(height: float) -> Colour:
    """The colour of level land at a height from 0 (lowest) to 1."""
    for (low, below), (high, above) in zip(_LANDS, _LANDS[1:], strict=False):
        if height <= high:
            return blend(below, above, (height - low) / (high - low))
    return _LANDS[-1][1]


def _lit(land: Colour, light: float) -> Colour:
    if light >= 0:
        return blend(land, _LIGHT, 0.8 * (1 - math.exp(-3.0 * light)))
    dark = tuple(shade * (0.65 + 0.35 * part / 255) for shade, part in zip(_SHADE, land, strict=True))
    return blend(land, dark, 1 - math.exp(2.2 * light))


def blend(under: Sequence[float], over: Sequence[float], part: float) -> Colour:
    """`over` laid on `under` so that it makes up this part, 0 to 1."""
    return tuple(low + (high - low) * part for low, high in zip(under, over, strict=True))
