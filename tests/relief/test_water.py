"""Streams run down, hollows overflow at their lowest rim, lakes are level."""

from __future__ import annotations

from collections import Counter

from batchyard.relief import water
from tests.relief.lands import land, piece


def test_on_a_slope_all_water_runs_down_it():
    slope = land(5, 6, lambda column, row: 100 * (6 - row))
    into, order = water.drains(slope)
    assert len(order) == len(set(order)) == 30
    for cell in range(30):
        row, column = divmod(cell, 5)
        inner = 0 < row < 5 and 0 < column < 4
        assert (into[cell] // 5 == row + 1) if inner else (into[cell] == -1)


def test_a_hollow_overflows_at_its_lowest_rim():
    """A basin with a gap in its western rim: all of it leaves through the gap."""

    def basin(column, row):
        if column in (0, 8) or row in (0, 8):
            return 0
        if column in (1, 7) or row in (1, 7):
            return 60 if (column, row) == (1, 4) else 100
        return 10 + abs(row - 4)

    into, _ = water.drains(land(9, 9, basin))
    gap = 4 * 9 + 1
    for row in range(2, 7):
        for column in range(2, 7):
            cell, steps = row * 9 + column, 0
            while cell not in (gap, -1):
                cell, steps = into[cell], steps + 1
                assert steps < 81
            assert cell == gap


def test_every_cell_of_real_land_drains_over_the_edge():
    real = piece(200, 150, 60, 50)
    into, order = water.drains(real)
    assert sorted(order) == list(range(60 * 50))
    when = {cell: place for place, cell in enumerate(order)}
    assert all(below == -1 or when[below] < when[cell] for cell, below in enumerate(into))


def test_streams_join_end_to_end_and_grow():
    real = piece(100, 200, 80, 80)
    pieces = list(water.streams(real))
    begins = {(x, y): km2 for x, y, _, _, km2 in pieces}
    assert len(begins) == len(pieces) > 100
    ends = Counter((x, y) for _, _, x, y, _ in pieces)
    assert max(ends.values()) > 1  # some join
    for _, _, x, y, km2 in pieces:
        assert km2 >= water.STREAM_KM2 * 0.999
        assert begins.get((x, y), 1e9) > km2  # the next piece drains more; at the edge there is none


def test_a_lake_is_a_large_level_and_a_small_one_is_none():
    def two_levels(column, row):
        if 2 <= column < 12 and 2 <= row < 7:
            return 300  # 50 cells
        if 15 <= column < 21 and 2 <= row < 8:
            return 310  # 36 cells
        return 400 + 7 * column + 13 * row

    found = water.lakes(land(24, 10, two_levels))
    assert sum(found) == 50
    assert all(found[row * 24 + column] for column in range(2, 12) for row in range(2, 7))
