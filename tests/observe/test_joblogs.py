"""Lines, times and pages of a log, read from files as slots write them."""

from __future__ import annotations

import random

import pytest

from batchyard.observe.joblogs import FileLogs

ATTEMPT = "00000000-0000-4000-8000-000000000001:3.2"
OPENED_MS = 1_000
EVENT_MAX = 256 * 1024
ALL = (10_000, 1 << 20)


class Log:
    """An attempt's files, and how they read."""

    def __init__(self, data):
        self.logs = FileLogs(data)
        self.directory = data / "logs" / "1970-01-01"
        self.directory.mkdir(parents=True)

    def write(self, content: bytes, *samples: str):
        (self.directory / f"{ATTEMPT}.log").write_bytes(content)
        if samples:
            (self.directory / f"{ATTEMPT}.idx").write_text("".join(f"{sample}\n" for sample in samples))
        return self

    def forward(self, offset=0, limit=ALL[0], max_bytes=ALL[1], closed=False):
        return self.logs.read_forward(ATTEMPT, OPENED_MS, offset, limit, max_bytes, closed)

    def backward(self, offset, limit=ALL[0], max_bytes=ALL[1], closed=False):
        return self.logs.read_backward(ATTEMPT, OPENED_MS, offset, limit, max_bytes, closed)

    def size(self):
        return self.logs.size(ATTEMPT, OPENED_MS)


@pytest.fixture
def log(tmp_path):
    return Log(tmp_path)


def messages(events):
    return [event.message for event in events]


def test_no_log_is_no_size_and_no_lines(log):
    assert log.size() is None
    assert log.forward() == [] and log.backward(100) == []


def test_lines_have_the_time_of_the_first_sample_that_covers_them(log):
    log.write(b"one\ntwo\nthree\n", "1000 0", "1100 4", "1200 14 end")
    assert [(e.message, e.timestamp_ms, e.offset, e.end) for e in log.forward()] == [
        ("one", 1100, 0, 4),
        ("two", 1200, 4, 8),
        ("three", 1200, 8, 14),
    ]
    assert log.size() == 14


def test_lines_beyond_the_last_sample_are_not_before_it(log):
    log.write(b"one\ntwo\n", "1000 0", "1100 4")
    times = [event.timestamp_ms for event in log.forward()]
    assert times[0] == 1100 and times[1] >= 1100


def test_a_log_without_index_reads_all_the_same(log):
    events = log.write(b"one\ntwo\n").forward()
    assert messages(events) == ["one", "two"]
    assert OPENED_MS <= events[0].timestamp_ms <= events[1].timestamp_ms


def test_a_broken_index_line_is_passed_over(log):
    log.write(b"one\n", "1000 0", "garbage", "", "1100 4", "12")
    assert [event.timestamp_ms for event in log.forward()] == [1100]


@pytest.mark.parametrize("closed", [False, True])
def test_an_unfinished_line_is_told_once_the_attempt_is_over(log, closed):
    log.write(b"one\ntw", "1000 0", "1100 6")
    expected = ["one", "tw"] if closed else ["one"]
    assert messages(log.forward(closed=closed)) == expected
    assert messages(log.backward(6, closed=closed)) == expected


def test_bytes_that_are_no_text_are_replaced(log):
    assert messages(log.write(b"\xff\x00a\xc3\n\n \n").forward()) == ["\ufffd\x00a\ufffd", "", " "]


def test_pages_forward_and_backward_are_the_whole(log):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    lines = [bytes(chance.choices(b"abc \xc3\xa9", k=chance.choice((0, 1, 5, 40)))) for _ in range(300)]
    content = b"".join(line + b"\n" for line in lines)
    log.write(content, "1000 0", f"1100 {len(content) // 2}", f"1200 {len(content)} end")
    whole = log.forward()
    assert messages(whole) == [line.decode(errors="replace") for line in lines]
    pages, offset = [], 0
    while page := log.forward(offset, limit=chance.randint(1, 9)):
        pages, offset = pages + page, page[-1].end
    assert pages == whole
    pages, offset = [], len(content)
    while page := log.backward(offset, limit=chance.randint(1, 9)):
        pages, offset = page + pages, page[0].offset
    assert pages == whole
    times = [event.timestamp_ms for event in whole]
    assert times == sorted(times)


def test_a_page_is_bounded_in_bytes_and_still_moves(log):
    content = b"x" * 99 + b"\n"
    log.write(content * 1000, "1000 0", "1100 100000 end")
    page = log.forward(max_bytes=1000)
    assert 1 <= len(page) <= 10
    assert log.forward(page[-1].end, max_bytes=1000)[0].offset == page[-1].end
    page = log.backward(100_000, max_bytes=1000)
    assert 1 <= len(page) <= 10 and page[-1].end == 100_000


@pytest.mark.parametrize("count", [100_000, 400_000, 1_500_000])
@pytest.mark.parametrize("before", [b"", b"short\n", b"\n" * 3])
def test_a_long_line_is_told_in_pieces_the_same_both_ways(log, count, before):
    text = "x" + "é" * count  # every cut at an even number of bytes would lie within a character
    content = before + text.encode() + b"\nafter\nx" + b"y" * EVENT_MAX + b"\n"
    log.write(content, "1000 0", f"1100 {len(content)} end")
    events, offset = [], 0
    while page := log.forward(offset):
        events, offset = events + page, page[-1].end
    assert max(event.end - event.offset for event in events) <= EVENT_MAX + 1
    assert "".join(messages(events)) == before.decode().strip() + text + "after" + "x" + "y" * EVENT_MAX
    back, offset = [], len(content)
    while page := log.backward(offset):
        back, offset = page + back, page[0].offset
    assert back == events


def test_a_long_line_that_is_being_written_shows_what_is_sure(log):
    log.write(b"z" * (EVENT_MAX + 10), "1000 0", "1100 10")
    assert [(event.offset, event.end) for event in log.forward()] == [(0, EVENT_MAX)]
    assert [(event.offset, event.end) for event in log.backward(EVENT_MAX + 10)] == [(0, EVENT_MAX)]
    assert [event.end for event in log.forward(closed=True)] == [EVENT_MAX, EVENT_MAX + 10]


def test_the_lines_of_a_log_end_where_the_next_begin(log):
    log.write(b"a\n\n\nbb\n", "1000 0", "1100 7 end")
    events = log.forward()
    assert [(event.offset, event.end) for event in events] == [(0, 2), (2, 3), (3, 4), (4, 7)]
