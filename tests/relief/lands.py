"""Small lands to draw: a plane, a valley, a piece of the real model."""

from __future__ import annotations

from array import array
from collections.abc import Callable

from batchyard.relief import model
from batchyard.relief.model import Model

DEGREES = 1 / 1200  # as in the real model


def land(columns: int, rows: int, metres: Callable[[int, int], int]) -> Model:
    """A model whose elevation at (column, row) is what the function says."""
    cells = array("h", [metres(column, row) for row in range(rows) for column in range(columns)])
    return Model(columns, rows, cells, 36.0, -84.0, DEGREES)


def piece(column: int, row: int, columns: int, rows: int) -> Model:
    """A rectangle of the real model."""
    whole = model.read()
    cells = array("h", [m for each in range(row, row + rows) for m in whole.row(each)[column : column + columns]])
    north, west = whole.north - row * whole.degrees, whole.west + column * whole.degrees
    return Model(columns, rows, cells, north, west, whole.degrees)
