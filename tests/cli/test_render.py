"""Tables, times, bars: text in, text out."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchyard.cli import render


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (-5, "0.0s"),
        (0, "0.0s"),
        (440, "0.4s"),
        (9_999, "10.0s"),
        (10_000, "10s"),
        (59_999, "59s"),
        (60_000, "1m00s"),
        (3_599_999, "59m59s"),
        (7_620_000, "2h07m"),
        (273_600_000, "3d04h"),
    ],
)
def test_durations(ms, text):
    assert render.duration(ms) == text


def test_a_table_cuts_nothing_and_aligns_all():
    text = render.table(("ID", "STATUS"), [("x" * 50, "FAILED"), ("y", "RUNNING")])
    assert text == f"{'ID':50}  STATUS\n{'x' * 50}  FAILED\n{'y':50}  RUNNING"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals_without_no_color(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert render.coloured(Terminal())
    assert not render.coloured(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not render.coloured(Terminal())


def test_spans_share_one_scale():
    text = render.spans([("a", 0, 500), ("bb", 500, 1000), ("c", 999, 1000)], 10)
    assert text.splitlines() == [" a █████·····", "bb ·····█████", " c ·········█"]


intervals = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)).map(lambda p: (p[0], p[0] + p[1])), min_size=1)


@given(intervals, st.integers(1, 60))
def test_every_span_is_seen_and_none_leaves_the_scale(rows, width):
    lines = render.spans([("x", start, stop) for start, stop in rows], width).splitlines()
    assert all("█" in line and len(line) == width + 2 for line in lines)


@given(intervals)
def test_most_at_once_counts_the_fullest_instant(rows):
    """Half-open intervals: one that ends as another begins does not overlap it."""
    rows = [(start, stop + 1) for start, stop in rows]
    fullest = max(sum(start <= instant < stop for start, stop in rows) for instant in range(80))
    assert render.most_at_once(rows) == fullest


def test_plain_progress_is_a_line_a_quarter():
    out = io.StringIO()
    with render.progress(out) as shown:
        shown.add("k", "count", 100)
        for done in range(101):
            shown.update("k", max(0, done - 1), min(1, done))
    assert out.getvalue().splitlines() == [f"count: {done} of 100 done, 1 failed" for done in (25, 50, 75, 100)]


def test_bars_are_drawn_in_a_terminal():
    out = Terminal()
    with render.progress(out) as shown:
        shown.add("k", "count", 4)
        shown.update("k", 3, 1)
    assert "4 of 4" in out.getvalue()
    assert "1 failed" in out.getvalue()


def test_bars_say_how_many_run():
    out = Terminal()
    with render.progress(out) as shown:
        shown.add("k", "count", 4)
        shown.update("k", 1, 0, 2)
    assert "1 of 4, \x1b[36m2 running" in out.getvalue()


def test_half_blocks_show_two_rows_in_one_line():
    pixels = bytes([1, 2, 3, 4, 5, 6]) + bytes([7, 8, 9, 10, 11, 12])
    assert render.half_blocks(b"P6 2 2 255\n" + pixels) == [
        "\x1b[38;2;1;2;3m\x1b[48;2;7;8;9m▀\x1b[38;2;4;5;6m\x1b[48;2;10;11;12m▀\x1b[0m"
    ]
