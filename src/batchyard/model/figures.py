"""What metrics are counted from, as the store reads it and keeps it."""

from __future__ import annotations

from typing import Any, NamedTuple

from batchyard.model.needs import Needs

HOLDING = ("opened", "closed")  # kinds of entries that take room or give it back


class Told(NamedTuple):
    """An entry of the journal as who counts needs it, with what rows say of its job and of its attempt."""

    n: int
    at_ms: int
    kind: str
    job: int
    index: int
    hi: int
    status: int | None
    detail: dict[str, Any] | None
    before: int | None
    queue: int | None
    size: int
    environment: int | None
    opened_ms: int | None
    needs: Needs | None  # of an attempt that takes its room or gives it back


class Place(NamedTuple):
    """A queue, or a compute environment with its provider, by name."""

    region: str
    name: str
    provider: str = ""
    max_vcpus: int | None = None  # of a managed environment


class Around(NamedTuple):
    """What metrics tell besides what happened."""

    queues: dict[int, Place]
    environments: dict[int, Place]
    rooms: dict[str, Needs]
    waiting: int  # requests that the engine has not seen
    engine: dict[str, Any] | None  # its view (model/timings.py)
    instances: dict[int, tuple[int, Needs]] = {}  # of environments that have any: how many, and what jobs may hold
    blocked: frozenset[int] = frozenset()  # queues that are


class Inventory(NamedTuple):
    """What rows say of all that lives. Of arrays with RUNNABLE children, their journal tells since when they are."""

    n: int  # of the newest entry then
    asked_seq: int  # likewise of requests
    jobs: list[tuple[int, int, int]]  # (queue, state, single jobs and children)
    arrays: list[tuple[int, int]]  # (queue, arrays)
    runnable: list[tuple[int, int, int]]  # (job, queue, since when): single jobs
    histories: list[Told]
    attempts: list[tuple[int, int, Needs]]  # (environment, open attempts, what they hold together)


class Reading(NamedTuple):
    """One look at both files, state.db first."""

    entries: list[Told]
    asked: list[tuple[int, int, int]]  # submissions: (number, queue, size)
    around: Around


class Kept(NamedTuple):
    """How far the counting is."""

    n: int  # entries up to this one are counted
    stamp: tuple[int, int] | None  # of that entry
    asked_seq: int  # likewise submissions
    missed: int  # entries that were gone before they were counted
    adrift: bool  # some are missing: what lives must be taken from rows
