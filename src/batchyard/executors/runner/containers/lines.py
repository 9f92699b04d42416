"""The two formats in which engines keep what a container writes, and what was written, when. Pure, and in bulk.

Docker's `json-file` has a JSON object for each line; a line of more than 16 KiB is several whose text has no newline.
It knows no bytes that are not UTF-8: what was none is U+FFFD before we see it. Podman's `k8s-file` (conmon writes it)
has `TIME STREAM F TEXT` for a line and `P` in place of `F` for a part of one; it cuts wherever its buffer of 8 KiB
ends, so where both streams are busy, lines of one are cut by lines of the other. These are put together again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

PARTIAL = frozenset((b" stdout P ", b" stderr P "))
KINDS = PARTIAL | {b" stdout F ", b" stderr F "}
AFTER_TIME, AFTER_PREFIX = 35, 45  # in a line that conmon wrote: 2026-11-28T11:57:38.407997367+00:00 stdout F text
NO_PREFIX = b" " * AFTER_TIME + b" stdout F "
MILLISECOND = 23  # so much of a time, in either format
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Run = tuple[int, bytes]  # epoch milliseconds, or 0 for the time before; what was written then


class Batch(NamedTuple):
    runs: list[Run]  # in the order of writing, one for each millisecond
    used: int  # bytes of the engine's log that they were made from


class Message(NamedTuple):
    """A line or a part of one, as an engine tells it by its API with times."""

    time: str
    stream: int
    text: bytes

    @classmethod
    def of_frame(cls, stream: int, content: bytes) -> Message:
        time, _, text = content.partition(b" ")
        return cls(time.decode("ascii", "replace"), stream, text)


class _Entry(msgspec.Struct, gc=False):
    """A line of json-file."""

    log: str = ""
    stream: str = ""
    time: str = ""


_decoder = msgspec.json.Decoder(_Entry)


def parse(lines: bytes, patient: bool) -> Batch:
    """What whole lines of an engine's log say. What is no such line is told as it stands.

    With `patient` it takes them only to where the container had ended the lines that it began, which may be nowhere:
    the rest comes again with what follows.
    """
    return (_of_json if lines.startswith(b"{") else _of_k8s)(lines, patient)


# -- json-file ----------------------------------------------------------------------------------------------------


def _of_json(lines: bytes, patient: bool) -> Batch:
    entries, used = _entries(lines), len(lines)
    whole = [entry.log[-1:] == "\n" for entry in entries]
    if not all(whole):
        streams = [entry.stream for entry in entries]
        order, settled = _in_order(streams, whole)
        if patient:
            order = order[:settled]
            used = _begin_of_last(lines, len(entries) - settled)
        entries = [entries[number] for number in order]
    texts = [entry.log for entry in entries]

    def run(begin: int, end: int) -> bytes:
        return "".join(texts[begin:end]).encode("utf-8", "replace")

    return Batch(_runs(len(entries), lambda number: entries[number].time, run), used)


def _entries(lines: bytes) -> list[_Entry]:
    try:
        return _decoder.decode_lines(lines)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return [_entry(line) for line in lines[:-1].split(b"\n")]


def _entry(line: bytes) -> _Entry:
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Entry(line.decode("utf-8", "replace") + "\n")


def _begin_of_last(lines: bytes, count: int) -> int:
    """Where the last `count` lines begin."""
    at = len(lines)
    for _ in range(count):
        at = lines.rfind(b"\n", 0, at - 1) + 1
    return at


# -- k8s-file -----------------------------------------------------------------------------------------------------


def _of_k8s(chunk: bytes, patient: bool) -> Batch:
    lines, used = chunk[:-1].split(b"\n"), len(chunk)
    kinds = {line[AFTER_TIME:AFTER_PREFIX] for line in lines}
    if not kinds <= KINDS:
        lines = [line if line[AFTER_TIME:AFTER_PREFIX] in KINDS else NO_PREFIX + line for line in lines]
    if kinds.isdisjoint(PARTIAL):
        texts = [line[AFTER_PREFIX:] + b"\n" for line in lines]
    else:
        whole = [line[43] == ord("F") for line in lines]
        order, settled = _in_order([line[36:42] for line in lines], whole)
        if patient:
            used -= sum(len(line) + 1 for line in lines[settled:])
            order = order[:settled]
        texts = [lines[number][AFTER_PREFIX:] + (b"\n" if whole[number] else b"") for number in order]
        lines = [lines[number] for number in order]

    def time(number: int) -> str:
        return lines[number][:AFTER_TIME].decode("ascii", "replace")

    return Batch(_runs(len(lines), time, lambda begin, end: b"".join(texts[begin:end])), used)


# -- what an engine tells ----------------------------------------------------------------------------------------


def runs_of(messages: list[Message]) -> list[Run]:
    """What messages say."""
    order, _ = _in_order([each.stream for each in messages], [each.text[-1:] == b"\n" for each in messages])
    messages = [messages[number] for number in order]
    texts = [each.text for each in messages]
    return _runs(len(texts), lambda number: messages[number].time, lambda begin, end: b"".join(texts[begin:end]))


# -- all -------------------------------------------------------------------------------------------------------------


def _in_order(streams: Sequence[object], whole: Sequence[bool]) -> tuple[list[int], int]:
    """The numbers of the lines as they are told, and how many come before the last place where none is begun.

    A line that is begun is ended before the other stream has its turn; at the end of what there is, nobody waits.
    """
    order: list[int] = []
    waiting: deque[int] = deque()
    begun: object | None = None
    settled = 0
    for number, stream in enumerate(streams):
        waiting.append(number)
        if begun is not None and stream != begun:
            continue
        if begun is not None:
            waiting.rotate(1)  # it goes before those that wait for it
        while waiting and (begun is None or streams[waiting[0]] == begun):
            first = waiting.popleft()
            order.append(first)
            begun = None if whole[first] else streams[first]
        if begun is None:
            settled = len(order)
    return order + list(waiting), settled


def _runs(count: int, time: Callable[[int], str], written: Callable[[int, int], bytes]) -> list[Run]:
    """Lines of the same millisecond together. They come in the order of time, so few are looked at."""
    runs, begin = [], 0
    while begin < count:
        first = time(begin)
        same, step = begin, 1
        while same + step < count and time(same + step)[:MILLISECOND] == first[:MILLISECOND]:
            same, step = same + step, 2 * step
        while step:
            if same + step < count and time(same + step)[:MILLISECOND] == first[:MILLISECOND]:
                same += step
            step //= 2
        runs.append((at_ms(first), written(begin, same + 1)))
        begin = same + 1
    return runs


def at_ms(time: str) -> int:
    """0 for what is no time."""
    try:
        return (datetime.fromisoformat(time) - EPOCH) // timedelta(milliseconds=1)
    except (ValueError, TypeError):
        return 0
