"""SubmitJob: definition + overrides + parameters become one NewJob, or a refusal (reference "SubmitJob").

A definition is compiled once (``compiled.py``) and then serves any number of submissions: what does not depend on
the request is checked, converted and worded beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET

from batchyard.admission import (
    consumables,
    containers,
    names,
    nodes,
    notices,
    overrides,
    parameters,
    retries,
    tags,
    tasks,
)
from batchyard.admission.compiled import CompiledDefinition
from batchyard.admission.consumables import Asked
from batchyard.admission.dependencies import upstreams_of
from batchyard.admission.job_definitions import check_priority
from batchyard.admission.queues import capability
from batchyard.errors import ClientError
from batchyard.model.jobs import NewJob, Nodes
from batchyard.model.needs import Needs
from batchyard.model.tasks import is_task
from batchyard.wire.shapes import SubmitJobRequest

SIZE_MAX_KIB = 30
ARRAY_MIN, ARRAY_MAX = 2, 10_000

_OVERRIDES = (
    ("containerOverrides", "containerProperties"),
    ("nodeOverrides", "multinode"),
    ("ecsPropertiesOverride", "ecsProperties"),
    ("eksPropertiesOverride", "eksProperties"),
)
_encode = msgspec.json.Encoder().encode


class Submission(NamedTuple):
    """What SubmitJob must know beside the request and the definition."""

    uuid: str
    region: str
    account: str
    now_ms: int
    queue: int
    queue_name: str
    queue_enabled: bool
    queue_type: str  # jobQueueType
    fair_share: bool  # whether the queue has a scheduling policy
    definition: int
    payload_bytes: int
    gpus: int  # what the machine lends to jobs
    idempotency: bytes | None
    definition_tags: Callable[[], dict[str, str]] = dict  # as they are now; asked only where they are propagated
    on_demand: bool = False  # whether an environment of the queue has on-demand instances


def admit(request: SubmitJobRequest, definition: CompiledDefinition, at: Submission) -> NewJob:
    """The job to store, or ClientError. That upstreams exist is the store's guard, in the submitting transaction."""
    _check_request(request, definition, at)
    size = _size(request)
    share, priority = _share(request, definition, at)
    given = definition.parameters
    if request.parameters:
        given = given | request.parameters
    make = _nodes if definition.nodes is not None else _one_container if definition.task is None else _task
    work = make(request, definition, given, at)
    body: dict[str, Any] = {
        **definition.defaults,
        **work.body,
        "parameters": given,
        "tags": tags.checked(request.tags),
        "notices": work.said,
    }
    retry, timeout_s = definition.retry, definition.timeout_s
    if request.retryStrategy is not UNSET:
        retry = retries.policy(request.retryStrategy)
        body["retryStrategy"] = request.retryStrategy
    if request.timeout is not UNSET:
        timeout_s = retries.timeout_s(request.timeout)
        body["timeout"] = request.timeout
    if request.schedulingPriorityOverride is not UNSET:
        body["schedulingPriority"] = priority
    if request.propagateTags is not UNSET:
        body["propagateTags"] = request.propagateTags
    if body["propagateTags"]:
        body |= tags.propagated(at.definition_tags(), body["tags"])
    asks = consumables.asked(definition.consumables, at.region, at.account)
    if request.consumableResourcePropertiesOverride is not UNSET:
        override = consumables.asked(request.consumableResourcePropertiesOverride, at.region, at.account)
        asks = consumables.merged(asks, override)
        body["consumableResourceProperties"] = consumables.shown(asks)
    if work.asks:
        asks = consumables.summed([*asks, *work.asks])
        body["consumablesInAll"] = consumables.shown(asks)  # Describe shows them range by range
    return NewJob(
        uuid=at.uuid,
        region=at.region,
        name=request.jobName,
        queue=at.queue,
        definition=at.definition,
        created_ms=at.now_ms,
        size=size,
        needs=work.needs,
        retry=retry,
        timeout_s=timeout_s,
        upstreams=upstreams_of(request.dependsOn, size),
        body=_encode(body),
        idempotency=at.idempotency,
        consumables=tuple((each.name, each.quantity) for each in asks),
        share=share,
        priority=priority,
        nodes=work.nodes,
    )


class _Work(NamedTuple):
    """What a job runs: members of its body, what it needs, and notices."""

    body: dict[str, Any]
    needs: Needs
    said: list[str]
    nodes: Nodes | None = None
    asks: Sequence[Asked] = ()  # of consumable resources, beside what is asked for the whole job


def _one_container(
    request: SubmitJobRequest, definition: CompiledDefinition, given: dict[str, str], at: Submission
) -> _Work:
    container, needs, said = definition.container, definition.needs, list(definition.notices)
    refers = definition.refers
    if request.containerOverrides:
        container, needs, more = overrides.merge(request.containerOverrides, definition)
        said += more
        refers = parameters.refers(container.get("command") or ())
    if refers:
        container = _substituted(container, given)
    said += notices.of_merged(container, needs.gpus, at.gpus)
    return _Work({"container": container}, needs, said)


def _task(request: SubmitJobRequest, definition: CompiledDefinition, given: dict[str, str], at: Submission) -> _Work:
    """Several containers."""
    assert definition.task is not None
    task, needs, said = definition.task, definition.needs, list(definition.notices)
    if request.ecsPropertiesOverride:
        fargate = definition.capability == "FARGATE"
        task = tasks.merge(request.ecsPropertiesOverride, task, fargate)
        needs = tasks.needs_of(task, fargate)
    task = _work_substituted(task, given)
    said += notices.of_merged_task(task, needs.gpus, at.gpus)
    return _Work({"task": task}, needs, said)


def _nodes(request: SubmitJobRequest, definition: CompiledDefinition, given: dict[str, str], at: Submission) -> _Work:
    """A multi-node job: its nodeProperties as they are shown, and the container of each group of nodes."""
    merged = nodes.merge(definition, request.nodeOverrides, at.region, at.account)
    listed = [each | _range_substituted(each, given) for each in merged.ranges]
    each_group = [_work_substituted(each, given) for each in merged.containers]
    said = [*definition.notices, *merged.said]
    for work, group in zip(each_group, merged.nodes.groups, strict=True):
        if is_task(work):
            said += notices.of_task(work, at.region) + notices.of_merged_task(work, group.needs.gpus, at.gpus)
        else:
            said += notices.of_container(work, at.region) + notices.of_merged(work, group.needs.gpus, at.gpus)
    kept = [each for each in dict.fromkeys(said) if not each.startswith("instanceType ")]
    shown = merged.shown | {"nodeRangeProperties": listed}
    needs = merged.nodes.needs_of(merged.nodes.main)
    return _Work({"nodeProperties": shown, "containers": each_group}, needs, kept, merged.nodes, merged.asks)


def _range_substituted(each: dict[str, Any], given: dict[str, str]) -> dict[str, Any]:
    """The container or ecsProperties of a range of nodes."""
    if "container" in each:
        return {"container": _substituted(each["container"], given)}
    listed = each["ecsProperties"]["taskProperties"]
    return {"ecsProperties": {"taskProperties": [_work_substituted(task, given) for task in listed]}}


def _work_substituted(work: dict[str, Any], given: dict[str, str]) -> dict[str, Any]:
    """A container, or a task with all of its containers."""
    if not is_task(work):
        return _substituted(work, given)
    return work | {"containers": [_substituted(each, given) for each in work["containers"]]}


def _substituted(container: dict[str, Any], given: dict[str, str]) -> dict[str, Any]:
    if not parameters.refers(container.get("command") or ()):
        return container
    container = container | {"command": parameters.substitute(container["command"], given)}
    containers.check_command(container["command"])
    return container


def _check_request(request: SubmitJobRequest, definition: CompiledDefinition, at: Submission) -> None:
    names.check_job_name(request.jobName)
    if at.payload_bytes > SIZE_MAX_KIB * 1024:
        raise ClientError(f"Job size must be less than {SIZE_MAX_KIB} KiB, got {-(-at.payload_bytes // 1024)} KiB")
    if not at.queue_enabled:
        raise ClientError(f"JobQueue {at.queue_name} is DISABLED.", "Submit to a queue whose state is ENABLED.")
    if definition.capability != capability(at.queue_type):
        raise ClientError(
            "Job Queue is attached to Compute Environment that can not run Jobs with capability "
            f"{definition.capability}."
        )
    if definition.nodes is not None:
        _check_several(request, at)
        return
    has = "containerProperties" if definition.task is None else "ecsProperties"
    own = "containerOverrides" if definition.task is None else "ecsPropertiesOverride"
    for member, kind in _OVERRIDES:
        if member != own and getattr(request, member) is not UNSET:
            raise ClientError(
                f"{member} applies only to {kind} job definitions, and this one has {has}.", f"Use {own}."
            )


def _check_several(request: SubmitJobRequest, at: Submission) -> None:
    """What a multi-node job may not have, and where it can run."""
    for member in ("containerOverrides", "ecsPropertiesOverride", "eksPropertiesOverride"):
        if getattr(request, member) is not UNSET:
            raise ClientError(
                f"{member} does not apply to multinode job definitions.", "Use nodeOverrides.nodePropertyOverrides."
            )
    if request.arrayProperties is not UNSET and request.arrayProperties.size is not UNSET:
        raise ClientError(
            f"A multi-node parallel job cannot be an array, got arrayProperties.size {request.arrayProperties.size}.",
            "Leave arrayProperties out.",
        )
    if not at.on_demand:
        raise ClientError(
            f"Multi-node parallel jobs run on on-demand instances of managed compute environments only, and JobQueue "
            f"{at.queue_name} has no environment of type EC2.",
            "Submit to a queue with a MANAGED compute environment of type EC2.",
        )


def _share(request: SubmitJobRequest, definition: CompiledDefinition, at: Submission) -> tuple[str | None, int]:
    """The job's share and its priority in there; a queue without a scheduling policy has neither."""
    share, override = request.shareIdentifier, request.schedulingPriorityOverride
    if not at.fair_share:
        if share or override is not UNSET:
            raise ClientError(
                "Job with shareIdentifier or schedulingPriority can onlybe submitted to job queue with fair share "
                "scheduling policy."
            )
        return None, 0
    if not share:
        raise ClientError("shareIdentifier must be specified.")
    names.check_share(share)
    if override is UNSET:
        if "schedulingPriority" not in definition.defaults:
            raise ClientError(
                "Either schedulingPriority in job definition or schedulingPriorityOverride should be specified."
            )
        return share, definition.defaults["schedulingPriority"]
    check_priority(override)
    return share, override


def _size(request: SubmitJobRequest) -> int:
    """Number of children, 0 for a single job."""
    if request.arrayProperties is UNSET or request.arrayProperties.size is UNSET:
        return 0
    size = request.arrayProperties.size
    if not ARRAY_MIN <= size <= ARRAY_MAX:
        raise ClientError(
            f"arrayProperties.size must be between {ARRAY_MIN} and {ARRAY_MAX}, got {size}.",
            "Split a larger array into several; submit a single job without arrayProperties.",
        )
    return size
