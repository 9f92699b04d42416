"""retryStrategy and timeout, wherever they are given (reference "Retries and timeouts")."""

from __future__ import annotations

import re

from msgspec import UNSET, UnsetType

from batchyard.errors import ClientError
from batchyard.model.jobs import RetryPolicy, RetryRule
from batchyard.wire.shapes import EvaluateOnExit, JobTimeout, RetryStrategy

ATTEMPTS_MAX = 10
RULES_MAX = 5
CONDITION_MAX = 512  # characters
TIMEOUT_MIN_S = 60
_INT32_MAX = 2**31 - 1

_TEXT = re.compile(r"[0-9A-Za-z.:\s]*\*?")
_CODE = re.compile(r"[0-9]*\*?")


def policy(strategy: RetryStrategy | UnsetType) -> RetryPolicy:
    """What a retryStrategy means: one attempt if absent; ClientError if it breaks a rule."""
    if strategy is UNSET:
        return RetryPolicy()
    attempts = strategy.attempts
    if attempts is UNSET:
        raise ClientError("RetryAttempts must be provided with retry strategy")
    if not 1 <= attempts <= ATTEMPTS_MAX:
        raise ClientError(
            f"RetryAttempts must be between 1 and {ATTEMPTS_MAX}, got {attempts}.",
            "It counts all attempts, the first one included: 1 is no retry.",
        )
    entries = strategy.evaluateOnExit or ()
    if len(entries) > RULES_MAX:
        raise ClientError(
            f"A retry strategy can have at most {RULES_MAX} evaluateOnExit entries, got {len(entries)}.",
            "Join conditions that share an action.",
        )
    return RetryPolicy(attempts, tuple(_rule(entry) for entry in entries))


def timeout_s(timeout: JobTimeout | UnsetType) -> int | None:
    """Seconds an attempt may run, None if unbounded; ClientError below 60."""
    if timeout is UNSET or timeout.attemptDurationSeconds is UNSET:
        return None
    seconds = timeout.attemptDurationSeconds
    if not TIMEOUT_MIN_S <= seconds <= _INT32_MAX:
        raise ClientError(
            f"Job timeout must be at least {TIMEOUT_MIN_S} seconds, got {seconds}.",
            "Raise timeout.attemptDurationSeconds, or bound the command itself with timeout(1).",
        )
    return seconds


def _rule(entry: EvaluateOnExit) -> RetryRule:
    action = entry.action.upper()  # reference: the action is not case sensitive
    if action not in ("RETRY", "EXIT"):
        raise ClientError(f"evaluateOnExit action {entry.action!r} is not valid.", "Use RETRY or EXIT.")
    rule = RetryRule(
        action == "RETRY",
        _condition(entry.onExitCode, _CODE),
        _condition(entry.onReason, _TEXT),
        _condition(entry.onStatusReason, _TEXT),
    )
    if rule[1:] == (None, None, None):
        raise ClientError("EvaluateOnExit should contain at least one of onExitCode, onReason or onStatusReason")
    return rule


def _condition(pattern: str | UnsetType, form: re.Pattern[str]) -> str | None:
    if not pattern:  # some clients send "" for what they do not mean
        return None
    if len(pattern) > CONDITION_MAX:
        raise ClientError(f"Evaluate on exit condition cannot exceed {CONDITION_MAX} characters.")
    if not form.fullmatch(pattern):
        raise ClientError("Evaluate on exit condition contains restricted characters.")
    return pattern
