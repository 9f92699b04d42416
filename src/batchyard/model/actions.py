"""Orders the scheduler gives; ``engine/act`` carries them out after the commit. All are idempotent by attempt."""

from __future__ import annotations

from typing import NamedTuple


class StartAttempt(NamedTuple):
    job: int
    index: int
    number: int
    uuid: str
    environment: int


class StopAttempt(NamedTuple):
    """Stop it: SIGTERM, then SIGKILL after the grace time. Its ending comes back as news.

    `grace_ms` None is the executor's own, 0 is SIGKILL at once. Of several orders the one that kills first holds.
    """

    job: int
    index: int
    number: int
    uuid: str
    environment: int
    grace_ms: int | None = None


class ReleaseAttempt(NamedTuple):
    """Its ending is recorded: the executor may forget the attempt."""

    job: int
    index: int
    number: int
    uuid: str
    environment: int


Action = StartAttempt | StopAttempt | ReleaseAttempt
