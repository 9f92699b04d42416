"""Containers that write much: head and tail are kept, and what is cut is counted, whoever dies meanwhile."""

from __future__ import annotations

import os
import re
import signal
import time

CUT = re.compile(rb"\n\[batchyard: (\d+) bytes of output were cut here\]\n")
LINE = "x" * 99
FLOOD = f"echo begin; for i in $(seq 20); do yes {LINE} | head -n 15000; sleep 0.15; done; echo end"


def test_a_flood_keeps_head_and_tail_though_its_slot_is_killed_twice(make_dock):
    dock = make_dock(log_max_mib=4)
    attempt = dock.sh(FLOOD)
    dock.began(attempt)
    for _ in range(2):
        dock.until(dock.slots, "a slot watches it")
        time.sleep(0.7)
        for slot in dock.slots():
            os.kill(slot, signal.SIGKILL)
    assert dock.ended(attempt).ending.exit_code == 0
    content = dock.log_bytes(attempt)
    assert len(content) <= (4 << 20) + 200
    assert content.startswith(b"begin\n" + LINE.encode()) and content.endswith(b"\nend\n")
    (cut,) = CUT.finditer(content)
    assert int(cut[1]) + len(content) - len(cut[0]) == len("begin\nend\n") + 300_000 * 100
    beside = {path.suffix for path in (dock.data / "logs").glob(f"*/{attempt}.*")}
    assert beside == {".log", ".idx"}


def test_lines_have_times_within_the_attempt_and_as_far_apart_as_they_were_written(dock):
    ended = dock.run("echo one; sleep 0.6; echo two >&2; sleep 0.6; echo three")
    events = dock.events(ended.attempt)
    assert [event.message for event in events] == ["one", "two", "three"]
    times = [event.timestamp_ms for event in events]
    assert dock.specs[ended.attempt].opened_ms <= times[0] and times[-1] <= ended.ending.stopped_ms
    assert all(500 < later - earlier < 3000 for earlier, later in zip(times, times[1:], strict=False))
