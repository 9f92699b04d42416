"""The elevations that ship, and where they lie."""

from __future__ import annotations

import hashlib
import re

import pytest

from batchyard.relief import model, names
from tests.relief.lands import land


def test_the_file_is_the_one_that_its_readme_tells_of():
    readme = (model.FILE.parent / "README.md").read_text()
    assert hashlib.sha256(model.FILE.read_bytes()).hexdigest() in re.findall(r"\b[0-9a-f]{64}\b", readme)
    assert "public domain" in readme
    assert model.FILE.stat().st_size < 200_000


def test_it_holds_what_its_readme_says():
    whole = model.read()
    assert (whole.columns, whole.rows, len(whole.metres)) == (403, 344, 403 * 344)
    assert (min(whole.metres), max(whole.metres)) == (236, 1076)
    assert (round(whole.east_m), round(whole.south_m)) == (75, 93)


def test_the_highest_cell_lies_where_the_map_puts_cross_mountain():
    """The file's own `ymin` is wrong; with `ymax` as its northern edge the model fits the land."""
    whole = model.read()
    row, column = divmod(whole.metres.index(max(whole.metres)), whole.columns)
    east, south = (column + 0.5) * whole.east_m / model.PIXEL_M, (row + 0.5) * whole.south_m / model.PIXEL_M
    assert whole.pixel(*names.SUMMIT) == pytest.approx((east, south), abs=2)


@pytest.mark.parametrize("strips", [1, 3, 16])
def test_strips_are_the_whole_map_and_do_not_overlap(strips):
    whole = model.read()
    rows = [row for number in range(strips) for row in whole.strip(number, strips)]
    assert rows == list(range(whole.height))


def test_beyond_the_edges_the_outermost_rows_go_on():
    small = land(3, 2, lambda column, row: 10 * row + column)
    assert list(small.row(-5)) == list(small.row(0)) == [0, 1, 2]
    assert list(small.row(7)) == list(small.row(1)) == [10, 11, 12]
