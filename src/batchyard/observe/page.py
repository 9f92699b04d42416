"""The page of metrics: every family of METRICS, from what was counted and what is told besides."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from batchyard.model.figures import Around, Place
from batchyard.model.needs import Needs
from batchyard.model.timings import BOUNDS_US
from batchyard.observe.exposition import Sample, family
from batchyard.observe.metrics import METRICS, Metric
from batchyard.observe.tally import HELD, Series

CAPACITY = (
    "batchyard_environment_capacity_vcpus",
    "batchyard_environment_capacity_memory_bytes",
    "batchyard_environment_capacity_gpus",
)
OF_INSTANCES = (
    "batchyard_environment_instances_vcpus",
    "batchyard_environment_instances_memory_bytes",
    "batchyard_environment_instances_gpus",
)
NOTHING = Needs(0, 0, 0)


class Machine(NamedTuple):
    """What is looked at when the page is written."""

    now_ms: int
    disk_free_bytes: int
    disk_size_bytes: int
    version: str


class Page:
    """One moment of all metrics. `oldest` is since when (ms) the first of a queue waits, `missed` counts entries."""

    def __init__(self, series: Series, around: Around, oldest: dict[int, int], missed: int, machine: Machine):
        self._series = series
        self._around = around
        self._oldest = oldest
        self._queues = _named(around.queues)
        self._environments = _named(around.environments)
        engine = around.engine or {}
        self._single: dict[str, Any] = {
            "batchyard_requests_waiting": around.waiting,
            "batchyard_engine_start_time_seconds": engine.get("started_ms"),
            "batchyard_engine_turn_seconds": _timing(engine, "turn"),
            "batchyard_engine_commit_seconds": _timing(engine, "commit"),
            "batchyard_journal_entries_missed_total": missed,
            "batchyard_data_disk_free_bytes": machine.disk_free_bytes,
            "batchyard_data_disk_size_bytes": machine.disk_size_bytes,
            "batchyard_metrics_timestamp_seconds": machine.now_ms,
        }
        self._version = machine.version

    def text(self) -> str:
        return "".join(family(metric, self._samples(metric)) for metric in METRICS)

    def _samples(self, metric: Metric) -> Iterator[Sample]:
        if "queue" in metric.labels:
            yield from self._of_queues(metric)
        elif "environment" in metric.labels:
            yield from self._of_environments(metric)
        elif metric.labels:
            yield Sample((self._version,), 1)
        elif self._single[metric.name] is not None:
            yield Sample((), self._single[metric.name])

    def _of_queues(self, metric: Metric) -> Iterator[Sample]:
        for number, queue in self._queues:
            named = (queue.region, queue.name)
            if metric.name == "batchyard_oldest_runnable_timestamp_seconds":
                if number in self._oldest:
                    yield Sample(named, self._oldest[number])
                continue
            if metric.name == "batchyard_queue_blocked":
                yield Sample(named, int(number in self._around.blocked))
                continue
            for value in metric.values or ("",):
                labels = (*named, value) if value else named
                yield Sample(labels, self._series.get(metric.name, number, value))

    def _of_environments(self, metric: Metric) -> Iterator[Sample]:
        for number, environment in self._environments:
            named = (environment.region, environment.name, environment.provider)
            value = self._of_environment(metric.name, number, environment)
            if value is not None:
                yield Sample(named, value)

    def _of_environment(self, name: str, number: int, environment: Place) -> int | None:
        count, usable = self._around.instances.get(number, (0, NOTHING))
        if name in HELD:
            return self._series.get(name, number)
        if name == "batchyard_environment_max_vcpus":
            return environment.max_vcpus
        if name == "batchyard_environment_instances":
            return count
        if name in OF_INSTANCES:
            return usable[OF_INSTANCES.index(name)]
        return self._around.rooms.get(environment.provider, NOTHING)[CAPACITY.index(name)]


class Publisher:
    """Writes the page into the data directory, and where others may read it too if a place is given."""

    def __init__(self, data: Path, elsewhere: Path | None, version: str):
        self._data = data
        self._elsewhere = elsewhere
        self._version = version

    def publish(self, series: Series, around: Around, oldest: dict[int, int], missed: int) -> None:
        disk = os.statvfs(self._data)
        free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
        machine = Machine(time.time_ns() // 1_000_000, free, size, self._version)
        text = Page(series, around, oldest, missed, machine).text()
        write_whole(self._data / "metrics.prom", text, 0o600)
        if self._elsewhere is not None:
            write_whole(self._elsewhere, text, 0o644)


def _named(places: dict[int, Place]) -> list[tuple[int, Place]]:
    """By name; of two that have the same name, the older one is just being deleted."""
    newest = {(place.region, place.name): (number, place) for number, place in sorted(places.items())}
    return [newest[name] for name in sorted(newest)]


def _timing(engine: dict[str, Any], which: str) -> list[int] | None:
    """A histogram of the engine's view; None if there is none, or from another version."""
    if engine.get("bounds_us") != list(BOUNDS_US):
        return None
    return [*engine[which]["counts"], engine[which]["sum_us"]]


def write_whole(path: Path, text: str, mode: int) -> None:
    """Readers see the old page or the new one. The draft's name does not end in .prom: collectors pass over it."""
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "w") as file:
        os.fchmod(file.fileno(), mode)  # whatever the umask is
        file.write(text)
    os.replace(draft, path)
