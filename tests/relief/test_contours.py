"""Contour lines, and what is counted."""

from __future__ import annotations

import math

import pytest

from batchyard.relief import contours, figures, refine
from batchyard.relief.model import PIXEL_M
from tests.relief.lands import land, piece


def test_lines_lie_where_the_land_has_their_height():
    plane = land(30, 30, lambda column, row: 500 + 10 * column)
    strip = refine.strip(plane, range(plane.height))
    inked = contours.lines(strip)
    assert inked
    for pixel, covered in inked.items():
        off = abs(strip.heights[pixel] - round(strip.heights[pixel] / 50) * 50)
        steep = 10 / plane.east_m * PIXEL_M
        assert 0 < covered <= 1
        assert off <= 1.06 * steep  # within little more than a pixel of the line
    row = [pixel % plane.width for pixel in inked if pixel // plane.width == 30]
    assert len({round(strip.heights[30 * plane.width + x] / 50) for x in row}) == 6  # 500, 550, ... 750 m


def test_heavy_lines_cover_more():
    plane = land(60, 12, lambda column, row: 400 + 10 * column)
    strip = refine.strip(plane, range(plane.height))
    inked = contours.lines(strip)

    def most(metres):
        near = [each for pixel, each in inked.items() if abs(strip.heights[pixel] - metres) < 20]
        return max(near)

    assert most(500) > most(550) > 0
    assert most(750) > most(700) > 0


def test_level_land_has_no_smudges():
    level = land(12, 12, lambda column, row: 517)
    assert contours.lines(refine.strip(level, range(level.height))) == {}


def test_all_pixels_are_counted_by_height_and_by_steepness():
    real = piece(100, 100, 30, 30)
    counted = contours.counted(refine.strip(real, range(real.height)))
    pixels = real.width * real.height
    assert counted["metres"].total() == counted["degrees"].total() == pixels


def test_the_length_of_lines_on_a_plane():
    """A plane of 1 in 10 that is 2 km wide crosses a line every 500 m: as many times its height."""
    plane = land(30, 30, lambda column, row: 500 + 10 * column)
    strip = refine.strip(plane, range(plane.height))
    inner = refine.Strip(*(numbers[: plane.width * 20] for numbers in strip))
    slope = 10 / plane.east_m
    expected = plane.width * 20 * PIXEL_M**2 * slope / 50
    assert contours.counted(inner)["line_m"] == pytest.approx(expected, rel=0.03)


def test_figures_of_strips_add_up_to_those_of_the_whole():
    real = piece(100, 200, 40, 33)
    whole = figures.added([contours.counted(refine.strip(real, range(real.height)))])
    parts = figures.added([contours.counted(refine.strip(real, real.strip(number, 5))) for number in range(5)])
    assert parts.metres == whole.metres
    assert parts.degrees == whole.degrees
    assert math.isclose(parts.line_km, whole.line_km, rel_tol=1e-9)


@pytest.mark.parametrize(("values", "middle"), [([5], 5), ([1, 2, 3], 2), ([1, 1, 9], 1), ([1, 2, 3, 4], 3)])
def test_the_middle(values, middle):
    assert figures.middle(figures.Counter(values)) == middle


@pytest.mark.parametrize(("part", "text"), [(0, ""), (1, "████"), (0.5, "██"), (0.53125, "██▏")])
def test_bars_are_exact_to_an_eighth(part, text):
    assert figures.bar(part, 4) == text
