"""The sheet around the map: margins and a frame, and at its foot title, scale and the colours of heights.

The strips bring their own part of the margins (step D), so that the picture is put together without unpacking them.
"""

from __future__ import annotations

from batchyard.relief import lettering, palette, pen
from batchyard.relief.model import PIXEL_M, Model

MARGIN, FOOT = 60, 160  # pixels: left, right and above; below
_FRAME = ((1, 2), (9, 3))  # lines around the map: where they begin, in pixels from it, and their width
TITLE, PLACE = "JACKSBORO FAULT", "CUMBERLAND MOUNTAINS, TENNESSEE"
_SCALE_KM = 5
_RAMP = (240, 12)  # width and height of the band of colours


def width(model: Model) -> int:
    """Pixels of the whole sheet from left to right."""
    return model.width + 2 * MARGIN


def framed(pixels: bytes | bytearray, across: int) -> bytearray:
    """Rows of the map, `across` pixels wide, with the margins left and right of them."""
    right = b"".join(bytes(palette.INK if _is_frame(away) else palette.PAPER) for away in range(1, MARGIN + 1))
    left = b"".join(right[at : at + 3] for at in range(len(right) - 3, -1, -3))
    found = bytearray()
    for at in range(0, len(pixels), 3 * across):
        found += left
        found += pixels[at : at + 3 * across]
        found += right
    return found


def _is_frame(away: int) -> bool:
    return any(first <= away < first + wide for first, wide in _FRAME)


def head(model: Model) -> bytearray:
    """The rows above the map."""
    return _bare(model, range(MARGIN, 0, -1))


def _bare(model: Model, aways: range) -> bytearray:
    """Rows of paper that lie so far from the map, with the part of the frame that crosses them."""
    found = bytearray()
    for away in aways:
        sides = [max(away, beside) for beside in range(1, MARGIN + 1)]
        row = [palette.INK if _is_frame(each) else palette.PAPER for each in sides]
        middle = palette.INK if _is_frame(away) else palette.PAPER
        found += b"".join(map(bytes, row[::-1])) + bytes(middle) * model.width + b"".join(map(bytes, row))
    return found


def foot(model: Model, lowest: int, highest: int, credit: str) -> bytearray:
    """The rows below the map; `credit` is a line of small print."""
    pixels = _bare(model, range(1, FOOT + 1))
    across, last = width(model), MARGIN + model.width
    inked: pen.Inked = {}
    picture = across, range(FOOT)
    lettering.write(inked, picture, TITLE, (MARGIN, 72), 27, 1.5, tracking=1.3)
    lettering.write(inked, picture, PLACE, (MARGIN, 99), 10.5, 0.62, tracking=1.55, strength=0.85)
    lettering.write(inked, picture, credit, (MARGIN, 122), 7.5, 0.42, tracking=0.9, strength=0.75)
    _scale(inked, picture, last - _RAMP[0] - 70)
    _ramp(pixels, inked, picture, last - _RAMP[0], (lowest, highest))
    pen.ink(pixels, inked, palette.INK)
    return pixels


def _scale(inked: pen.Inked, picture: tuple[int, range], right: float) -> None:
    """A bar of some kilometres that ends at `right`."""
    kilometre = 1000 / PIXEL_M
    left, y = right - _SCALE_KM * kilometre, 66.0
    pen.stroke(inked, *picture, (left, y), (right, y), 0.7)
    for tick in range(_SCALE_KM + 1):
        x = left + tick * kilometre
        pen.stroke(inked, *picture, (x, y - (7 if tick in (0, _SCALE_KM) else 4)), (x, y), 0.7)
    _ends(inked, picture, ("0", f"{_SCALE_KM} KM"), (left, right))


def _ramp(pixels: bytearray, inked: pen.Inked, picture: tuple[int, range], left: int, heights: tuple[int, int]) -> None:
    """A band of the colours of level land, with the lowest and the highest elevation at its ends."""
    wide, high = _RAMP
    across, top = picture[0], 55
    for x in range(wide):
        colour = bytes(round(part) for part in palette.of_height(x / (wide - 1)))
        for y in range(top, top + high):
            at = 3 * (y * across + left + x)
            pixels[at : at + 3] = colour
    corners = [(left, top), (left + wide, top), (left + wide, top + high), (left, top + high), (left, top)]
    for begin, end in zip(corners, corners[1:], strict=False):
        pen.stroke(inked, *picture, begin, end, 0.5)
    _ends(inked, picture, tuple(f"{metres} M" for metres in heights), (left, left + wide))


def _ends(inked: pen.Inked, picture: tuple[int, range], texts: tuple[str, ...], ends: tuple[float, float]) -> None:
    """Two words below a line: one begins where it begins, the other ends where it ends."""
    begins = ends[0], ends[1] - lettering.width(texts[1], 9.5, 0.6)
    for text, begin in zip(texts, begins, strict=True):
        lettering.write(inked, picture, text, (begin, 92), 9.5, 0.6, tracking=0.6, strength=0.9)
