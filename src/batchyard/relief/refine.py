"""From measured cells to pixels: heights, slopes and how much sky each pixel sees, for some rows of the map (step B).

Every row is computed from the model alone, so strips join without a seam whatever their size.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from batchyard.relief.model import PIXEL_M, Model

CRISP = 0.5  # how much of what smoothing takes away is given first
SKY_CELLS = (1, 2, 3, 5, 8, 12, 17)  # how far the horizon is looked for
_COMPASS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
Row = Sequence[float]


class Strip(NamedTuple):
    """Some rows of pixels, one number each: metres; rise to the east and to the south per metre; sky from 0 to 1."""

    heights: array
    east: array
    south: array
    sky: array


def strip(model: Model, rows: range) -> Strip:
    """The pixels of `rows`."""
    heights = rows_of_pixels(model, lambda number: _crisp(model, number))
    skies = rows_of_pixels(model, lambda number: open_sky(model, number))
    found = Strip(*(array("f") for _ in Strip._fields))
    for number in rows:
        above, row, below = (heights(min(max(near, 0), model.height - 1)) for near in (number - 1, number, number + 1))
        found.heights.extend(row)
        found.east.extend(_rise([row[0], *row[:-1]], [*row[1:], row[-1]]))
        found.south.extend(_rise(above, below))
        found.sky.extend(skies(number))
    return found


def _rise(before: Row, after: Row) -> list[float]:
    return [(b - a) / (2 * PIXEL_M) for a, b in zip(before, after, strict=True)]


def rows_of_pixels(model: Model, cells: Callable[[int], Row]) -> Callable[[int], list[float]]:
    """A function that makes row after row of pixels out of rows of cells, by cubic splines.

    `cells` is asked for the model's rows; rows beyond its edges are the outermost ones.
    """
    across = taps(model.columns, model.east_m, model.width)
    down = taps(model.rows, model.south_m, model.height)

    @lru_cache(maxsize=6)  # the next row of pixels needs the same four rows of cells, or three of them
    def widened(number: int) -> list[float]:
        row = cells(number)
        return [a * row[i] + b * row[j] + c * row[k] + d * row[m] for (i, j, k, m), (a, b, c, d) in across]

    @lru_cache(maxsize=4)
    def pixels(number: int) -> list[float]:
        near, (a, b, c, d) = down[number]
        return [a * p + b * q + c * r + d * s for p, q, r, s in zip(*map(widened, near), strict=True)]

    return pixels


def taps(cells: int, cell_m: float, pixels: int) -> list[tuple[tuple[int, ...], tuple[float, ...]]]:
    """For each pixel of a line the four cells around its middle and their weights in a cubic B-spline."""
    found = []
    for pixel in range(pixels):
        at = (pixel + 0.5) * PIXEL_M / cell_m - 0.5
        first = math.floor(at)
        t = at - first
        near = tuple(min(max(first + step, 0), cells - 1) for step in (-1, 0, 1, 2))
        weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
        found.append((near, tuple(weight / 6 for weight in weights)))
    return found


def _crisp(model: Model, number: int) -> list[float]:
    """A row of elevations with what sets each apart from its neighbours increased: the spline smooths that again."""
    row, above, below = model.row(number), model.row(number - 1), model.row(number + 1)
    sides = zip(row, above, below, [row[0], *row[:-1]], [*row[1:], row[-1]], strict=True)
    return [z + CRISP * (z - (n + s + w + e) / 4) for z, n, s, w, e in sides]


def open_sky(model: Model, number: int) -> list[float]:
    """For each cell of a row the part of the sky that the land around leaves open, 0 to 1 (on a plane 1)."""
    row, far = model.row(number), SKY_CELLS[-1]
    opened = [0.0] * model.columns
    for east, south in _COMPASS:
        steepest = [0.0] * model.columns
        step_m = math.hypot(east * model.east_m, south * model.south_m)
        for cells in SKY_CELLS:
            there = model.row(number + south * cells)
            padded = [there[0]] * far + list(there) + [there[-1]] * far
            seen = padded[far + east * cells : far + east * cells + model.columns]
            away_m = cells * step_m
            steepest = [
                rise if (rise := (b - a) / away_m) > most else most
                for a, b, most in zip(row, seen, steepest, strict=True)
            ]
        opened = [sum_ + 1 - up / math.sqrt(1 + up * up) for sum_, up in zip(opened, steepest, strict=True)]
    return [sum_ / len(_COMPASS) for sum_ in opened]
