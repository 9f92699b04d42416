"""Real programs in containers: what they print is on the page, what they have written is looked at here."""

from __future__ import annotations

import json
import struct
import subprocess
import zlib

import pytest

from tests.examples.conftest import volume
from tests.relief.reading import chunks

pytestmark = pytest.mark.long


def test_a_sweep_finds_the_threshold_of_percolation(example):
    with example("monte-carlo", "percolation") as reader:
        parts = [json.loads(path.read_text()) for path in volume(reader, "percolation").glob("*.json")]
        assert sorted(round(part["porosity"], 2) for part in parts) == [
            round(0.53 + step / 100, 2) for step in range(13)
        ]


def test_frames_are_rendered_and_put_together(example):
    with example("frames", "frames") as reader:
        film = (volume(reader, "frames") / "film.png").read_bytes()
        assert (reader.here / "film.png").read_bytes() == film
    found = chunks(film)
    controls = [struct.unpack_from(">IIIIIHH", content) for kind, content in found if kind == b"fcTL"]
    assert [control[1:] for control in controls] == [(160, 120, 0, 0, 1, 12)] * 24
    numbers = [struct.unpack_from(">I", content)[0] for kind, content in found if kind in (b"fcTL", b"fdAT")]
    assert numbers == list(range(47)), "controls and frames but the first are numbered in one row"
    pictures = [content for kind, content in found if kind == b"IDAT"]
    pictures += [content[4:] for kind, content in found if kind == b"fdAT"]
    across = [middle_of_the_red(pixels(zlib.decompress(picture), 160, 120), 160) for picture in pictures]
    assert across[0] > 100 and across[12] < 60, "at the right, and half a turn later at the left"
    assert len(set(across)) > 12, "it moves from frame to frame"


def test_short_reads_are_aligned(example):
    with example("short-reads", "reads") as reader:
        directory = volume(reader, "reads")
        counted = subprocess.run(
            ["samtools", "flagstat", directory / "aligned.bam"], capture_output=True, text=True, check=True
        )
        assert "8000 + 0 mapped (100.00%" in counted.stdout
        ordered = subprocess.run(
            ["samtools", "view", directory / "aligned.bam"], capture_output=True, text=True, check=True
        )
        places = [int(line.split("\t")[3]) for line in ordered.stdout.splitlines()]
        assert places == sorted(places)


def pixels(raw: bytes, width: int, height: int) -> bytes:
    """Three bytes each, from what a PNG packs: every line is filtered in one of five ways (PNG specification, 9.2)."""
    across = 3 * width
    above, rows = bytes(across), []
    for number in range(height):
        how, *line = raw[number * (across + 1) : (number + 1) * (across + 1)]
        for at in range(across):
            left, corner = (line[at - 3], above[at - 3]) if at >= 3 else (0, 0)
            guess = (0, left, above[at], (left + above[at]) // 2, _paeth(left, above[at], corner))[how]
            line[at] = (line[at] + guess) & 255
        above = bytes(line)
        rows.append(above)
    return b"".join(rows)


def _paeth(left: int, above: int, corner: int) -> int:
    straight = left + above - corner
    return min((left, above, corner), key=lambda near: abs(straight - near))


def middle_of_the_red(picture: bytes, width: int) -> float:
    """How far to the right the red ball is, in pixels; the middle of the picture if none of it is seen."""
    red = [
        at // 3 % width
        for at in range(0, len(picture), 3)
        if picture[at] > 120 and picture[at] > 1.7 * max(picture[at + 1], picture[at + 2])
    ]
    return sum(red) / len(red) if red else width / 2
