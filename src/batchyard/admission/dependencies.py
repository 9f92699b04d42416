"""dependsOn: the entries of a request become AskedUpstreams (reference "Job dependencies")."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from batchyard.errors import ClientError
from batchyard.model import ids
from batchyard.model.jobs import AFTER, N_TO_N, SEQUENTIAL, AskedUpstream
from batchyard.wire.shapes import JobDependency

UPSTREAMS_MAX = 20


def upstreams_of(entries: list[JobDependency] | UnsetType, size: int) -> tuple[AskedUpstream, ...]:
    """What a job of `size` children (0: a single job) waits for; ClientError for a form that has no meaning.

    Whether the upstreams exist, and whether N_TO_N sizes agree, is the store's guard.
    """
    if not entries:
        return ()
    if len(entries) > UPSTREAMS_MAX:
        raise ClientError(f"Job cannot have more than {UPSTREAMS_MAX} dependencies")
    return tuple(_upstream(entry, size) for entry in entries)


def _upstream(entry: JobDependency, size: int) -> AskedUpstream:
    if entry.type is not UNSET and not size:
        raise ClientError(
            f"dependsOn: type {entry.type} is only for array jobs.", "Leave the type out, or give arrayProperties.size."
        )
    if not entry.jobId:
        if entry.type == "SEQUENTIAL":
            return AskedUpstream(None, ids.WHOLE, SEQUENTIAL)
        raise ClientError("dependsOn: jobId is required.", "Only an entry of type SEQUENTIAL goes without.")
    job = ids.parse_job_id(entry.jobId)
    if job is None:
        raise ClientError(
            f"dependsOn: {entry.jobId!r} is not a job id.", "Give the jobId that SubmitJob returned, or ID:INDEX."
        )
    if entry.type == "N_TO_N" and job.index != ids.WHOLE:
        raise ClientError(
            f"dependsOn: N_TO_N names the child {entry.jobId}.",
            f"Name its array job {job.uuid}, or leave the type out.",
        )
    # SEQUENTIAL on another job is in AWS's older examples; it waits for that job like a plain entry.
    return AskedUpstream(job.uuid, job.index, N_TO_N if entry.type == "N_TO_N" else AFTER)
