"""A PNG picture out of parts that are made apart: each part is a chunk of the file, the parts in a row are the picture.

The pixels of all parts together are one zlib stream. A part is compressed on its own up to a whole byte; only the
stream's checksum needs all of them, and it can be added up from theirs.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import NamedTuple

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB = bytes([8, 2, 0, 0, 0])  # eight bits, three colours, and the only compression, filter and interlace there are
_ZLIB = b"\x78\x9c"
_SUB, _UP = 1, 2  # filters: less the pixel to the left, less the one above
_MODULUS = 65521


class Part(NamedTuple):
    """Some rows of a picture, compressed."""

    rows: int
    chunk: bytes
    size: int  # bytes before compression
    checksum: int  # Adler-32 of those


def part(pixels: bytes | bytearray, width: int) -> Part:
    """Rows of `width` pixels, three bytes each, as a part."""
    across, filtered, above = 3 * width, bytearray(), None
    for at in range(0, len(pixels), across):
        row = pixels[at : at + across]
        # The first row must not look at the one above it: that one is in another part.
        filter_, beside = (_SUB, bytes(3) + row[:-3]) if above is None else (_UP, above)
        filtered.append(filter_)
        filtered += bytes([(here - there) & 255 for here, there in zip(row, beside, strict=True)])
        above = row
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(filtered) + packer.flush(zlib.Z_FULL_FLUSH)
    return Part(len(pixels) // across, _chunk(b"IDAT", packed), len(filtered), zlib.adler32(filtered))


def picture(parts: Iterable[Part], width: int, title: str) -> bytes:
    """The file that shows the parts from top to bottom."""
    rows, size, checksum, chunks = 0, 0, 1, []
    for each in parts:
        rows, chunks = rows + each.rows, [*chunks, each.chunk]
        size, checksum = size + each.size, joined(checksum, each.checksum, each.size)
    last = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS).flush() + struct.pack(">I", checksum)
    return b"".join(
        [
            _SIGNATURE,
            _chunk(b"IHDR", struct.pack(">II", width, rows) + _RGB),
            _chunk(b"tEXt", b"Title\0" + title.encode("latin-1")),
            _chunk(b"IDAT", _ZLIB),
            *chunks,
            _chunk(b"IDAT", last),
            _chunk(b"IEND", b""),
        ]
    )


def joined(first: int, second: int, second_size: int) -> int:
    """The Adler-32 of two byte strings in a row, from that of each and the size of the second (RFC 1950)."""
    low = ((first & 0xFFFF) + (second & 0xFFFF) - 1) % _MODULUS
    high = ((first >> 16) + (second >> 16) + second_size * ((first & 0xFFFF) - 1)) % _MODULUS
    return high << 16 | low


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
