"""From heights and light to colours (step C), and water over them."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from batchyard.relief import palette, pen
from batchyard.relief.model import PIXEL_M, Model, row_of
from batchyard.relief.refine import Strip, rows_of_pixels

STEEPER = 1.7  # slopes are shaded as if the land were so much higher
SUNS = ((0.62, 315, 42), (0.19, 275, 50), (0.19, 355, 55))  # weight, from where (degrees from north), how high
OPEN_SKY = 0.95  # of an ordinary place; what sees less is darker
SHORE = 0.42  # so much of a pixel's surroundings must be lake for it to be one


class Light(NamedTuple):
    """A sun as weights of a slope's east part, its south part, and of level ground."""

    east: float
    south: float
    level: float


def lights() -> list[Light]:
    """The suns, each with its weight in it."""
    found = []
    for weight, azimuth, altitude in SUNS:
        away, up = math.radians(azimuth), math.radians(altitude)
        toward = weight * STEEPER * math.cos(up)
        found.append(Light(-math.sin(away) * toward, math.cos(away) * toward, weight * math.sin(up)))
    return found


def lit(east: Iterable[float], south: Iterable[float], sky: Iterable[float]) -> list[int]:
    """For each slope its column in the table of colours; each sun lights what faces it and leaves the rest dark."""
    (ae, as_, al), (be, bs, bl), (ce, cs, cl) = lights()
    level, scale = al + bl + cl, (palette.LIGHTS - 1) / (palette.BRIGHTEST - palette.DARKEST)
    steeper2, last, root = STEEPER * STEEPER, palette.LIGHTS - 1, math.sqrt
    found = []
    for x, y, open_ in zip(east, south, sky, strict=True):
        a, b, c = ae * x + as_ * y + al, be * x + bs * y + bl, ce * x + cs * y + cl
        facing = (a if a > 0 else 0) + (b if b > 0 else 0) + (c if c > 0 else 0)
        light = 1.25 * (facing / root(1 + steeper2 * (x * x + y * y)) - level) + 1.2 * (open_ - OPEN_SKY) + 0.04
        column = int((light - palette.DARKEST) * scale)
        found.append(0 if column < 0 else last if column > last else column)
    return found


class Survey(NamedTuple):
    """What step A found in the whole model."""

    lowest: int  # metres
    tints: Sequence[int]  # row of the table of colours for that height and each metre above it
    colours: bytes  # the table
    lakes: bytes  # 1 for a cell of water, 0 for land
    streams: array  # five numbers for a piece: see water.streams


def strip(model: Model, rows: range, refined: Strip, survey: Survey) -> bytearray:
    """The rows in colour, water included: three bytes a pixel."""
    colours = [survey.colours[at : at + 3] for at in range(0, len(survey.colours), 3)]
    tints = [tint * palette.LIGHTS for tint in survey.tints]
    lowest, most = survey.lowest, len(tints) - 1
    columns = lit(refined.east, refined.south, refined.sky)
    pixels = bytearray().join(
        [
            colours[tints[min(max(int(metres - lowest), 0), most)] + column]
            for metres, column in zip(refined.heights, columns, strict=True)
        ]
    )
    pen.ink(pixels, _water(model, rows, survey), palette.WATER)
    return pixels


def _water(model: Model, rows: range, survey: Survey) -> pen.Inked:
    inked: pen.Inked = {}
    numbers = iter(survey.streams)
    for piece in zip(*[numbers] * 5, strict=True):
        x0, y0, x1, y1 = (metres / PIXEL_M for metres in piece[:4])
        half = 0.28 + 0.115 * piece[4] ** 0.42  # wide where much land drains
        pen.stroke(inked, model.width, rows, (x0, y0), (x1, y1), half, min(0.85, 1.9 * half))
    lakes = rows_of_pixels(model, lambda number: row_of(survey.lakes, model.columns, number))
    for number in rows:
        first = (number - rows.start) * model.width
        for x, part in enumerate(lakes(number)):
            if part > SHORE:
                inked[first + x] = max(inked.get(first + x, 0.0), min(1.0, 6 * (part - SHORE)))
    return inked
