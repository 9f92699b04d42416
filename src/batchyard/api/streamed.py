"""Answers that are made while they are sent: a bounded piece at a time, at the pace of the client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass


@dataclass
class Stream:
    """Something to send in pieces; `size` in bytes where it is known. `close` is called once, whatever happens."""

    content_type: bytes
    pieces: Iterator[bytes]  # blocking: each is made in a thread
    close: Callable[[], None]
    size: int | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (piece := await asyncio.to_thread(next, self.pieces, None)) is not None:
            yield piece
