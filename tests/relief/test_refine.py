"""Cells become pixels without inventing anything."""

from __future__ import annotations

import math

import pytest

from batchyard.relief import refine
from batchyard.relief.model import PIXEL_M
from tests.relief.lands import land, piece


def test_weights_are_a_partition():
    for near, weights in refine.taps(20, 74.7, 59):
        assert math.fsum(weights) == pytest.approx(1)
        assert all(weight >= 0 for weight in weights)
        assert all(0 <= cell < 20 for cell in near)


def test_level_land_stays_level():
    level = land(12, 12, lambda column, row: 321)
    strip = refine.strip(level, range(level.height))
    assert max(map(abs, [*strip.east, *strip.south])) < 1e-12
    assert strip.heights.tolist() == pytest.approx([321.0] * (level.width * level.height))
    assert strip.sky.tolist() == pytest.approx([1.0] * (level.width * level.height))


def test_a_plane_keeps_its_slopes_away_from_the_edges():
    plane = land(30, 30, lambda column, row: 500 + 6 * column - 4 * row)
    strip = refine.strip(plane, range(plane.height))
    inside = [y * plane.width + x for y in range(12, plane.height - 12) for x in range(12, plane.width - 12)]
    assert [strip.east[at] for at in inside] == pytest.approx([6 / plane.east_m] * len(inside), abs=1e-5)
    assert [strip.south[at] for at in inside] == pytest.approx([-4 / plane.south_m] * len(inside), abs=1e-5)
    x, y = plane.width // 2, plane.height // 2
    column, row = (x + 0.5) * PIXEL_M / plane.east_m - 0.5, (y + 0.5) * PIXEL_M / plane.south_m - 0.5
    assert strip.heights[y * plane.width + x] == pytest.approx(500 + 6 * column - 4 * row, abs=1e-3)


def test_a_wall_takes_the_sky_that_it_covers():
    """One wall to the east, 100 m high, one cell away: of eight directions it closes three, each to its own angle."""
    walled = land(9, 40, lambda column, row: 100 if column == 8 else 0)
    seen = refine.open_sky(walled, 20)
    slant = math.hypot(walled.east_m, walled.south_m)
    closed = sum(math.sin(math.atan(100 / away)) for away in (walled.east_m, slant, slant))
    assert seen[7] == pytest.approx(1 - closed / 8)
    assert seen[8] == 1.0  # from the top of the wall all is open
    assert seen[0] > seen[3] > seen[7]


def test_every_row_is_the_same_whatever_strip_it_is_in():
    real = piece(150, 250, 30, 25)
    whole = refine.strip(real, range(real.height))
    for number in range(7):
        rows = real.strip(number, 7)
        part = refine.strip(real, rows)
        for whole_numbers, part_numbers in zip(whole, part, strict=True):
            assert part_numbers == whole_numbers[rows.start * real.width : rows.stop * real.width]
