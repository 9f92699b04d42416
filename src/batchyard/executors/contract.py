"""What every executor promises: the environment a job sees, and the words in which its ending is told.

Sources: reference "Environment variables", "Container semantics" (exit semantics), "Job life cycle" (reasons).
Idempotent means: an attempt id is started at most once, ever; a second order is answered with the first one's news.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchyard.model.events import Ending
from batchyard.model.ids import WHOLE
from batchyard.model.jobs import AttemptSpec

EXITED = "Essential container in task exited"
NOT_STARTED = "Task failed to start"
TIMED_OUT = "Job attempt duration exceeded timeout"
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
REASON_MAX = 255  # characters of container.reason


def command(spec: AttemptSpec) -> list[str]:
    """The argv; empty when there is nothing to run without an image."""
    return [str(word) for word in spec.container.get("command") or ()]


def environment(spec: AttemptSpec, base: Mapping[str, str]) -> dict[str, str]:
    """What the job sees: `base`, then the user's variables, then Batch's, which nobody can set."""
    built = dict(base)
    for entry in spec.container.get("environment") or ():
        if entry.get("name"):
            built[entry["name"]] = entry.get("value") or ""
    for name in [name for name in built if name.startswith("AWS_BATCH_")]:
        del built[name]
    built |= {
        "AWS_BATCH_JOB_ID": spec.job_id,
        "AWS_BATCH_JQ_NAME": spec.queue_name,
        "AWS_BATCH_CE_NAME": spec.environment_name,
        "AWS_BATCH_JOB_ATTEMPT": str(spec.number),
        "AWS_EXECUTION_ENV": "AWS_ECS_EC2",
    }
    built.setdefault("AWS_REGION", spec.region)
    built.setdefault("AWS_DEFAULT_REGION", spec.region)
    if spec.index != WHOLE:
        built["AWS_BATCH_JOB_ARRAY_INDEX"] = str(spec.index)
        built["AWS_BATCH_JOB_ARRAY_SIZE"] = str(spec.size)
    return built


def ending(record: Mapping[str, Any]) -> Ending:
    """An exit record in the words that clients and retry rules read."""
    code = record.get("exit_code")
    if code is None and record.get("signal") is not None:
        code = 128 + record["signal"]
    status_reason, reason = EXITED, None
    if record.get("start_error"):
        status_reason, reason = NOT_STARTED, f"CannotStartContainerError: {record['start_error']}"
    elif record.get("timed_out"):
        status_reason = TIMED_OUT
    elif record.get("oom"):
        code, reason = 137, OUT_OF_MEMORY
    return Ending(
        exit_code=code,
        status_reason=status_reason,
        reason=reason[:REASON_MAX] if reason else None,
        started_ms=record.get("started_ms"),
        stopped_ms=record.get("stopped_ms") or 0,
        timed_out=bool(record.get("timed_out")),
        peak_memory_bytes=record.get("peak_memory_bytes"),
        cpu_ms=record.get("cpu_ms"),
    )
