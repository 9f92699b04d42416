"""The elevations as they were measured, and the grid of pixels that is drawn over them."""

from __future__ import annotations

import math
import re
import sys
import zipfile
from array import array
from collections.abc import Sequence
from pathlib import Path

FILE = Path(__file__).with_name("data") / "jacksboro_fault_dem.npz"
METRES_PER_DEGREE = 6_371_000 * math.pi / 180  # of latitude; the earth is round enough for a map of 30 km
PIXEL_M = 25.0
_TYPES = {"<i2": "h", "<f8": "d"}


class Model:
    """Elevations on a grid, row by row from its north-west corner. Beyond its edges the outermost ones go on."""

    def __init__(self, columns: int, rows: int, metres: Sequence[int], north: float, west: float, degrees: float):
        """`north`, `west`: latitude and longitude of the corner; `degrees`: from each row or column to the next."""
        self.columns, self.rows, self.metres = columns, rows, metres
        self.north, self.west, self.degrees = north, west, degrees
        self.south_m = degrees * METRES_PER_DEGREE  # from one row to the next
        self.east_m = self.south_m * math.cos(
            math.radians(north - rows * degrees / 2)
        )  # from column to column, halfway
        self.cell_km2 = self.east_m * self.south_m / 1e6
        self.width = int(columns * self.east_m / PIXEL_M)  # pixels of the map from west to east
        self.height = int(rows * self.south_m / PIXEL_M)  # and from north to south

    def row(self, number: int) -> Sequence[int]:
        return row_of(self.metres, self.columns, number)

    def strip(self, number: int, strips: int) -> range:
        """The rows of pixels of strip `number` of so many; together they are the map."""
        return range(self.height * number // strips, self.height * (number + 1) // strips)

    def pixel(self, north: float, west: float) -> tuple[float, float]:
        """Where a place lies on the map, in pixels from the north-west corner; it need not lie on it."""
        scale = 1 / self.degrees / PIXEL_M
        return (west - self.west) * scale * self.east_m, (self.north - north) * scale * self.south_m


def row_of(cells: Sequence[int], columns: int, number: int) -> Sequence[int]:
    """Row `number` of a grid; of those beyond its edges, the outermost one."""
    first = columns * min(max(number, 0), len(cells) // columns - 1)
    return cells[first : first + columns]


def read(path: Path = FILE) -> Model:
    """The model in a file of numpy's archive format with the members that data/README.md tells."""
    with zipfile.ZipFile(path) as archive:
        (rows, columns), metres = _member(archive, "elevation")
        degrees, north, west = (_member(archive, name)[1][0] for name in ("dx", "ymax", "xmin"))
    return Model(columns, rows, metres, north, west, degrees)


def _member(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], array]:
    """Shape and numbers of one member, which is a file of numpy's array format, version 1."""
    data = archive.read(f"{name}.npy")
    begins = 10 + int.from_bytes(data[8:10], "little")
    header = data[10:begins].decode("latin-1")
    shape = tuple(int(digits) for digits in re.findall(r"\d+", re.search(r"'shape': \((.*?)\)", header)[1]))
    numbers = array(_TYPES[re.search(r"'descr': '(.*?)'", header)[1]], data[begins:])
    if sys.byteorder == "big":
        numbers.byteswap()
    return shape, numbers
