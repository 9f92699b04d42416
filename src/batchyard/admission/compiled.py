"""A job definition made ready for submissions, so that a million jobs of it cost its checking once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import UnsetType

from batchyard.admission import notices, parameters, requirements, retries, tasks
from batchyard.model.jobs import RetryPolicy
from batchyard.model.needs import NOTHING, Needs
from batchyard.wire.shapes import ConsumableResourceProperties, RegisterJobDefinitionRequest


class CompiledDefinition(NamedTuple):
    """What ``jobs.admit`` needs of a definition. Jobs share what it holds: never change it."""

    container: dict[str, Any]  # {} if there is none: it has `nodes` or a `task`
    refers: bool  # its command holds Ref:: placeholders
    needs: Needs
    capability: str
    parameters: dict[str, str]
    retry: RetryPolicy
    timeout_s: int | None
    notices: tuple[str, ...]
    defaults: dict[str, Any]  # members of the job's body as they are unless the request says otherwise
    consumables: ConsumableResourceProperties | UnsetType
    nodes: dict[str, Any] | None = None  # nodeProperties of a multi-node definition
    task: dict[str, Any] | None = None  # of one with ecsProperties; every container has its name


def compile_definition(body: Mapping[str, Any], region: str) -> CompiledDefinition:
    """Compile the stored body of a definition of `region` that ``job_definitions.admit`` accepted."""
    request = msgspec.convert(body, RegisterJobDefinitionRequest)
    several = body.get("nodeProperties")  # then the containers are looked at one by one
    task = tasks.task_of(body["ecsProperties"]) if "ecsProperties" in body else None
    container = body.get("containerProperties") or {}
    given = request.containerProperties
    capability = (body.get("platformCapabilities") or ["EC2"])[0]
    needs = NOTHING
    if task is not None:
        needs = tasks.needs_of(task, capability == "FARGATE")
    elif several is None:
        asked = requirements.read(given.resourceRequirements, given.vcpus, given.memory, capability == "FARGATE")
        needs = requirements.complete(asked, capability == "FARGATE")
    defaults = {
        "retryStrategy": body.get("retryStrategy") or {"attempts": 1},
        "propagateTags": body.get("propagateTags", False),
        "platformCapabilities": body.get("platformCapabilities") or [],
    }
    for member in ("timeout", "schedulingPriority", "consumableResourceProperties"):
        if member in body:
            defaults[member] = body[member]
    said = notices.of_container(container, region) if task is None else notices.of_task(task, region)
    return CompiledDefinition(
        container=container,
        refers=parameters.refers(container.get("command") or ()),
        needs=needs,
        capability=capability,
        parameters=body.get("parameters") or {},
        retry=retries.policy(request.retryStrategy),
        timeout_s=retries.timeout_s(request.timeout),
        notices=tuple(said),
        defaults=defaults,
        consumables=request.consumableResourceProperties,
        nodes=several,
        task=task,
    )
