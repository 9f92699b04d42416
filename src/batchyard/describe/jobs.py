"""A stored job as DescribeJobs, ListJobs and events show it (reference "Job life cycle", "What real clients call").

Clients judge a job by these members, so each appears exactly when AWS shows it: `stoppedAt` only with a terminal
status, `startedAt` only after a start, `attempts` only of ended attempts, `logStreamName` from RUNNING on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from batchyard.describe.arns import Arns
from batchyard.describe.containers import task_with_empty_lists, with_empty_lists
from batchyard.describe.names import Names
from batchyard.model import ids, states
from batchyard.model.jobs import CANCEL, N_TO_N, SEQUENTIAL, TERMINATE, Work, kept_as, work_of
from batchyard.model.logplaces import log_place
from batchyard.model.tasks import ContainerEnding, is_essential
from batchyard.ports import AttemptRow, JobRow, Standing
from batchyard.wire.shapes import (
    ArrayPropertiesDetail,
    ArrayPropertiesSummary,
    AttemptDetail,
    ContainerSummary,
    EcsPropertiesDetail,
    JobDependency,
    JobDetail,
    JobSummary,
    NodeDetails,
    NodePropertiesSummary,
)

_DEPENDENCY_TYPES = {N_TO_N: "N_TO_N", SEQUENTIAL: "SEQUENTIAL"}
_FROM_BODY = ("timeout", "schedulingPriority", "consumableResourceProperties")


class Words(NamedTuple):
    """What turns numbers and names into what is shown."""

    arns: Arns
    names: Names


def detail(words: Words, standing: Standing) -> JobDetail:
    """The whole of it; the row must hold its body."""
    row, arns, names = standing.row, *words
    body = row.body
    shown = JobDetail(
        jobArn=arns.job(_job_id(row)),
        jobName=row.name,
        jobId=_job_id(row),
        jobQueue=arns.queue(names.queue(row.queue)),
        status=states.NAMES[row.status],
        attempts=[_attempt(words, row, attempt) for attempt in standing.attempts if attempt.stopped_ms is not None],
        createdAt=row.created_ms,
        retryStrategy={"evaluateOnExit": []} | body["retryStrategy"],
        dependsOn=[_dependency(job_id, kind) for job_id, kind in row.depends_on],
        jobDefinition=arns.definition(*names.definition(row.definition)),
        parameters=body["parameters"],
        tags=standing.tags,
        propagateTags=body["propagateTags"],
        platformCapabilities=body["platformCapabilities"],
        eksAttempts=[],
        isCancelled=row.stop_kind == CANCEL,
        isTerminated=row.stop_kind == TERMINATE,
    )
    _show_times(shown, row)
    if row.share is not None:
        shown.shareIdentifier = row.share
    for member in _FROM_BODY:
        if member in body:
            setattr(shown, member, body[member])
    if row.nodes is None or row.index != ids.WHOLE:
        _show_work(shown, words, row, standing.attempts)
    else:
        shown.nodeProperties = body["nodeProperties"]
    if row.index >= ids.NODES:
        shown.nodeDetails = NodeDetails(nodeIndex=row.index - ids.NODES, isMainNode=_is_main(row))
    elif row.index != ids.WHOLE:
        shown.arrayProperties = ArrayPropertiesDetail(index=row.index)
    elif row.size:
        shown.arrayProperties = _array(standing)
    return shown


def _is_main(row: JobRow) -> bool:
    return row.nodes is not None and row.nodes.number(row.index) == row.nodes.main


def summary(words: Words, row: JobRow, child_counts: Sequence[int] = (), counted_ms: int = 0) -> JobSummary:
    """One line of a list; `row` may lack its body. An array parent brings how many children are in each state."""
    shown = JobSummary(
        jobArn=words.arns.job(_job_id(row)),
        jobId=_job_id(row),
        jobName=row.name,
        createdAt=row.created_ms,
        status=states.NAMES[row.status],
        jobDefinition=words.arns.definition(*words.names.definition(row.definition)),
        isCancelled=row.stop_kind == CANCEL,
        isTerminated=row.stop_kind == TERMINATE,
    )
    _show_times(shown, row)
    if row.share is not None:
        shown.shareIdentifier = row.share
    if row.nodes is not None:
        shown.nodeProperties = NodePropertiesSummary(numNodes=row.nodes.count)
    if row.index >= ids.NODES:
        shown.nodeProperties = NodePropertiesSummary(nodeIndex=row.index - ids.NODES, isMainNode=_is_main(row))
    elif row.index != ids.WHOLE:
        shown.arrayProperties = ArrayPropertiesSummary(index=row.index)
    elif row.size:
        summed = _status_summary(child_counts)
        shown.arrayProperties = ArrayPropertiesSummary(
            size=row.size, statusSummary=summed, statusSummaryLastUpdatedAt=counted_ms
        )
    if row.attempts and row.status in states.TERMINAL:
        shown.container = ContainerSummary(**_ending(row))
    return shown


def _job_id(row: JobRow) -> str:
    return ids.job_id(row.uuid, row.index)


def _show_times(shown: JobDetail | JobSummary, row: JobRow) -> None:
    if row.status_reason is not None:
        shown.statusReason = row.status_reason
    if row.started_ms is not None:
        shown.startedAt = row.started_ms
    if row.status in states.TERMINAL and row.stopped_ms is not None:
        shown.stoppedAt = row.stopped_ms


def _dependency(job_id: str | None, kind: int) -> JobDependency:
    shown = JobDependency()
    if job_id is not None:
        shown.jobId = job_id
    if kind in _DEPENDENCY_TYPES:
        shown.type = _DEPENDENCY_TYPES[kind]
    return shown


def _array(standing: Standing) -> ArrayPropertiesDetail:
    return ArrayPropertiesDetail(
        size=standing.row.size,
        statusSummary=_status_summary(standing.child_counts),
        statusSummaryLastUpdatedAt=standing.counted_ms,
    )


def _status_summary(child_counts: Sequence[int]) -> dict[str, int]:
    """All seven states are named, with 0 where no child is."""
    return dict(zip(states.NAMES, child_counts, strict=True))


def _show_work(shown: JobDetail, words: Words, row: JobRow, attempts: Sequence[AttemptRow]) -> None:
    """What the job runs, merged, with what the latest attempt adds; after a retry the last ending stays visible."""
    work, latest = work_of(row.body, row.nodes, row.index), attempts[-1] if attempts else None
    if work.task is None:
        added = {} if latest is None else _single(words, row, work, latest)
        shown.container = with_empty_lists(work.container) | {"networkInterfaces": []} | added
        return
    task = task_with_empty_lists(work.task)
    if latest is None:
        task["containers"] = [each | {"networkInterfaces": []} for each in task["containers"]]
    else:
        ran = _each(words, row, work, latest)
        task["containers"] = [each | one for each, one in zip(task["containers"], ran, strict=True)]
        task |= _place(words, row, latest)
    shown.ecsProperties = EcsPropertiesDetail(taskProperties=[task])


def _attempt(words: Words, row: JobRow, attempt: AttemptRow) -> AttemptDetail:
    shown = AttemptDetail(container={}, stoppedAt=attempt.stopped_ms, taskProperties=[])
    work = work_of(row.body, row.nodes, row.index)
    if work.task is None:
        shown.container = _single(words, row, work, attempt) | {"networkInterfaces": []}
    else:
        containers = _each(words, row, work, attempt)
        shown.taskProperties = [_place(words, row, attempt) | {"containers": containers}]
    if attempt.started_ms is not None:
        shown.startedAt = attempt.started_ms
    if attempt.status_reason is not None:
        shown.statusReason = attempt.status_reason
    return shown


def _single(words: Words, row: JobRow, work: Work, attempt: AttemptRow) -> dict[str, Any]:
    """What an attempt adds to its only container: where it is, from its start on the log, and how it ended."""
    added: dict[str, Any] = _place(words, row, attempt)
    if attempt.started_ms is not None or attempt.stopped_ms is not None:
        ((name, container),) = work.containers
        added["logStreamName"] = _stream(words, row, attempt, name, container)
    return added | _ending(attempt)


def _each(words: Words, row: JobRow, work: Work, attempt: AttemptRow) -> list[dict[str, Any]]:
    """What an attempt adds to each container of its task. Its logs are there from STARTING on: one may write long
    before another, for which the task counts as started."""
    endings = {each.name: each for each in attempt.containers}
    if not endings and attempt.stopped_ms is not None:
        # Nothing was told of each: what there is to say of the attempt is said of one without which it could not go on.
        name = next(name for name, container in work.containers if is_essential(container))
        endings[name] = ContainerEnding(name, attempt.exit_code, attempt.reason)
    added = []
    for name, container in work.containers:
        one = {"name": name, "logStreamName": _stream(words, row, attempt, name, container), "networkInterfaces": []}
        added.append(one | (_ending(endings[name]) if name in endings else {}))
    return added


def _place(words: Words, row: JobRow, attempt: AttemptRow) -> dict[str, str]:
    """Where an attempt runs or ran: task and machine."""
    arns, names = words
    environment, uuid = names.environment(attempt.environment)
    place = {"taskArn": arns.task(environment, uuid, ids.task_id(_attempt_id(row, attempt)))}
    if attempt.instance:  # Fargate has none
        of = uuid if attempt.instance == ids.machine_instance_id(uuid) else attempt.instance
        place["containerInstanceArn"] = arns.container_instance(environment, uuid, ids.container_instance_id(of))
    return place


def _attempt_id(row: JobRow, attempt: AttemptRow) -> str:
    return ids.attempt_id(row.uuid, kept_as(row.nodes, row.index), attempt.number)


def _stream(words: Words, row: JobRow, attempt: AttemptRow, name: str, container: Mapping[str, Any]) -> str:
    definition, _ = words.names.definition(row.definition)
    return log_place(row.region, definition, container, name).stream(_attempt_id(row, attempt))


def _ending(of: AttemptRow | JobRow | ContainerEnding) -> dict[str, Any]:
    ending: dict[str, Any] = {}
    if of.exit_code is not None:
        ending["exitCode"] = of.exit_code
    if of.reason is not None:
        ending["reason"] = of.reason
    return ending
