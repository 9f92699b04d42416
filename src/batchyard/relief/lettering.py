"""Capitals of single strokes, as a draughtsman's pen makes them.

A letter is six units high and stands on its line; it is written from point to point ("east,south" from its upper left
corner). A `~` before a point makes the way to the next one a quarter of an ellipse that leaves and arrives toward it;
`|` lifts the pen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from batchyard.relief import pen

HEIGHT, GAP, SPACE = 6.0, 2.0, 3.0  # of a letter, from letter to letter, and between words, in units
Point = tuple[float, float]
_LETTERS = {
    "A": "0,6 2.3,0 4.6,6 | 0.8,4 3.8,4",
    "B": "0,2.9 0,0 2.2,0 ~3.6,0 3.6,1.45 ~3.6,2.9 2.2,2.9 0,2.9 0,6 2.3,6 ~4,6 4,4.45 ~4,2.9 2.3,2.9",
    "C": "4.5,1.2 ~3.7,0 2.5,0 ~0,0 0,3 ~0,6 2.5,6 ~3.7,6 4.5,4.8",
    "D": "0,0 0,6 1.6,6 ~4.5,6 4.5,3 ~4.5,0 1.6,0 0,0",
    "E": "3.4,0 0,0 0,6 3.4,6 | 0,2.9 2.8,2.9",
    "F": "3.3,0 0,0 0,6 | 0,2.9 2.7,2.9",
    "G": "4.5,1.2 ~3.7,0 2.5,0 ~0,0 0,3 ~0,6 2.5,6 ~4.7,6 4.7,3.4 2.9,3.4",
    "H": "0,0 0,6 | 4.1,0 4.1,6 | 0,2.9 4.1,2.9",
    "I": "0,0 0,6",
    "J": "2.3,0 2.3,4.3 ~2.3,6 1.0,6 ~0.1,6 -0.2,5.2",
    "K": "0,0 0,6 | 3.7,0 0,3.7 | 1.3,2.5 4,6",
    "L": "0,0 0,6 3.2,6",
    "M": "0,6 0.3,0 2.6,4.6 4.9,0 5.2,6",
    "N": "0,6 0,0 4.1,6 4.1,0",
    "O": "0,3 ~0,0 2.7,0 ~5.4,0 5.4,3 ~5.4,6 2.7,6 ~0,6 0,3",
    "P": "0,6 0,0 2.3,0 ~3.8,0 3.8,1.65 ~3.8,3.3 2.3,3.3 0,3.3",
    "Q": "0,3 ~0,0 2.7,0 ~5.4,0 5.4,3 ~5.4,6 2.7,6 ~0,6 0,3 | 3.4,4.4 5.4,6.4",
    "R": "0,6 0,0 2.3,0 ~3.8,0 3.8,1.65 ~3.8,3.3 2.3,3.3 0,3.3 | 2.2,3.3 4.1,6",
    "S": "3.5,1.1 ~3.1,0 1.9,0 ~0.3,0 0.3,1.4 ~0.3,2.6 1.9,2.9 ~3.7,3.2 3.7,4.5 ~3.7,6 1.9,6 ~0.4,6 0,4.8",
    "T": "0,0 4,0 | 2,0 2,6",
    "U": "0,0 0,3.9 ~0,6 2.05,6 ~4.1,6 4.1,3.9 4.1,0",
    "V": "0,0 2.3,6 4.6,0",
    "W": "0,0 1.6,6 3.4,0.8 5.2,6 6.8,0",
    "X": "0,0 4.1,6 | 4.1,0 0,6",
    "Y": "0,0 2.2,3.1 4.4,0 | 2.2,3.1 2.2,6",
    "Z": "0.2,0 3.9,0 0,6 4.1,6",
    "0": "0,3 ~0,0 1.9,0 ~3.8,0 3.8,3 ~3.8,6 1.9,6 ~0,6 0,3",
    "1": "0,1.3 1.6,0 1.6,6",
    "2": "0.1,1.7 ~0.1,0 1.85,0 ~3.6,0 3.6,1.6 ~3.6,2.6 2.7,3.5 0,6 3.8,6",
    "3": "0.3,0.9 ~0.8,0 1.9,0 ~3.4,0 3.4,1.45 ~3.4,2.85 1.6,2.85 1.9,2.85 ~3.8,2.85 3.8,4.4 ~3.8,6 1.9,6 ~0.6,6 0,5",
    "4": "3,6 3,0 0,4.2 4,4.2",
    "5": "3.4,0 0.5,0 0.3,2.6 1.8,2.4 ~3.7,2.4 3.7,4.2 ~3.7,6 1.8,6 ~0.6,6 0,5.1",
    "6": "2.9,0 ~0,1.0 0,4.1 ~0,6 1.9,6 ~3.7,6 3.7,4.2 ~3.7,2.4 1.9,2.4 ~0.1,2.4 0,4.1",
    "7": "0,0 3.8,0 1.3,6",
    "8": "1.9,2.8 ~0.3,2.8 0.3,1.4 ~0.3,0 1.9,0 ~3.5,0 3.5,1.4 ~3.5,2.8 1.9,2.8 "
    "~0,2.8 0,4.4 ~0,6 1.9,6 ~3.8,6 3.8,4.4 ~3.8,2.8 1.9,2.8",
    "9": "0.9,6 ~3.8,5 3.8,1.9 ~3.8,0 1.9,0 ~0.1,0 0.1,1.8 ~0.1,3.6 1.9,3.6 ~3.7,3.6 3.8,1.9",
    ",": "0.5,5.7 0,7.1",
    ".": "0,5.9 0,6",
    "·": "0,3 0,3.1",
    "-": "0,3.2 1.8,3.2",
}


def width(text: str, height: float, tracking: float = 0.0) -> float:
    """How far the text reaches, for letters so high; `tracking` is put between letters, in units of a sixth of it."""
    at = reach = 0.0
    for letter in text:
        at, reach = _advance(letter, at, tracking), _end(letter, at)
    return reach * height / HEIGHT


def write(
    inked: pen.Inked,
    picture: tuple[int, range],
    text: str,
    begin: Point,
    height: float,
    half: float,
    *,
    tracking: float = 0.0,
    slope: float = 0.0,
    strength: float = 1.0,
) -> None:
    """Write from `begin`, the left end of the line that the letters stand on, in pixels, with a pen of half that width.

    `picture` is its width and those of its rows that are drawn; `slope` turns the line downward, in degrees.
    """
    across, rows = picture
    unit, turn = height / HEIGHT, math.radians(slope)
    cos, sin = math.cos(turn) * unit, math.sin(turn) * unit
    at = 0.0
    for letter in text:
        for line in _lines(letter):
            put = [
                (begin[0] + (at + x) * cos - (y - HEIGHT) * sin, begin[1] + (at + x) * sin + (y - HEIGHT) * cos)
                for x, y in line
            ]
            for first, second in zip(put, put[1:], strict=False):
                pen.stroke(inked, across, rows, first, second, half, strength)
        at = _advance(letter, at, tracking)


def _advance(letter: str, at: float, tracking: float) -> float:
    return at + (SPACE if letter == " " else _end(letter, 0.0) + GAP) + tracking


def _end(letter: str, at: float) -> float:
    return at + max((x for line in _lines(letter) for x, _ in line), default=0.0)


def _lines(letter: str) -> Iterator[list[Point]]:
    """The letter's strokes as points close enough to be joined by straight lines."""
    for stroke in _LETTERS.get(letter, "").split("|") if letter != " " else ():
        points: list[Point] = []
        toward: Point | None = None
        for word in stroke.split():
            east, south = word.lstrip("~").split(",")
            point = (float(east), float(south))
            if word.startswith("~"):
                toward = point
                continue
            points += _quarter(points[-1], toward, point) if toward else [point]
            toward = None
        yield points


def _quarter(begin: Point, corner: Point, end: Point, pieces: int = 7) -> list[Point]:
    """A quarter of an ellipse from `begin`, whose tangents there and at `end` meet in `corner`."""
    (ax, ay), (cx, cy), (bx, by) = begin, corner, end
    mx, my = ax + bx - cx, ay + by - cy  # the middle of the ellipse
    turns = [math.pi / 2 * piece / pieces for piece in range(1, pieces + 1)]
    return [
        (
            mx + (ax - mx) * math.cos(turn) + (bx - mx) * math.sin(turn),
            my + (ay - my) * math.cos(turn) + (by - my) * math.sin(turn),
        )
        for turn in turns
    ]
