"""The index of a log against a plain reading of its lines, however long it is and whatever became of some lines."""

from __future__ import annotations

import os
import random

import pytest

from batchyard.model.streams import LogState
from batchyard.observe import logindex
from batchyard.observe.joblogs import FileLogs
from batchyard.observe.logindex import Index, Sample

ATTEMPT = "00000000-0000-4000-8000-000000000001.1"
OPENED_MS = 1_000


class Opened:
    """An index over these bytes."""

    def __init__(self, tmp_path, content: bytes):
        path = tmp_path / "index"
        path.write_bytes(content)
        self._descriptor = os.open(path, os.O_RDONLY)

    def __enter__(self) -> Index:
        return Index(self._descriptor)

    def __exit__(self, *_):
        os.close(self._descriptor)


@pytest.mark.parametrize("seed", range(20))
def test_every_place_is_found_as_by_reading_all_of_it(tmp_path, monkeypatch, seed):
    print("seed", seed)
    chance = random.Random(seed)
    monkeypatch.setattr(logindex, "BLOCK", chance.choice((16, 64, 4096)))
    samples, lines, at_ms, size = [Sample(1000, 0)], ["1000 0"], 1000, 0
    for _ in range(chance.choice((0, 1, 5, 300))):
        at_ms += chance.choice((0, 100, 100, 5000))
        size += chance.choice((1, 7, 1000, 10**6))
        samples.append(Sample(at_ms, size))
        lines.append(f"{at_ms} {size}")
        if chance.random() < 0.05:
            lines.append(chance.choice(("", "garbled", "12 x", "\x00\x00\x00", "9" * 40 + " 1")))
    torn = chance.choice(("", f"{at_ms + 1}", f"{at_ms + 1} {size}"))
    content = "\n".join(lines) + (" end" if chance.random() < 0.5 else "") + "\n" + torn
    with Opened(tmp_path, content.encode()) as index:
        assert index.last() == samples[-1]
        assert index.first_with_output() == next((sample for sample in samples if sample.size), None)
        for _ in range(40):
            end = chance.choice((0, 1, size, size + 1, chance.randint(0, size), chance.choice(samples).size))
            assert list(index.covering(end)) == [sample for sample in samples if sample.size >= end]
            when = chance.choice((0, 1000, at_ms, at_ms + 1, chance.randint(900, at_ms)))
            assert index.before(when) == max((sample.size for sample in samples if sample.at_ms < when), default=0)


def test_no_index_is_an_empty_one(tmp_path):
    index = Index(-1)
    assert (index.last(), index.first_with_output(), list(index.covering(0)), index.before(9)) == (None, None, [], 0)


class Log:
    def __init__(self, data):
        self.logs = FileLogs(data)
        self.directory = data / "logs" / "1970-01-01"
        self.directory.mkdir(parents=True)

    def write(self, content: bytes, *samples: str):
        (self.directory / f"{ATTEMPT}.log").write_bytes(content)
        if samples:
            (self.directory / f"{ATTEMPT}.idx").write_text("".join(f"{sample}\n" for sample in samples))

    def state(self):
        return self.logs.state(ATTEMPT, OPENED_MS)

    def told_from(self, at_ms):
        """What is read from the offset of a time on."""
        offset = self.logs.offset_at(ATTEMPT, OPENED_MS, at_ms)
        return [
            (event.timestamp_ms, event.message)
            for event in self.logs.read_forward(ATTEMPT, OPENED_MS, offset, 100, 1 << 20, True)
        ]


@pytest.fixture
def log(tmp_path):
    return Log(tmp_path)


def test_a_log_says_how_much_of_it_has_its_time(log):
    assert log.state() is None
    log.write(b"")
    assert log.state() == LogState(0, 0, None, None)
    log.write(b"one\n")
    assert log.state() == LogState(4, 0, None, None)
    log.write(b"one\ntwo\nthr", "1000 0", "1100 4", "1200 8")
    assert log.state() == LogState(11, 8, 1100, 1200)
    log.write(b"one\ntwo\nthr", "1000 0", "1100 4", "1200 8", "1300 11 end")
    assert log.state() == LogState(11, 11, 1100, 1300)


def test_reading_begins_with_the_line_that_a_time_falls_into(log):
    log.write(b"one\ntwo\nthree\nfour\n", "1000 0", "1100 4", "1200 10", "1300 19")
    every = [(1100, "one"), (1200, "two"), (1300, "three"), (1300, "four")]
    assert log.told_from(0) == log.told_from(1100) == every
    assert log.told_from(1101) == every[1:]
    assert log.told_from(1201) == every[2:]  # of "three" the first bytes were there at 1200
    assert [event for event in log.told_from(9999) if event[0] >= 9999] == []


def test_a_line_that_goes_on_and_on_is_begun_somewhere(log, monkeypatch):
    log.write(b"x" * (3 << 20), "1000 0", f"2000 {2 << 20}", f"3000 {3 << 20}")
    assert log.logs.offset_at(ATTEMPT, OPENED_MS, 2500) == 1 << 20
