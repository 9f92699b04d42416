"""The bounded log that a slot writes: by pieces with their times, and over the death of who writes it."""

from __future__ import annotations

import json
import os
import random
import re
from pathlib import Path

import pytest

from batchyard.executors.runner.output import Log
from batchyard.observe.joblogs import FileLogs

CUT = re.compile(rb"\n\[batchyard: (\d+) bytes of output were cut here\]\n")
BOUND = 4 << 20


@pytest.fixture
def make_log(tmp_path):
    def make(mark: dict | None = None) -> Log:
        return Log(
            lambda suffix, flags: os.open(tmp_path / f"a.{suffix}", os.O_RDWR | os.O_CREAT | flags, 0o600),
            lambda suffix: os.unlink(tmp_path / f"a.{suffix}"),
            BOUND,
            1000,
            mark,
        )

    make.directory = tmp_path
    return make


def read(directory: Path) -> bytes:
    return (directory / "a.log").read_bytes()


def test_a_piece_has_its_own_time_and_one_from_the_past_that_of_the_last(make_log):
    log = make_log()
    for data, at_ms in ((b"a", 1005), (b"b", 1005), (b"c", 1007), (b"d", 1003)):
        log.put(data, at_ms)
    log.note_put()
    log.finish(1010)
    assert read(make_log.directory) == b"abcd"
    assert (make_log.directory / "a.idx").read_text() == "1000 0\n1005 2\n1007 4\n1010 4 end\n"


@pytest.mark.parametrize("seed", range(6))
def test_it_goes_on_from_its_last_mark_whatever_was_written_since(make_log, seed):
    chance = random.Random(seed)
    kept: list[str] = []
    log, at_ms = make_log(), 1000
    written, marked = b"", b""
    while len(written) < 12 << 20:
        data = chance.randbytes(chance.choice([10, 5000, 1 << 20]))
        at_ms += chance.randrange(3)
        log.put(data, at_ms)
        written += data
        if chance.random() < 0.5:
            log.mark(lambda mark: kept.append(json.dumps(mark)))
            marked = written
        elif chance.random() < 0.3 and kept and len(written) - len(marked) <= BOUND // 4:
            log, written = make_log(json.loads(kept[-1])), marked
    log.finish(at_ms)
    content = read(make_log.directory)
    cut = CUT.search(content)
    head, tail = content[: cut.start()], content[cut.end() :]
    assert head == written[: BOUND // 2] and tail == written[-len(tail) :], seed
    assert int(cut[1]) + len(head) + len(tail) == len(written), seed
    assert BOUND // 4 <= len(tail) <= BOUND // 2, seed
    samples = [line.split() for line in (make_log.directory / "a.idx").read_text().splitlines()]
    times, sizes = zip(*((int(each[0]), int(each[1])) for each in samples), strict=True)
    assert list(times) == sorted(times) and list(sizes) == sorted(sizes) and sizes[-1] == len(content), seed
    assert {path.name for path in make_log.directory.iterdir()} == {"a.log", "a.idx"}


def test_what_a_full_disk_refused_is_counted_and_told(make_log, monkeypatch):
    log, write = make_log(), os.write

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "no space")

    log.put(b"before\n", 1001)
    monkeypatch.setattr(os, "write", full)
    log.put(b"lost", 1002)
    monkeypatch.setattr(os, "write", write)
    log.put(b"after\n", 1003)
    log.finish(1004)
    assert read(make_log.directory) == b"before\nafter\n\n[batchyard: 4 bytes of output were cut here]\n"


def test_what_may_lie_beside_a_log_goes_with_it(make_log):
    log = make_log()
    kept: list[dict] = []
    for _ in range(5):
        log.put(bytes(BOUND // 4), 1001)
        log.mark(kept.append)
    assert kept
    logs = make_log.directory / "logs" / "2023-11-14"
    logs.mkdir(parents=True)
    for path in list(make_log.directory.glob("a.*")):  # its slot was killed, and nobody went on with it
        path.rename(logs / path.name)
    (logs / "a.pos").touch()
    assert len(list(logs.iterdir())) > 3
    FileLogs(make_log.directory).remove("a", 1_700_000_000_000)
    assert list(logs.iterdir()) == []
