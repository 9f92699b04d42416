"""Whether an ended attempt is tried again. Source: reference "Retries and timeouts".

A pattern is exact or, with one `*` at its end, a prefix; the first entry all of whose conditions match decides;
when none matches the job is retried. An absent value is matched by `*` alone, so that the idiom
``{"onReason": "*", "action": "EXIT"}`` works, except that an absent exit code never matches onExitCode.
"""

from __future__ import annotations

from batchyard.model.events import Ending
from batchyard.model.jobs import RetryPolicy


def again(policy: RetryPolicy, number: int, ending: Ending) -> bool:
    """Whether attempt `number`, which failed with `ending`, is followed by another one."""
    if ending.timed_out or ending.refused or number >= policy.attempts:
        return False
    for rule in policy.rules:
        if rule.matches(ending.exit_code, ending.reason, ending.status_reason):
            return rule.retry
    return True
