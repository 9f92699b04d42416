"""Pen, letters, frame."""

from __future__ import annotations

import pytest

from batchyard.relief import lettering, palette, pen, sheet
from tests.relief.lands import land


def test_a_stroke_covers_what_is_near_and_nothing_else():
    inked: pen.Inked = {}
    pen.stroke(inked, 20, range(10), (3.5, 5.5), (15.5, 5.5), 1.0)
    assert all(inked[5 * 20 + x] == 1 for x in range(3, 16))
    assert all(inked[4 * 20 + x] == pytest.approx(0.5) for x in range(4, 15))
    assert {pixel // 20 for pixel in inked} == {4, 5, 6}
    assert {pixel % 20 for pixel in inked} == set(range(2, 17))


def test_a_stroke_in_strips_is_the_stroke_in_one_piece():
    whole: pen.Inked = {}
    pen.stroke(whole, 30, range(30), (-3, 2), (28, 40), 1.7, 0.8)
    joined = {}
    for top in range(0, 30, 7):
        part: pen.Inked = {}
        pen.stroke(part, 30, range(top, min(top + 7, 30)), (-3, 2), (28, 40), 1.7, 0.8)
        joined |= {pixel + top * 30: covered for pixel, covered in part.items()}
    assert joined == whole


def test_ink_replaces_and_a_stain_darkens():
    pixels = bytearray([200, 100, 0, 200, 100, 0])
    pen.ink(pixels, {0: 1.0}, (10, 20, 30))
    assert pixels == bytearray([10, 20, 30, 200, 100, 0])
    pen.stain(pixels, {1: 1.0}, (51, 255, 255))
    assert pixels == bytearray([10, 20, 30, 40, 100, 0])


def test_every_letter_that_is_written_is_known_and_keeps_to_its_box():
    known = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    for letter in known:
        inked: pen.Inked = {}
        lettering.write(inked, (60, range(60)), letter, (20, 50), 36, 1.0)
        assert inked, letter
        rows = {pixel // 60 for pixel in inked}
        assert min(rows) in (12, 13, 14) and 47 <= max(rows) <= 53, letter  # Q reaches below its line
        columns = {pixel % 60 for pixel in inked}
        assert columns <= set(range(17, int(22 + lettering.width(letter, 36)))), letter


def test_what_has_no_letter_takes_no_ink():
    inked: pen.Inked = {}
    lettering.write(inked, (60, range(60)), " ", (20, 50), 36, 1.0)
    assert inked == {}


def test_longer_text_is_wider_and_tracking_widens_it():
    assert lettering.width("AB", 12) > lettering.width("A", 12) > 0
    assert lettering.width("AB", 12, 2) == pytest.approx(lettering.width("AB", 12) + 2 * 2)


def test_the_frame_closes_around_the_map():
    small = land(10, 8, lambda column, row: column)
    across = sheet.width(small)
    body = sheet.framed(bytes(3 * small.width * small.height), small.width)
    rows = [*_rows(sheet.head(small), across), *_rows(body, across), *_rows(sheet.foot(small, 1, 2, "X"), across)]
    assert {len(row) for row in rows} == {across}
    margin, bottom = sheet.MARGIN, sheet.MARGIN + small.height
    for away in range(1, 20):
        inked = away in (1, 2, 9, 10, 11)
        colour = palette.INK if inked else palette.PAPER
        for x, y in (
            (margin - away, margin + 3),
            (margin + small.width - 1 + away, margin + 3),
            (margin + 3, margin - away),
            (margin + 3, bottom - 1 + away),
            (margin - away, margin - away),
        ):
            assert rows[y][x] == colour, (away, x, y)


def _rows(pixels, across):
    cells = [tuple(pixels[at : at + 3]) for at in range(0, len(pixels), 3)]
    return [cells[at : at + across] for at in range(0, len(cells), across)]
