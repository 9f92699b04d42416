"""The index beside a log: lines `TIME SIZE`, when how much of the log was there; both only grow.

A job that writes all day has a million of them, and who follows its log asks every few seconds, so nothing here reads
it whole: places are found by bisection over its bytes. A line that is not whole or not one of ours is passed over.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import dropwhile
from typing import NamedTuple

BLOCK = 4096  # bytes read at a time


class Sample(NamedTuple):
    at_ms: int
    size: int  # bytes of the log that were there


class Index:
    """An open index; descriptor -1 is one that does not exist, and is empty."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor
        self._bytes = os.fstat(descriptor).st_size if descriptor >= 0 else 0

    def last(self) -> Sample | None:
        at = self._bytes
        while at > 0:
            at = max(0, at - BLOCK)
            samples = list(self._samples(at))
            if samples:
                return samples[-1]
        return None

    def first_with_output(self) -> Sample | None:
        return next(self.covering(1), None)

    def covering(self, end: int) -> Iterator[Sample]:
        """From the first sample on in which the log reached to `end`."""
        samples = self._samples(self._bisect(lambda sample: sample.size >= end))
        return dropwhile(lambda sample: sample.size < end, samples)

    def before(self, at_ms: int) -> int:
        """How much of the log was there by the last sample before `at_ms`."""
        known = 0
        for sample in self._samples(self._bisect(lambda sample: sample.at_ms >= at_ms)):
            if sample.at_ms >= at_ms:
                break
            known = sample.size
        return known

    def _bisect(self, holds: Callable[[Sample], bool]) -> int:
        """A place at most some two blocks before the first line whose sample `holds`; from that one on all do."""
        low, high = 0, self._bytes
        while high - low > BLOCK:
            middle = (low + high) // 2
            sample = next(self._samples(middle), None)
            if sample is None or holds(sample):
                high = middle
            else:
                low = middle
        return max(0, low - BLOCK)

    def _samples(self, at: int) -> Iterator[Sample]:
        """Of the whole lines from a byte on; what is left of the line that the byte is in is passed over."""
        rest, cut = b"", at > 0
        while at < self._bytes:
            block = os.pread(self._descriptor, min(BLOCK, self._bytes - at), at)
            if not block:
                return
            at += len(block)
            *whole, rest = (rest + block).split(b"\n")
            for line in whole:
                sample = None if cut else _parsed(line)
                cut = False
                if sample is not None:
                    yield sample


def _parsed(line: bytes) -> Sample | None:
    parts = line.split()
    if len(parts) >= 2 and all(part.isdigit() and len(part) < 19 for part in parts[:2]):
        return Sample(int(parts[0]), int(parts[1]))
    return None
