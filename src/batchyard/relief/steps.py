"""The six steps: what each reads from the folder, and what it leaves there."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator

from batchyard.relief import contours, figures, names, palette, pen, png, refine, shade, sheet, water
from batchyard.relief.folder import FIGURES, PICTURE, PREVIEW, Folder
from batchyard.relief.model import Model

PREVIEW_WIDTH = 60  # pixels
JOBS = "ELEVATIONS SRTM, NASA AND USGS  ·  DRAWN BY BATCHYARD IN {} JOBS"


def survey(folder: Folder, model: Model, strips: int) -> str:
    """A: streams, lakes and colours, from the whole model."""
    lakes, pieces = water.lakes(model), list(water.streams(model))
    lowest, tints = palette.tints(model)
    folder.write("lakes", bytes(lakes))
    folder.write_numbers("streams", array("d", [number for piece in pieces for number in piece]))
    folder.write("colours", palette.table())
    facts = {
        "lowest": lowest,
        "highest": max(model.metres),
        "tints": tints,
        "streams_km": math.fsum(math.dist(piece[:2], piece[2:4]) for piece in pieces) / 1000,
        "lakes_km2": sum(lakes) * model.cell_km2,
    }
    folder.write_facts("survey", facts)
    return f"surveyed {len(model.metres):,} elevations; found {len(pieces):,} pieces of streams"


def refined(folder: Folder, model: Model, strips: int, number: int) -> str:
    """B: heights, slopes and open sky of a strip."""
    rows = model.strip(number, strips)
    strip = refine.strip(model, rows)
    folder.write(f"refined-{number}", b"".join(numbers.tobytes() for numbers in strip))
    return f"refined rows {rows.start} to {rows.stop - 1}"


def shaded(folder: Folder, model: Model, strips: int, number: int) -> str:
    """C: a strip in colour."""
    rows, facts = model.strip(number, strips), folder.read_facts("survey")
    found = shade.Survey(
        facts["lowest"],
        facts["tints"],
        folder.read("colours"),
        folder.read("lakes"),
        folder.read_numbers("streams", "d"),
    )
    folder.write(f"shaded-{number}", shade.strip(model, rows, _refined(folder, number), found))
    return f"shaded rows {rows.start} to {rows.stop - 1}"


def _refined(folder: Folder, number: int) -> refine.Strip:
    """What step B has left."""
    numbers = folder.read_numbers(f"refined-{number}", "f")
    size = len(numbers) // len(refine.Strip._fields)
    return refine.Strip(*(numbers[first : first + size] for first in range(0, len(numbers), size)))


def drawn(folder: Folder, model: Model, strips: int, number: int) -> str:
    """D: lines and names over a strip, its figures, and its part of the picture."""
    rows, strip = model.strip(number, strips), _refined(folder, number)
    pixels = bytearray(folder.read(f"shaded-{number}"))
    pen.stain(pixels, contours.lines(strip), palette.CONTOUR)
    names.write(pixels, model, rows)
    part = png.part(sheet.framed(pixels, model.width), sheet.width(model))
    folder.write(f"drawn-{number}", part.chunk)
    folder.write_facts(f"counted-{number}", {"part": part[:1] + part[2:], **contours.counted(strip)})
    return f"drew rows {rows.start} to {rows.stop - 1}: {len(part.chunk):,} bytes of the picture"


def picture(folder: Folder, model: Model, strips: int) -> str:
    """E: the sheet, and a small preview of the map."""
    facts = folder.read_facts("survey")
    foot = sheet.foot(model, facts["lowest"], facts["highest"], JOBS.format(3 * strips + 3))
    parts = [png.part(sheet.head(model), sheet.width(model))]
    for number in range(strips):
        rows, size, checksum = folder.read_facts(f"counted-{number}")["part"]
        parts.append(png.Part(rows, folder.read(f"drawn-{number}"), size, checksum))
    parts.append(png.part(foot, sheet.width(model)))
    whole = png.picture(parts, sheet.width(model), sheet.TITLE.title())
    folder.write(PICTURE, whole)
    folder.write(PREVIEW, preview(b"".join(folder.read(f"shaded-{number}") for number in range(strips)), model.width))
    return f"put together {sheet.width(model)} by {sum(part.rows for part in parts)} pixels, {len(whole):,} bytes"


def preview(pixels: bytes, across: int) -> bytes:
    """The map made small, as a PPM file: each of its pixels is the mean of a grid of those that it stands for."""
    down = len(pixels) // 3 // across
    height = PREVIEW_WIDTH * down // across // 2 * 2
    small = bytearray()
    for y in range(height):
        for x in range(PREVIEW_WIDTH):
            small += bytes(_mean(pixels, across, (x * across, y * down), (PREVIEW_WIDTH, height)))
    return b"P6 %d %d 255\n" % (PREVIEW_WIDTH, height) + small


def _mean(pixels: bytes, across: int, begin: tuple[int, int], over: tuple[int, int]) -> Iterator[int]:
    down, each = len(pixels) // 3 // across, 4
    taken = [
        3 * ((begin[1] + down * south // each) // over[1] * across + (begin[0] + across * east // each) // over[0])
        for south in range(each)
        for east in range(each)
    ]
    for part in range(3):
        yield sum(pixels[at + part] for at in taken) // len(taken)


def counted(folder: Folder, model: Model, strips: int) -> str:
    """F: the figures of all strips, as text."""
    counts = figures.added([folder.read_facts(f"counted-{number}") for number in range(strips)])
    text = figures.told(model, folder.read_facts("survey"), counts)
    folder.write(FIGURES, text.encode())
    return text


WHOLE = {"survey": survey, "picture": picture, "figures": counted}
EACH_STRIP = {"refine": refined, "shade": shaded, "draw": drawn}
