"""Whether an ended attempt is tried again. Source: reference "Retries and timeouts".

A pattern is exact or, with one `*` at its end, a prefix; the first entry all of whose conditions match decides;
when none matches the job is retried. An absent value is matched by `*` alone, so that the idiom
``{"onReason": "*", "action": "EXIT"}`` works, except that an absent exit code never matches onExitCode.
"""

from __future__ import annotations

from batchyard.model.events import Ending
from batchyard.model.jobs import RetryPolicy, RetryRule


def again(policy: RetryPolicy, number: int, ending: Ending) -> bool:
    """Whether attempt `number`, which failed with `ending`, is followed by another one."""
    if ending.timed_out or number >= policy.attempts:
        return False
    for rule in policy.rules:
        if _matches(rule, ending):
            return rule.retry
    return True


def _matches(rule: RetryRule, ending: Ending) -> bool:
    if rule.on_exit_code is not None and (
        ending.exit_code is None or not _like(rule.on_exit_code, str(ending.exit_code))
    ):
        return False
    if rule.on_reason is not None and not _like(rule.on_reason, ending.reason or ""):
        return False
    return rule.on_status_reason is None or _like(rule.on_status_reason, ending.status_reason or "")


def _like(pattern: str, value: str) -> bool:
    if pattern.endswith("*"):
        return value.startswith(pattern[:-1])
    return value == pattern
