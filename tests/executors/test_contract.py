"""The order of an attempt and the words of its ending, without running anything."""

from __future__ import annotations

import pytest

from batchyard.executors.contract import ending

RECORD = {
    "attempt": "a.1",
    "started_ms": 1000,
    "stopped_ms": 2000,
    "exit_code": 0,
    "signal": None,
    "start_error": None,
    "timed_out": False,
    "oom": False,
    "peak_memory_bytes": 4096,
    "cpu_ms": 7,
}
EXITED, NOT_STARTED = "Essential container in task exited", "Task failed to start"


@pytest.mark.parametrize(
    ("record", "exit_code", "status_reason", "reason"),
    [
        ({}, 0, EXITED, None),
        ({"exit_code": 3}, 3, EXITED, None),
        ({"exit_code": None, "signal": 15}, 143, EXITED, None),
        ({"exit_code": None, "signal": 9}, 137, EXITED, None),
        (
            {"exit_code": None, "signal": 9, "oom": True},
            137,
            EXITED,
            "OutOfMemoryError: Container killed due to memory usage",
        ),
        ({"exit_code": 127, "start_error": "x"}, 127, NOT_STARTED, "CannotStartContainerError: x"),
        ({"exit_code": None, "refused": "x"}, None, f"{NOT_STARTED}: x", None),
        ({"exit_code": None, "signal": 9, "timed_out": True}, 137, "Job attempt duration exceeded timeout", None),
        # the init of a container does not die of SIGTERM, so 137 is what clients know
        ({"exit_code": None, "signal": 15, "timed_out": True}, 137, "Job attempt duration exceeded timeout", None),
        ({"exit_code": 5, "timed_out": True}, 5, "Job attempt duration exceeded timeout", None),
    ],
)
def test_an_exit_record_is_told_in_the_words_that_clients_read(record, exit_code, status_reason, reason):
    told = ending(RECORD | record)
    assert (told.exit_code, told.status_reason, told.reason) == (exit_code, status_reason, reason)
    assert told.timed_out == bool(record.get("timed_out"))
    assert (told.started_ms, told.stopped_ms, told.peak_memory_bytes, told.cpu_ms) == (1000, 2000, 4096, 7)


def test_reasons_are_cut_at_255_characters():
    told = ending(RECORD | {"exit_code": 126, "start_error": "y" * 1000})
    assert len(told.reason) == 255
