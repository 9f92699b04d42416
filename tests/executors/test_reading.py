"""What an engine keeps of a container becomes our log: whole, in order, timed, whatever is begun anew, whoever dies."""

from __future__ import annotations

import json
import os
import random
import re
import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchyard.executors.runner.containers import lines, reading
from batchyard.executors.runner.containers.reading import Files, Reading

BEGUN_MS = 1_700_000_000_000
BOUND = 4 << 20
CUT = re.compile(rb"\n\[batchyard: (\d+) bytes of output were cut here\]\n")


def varint(number: int) -> bytes:
    rest = b""
    while number > 127:
        rest += bytes([number & 127 | 128])
        number >>= 7
    return rest + bytes([number])


def record(stream: bytes, time_ns: int, text: bytes, part: bytes = b"") -> bytes:
    """One of docker's driver `local`."""
    message = (
        b"\n\x06" + stream + b"\x10" + varint(time_ns) + (b"\x1a" + varint(len(text)) + text if text else b"") + part
    )
    return struct.pack(">I", len(message)) + message + struct.pack(">I", len(message))


class Engine:
    """Writes what a container said as docker (two drivers) or conmon does, and begins a new file when told."""

    def __init__(self, path: Path, kind: str, max_files: int = 3):
        self.path, self.kind, self.max_files = path, kind, max_files
        self.now_ns = BEGUN_MS * 1_000_000
        self._begun: set[str] = set()
        self._file = path.open("ab")

    def write(self, text: bytes, stream: str = "stdout", after_ms: int = 0) -> None:
        """A line, or a part of one where `text` has no newline at its end."""
        self.now_ns += after_ms * 1_000_000 + 1
        moment = datetime.fromtimestamp(self.now_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        fraction = f"{self.now_ns % 10**9:09}"
        if self.kind == "local":
            begun, whole = stream in self._begun, text.endswith(b"\n")
            if begun or not whole:
                said = (b"\x08\x01" if whole else b"") + b"\x12\x03abc\x18\x01"
                part = b"\x20\x01\x2a" + varint(len(said)) + said
                (self._begun.discard if whole else self._begun.add)(stream)
            entry = record(stream.encode(), self.now_ns, text.removesuffix(b"\n"), part if begun or not whole else b"")
            self._file.write(entry)
        elif self.kind == "json":
            entry = {"log": text.decode(), "stream": stream, "time": f"{moment}.{fraction.rstrip('0') or '0'}Z"}
            self._file.write(json.dumps(entry).encode() + b"\n")
        else:
            tag = "F" if text.endswith(b"\n") else "P"
            self._file.write(f"{moment}.{fraction}+00:00 {stream} {tag} ".encode() + text.removesuffix(b"\n") + b"\n")
        self._file.flush()

    def torn(self, text: bytes) -> None:
        self._file.write(text)
        self._file.flush()

    def rotate(self) -> None:
        self._file.close()
        if self.kind != "podman":
            for number in range(self.max_files - 1, 0, -1):
                older = Path(f"{self.path}.{number - 1}") if number > 1 else self.path
                if older.exists():
                    older.rename(f"{self.path}.{number}")
            self._file = self.path.open("wb")
        else:
            draft = Path(f"{self.path}.tmp")
            self._file = draft.open("wb")
            draft.rename(self.path)


class Told:
    """What an engine tells when it is asked."""

    def __init__(self):
        self.position = (1, 0)
        self._runs = [(0, b"as the engine tells it\n")]

    def go_on_from(self, position) -> bool:
        self._runs = self._runs[position[1] :]
        return True

    def read(self, last: bool):
        runs, self._runs = self._runs, []
        self.position = (1, 1)
        return runs

    def close(self) -> None:
        pass


class Site:
    """A directory of logs, and a slot after another that reads."""

    def __init__(self, base: Path, kind: str):
        base.mkdir(exist_ok=True)
        self.base = base
        self.engine = Engine(base / "engine.log", kind)
        self.reading: Reading | None = None
        self.begin()

    def begin(self) -> None:
        """A slot that re-attaches; the one before it just stops, as one that is killed does."""
        self.reading = Reading(
            lambda suffix, flags: os.open(self.base / f"a.{suffix}", os.O_RDWR | os.O_CREAT | flags, 0o600),
            lambda suffix: os.unlink(self.base / f"a.{suffix}"),
            BOUND,
            BEGUN_MS,
        )
        self.reading.attach(Files(str(self.engine.path), Told()))

    @property
    def now_ms(self) -> int:
        return self.engine.now_ns // 1_000_000 + 5

    def take(self) -> None:
        self.reading.take(self.now_ms)

    def drain(self) -> None:
        self.take()
        while self.reading.more:
            self.take()

    @property
    def log(self) -> bytes:
        return (self.base / "a.log").read_bytes()

    def finish(self) -> bytes:
        self.reading.finish(self.now_ms)
        assert {path.name for path in self.base.glob("a.*")} <= {"a.log", "a.idx"}, "nothing else is left"
        return self.log

    def samples(self) -> list[tuple[int, int]]:
        lines = (self.base / "a.idx").read_text().splitlines()
        return [(int(line.split()[0]), int(line.split()[1])) for line in lines]


KINDS = ["json", "local", "podman"]


@pytest.fixture(params=KINDS)
def site(request, tmp_path):
    return Site(tmp_path / "site", request.param)


def test_lines_of_both_streams_come_live_and_in_order(site):
    site.engine.write(b"one\n")
    site.engine.write(b"two\n", "stderr")
    site.take()
    assert site.log == b"one\ntwo\n"
    site.engine.write("drei \u00fc\n".encode())
    assert site.finish() == "one\ntwo\ndrei ü\n".encode()


def test_each_line_has_the_time_that_the_engine_gave_it(site):
    for after_ms in (0, 1, 5000, 0, 300):
        site.engine.write(b"x\n", after_ms=after_ms)
    told_ms = site.now_ms - 5
    site.finish()
    assert site.samples() == [
        (BEGUN_MS, 0),
        (BEGUN_MS, 2),
        (BEGUN_MS + 1, 4),
        (BEGUN_MS + 5001, 8),
        (told_ms, 10),
        (told_ms + 5, 10),
    ]


def test_text_without_a_newline_is_seen_before_its_line_is_ended(site, monkeypatch):
    site.engine.write(b"10 percent ")
    site.take()
    assert site.log == b"", "its other half may be on its way"
    monkeypatch.setattr(reading, "PATIENCE_S", 0.0)
    site.take()
    assert site.log == b"10 percent "
    site.engine.write(b"20 percent\n")
    assert site.finish() == b"10 percent 20 percent\n"


def test_a_line_that_comes_in_parts_is_not_cut_by_the_other_stream(site):
    site.engine.write(b"a" * 8000)
    site.engine.write(b"warning\n", "stderr")
    site.engine.write(b"half of another", "stderr")
    site.engine.write(b"b" * 8000)
    site.take()
    site.engine.write(b"c\n")
    site.engine.write(b" warning\n", "stderr")
    assert site.finish() == b"a" * 8000 + b"b" * 8000 + b"c\nwarning\nhalf of another warning\n"


def test_a_file_that_was_begun_anew_is_read_to_its_end_first(site):
    site.engine.write(b"1\n")
    site.take()
    site.engine.write(b"2\n")
    site.engine.rotate()
    site.engine.write(b"3\n")
    site.take()
    assert site.log == b"1\n2\n3\n"
    site.engine.rotate()
    assert site.finish() == b"1\n2\n3\n"


def test_several_files_begun_between_two_looks_are_all_read_where_the_engine_keeps_them(tmp_path):
    site = Site(tmp_path / "site", "local")
    for number in range(9):
        site.engine.write(b"%d\n" % number)
        if number % 3 != 1:
            site.engine.rotate()
        if number % 3 == 2:
            site.take()
    assert site.finish() == b"0\n1\n2\n3\n4\n5\n6\n7\n8\n"


def test_what_the_engine_threw_away_while_no_slot_lived_is_said(site):
    site.engine.write(b"1\n")
    site.take()
    for number in range(4):
        site.engine.write(b"lost %d\n" % number)
        site.engine.rotate()
    site.engine.write(b"2\n")
    site.begin()
    log = site.finish()
    assert log.startswith(b"1\n" + reading.MISSING) and log.endswith(b"2\n")
    assert log.count(b"lost") == (0 if site.engine.kind == "podman" else 2)


def test_a_slot_that_lags_far_behind_keeps_few_files_and_says_what_it_lost(site):
    for number in range(9):
        site.engine.write(b"%d\n" % number)
        site.reading._source._look()
        site.engine.rotate()
    log = site.finish()
    assert re.match(rb"\n\[batchyard: \d+ bytes of the engine's log were lost here\]\n", log), log
    assert log.endswith(b"\n6\n7\n8\n")


@pytest.mark.parametrize("kind", ["json", "podman"])
def test_torn_lines_are_told_as_they_stand(tmp_path, kind):
    site = Site(tmp_path / "site", kind)
    site.engine.write(b"before\n")
    site.engine.torn(b'{"log":"half of\n2026-11\n\n')
    site.engine.write(b"after\n")
    site.engine.torn(b"end")
    assert site.finish() == b'before\n{"log":"half of\n2026-11\n\nafter\nend\n'


@pytest.mark.parametrize("cut", [3, 7, 20, 30])
def test_torn_records_are_passed_over_and_counted(tmp_path, cut):
    site = Site(tmp_path / "site", "local")
    site.engine.write(b"before\n")
    site.engine.torn(record(b"stderr", BEGUN_MS * 10**6, b"torn text")[:cut])
    site.engine.write(b"after\n")
    site.engine.torn(record(b"stderr", BEGUN_MS * 10**6, b"torn text")[:cut])
    said = f"\n[batchyard: {cut} bytes of the engine's log were lost here]\n"
    assert site.finish().decode() == f"before\n{said}after\n{said}"


def test_a_format_that_nobody_knows_is_left_to_the_engine_s_own_telling(tmp_path):
    site = Site(tmp_path / "site", "local")
    site.engine.torn(b"\0\0\0\x20{a new format, of another docker}")
    site.take()
    site.take()
    assert site.log == b"as the engine tells it\n"
    site.begin()
    assert site.finish() == b"as the engine tells it\n"


def test_a_flood_keeps_head_and_tail_over_restarts_and_counts_what_is_cut(site):
    chance = random.Random(7)
    line, count = b"x" * 999, 30_000
    for number in range(count):
        site.engine.write(b"%06d" % number + line[7:] + b"\n")
        if number % 700 == 0:
            chance.choice([site.take, site.drain, site.begin, site.drain])()
        if number % 2500 == 0:
            site.drain()
            site.engine.rotate()
        if number % 2500 == 1:
            site.take()
    log = site.finish()
    cut = CUT.search(log)
    assert cut and len(log) <= BOUND + 200
    assert int(cut[1]) + len(log) - len(cut[0]) == count * 999
    head, tail = log[: cut.start()], log[cut.end() :]
    assert len(head) == BOUND // 2 and len(tail) > BOUND // 4
    assert head.startswith(b"000000x") and tail.endswith(b"x\n") and b"%06dx" % (count - 1) in tail
    assert [int(number) for number in re.findall(rb"(\d{6})x", head)] == list(range(BOUND // 2 // 999 + 1))


def test_a_mark_that_is_not_whole_is_none(site):
    site.engine.write(b"1\n")
    site.take()
    (site.base / "a.pos").write_text('{"log"')
    site.begin()
    assert site.finish() == b"1\n", "all is read again"
    assert [size for _, size in site.samples()] == [0, 2, 2]


def stream_mark(stream: str) -> int:
    """What its lines begin with in the test below."""
    return ord(stream[3])


pieces = st.lists(
    st.tuples(
        st.sampled_from(["stdout", "stdout", "stderr"]),
        st.integers(0, 40_000) | st.integers(0, 200),
        st.booleans() | st.just(True),
        st.integers(0, 30),
    ),
    max_size=60,
)


@given(
    kind=st.sampled_from(KINDS),
    written=pieces,
    seed=st.integers(0, 2**32),
    both=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_properties_our_log_is_what_was_written(tmp_path_factory, kind, written, seed, both):
    """Random lines and parts of lines, rotations, looks and deaths; each stream's lines are whole and in order."""
    chance = random.Random(seed)
    site = Site(tmp_path_factory.mktemp("site"), kind)
    said: dict[str, bytes] = {"stdout": b"", "stderr": b""}
    fresh = False
    for stream, size, whole, after_ms in written:
        stream = stream if both else "stdout"
        text = (b"%c" % stream_mark(stream) + chance.choice([b"'\\ ", "ü".encode(), b"x"]) * size)[: size + 1]
        text = text.decode("utf-8", "ignore").encode() + (b"\n" if whole else b"")
        site.engine.write(text, stream, after_ms)
        said[stream] += text
        at_rest = all(not each or each.endswith(b"\n") for each in said.values())
        if fresh or chance.random() < 0.2:
            site.drain()
            fresh = chance.random() < 0.5 and (at_rest or not both)
            if fresh:  # who dies before it is looked at cannot know whether Podman had begun one file since, or two
                site.engine.rotate()
        elif chance.random() < 0.2:
            site.begin()
    for stream in said if both else ():
        last = b"%c.\n" % stream_mark(stream)  # no line stays without its end
        site.engine.write(last, stream)
        said[stream] += last
    log = site.finish()
    if both:
        lines = log.splitlines(keepends=True)
        for stream, text in said.items():
            assert b"".join(line for line in lines if line[0] == stream_mark(stream)) == text, seed
    else:
        assert log == said["stdout"], seed
    samples = site.samples() if log else []
    assert samples == sorted(samples) and all(size <= len(log) for _, size in samples), seed


@given(data=st.binary(max_size=300), kind=st.sampled_from([b"{", b"2", b"\0"]))
def test_properties_nothing_that_an_engine_writes_stops_the_reading(data, kind):
    good = record(b"stdout", BEGUN_MS * 10**6, b"x")
    for chunk in (kind + data, good + data, good[:20] + data, b'{"log":"a\\n","time":"x"}\n' + data):
        first = kind[0]
        while chunk:
            batch = lines.parse(first, chunk, patient=False, final=True)
            assert 0 < batch.used <= len(chunk)
            chunk = chunk[batch.used :]
