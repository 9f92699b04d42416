"""The formats in which engines keep what a container writes, and what was written, when. Pure, and in bulk.

Docker's `local` has records: their size, a message of Protocol Buffers, their size again. Its `json-file` has a JSON
object for each line, and knows no bytes that are not UTF-8: what was none is U+FFFD before we see it. In both a line of
more than 16 KiB comes in parts. Podman's `k8s-file` (conmon writes it) has `TIME STREAM F TEXT` for a line and `P` in
place of `F` for a part of one; it cuts wherever its buffer of 8 KiB ends, so where both streams are busy, lines of one
are cut by lines of the other. These are put together again.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

PARTIAL = frozenset((b" stdout P ", b" stderr P "))
KINDS = PARTIAL | {b" stdout F ", b" stderr F "}
AFTER_TIME, AFTER_PREFIX = 35, 45  # in a line that conmon wrote: 2026-11-28T11:57:38.407997367+00:00 stdout F text
NO_PREFIX = b" " * AFTER_TIME + b" stdout F "
LOCAL_LEAST, LOCAL_TIME_ENDS = 26, 22  # bytes of a record: of the shortest, and before its line
LOCAL_STREAM, LOCAL_LINE, LOCAL_LAST = b"\n\x06std", 0x1A, b"\x08\x01"
_BIG = struct.Struct(">I")
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


def parse(first: int, chunk: bytes, patient: bool, final: bool = False) -> Batch:
    """What the whole records say with which `chunk` begins, of a file whose first byte is `first`.

    With `patient` it takes them only to where the container had ended the lines that it began, which may be nowhere:
    the rest comes again with what follows. `final`: nothing follows. What is no record is told as it stands.
    """
    if first == 0:
        return _of_local(chunk, patient, final)
    whole = chunk if final else chunk[: chunk.rfind(b"\n") + 1]
    if not whole:
        return Batch([], 0)
    lines = whole if whole.endswith(b"\n") else whole + b"\n"  # torn: the disk was full
    batch = _of_json(lines, patient) if first == ord("{") else _of_k8s(lines, patient)
    return Batch(batch.runs, min(batch.used, len(whole)))


def is_known(first: bytes) -> bool:
    """Whether a file that begins so has a format of ours: `local` is docker's own and may change."""
    return first[:1] != b"\0" or LOCAL_STREAM.startswith(first[4:9])


def mark_of(first: bytes) -> bytes:
    """What a file is known by, whatever its path is by now, out of its first bytes; nothing if they are too few yet.

    It is its first time, with what comes before.
    """
    if first[:1] == b"\0":
        return first[:LOCAL_TIME_ENDS] if len(first) >= LOCAL_TIME_ENDS else b""
    line, newline, _ = first.partition(b"\n")
    return line if newline else b""


def lost(size: int) -> bytes:
    return f"\n[batchyard: {size} bytes of the engine's log were lost here]\n".encode()


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

    return Batch(_by_text(len(entries), lambda number: entries[number].time, run), used)


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

    return Batch(_by_text(len(lines), time, lambda begin, end: b"".join(texts[begin:end])), used)


# -- local --------------------------------------------------------------------------------------------------------


class _Records(NamedTuple):
    """The whole records with which a chunk begins."""

    texts: list[bytes]
    begins: list[int]
    parts: list[int]  # numbers of those that do not end their line
    end: int
    torn: bool  # what follows is none, and not just the beginning of one


def _of_local(chunk: bytes, patient: bool, final: bool) -> Batch:
    texts, begins, parts, end, torn = _records(chunk)
    if not texts and (torn or final):
        return _without_torn(chunk)
    if parts:
        unended = set(parts)
        whole = [number not in unended for number in range(len(texts))]
        order, settled = _in_order([chunk[at + 9] for at in begins], whole)
        if patient and settled < len(begins):
            order, end = order[:settled], begins[settled]
        texts, begins = [texts[number] for number in order], [begins[number] for number in order]

    def time(number: int) -> int:
        return _nanoseconds(chunk[begins[number] + 13 : begins[number] + 22]) // 1_000_000

    return Batch(_runs(len(texts), time, time, lambda begin, end: b"".join(texts[begin:end])), end)


def _records(chunk: bytes) -> _Records:
    """A record: size, 0A 06 STREAM, 10 TIME in nine bytes, 1A SIZE LINE unless it is empty, more for a part, size.

    This is the hot loop where a container writes short lines.
    """
    texts, begins, parts = [], [], []
    unpack, at, length, torn = _BIG.unpack_from, 0, len(chunk), False
    while at + LOCAL_LEAST <= length:
        size = unpack(chunk, at)[0]
        after = at + size + 8
        torn = chunk[at + 4 : at + 9] != LOCAL_STREAM or (after <= length and unpack(chunk, after - 4)[0] != size)
        if torn or after > length:
            break
        begin = stop = at + 22
        if size > 18 and chunk[begin] == LOCAL_LINE:
            text_bytes, begin = chunk[at + 23], at + 24
            if text_bytes >= 128:
                text_bytes, begin = text_bytes - 128 + (chunk[at + 24] << 7), at + 25
                if chunk[at + 24] >= 128:
                    text_bytes, begin = text_bytes - (128 << 7) + (chunk[at + 25] << 14), at + 26
            stop = begin + text_bytes
        if stop == after - 4 or chunk[stop + 4 : stop + 6] == LOCAL_LAST:
            texts.append(chunk[begin:stop] + b"\n")
        else:
            parts.append(len(texts))
            texts.append(chunk[begin:stop])
        begins.append(at)
        at = after
    return _Records(texts, begins, parts, at, torn)


def _without_torn(chunk: bytes) -> Batch:
    """Over what is no record, to where the next may begin."""
    begin = chunk.find(LOCAL_STREAM, 5) - 4
    end = begin if begin > 0 else len(chunk)
    return Batch([(0, lost(end))] if end else [], end)


def _nanoseconds(varint: bytes) -> int:
    value = 0
    for byte in reversed(varint):
        value = value << 7 | byte & 127
    return value


# -- what an engine tells ----------------------------------------------------------------------------------------


def runs_of(messages: list[Message]) -> list[Run]:
    """What messages say."""
    order, _ = _in_order([each.stream for each in messages], [each.text[-1:] == b"\n" for each in messages])
    messages = [messages[number] for number in order]
    texts = [each.text for each in messages]
    return _by_text(len(texts), lambda number: messages[number].time, lambda begin, end: b"".join(texts[begin:end]))


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


def _by_text(count: int, time: Callable[[int], str], written: Callable[[int, int], bytes]) -> list[Run]:
    """Runs of lines whose times are texts."""
    return _runs(count, lambda number: time(number)[:MILLISECOND], lambda number: at_ms(time(number)), written)


def _runs(
    count: int,
    moment: Callable[[int], object],
    at_ms: Callable[[int], int],
    written: Callable[[int, int], bytes],
) -> list[Run]:
    """Lines of the same moment together. They come in the order of time, so few are looked at."""
    runs, begin = [], 0
    while begin < count:
        first = moment(begin)
        same, step = begin, 1
        while same + step < count and moment(same + step) == first:
            same, step = same + step, 2 * step
        while step:
            if same + step < count and moment(same + step) == first:
                same += step
            step //= 2
        runs.append((at_ms(begin), written(begin, same + 1)))
        begin = same + 1
    return runs


def at_ms(time: str) -> int:
    """0 for what is no time."""
    try:
        return (datetime.fromisoformat(time) - EPOCH) // timedelta(milliseconds=1)
    except (ValueError, TypeError):
        return 0
