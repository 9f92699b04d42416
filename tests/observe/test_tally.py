"""How endings are told apart; the numbers themselves are judged by storms (test_counting.py)."""

from __future__ import annotations

import pytest

from batchyard.observe.metrics import ENDINGS
from batchyard.observe.tally import ending

EXITED = "Essential container in task exited"
CASES = {
    "succeeded": [{"exit_code": 0, "status_reason": EXITED}],
    "failed": [{"exit_code": 1, "status_reason": EXITED}, {"exit_code": 137, "status_reason": EXITED}],
    "timed_out": [
        {"exit_code": 137, "status_reason": "Job attempt duration exceeded timeout", "timed_out": True},
        {"exit_code": 0, "status_reason": "Job attempt duration exceeded timeout", "timed_out": True},
    ],
    "terminated": [
        {"exit_code": 143, "status_reason": "Host EC2 is no more, says my boss", "terminated": True},
        {"exit_code": 0, "status_reason": "enough", "terminated": True, "timed_out": True},
        {"status_reason": "before it began", "terminated": True},
    ],
    "out_of_memory": [
        {"exit_code": 137, "status_reason": EXITED, "reason": "OutOfMemoryError: Container killed due to memory usage"}
    ],
    "not_started": [
        {"exit_code": 127, "status_reason": "Task failed to start", "reason": "CannotStartContainerError: x"},
        {"status_reason": "Task failed to start"},
    ],
    "lost": [{"status_reason": "Host EC2 (instance i-0) terminated."}],
}


def test_every_ending_has_a_case():
    assert set(CASES) == set(ENDINGS)


@pytest.mark.parametrize(
    ("word", "detail"), [(word, detail) for word, details in CASES.items() for detail in details], ids=str
)
def test_how_an_attempt_ended(word, detail):
    assert ending(detail) == word
