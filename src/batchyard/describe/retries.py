"""Why a job that failed was not tried again, in words (reference "Retries and timeouts")."""

from __future__ import annotations

from typing import Any

from batchyard.model.jobs import RetryRule
from batchyard.ports import JobRow

TIMED_OUT = "Job attempt duration exceeded timeout"
_MEMBERS = ("onExitCode", "onReason", "onStatusReason")


def decided(row: JobRow, strategy: dict[str, Any]) -> str | None:
    """A sentence; None if nobody asked for another attempt, or somebody stopped the job."""
    attempts, entries = strategy.get("attempts", 1), strategy.get("evaluateOnExit") or []
    if row.stop_kind is not None or not row.attempts or attempts <= 1:
        return None
    if row.status_reason == TIMED_OUT:
        return "Who exceeds its timeout is never tried again."
    if row.attempts >= attempts:
        return f"That was the last of its {attempts} attempts."
    for number, entry in enumerate(entries, 1):
        if _rule(entry).matches(row.exit_code, row.reason, row.status_reason):
            given = ", ".join(f"{member} {entry[member]}" for member in _MEMBERS if entry.get(member))
            return f"It was not tried again: entry {number} of its evaluateOnExit ({given}) says {entry['action']}."
    return None


def _rule(entry: dict[str, Any]) -> RetryRule:
    return RetryRule(entry["action"].upper() == "RETRY", *(entry.get(member) or None for member in _MEMBERS))
