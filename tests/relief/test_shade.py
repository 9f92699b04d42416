"""Light and colour."""

from __future__ import annotations

import itertools
from array import array

import pytest

from batchyard.relief import palette, refine, shade, water
from tests.relief.lands import land, piece


def surveyed(model):
    lowest, tints = palette.tints(model)
    pieces = array("d", itertools.chain.from_iterable(water.streams(model)))
    return shade.Survey(lowest, tints, palette.table(), bytes(water.lakes(model)), pieces)


def colours(model):
    rows = range(model.height)
    pixels = shade.strip(model, rows, refine.strip(model, rows), surveyed(model))
    return [tuple(pixels[at : at + 3]) for at in range(0, len(pixels), 3)]


def test_a_slope_to_the_light_is_brighter_than_level_ground_and_that_brighter_than_one_away_from_it():
    steep = 0.3
    # rise to the east and to the south: what rises to the south-east faces the north-west, where the light comes from
    toward, level, away = shade.lit([steep, 0, -steep], [steep, 0, -steep], [1, 1, 1])
    assert toward > level > away
    assert {toward, away} < set(range(palette.LIGHTS))


def test_less_sky_is_darker():
    open_, narrow = shade.lit([0, 0], [0, 0], [1.0, 0.8])
    assert narrow < open_


def test_no_slope_leaves_the_table():
    wild = [-50.0, -1.0, 0.0, 1.0, 50.0]
    for east in wild:
        assert all(0 <= column < palette.LIGHTS for column in shade.lit([east] * 5, wild, [0, 0.2, 0.5, 0.8, 1]))


def test_the_table_has_a_colour_for_each_tint_and_light_and_more_light_is_never_darker():
    table = palette.table()
    assert len(table) == 3 * palette.TINTS * palette.LIGHTS
    for tint in range(0, palette.TINTS, 9):
        row = table[3 * palette.LIGHTS * tint : 3 * palette.LIGHTS * (tint + 1)]
        shades = [sum(row[at : at + 3]) for at in range(0, len(row), 3)]
        assert shades == sorted(shades)
        assert shades[-1] - shades[0] > 200


def test_tints_rise_with_the_land_from_the_first_to_the_last():
    lowest, tints = palette.tints(piece(150, 200, 60, 60))
    assert lowest == min(piece(150, 200, 60, 60).metres)
    assert tints[0] == 0
    assert tints == sorted(tints)
    assert tints[-1] == palette.TINTS - 1


def test_level_land_has_one_colour():
    """Too small for a lake, too small for a stream."""
    assert len(set(colours(land(6, 6, lambda column, row: 400)))) == 1


def test_a_plane_has_one_light_away_from_its_edges():
    plane = land(40, 40, lambda column, row: 500 + 6 * column - 4 * row)
    strip = refine.strip(plane, range(plane.height))
    light = shade.lit(strip.east, strip.south, [1.0] * len(strip.east))
    inside = {light[y * plane.width + x] for y in range(12, plane.height - 12) for x in range(12, plane.width - 12)}
    assert max(inside) - min(inside) <= 1  # the last bit of a slope may lie on either side of a column


def test_a_lake_is_water_and_its_surroundings_are_not():
    lake = land(24, 24, lambda column, row: 300 if 6 <= column < 18 and 6 <= row < 18 else 320 + column)
    found = colours(lake)
    assert found[lake.height // 2 * lake.width + lake.width // 2] == pytest.approx(palette.WATER)
    assert found[2 * lake.width + 2] != palette.WATER
