"""How things look: tables, times, colours. Pure text in and out; nothing here knows the server.

Colour only where a person looks: not in a pipe, not with NO_COLOR set (https://no-color.org).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

COLOURS = {"SUCCEEDED": "green", "FAILED": "red", "RUNNING": "cyan", "STARTING": "cyan", "RUNNABLE": "yellow"}
COLOURS |= {"ok": "green", "weaker": "yellow", "missing": "red"}
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def coloured(stream: Any = None) -> bool:
    """Whether `stream` (standard output if None) shows colours to a person."""
    stream = stream or sys.stdout
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def status(name: str, width: int = 0) -> str:
    """A job's status, or a check's word, in its colour, padded to `width` before colouring."""
    text = name.ljust(width)
    return click.style(text, fg=COLOURS.get(name)) if coloured() and name in COLOURS else text


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns two spaces apart; statuses in colour; nothing is cut, so it can be piped."""
    widths = [max(len(row[column]) for row in (headings, *rows)) for column in range(len(headings))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(headings, widths, strict=True)).rstrip()]
    for row in rows:
        cells = [status(text, width) for text, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def duration(ms: int) -> str:
    """Milliseconds for people: 0.4s, 12s, 3m05s, 2h07m, 3d04h."""
    seconds = max(0, ms) // 1000
    if ms < 10_000:
        return f"{max(0, ms) / 1000:.1f}s"
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m{seconds % 60:02}s"
    if seconds < 86400:
        return f"{seconds // 3600}h{seconds // 60 % 60:02}m"
    return f"{seconds // 86400}d{seconds // 3600 % 24:02}h"


def instant(ms: int | None) -> str:
    """Epoch milliseconds as local time; a dash for None."""
    return "-" if not ms else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ms / 1000))


def bar(value: float, full: float, width: int) -> str:
    """A horizontal bar of up to `width` cells, exact to an eighth of a cell."""
    eighths = round(8 * width * value / full) if full else 0
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def spans(rows: Sequence[tuple[str, int, int]], width: int) -> str:
    """When each of `rows` (name, start, stop) ran, on one common scale of `width` cells."""
    first, last = min(row[1] for row in rows), max(row[2] for row in rows)
    scale = width / max(1, last - first)
    names = max(len(row[0]) for row in rows)
    lines = []
    for name, start, stop in rows:
        before = min(width - 1, int((start - first) * scale))
        cells = min(width - before, max(1, round((stop - first) * scale) - before))  # every row is seen
        lines.append(f"{name.rjust(names)} {'·' * before}{'█' * cells}{'·' * (width - before - cells)}")
    return "\n".join(lines)


def most_at_once(rows: Sequence[tuple[int, int]]) -> int:
    """The largest number of (start, stop) intervals that overlap at one instant."""
    edges = sorted([(start, 1) for start, _ in rows] + [(stop, -1) for _, stop in rows])
    running = most = 0
    for _, step in edges:
        running += step
        most = max(most, running)
    return most


def half_blocks(ppm: bytes) -> list[str]:
    """A small picture in PPM (P6, one line of header, an even height) as lines for a terminal that has all colours."""
    header, _, pixels = ppm.partition(b"\n")
    width, height = map(int, header.split()[1:3])
    lines = []
    for y in range(0, height, 2):
        upper, lower = (pixels[3 * width * row : 3 * width * (row + 1)] for row in (y, y + 1))
        cells = [(upper[at : at + 3], lower[at : at + 3]) for at in range(0, 3 * width, 3)]
        lines.append("".join(f"{_sgr(38, above)}{_sgr(48, below)}▀" for above, below in cells) + "\x1b[0m")
    return lines


def _sgr(what: int, colour: bytes) -> str:
    return "\x1b[{};2;{};{};{}m".format(what, *colour)


class PlainProgress:
    """Progress as lines, one for each quarter done: for logs and pipes."""

    def __init__(self, stream: Any):
        self._stream = stream
        self._rows: dict[str, list[Any]] = {}  # key -> name, total, quarter last told

    def add(self, key: str, name: str, total: int) -> None:
        self._rows[key] = [name, total, 0]

    def update(self, key: str, succeeded: int, failed: int, running: int = 0) -> None:
        name, total, told = self._rows[key]
        quarter = 4 * (succeeded + failed) // total
        if quarter > told:
            self._rows[key][2] = quarter
            text = f"{name}: {succeeded + failed} of {total} done" + (f", {failed} failed" if failed else "")
            click.echo(text, file=self._stream)


class BarProgress:
    """Progress as a bar for each job, drawn in place by rich; its clock runs from the first sign of life."""

    def __init__(self, bars: Any):
        self._bars = bars
        self._tasks: dict[str, tuple[Any, int]] = {}

    def add(self, key: str, name: str, total: int) -> None:
        self._tasks[key] = self._bars.add_task(name, total=total, start=False, said=f"0 of {total}"), total

    def update(self, key: str, succeeded: int, failed: int, running: int = 0) -> None:
        task, total = self._tasks[key]
        said = f"{succeeded + failed} of {total}" + (f", [red]{failed} failed[/]" if failed else "")
        said += f", [cyan]{running} running[/]" if running else ""
        if succeeded or failed or running:
            self._bars.start_task(task)
        self._bars.update(task, completed=succeeded + failed, said=said)


@contextmanager
def progress(stream: Any) -> Iterator[PlainProgress | BarProgress]:
    """Something with ``add(key, name, total)`` and ``update(key, succeeded, failed, running)``, shown on `stream`."""
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        yield PlainProgress(stream)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(file=stream)
    bar = BarColumn(max(8, min(40, console.width - 44)))
    columns = (TextColumn("{task.description}"), bar, TimeElapsedColumn(), TextColumn("{task.fields[said]}"))
    with Progress(*columns, console=console) as bars:  # rich itself respects NO_COLOR
        yield BarProgress(bars)
