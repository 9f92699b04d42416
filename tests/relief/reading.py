"""A strict reader of the PNG files that the relief writes: whatever is not as it should be is an error."""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple


class Picture(NamedTuple):
    width: int
    height: int
    pixels: bytes  # three bytes each
    texts: dict[str, str]

    def at(self, x: int, y: int) -> tuple[int, ...]:
        first = 3 * (y * self.width + x)
        return tuple(self.pixels[first : first + 3])


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and content of every chunk; their checksums are right and nothing is left over."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, found = 8, []
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert len(content) == size
        assert struct.unpack_from(">I", data, at + 8 + size) == (zlib.crc32(kind + content),)
        found.append((kind, content))
        at += 12 + size
    return found


def picture(data: bytes) -> Picture:
    """The picture in a PNG file of eight bits and three colours."""
    found = chunks(data)
    kinds = [kind for kind, _ in found]
    assert kinds[0] == b"IHDR" and kinds[-1] == b"IEND"
    first = kinds.index(b"IDAT")
    assert kinds[first:-1] == [b"IDAT"] * (len(kinds) - first - 1)  # one after the other, nothing between
    width, height, *how = struct.unpack(">IIBBBBB", found[0][1])
    assert how == [8, 2, 0, 0, 0]
    unpacking = zlib.decompressobj()  # checks Adler-32 at the end
    raw = unpacking.decompress(b"".join(content for kind, content in found if kind == b"IDAT"))
    assert unpacking.eof and not unpacking.unused_data
    texts = dict(content.decode("latin-1").split("\0") for kind, content in found if kind == b"tEXt")
    return Picture(width, height, _unfiltered(raw, width, height), texts)


def _unfiltered(raw: bytes, width: int, height: int) -> bytes:
    across = 3 * width
    assert len(raw) == height * (across + 1)
    above, rows = bytearray(across), []
    for number in range(height):
        filter_, *row = raw[number * (across + 1) : (number + 1) * (across + 1)]
        assert filter_ in (0, 1, 2)
        for at in range(across):
            left = row[at - 3] if at >= 3 else 0
            row[at] = (row[at] + (0, left, above[at])[filter_]) & 255
        above = row
        rows.append(bytes(row))
    return b"".join(rows)
