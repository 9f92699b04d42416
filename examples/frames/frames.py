#!/usr/bin/env python3
"""Frames of a film: each child of an array renders its share of them with POV-Ray, `film` puts all into one file.

The film is an animated PNG, which every browser shows; the compressed picture of each frame is kept as it is.
"""

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

SCENE = Path(__file__).parent / "scene.pov"
WIDTH, HEIGHT, FRAMES, PER_SECOND = 160, 120, 24, 12
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def render(out: Path) -> None:
    """The frames of one child: of 24 frames, the second of six children has 4, 5, 6 and 7."""
    index, size = (int(os.environ[f"AWS_BATCH_JOB_ARRAY_{name}"]) for name in ("INDEX", "SIZE"))
    for number in range(FRAMES * index // size, FRAMES * (index + 1) // size):
        new = out / f"{number:04}.new.png"
        options = [f"+I{SCENE}", f"+O{new}", f"+W{WIDTH}", f"+H{HEIGHT}", f"+K{number / FRAMES}", "+A0.3", "-D", "-GA"]
        subprocess.run(["povray", *options], check=True, stderr=subprocess.DEVNULL)
        new.rename(out / f"{number:04}.png")  # whole or not there
        print(f"frame {number}")


def film(out: Path) -> None:
    frames = [out / f"{number:04}.png" for number in range(FRAMES)]
    pictures = [dict(_chunks(frame.read_bytes())) for frame in frames]
    header = pictures[0][b"IHDR"]
    parts = [SIGNATURE, _chunk(b"IHDR", header), _chunk(b"acTL", struct.pack(">II", FRAMES, 0))]
    for number, picture in enumerate(pictures):
        if picture[b"IHDR"] != header:
            sys.exit(f"{frames[number]} is of another size or kind than {frames[0]}")
        at = 2 * number  # control and data of all frames but the first are numbered in one row
        control = struct.pack(">IIIIIHHBB", max(0, at - 1), WIDTH, HEIGHT, 0, 0, 1, PER_SECOND, 0, 0)
        parts.append(_chunk(b"fcTL", control))
        data = picture[b"IDAT"]
        parts.append(_chunk(b"fdAT", struct.pack(">I", at) + data) if number else _chunk(b"IDAT", data))
    (out / "film.png").write_bytes(b"".join([*parts, _chunk(b"IEND", b"")]))
    print(f"film.png: {FRAMES} frames of {WIDTH} x {HEIGHT}")


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and content of each part of a PNG; its compressed picture, however it was cut, is one part."""
    if not data.startswith(SIGNATURE):
        raise ValueError("this is no PNG")
    found, picture, at = [], b"", len(SIGNATURE)
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        content = data[at + 8 : at + 8 + length]
        if kind == b"IDAT":
            picture += content
        else:
            found.append((kind, content))
        at += 12 + length
    return [*found, (b"IDAT", picture)]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


if __name__ == "__main__":
    {"render": render, "film": film}[sys.argv[1]](Path(sys.argv[2]))
