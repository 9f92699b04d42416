"""METRICS: one row each. What is exposed, its tests and docs/reference/metrics.md come from the same rows.

Names and units are a promise to dashboards and alerts: rows are added, not changed. Labels are bounded by queues,
environments and sinks; `region` and `queue` together name a queue, as `region` and `environment` do an environment.
"""

from __future__ import annotations

from typing import NamedTuple

from batchyard.model.timings import BOUNDS_US

COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"

# Upper bounds of histograms, inclusive. How long jobs wait and run: from 10 ms to a day.
LONG_MS = (
    10, 50, 100, 500, 1_000, 5_000, 15_000, 60_000, 300_000, 900_000, 3_600_000, 14_400_000, 43_200_000, 86_400_000,
)  # fmt: skip
# How long it takes until a process runs: from 5 ms to a minute.
SHORT_MS = (5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000)

LIVE = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")
OUTCOMES = ("succeeded", "failed")
ENDINGS = ("succeeded", "failed", "timed_out", "terminated", "out_of_memory", "not_started", "lost")

_OF_QUEUE = ("region", "queue")
_OF_ENVIRONMENT = ("region", "environment", "provider")


class Metric(NamedTuple):
    """`values` are all values of the last label, where it is not a name that somebody chose. Numbers are kept as
    integers: what is exposed is the number times `times` by `by`. `bounds` are in that integer's unit, too."""

    name: str
    kind: str
    unit: str
    labels: tuple[str, ...]
    help: str
    values: tuple[str, ...] = ()
    bounds: tuple[int, ...] = ()
    times: int = 1
    by: int = 1

    @property
    def buckets(self) -> tuple[str, ...]:
        """The bounds as they are exposed, less the last one, +Inf."""
        return tuple(decimal(bound, self.times, self.by) for bound in self.bounds)


def decimal(value: int, times: int = 1, by: int = 1) -> str:
    """`value` times `times` by `by`, a power of ten, exactly."""
    whole, rest = divmod(abs(value) * times, by)
    sign = "-" if value < 0 else ""
    return f"{sign}{whole}" if not rest else f"{sign}{whole}.{str(rest).zfill(len(str(by)) - 1).rstrip('0')}"


METRICS: tuple[Metric, ...] = (
    Metric(
        "batchyard_jobs", GAUGE, "jobs", (*_OF_QUEUE, "state"),
        "Jobs that are not over. Every child of an array counts, the array itself does not. SUBMITTED: accepted, and "
        "not yet seen by the engine.",
        LIVE,
    ),
    Metric("batchyard_arrays", GAUGE, "arrays", _OF_QUEUE, "Arrays seen by the engine that are not over."),
    Metric(
        "batchyard_oldest_runnable_timestamp_seconds", GAUGE, "seconds", _OF_QUEUE,
        "Since when (Unix time) the job has been RUNNABLE that is so for longest; absent when none is.",
        by=1000,
    ),
    Metric(
        "batchyard_queue_blocked", GAUGE, "1", _OF_QUEUE,
        "1 while the job at the head cannot start and says why in its statusReason, else 0.",
    ),
    Metric(
        "batchyard_submissions_total", COUNTER, "submissions", _OF_QUEUE,
        "Accepted SubmitJob calls; an array is one. A repeated call that was answered with an earlier job is none.",
    ),
    Metric(
        "batchyard_jobs_submitted_total", COUNTER, "jobs", _OF_QUEUE,
        "Jobs asked for by these: single jobs, and children of arrays.",
    ),
    Metric(
        "batchyard_jobs_finished_total", COUNTER, "jobs", (*_OF_QUEUE, "outcome"),
        "Single jobs and children of arrays that are over. Those that were cancelled, terminated or had a failed "
        "dependency are failed.",
        OUTCOMES,
    ),
    Metric(
        "batchyard_attempts_started_total", COUNTER, "attempts", _OF_QUEUE,
        "Attempts that were given a place and ordered to start (STARTING).",
    ),
    Metric(
        "batchyard_attempts_ended_total", COUNTER, "attempts", (*_OF_QUEUE, "ending"),
        "Attempts that are over. failed: with an exit code other than 0; not_started: the command could not be run; "
        "lost: the host went away with it. terminated comes before timed_out, that before the others.",
        ENDINGS,
    ),
    Metric(
        "batchyard_retries_total", COUNTER, "attempts", _OF_QUEUE,
        "Attempts that failed and after which the job waits for another one.",
    ),
    Metric(
        "batchyard_job_wait_seconds", HISTOGRAM, "seconds", _OF_QUEUE,
        "From RUNNABLE to STARTING, for every attempt. A wait that ends without a start is not counted.",
        bounds=LONG_MS, by=1000,
    ),
    Metric(
        "batchyard_attempt_start_seconds", HISTOGRAM, "seconds", _OF_QUEUE,
        "From the order to start (STARTING) to the start of the job's process (RUNNING).",
        bounds=SHORT_MS, by=1000,
    ),
    Metric(
        "batchyard_attempt_run_seconds", HISTOGRAM, "seconds", _OF_QUEUE,
        "From the start of the job's process to its end, for attempts that are over.",
        bounds=LONG_MS, by=1000,
    ),
    Metric(
        "batchyard_environment_attempts", GAUGE, "attempts", _OF_ENVIRONMENT,
        "Attempts that hold room in the environment: STARTING or RUNNING.",
    ),
    Metric(
        "batchyard_environment_used_vcpus", GAUGE, "vCPUs", _OF_ENVIRONMENT, "vCPUs that these attempts hold.", by=1000,
    ),
    Metric(
        "batchyard_environment_used_memory_bytes", GAUGE, "bytes", _OF_ENVIRONMENT,
        "Memory that these attempts asked for.",
        times=1 << 20,
    ),
    Metric("batchyard_environment_used_gpus", GAUGE, "GPUs", _OF_ENVIRONMENT, "GPUs that these attempts hold."),
    Metric(
        "batchyard_environment_max_vcpus", GAUGE, "vCPUs", _OF_ENVIRONMENT,
        "maxvCpus of a managed environment; absent for others. One of instances may pass it by one of them.",
    ),
    Metric(
        "batchyard_environment_instances", GAUGE, "instances", _OF_ENVIRONMENT,
        "Instances that a managed environment has now, those that boot, stand idle or are to go among them. 0 for "
        "Fargate and for UNMANAGED ones, whose jobs draw on the provider itself.",
    ),
    Metric(
        "batchyard_environment_instances_vcpus", GAUGE, "vCPUs", _OF_ENVIRONMENT,
        "vCPUs of these instances; what jobs hold of them is used, the rest is idle.",
        by=1000,
    ),
    Metric(
        "batchyard_environment_instances_memory_bytes", GAUGE, "bytes", _OF_ENVIRONMENT,
        "Memory of these instances that jobs may hold: less than the types have.",
        times=1 << 20,
    ),
    Metric("batchyard_environment_instances_gpus", GAUGE, "GPUs", _OF_ENVIRONMENT, "GPUs of these instances."),
    Metric(
        "batchyard_environment_capacity_vcpus", GAUGE, "vCPUs", _OF_ENVIRONMENT,
        "vCPUs of the provider that the environment draws on. Environments with the same provider share them: "
        "add up what is used, not this.",
        by=1000,
    ),
    Metric(
        "batchyard_environment_capacity_memory_bytes", GAUGE, "bytes", _OF_ENVIRONMENT,
        "Memory of the provider, shared likewise.",
        times=1 << 20,
    ),
    Metric(
        "batchyard_environment_capacity_gpus", GAUGE, "GPUs", _OF_ENVIRONMENT, "GPUs of the provider, shared likewise.",
    ),
    Metric(
        "batchyard_requests_waiting", GAUGE, "requests", (),
        "Accepted requests of any kind that the engine has not seen yet.",
    ),
    Metric(
        "batchyard_engine_start_time_seconds", GAUGE, "seconds", (),
        "When the engine started (Unix time); the next two count from there on.",
        by=1000,
    ),
    Metric(
        "batchyard_engine_turn_seconds", HISTOGRAM, "seconds", (),
        "How long a turn of the engine takes, from gathering news to giving orders. Told a second late at most.",
        bounds=BOUNDS_US, by=1_000_000,
    ),
    Metric(
        "batchyard_engine_commit_seconds", HISTOGRAM, "seconds", (),
        "How long the commit of a turn takes, the wait for the disk included.",
        bounds=BOUNDS_US, by=1_000_000,
    ),
    Metric(
        "batchyard_journal_entries_missed_total", COUNTER, "entries", (),
        "Entries of the journal that were deleted before they were counted: counters lack what they told of.",
    ),
    Metric(
        "batchyard_data_disk_free_bytes", GAUGE, "bytes", (), "Free space for the data directory.",
    ),
    Metric("batchyard_data_disk_size_bytes", GAUGE, "bytes", (), "Size of the disk that holds the data directory."),
    Metric(
        "batchyard_metrics_timestamp_seconds", GAUGE, "seconds", (),
        "When these metrics were written (Unix time): each second while the observe process runs.",
        by=1000,
    ),
    Metric("batchyard_build_info", GAUGE, "1", ("version",), "Always 1; its label tells which Batchyard this is."),
)  # fmt: skip

BY_NAME = {metric.name: metric for metric in METRICS}
