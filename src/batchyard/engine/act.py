"""Carries out actions after their facts are durable. Every order is idempotent by attempt id, so a crash between
commit and act is healed by giving the order again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from batchyard.engine.inbox import Key
from batchyard.model.actions import Action, ReleaseAttempt, StartAttempt
from batchyard.model.ids import attempt_id, executor_name
from batchyard.ports import Commits, Executor


def act(
    actions: Iterable[Action],
    commits: Commits,
    executors: Mapping[str, Executor],
    provider_of: Callable[[int], str],
    open_attempts: dict[str, Key],
) -> None:
    """Give the orders and keep `open_attempts` true."""
    for action in actions:
        attempt = attempt_id(action.uuid, action.index, action.number)
        executor = executors[executor_name(provider_of(action.environment))]
        if isinstance(action, StartAttempt):
            open_attempts[attempt] = (action.job, action.index, action.number)
            executor.start(commits.attempt_spec(action.job, action.index, action.number))
        elif isinstance(action, ReleaseAttempt):
            open_attempts.pop(attempt, None)
            executor.release(attempt)
        else:
            executor.stop(attempt, action.grace_ms)
    for executor in executors.values():
        executor.flush()
