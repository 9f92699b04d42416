"""The picture's parts are made apart and read as one."""

from __future__ import annotations

import random
import zlib

import pytest

from batchyard.relief import png
from tests.relief import reading


@pytest.mark.parametrize("cuts", [[], [1], [4], [1, 2, 3, 4, 5, 6]])
def test_any_division_into_parts_is_the_same_picture(cuts):
    chance = random.Random(7)
    width, height = 5, 7
    pixels = bytes(chance.randrange(256) for _ in range(3 * width * height))
    edges = [0, *cuts, height]
    parts = [
        png.part(pixels[3 * width * top : 3 * width * bottom], width)
        for top, bottom in zip(edges, edges[1:], strict=False)
    ]
    found = reading.picture(png.picture(parts, width, "Noise"))
    assert (found.width, found.height, found.pixels) == (width, height, pixels)
    assert found.texts == {"Title": "Noise"}


@pytest.mark.parametrize("sizes", [(0, 0), (0, 9), (9, 0), (1, 1), (70_000, 3), (3, 70_000), (65_521, 65_521)])
def test_checksums_are_joined_without_the_bytes(sizes):
    first, second = (bytes([255]) * size for size in sizes)
    assert png.joined(zlib.adler32(first), zlib.adler32(second), len(second)) == zlib.adler32(first + second)


def test_pictures_of_land_pack_well():
    width = 400
    pixels = b"".join(bytes([(x + y) // 4 % 256, x // 2 % 256, y % 256]) for y in range(100) for x in range(width))
    assert len(png.part(pixels, width).chunk) < len(pixels) / 20
