"""Names on the map (step D), each where it belongs. Names that lie elsewhere than on the map are not seen."""

from __future__ import annotations

from typing import NamedTuple

from batchyard.relief import lettering, palette, pen
from batchyard.relief.model import Model

SUMMIT = 36.1984, -84.2309  # Cross Mountain, the highest of all: latitude and longitude
_BLUE = (44, 84, 124)


class Name(NamedTuple):
    text: str
    north: float  # latitude and longitude of where it begins
    west: float
    height: float  # of its letters, in pixels
    tracking: float  # between them, in sixths of that
    slope: float  # degrees downward
    colour: tuple[int, int, int]


NAMES = (
    Name("NORRIS LAKE", 36.2760, -84.1490, 9.5, 1.0, 0, _BLUE),
    Name("JACKSBORO FAULT", 36.3900, -84.2785, 10.5, 5.0, 60, palette.INK),
    Name("CUMBERLAND MOUNTAIN", 36.3478, -84.1962, 9.5, 3.6, -38, palette.INK),
)


def write(pixels: bytearray, model: Model, rows: range) -> None:
    """Write what touches these rows of the map."""
    picture = model.width, rows
    for name in NAMES:
        _write(pixels, picture, name, model.pixel(name.north, name.west), name.colour, palette.PAPER)
    east, south = model.pixel(*SUMMIT)
    summit = Name("CROSS MOUNTAIN 1076", *SUMMIT, 9.5, 0.8, 0, palette.PAPER)
    _write(pixels, picture, summit, (east + 14, south + 5), palette.PAPER, palette.INK)
    inked: pen.Inked = {}
    corners = [(east, south - 5), (east + 5, south + 3.5), (east - 5, south + 3.5), (east, south - 5)]
    for begin, end in zip(corners, corners[1:], strict=False):
        pen.stroke(inked, *picture, begin, end, 0.9)
    pen.ink(pixels, inked, palette.INK)


def _write(
    pixels: bytearray,
    picture: tuple[int, range],
    name: Name,
    begin: tuple[float, float],
    colour: tuple[int, int, int],
    halo: tuple[int, int, int],
) -> None:
    """The name, and below it a wide stroke of the other colour that sets it apart from the land."""
    for half, strength, ink in ((name.height / 4.2, 0.5, halo), (name.height / 13, 0.95, colour)):
        inked: pen.Inked = {}
        lettering.write(
            inked,
            picture,
            name.text,
            begin,
            name.height,
            half,
            tracking=name.tracking,
            slope=name.slope,
            strength=strength,
        )
        pen.ink(pixels, inked, ink)
