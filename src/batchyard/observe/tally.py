"""Counts what the journal tells: pure but for the series it keeps and the waits that ``Tallies`` keep for it.

A number belongs to a metric, an owner (a queue or a compute environment, by number) and one label more, or none. A
multi-node job is one job, its main node; what counts or holds attempts counts those of all nodes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from batchyard.model.figures import Inventory, Kept, Told
from batchyard.model.ids import NODES, WHOLE
from batchyard.model.needs import Needs
from batchyard.model.states import NAMES, RUNNABLE, RUNNING, STARTING, SUBMITTED, SUCCEEDED, TERMINAL
from batchyard.observe.metrics import BY_NAME, GAUGE

JOBS, ARRAYS = "batchyard_jobs", "batchyard_arrays"
SUBMISSIONS, JOBS_SUBMITTED = "batchyard_submissions_total", "batchyard_jobs_submitted_total"
JOBS_FINISHED, RETRIES = "batchyard_jobs_finished_total", "batchyard_retries_total"
ATTEMPTS_STARTED, ATTEMPTS_ENDED = "batchyard_attempts_started_total", "batchyard_attempts_ended_total"
WAIT, START, RUN = "batchyard_job_wait_seconds", "batchyard_attempt_start_seconds", "batchyard_attempt_run_seconds"
HELD = (
    "batchyard_environment_attempts",
    "batchyard_environment_used_vcpus",
    "batchyard_environment_used_memory_bytes",
    "batchyard_environment_used_gpus",
)

Key = tuple[str, int, str]


class Tallies(Protocol):
    """Keeps what was counted, and since when jobs wait."""

    def load(self) -> tuple[Kept, list[tuple[str, int, str, Any]]] | None:
        """How far the counting is, and the series: (metric, queue or environment, label, number or numbers)."""

    def step(self) -> AbstractContextManager[None]:
        """One transaction: everything that is said in it is kept together, or nothing is."""

    def keep(self, kept: Kept, series: Iterable[tuple[str, int, str, Any]]) -> None:
        """These series have changed."""

    def clear(self) -> None:
        """Nothing was ever counted."""

    def forget(self, owner: int) -> None:
        """The queue or environment is gone, and its series with it."""

    def wait(self, job: int, lo: int, hi: int, queue: int, since_ms: int) -> None:
        """Children lo..hi-1 (the job itself: WHOLE, WHOLE + 1) wait from here on."""

    def waited(self, job: int, lo: int, hi: int) -> list[tuple[int, int]]:
        """They wait no longer; (how many, since when) as far as it is known."""

    def nobody_waits(self) -> None: ...

    def oldest(self) -> dict[int, int]:
        """Since when the first of each queue waits."""


class Series:
    """The numbers, and which of them changed since they were kept. A histogram is a list: one count for each bound,
    one for all above, and the sum."""

    def __init__(self, kept: Iterable[tuple[str, int, str, Any]] = ()):
        self._numbers: dict[Key, Any] = {(metric, owner, label): value for metric, owner, label, value in kept}
        self._changed: set[Key] = set()

    def add(self, metric: str, owner: int, label: str = "", count: int = 1) -> None:
        key = (metric, owner, label)
        self._numbers[key] = self._numbers.get(key, 0) + count
        self._changed.add(key)

    def note(self, metric: str, owner: int, value: int, times: int = 1) -> None:
        """`times` values of a histogram."""
        key = (metric, owner, "")
        bounds = BY_NAME[metric].bounds
        numbers = self._numbers.setdefault(key, [0] * (len(bounds) + 2))
        numbers[bisect_left(bounds, value)] += times
        numbers[-1] += value * times
        self._changed.add(key)

    def get(self, metric: str, owner: int, label: str = "") -> Any:
        """The number, 0 if there is none; the numbers of a histogram."""
        bounds = BY_NAME[metric].bounds
        return self._numbers.get((metric, owner, label), [0] * (len(bounds) + 2) if bounds else 0)

    def owners(self) -> set[int]:
        return {owner for _, owner, _ in self._numbers}

    def forget(self, owner: int) -> None:
        self._numbers = {key: value for key, value in self._numbers.items() if key[1] != owner}
        self._changed &= self._numbers.keys()

    def zero_gauges(self) -> None:
        for key in self._numbers:
            if BY_NAME[key[0]].kind == GAUGE:
                self._numbers[key] = 0
                self._changed.add(key)

    def take_changed(self) -> list[tuple[str, int, str, Any]]:
        """What changed since the last call."""
        changed, self._changed = self._changed, set()
        return [(*key, self._numbers[key]) for key in sorted(changed)]


class Tally:
    """Told of every submission and every entry once, in order, it keeps `series` true."""

    def __init__(self, series: Series, tallies: Tallies):
        self.series = series
        self._tallies = tallies
        self._tell = {
            "added": self._added,
            "moved": self._moved,
            "opened": self._opened,
            "began": self._began,
            "closed": self._closed,
        }

    def asked(self, queue: int, size: int) -> None:
        """A submission was accepted."""
        jobs = max(size, 1)
        self.series.add(SUBMISSIONS, queue)
        self.series.add(JOBS_SUBMITTED, queue, count=jobs)
        self.series.add(JOBS, queue, NAMES[SUBMITTED], jobs)

    def told(self, entry: Told) -> None:
        """An entry of the journal; kinds that change no number are passed over."""
        tell = self._tell.get(entry.kind)
        if tell is not None and entry.queue is not None:
            tell(entry, entry.queue)

    def stand(self, inventory: Inventory) -> None:
        """Entries are missing: what lives is taken from rows, what is over stays as it was counted."""
        series, tallies = self.series, self._tallies
        series.zero_gauges()
        tallies.nobody_waits()
        for queue, state, jobs in inventory.jobs:
            series.add(JOBS, queue, NAMES[state], jobs)
        for queue, arrays in inventory.arrays:
            series.add(ARRAYS, queue, count=arrays)
        for environment, attempts, needs in inventory.attempts:
            self._hold(environment, attempts, needs)
        for job, queue, since_ms in inventory.runnable:
            tallies.wait(job, WHOLE, WHOLE + 1, queue, since_ms)
        for entry in inventory.histories:
            self._history(entry)

    # -- entries, one function for each kind -----------------------------------------------------------------------

    def _added(self, entry: Told, queue: int) -> None:
        lo, hi, state = _whom(entry)
        self.series.add(JOBS, queue, NAMES[SUBMITTED], lo - hi)
        if entry.size and entry.status not in TERMINAL:
            self.series.add(ARRAYS, queue)
        self._enter(entry, queue, lo, hi, state)

    def _moved(self, entry: Told, queue: int) -> None:
        if entry.index == WHOLE and entry.size:
            self.series.add(ARRAYS, queue, count=-1)  # an array moves once: when it is over
        else:
            self._leave(entry, queue)
            self._enter(entry, queue, entry.index, entry.hi, entry.status)

    def _opened(self, entry: Told, queue: int) -> None:
        for jobs, since_ms in self._leave(entry, queue):
            self.series.note(WAIT, queue, max(entry.at_ms - since_ms, 0), jobs)
        self.series.add(ATTEMPTS_STARTED, queue)
        self._enter(entry, queue, entry.index, entry.hi, STARTING)
        self._hold(entry.environment, 1, entry.needs)

    def _began(self, entry: Told, queue: int) -> None:
        self._leave(entry, queue)
        self._enter(entry, queue, entry.index, entry.hi, RUNNING)
        self._started(entry, queue, entry.at_ms)

    def _closed(self, entry: Told, queue: int) -> None:
        ended = entry.detail or {}
        self._leave(entry, queue)
        self._enter(entry, queue, entry.index, entry.hi, entry.status)
        self.series.add(ATTEMPTS_ENDED, queue, ending(ended))
        if entry.status == RUNNABLE and entry.index < NODES:
            self.series.add(RETRIES, queue)
        started_ms = ended.get("started_ms")
        if started_ms is not None:
            if entry.before == STARTING:  # its start was not told before its end
                self._started(entry, queue, started_ms)
            self.series.note(RUN, queue, max(ended["stopped_ms"] - started_ms, 0))
        self._hold(entry.environment, -1, entry.needs)

    # -- parts of them -----------------------------------------------------------------------------------------------

    def _leave(self, entry: Told, queue: int) -> list[tuple[int, int]]:
        """The job, or the children, leave a state; how many had waited since when, if it was RUNNABLE."""
        if entry.before is None or entry.index >= NODES:
            return []  # an entry of an older version: rows tell how things stand; or one of a node
        self.series.add(JOBS, queue, NAMES[entry.before], entry.index - entry.hi)
        return self._tallies.waited(entry.job, entry.index, entry.hi) if entry.before == RUNNABLE else []

    def _enter(self, entry: Told, queue: int, lo: int, hi: int, state: int | None) -> None:
        assert state is not None
        if lo >= NODES:
            return
        if state in TERMINAL:
            self.series.add(JOBS_FINISHED, queue, "succeeded" if state == SUCCEEDED else "failed", hi - lo)
            return
        self.series.add(JOBS, queue, NAMES[state], hi - lo)
        if state == RUNNABLE:
            self._tallies.wait(entry.job, lo, hi, queue, entry.at_ms)

    def _started(self, entry: Told, queue: int, started_ms: int) -> None:
        if entry.opened_ms is not None:
            self.series.note(START, queue, max(started_ms - entry.opened_ms, 0))

    def _hold(self, environment: int | None, attempts: int, needs: Needs | None) -> None:
        if environment is None or needs is None:
            return
        sign = 1 if attempts > 0 else -1
        for metric, count in zip(HELD, (attempts, *(sign * each for each in needs)), strict=True):
            self.series.add(metric, environment, count=count)

    def _history(self, entry: Told) -> None:
        """An entry of an array that lives, told once more for its waits alone."""
        lo, hi, state = _whom(entry)
        if lo == WHOLE or state is None or entry.queue is None:
            return
        self._tallies.waited(entry.job, lo, hi)
        if state == RUNNABLE:
            self._tallies.wait(entry.job, lo, hi, entry.queue, entry.at_ms)


def _whom(entry: Told) -> tuple[int, int, int | None]:
    """Whom an entry is about, as a range, and the state entered: of an array that was added, its children."""
    if entry.kind == "added" and entry.size:
        return 0, entry.size, (entry.detail or {})["child_status"]
    return entry.index, entry.hi, entry.status


def ending(ended: dict[str, Any]) -> str:
    """The label of an attempt's ending, from the journal's detail of it."""
    reason, status_reason = ended.get("reason") or "", ended.get("status_reason") or ""
    if ended.get("terminated"):
        return "terminated"
    if ended.get("timed_out"):
        return "timed_out"
    if ended.get("exit_code") == 0:
        return "succeeded"
    if reason.startswith("OutOfMemoryError"):
        return "out_of_memory"
    if status_reason.startswith("Host EC2"):
        return "lost"
    return "not_started" if status_reason.startswith("Task failed to start") else "failed"
