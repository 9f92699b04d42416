"""ecsProperties: jobs of several containers, and what a submission may change of them.

A definition stores them as they were given. A job's task is a copy in which every container has its name. Source:
reference "Multi-container jobs"; texts that are not AWS's are ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from batchyard.admission import containers, merging, requirements
from batchyard.errors import ClientError
from batchyard.model import tasks
from batchyard.model.needs import NOTHING, Needs
from batchyard.wire.shapes import (
    EcsProperties,
    EcsPropertiesOverride,
    EcsTaskProperties,
    ResourceRequirement,
    TaskContainerDependency,
    TaskContainerOverrides,
    TaskContainerProperties,
)

CONTAINERS_MAX = 10
FARGATE_TIMEOUT_MAX_S = 120
IPC_MODES, PID_MODES = ("host", "task", "none"), ("host", "task")
NETWORK_MODES = ("awsvpc", "bridge", "host", "none")

# AWS allows 255; a log's file is named after its container and the attempt, and file systems take 255 in all.
_NAME = re.compile(r"[A-Za-z0-9_-]{1,200}")
_STREAM_MAX = 512 - 34  # characters that prefix and name may have together in the name of a log stream
_FARGATE_ONLY = ("networkConfiguration", "platformVersion")
_ROOT = ("", "root", "0")


def check(properties: EcsProperties, fargate: bool) -> None:
    """ClientError if ecsProperties of a definition break a rule for its platform (EC2 unless `fargate`)."""
    listed = properties.taskProperties or []
    if len(listed) != 1:
        raise ClientError(
            f"ecsProperties.taskProperties must have exactly one element, got {len(listed)}.",
            "List all containers of the job in that one.",
        )
    (task,) = listed
    each_one = task.containers or []
    if not 1 <= len(each_one) <= CONTAINERS_MAX:
        raise ClientError(f"Number of containers must be between 1 and {CONTAINERS_MAX}")
    _check_modes(task)
    _check_names(each_one)
    needs = NOTHING
    for container in each_one:
        containers.check_image(container)
        needs = needs.plus(_needs(container.resourceRequirements, fargate))
        containers.check_process(container, task, fargate)
        _check_stream(container)
        _check_timeouts(container, fargate)
    _check_dependencies(each_one)
    _check_firelens(each_one)
    containers.check_volumes(task.volumes, task.taskRoleArn)
    if not fargate:
        containers.check_ec2(task, _FARGATE_ONLY)
        return
    requirements.check_fargate(needs)
    containers.check_fargate(task, task.platformVersion, needs)


def _check_modes(task: EcsTaskProperties) -> None:
    if task.ipcMode and task.ipcMode not in IPC_MODES:
        raise ClientError(f"ipcMode {task.ipcMode} is not valid. Valid values are: [{', '.join(IPC_MODES)}]")
    if task.pidMode and task.pidMode not in PID_MODES:  # AWS's own words speak of a capability
        raise ClientError(f"Capability {task.pidMode} is not valid. Valid capabilities: [{', '.join(PID_MODES)}]")
    if task.networkMode and task.networkMode not in NETWORK_MODES:
        raise ClientError(
            f"networkMode {task.networkMode} is not valid.", f"Use {', '.join(NETWORK_MODES)}, or leave it out."
        )


def _check_names(each_one: list[TaskContainerProperties]) -> None:
    seen = set()
    for number, container in enumerate(each_one):
        name = container.name or (tasks.DEFAULT if len(each_one) == 1 else "")
        if not name:
            raise ClientError(
                f"Container {number + 1} of {len(each_one)} has no name.",
                "Name each container of a job that has several.",
            )
        if not _NAME.fullmatch(name):
            raise ClientError(
                f"Container name {name[:100]!r} is not valid.", "Use 1 to 200 letters, digits, hyphens and underscores."
            )
        if name in seen:
            raise ClientError(f"Container name {name} is used more than once.", "Give each container its own.")
        seen.add(name)


def _check_stream(container: TaskContainerProperties) -> None:
    log = container.logConfiguration
    prefix = (log.options or {}).get(containers.PREFIX_OPTION, "") if log and log.logDriver == "awslogs" else ""
    if len(prefix) + len(container.name or tasks.DEFAULT) > _STREAM_MAX:
        raise ClientError(
            f"logConfiguration.options {containers.PREFIX_OPTION} and the name of container {container.name} are too "
            f"long for the name of a log stream: {_STREAM_MAX} characters together at most.",
            "Shorten one of them.",
        )


def _check_timeouts(container: TaskContainerProperties, fargate: bool) -> None:
    for member, least in (("startTimeout", 1), ("stopTimeout", 0)):
        seconds = getattr(container, member)
        if seconds is UNSET:
            continue
        if seconds < least:
            raise ClientError(f"{member} must be at least {least} seconds, got {seconds}.", "Give it more time.")
        if fargate and seconds > FARGATE_TIMEOUT_MAX_S:
            raise ClientError(
                f"{member} can be at most {FARGATE_TIMEOUT_MAX_S} seconds on Fargate, got {seconds}.", "Shorten it."
            )


def _check_dependencies(each_one: list[TaskContainerProperties]) -> None:
    essential = {each.name: each.essential is not False for each in each_one}
    if not any(essential.values()):
        raise ClientError("At least one container must be set as essential")
    for container in each_one:
        for dependency in container.dependsOn or ():
            if len(each_one) == 1:
                raise ClientError("Container dependency can not be used in a single-container job.")
            _check_dependency(dependency, essential)
    cycle = _cycle({each.name: {on.containerName for on in each.dependsOn or ()} for each in each_one})
    if cycle:
        raise ClientError(
            f"Containers {', '.join(cycle)} depend on each other in a cycle, so none of them could start.",
            "Take one of their dependsOn out.",
        )


def _cycle(waits: Mapping[str, set[str]]) -> list[str]:
    """Those that wait for themselves in the end: what is left without those that nothing, or nobody, waits for."""
    left = set(waits)
    while True:
        waited_for = set().union(*(waits[name] for name in left))
        loose = {name for name in left if not waits[name] & left or name not in waited_for}
        if not loose:
            return [name for name in waits if name in left]
        left -= loose


def _check_dependency(dependency: TaskContainerDependency, essential: Mapping[str, bool]) -> None:
    name, condition = dependency.containerName, dependency.condition
    if name is UNSET or name not in essential:
        raise ClientError(f"containerName {name or ''} must reference a defined container.")
    if condition is UNSET or condition not in tasks.CONDITIONS:
        raise ClientError(
            f"TaskContainer dependency {condition or ''} is not valid. Valid values are: "
            f"[{', '.join(tasks.CONDITIONS)}]"
        )
    if condition != tasks.START and essential[name]:
        raise ClientError(
            f"The container target of a dependency can not have condition {condition} if the target is essential"
        )


def _check_firelens(each_one: list[TaskContainerProperties]) -> None:
    routers = [each for each in each_one if each.firelensConfiguration is not UNSET]
    if not routers:
        return
    drivers = [each.logConfiguration.logDriver for each in each_one if each.logConfiguration is not UNSET]
    if "awsfirelens" not in drivers:
        raise ClientError(
            "When a firelensConfiguration object is specified, at least one container has to be configured with the "
            "awsfirelens log driver"
        )
    if not any((each.user or "") in _ROOT for each in routers):
        raise ClientError("When a firelensConfiguration object is specified, at least one container has to run as root")


# -- what a job runs -----------------------------------------------------------------------------------------------


def task_of(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The task of (stored) ecsProperties, in which every container has its name."""
    (task,) = properties["taskProperties"]
    return task | {"containers": [{"name": tasks.DEFAULT} | each for each in task["containers"]]}


def needs_of(task: Mapping[str, Any], fargate: bool) -> Needs:
    """What all containers of a task need together; ClientError if Fargate has no such size."""
    needs = NOTHING
    for each in task["containers"]:
        listed = msgspec.convert(each.get("resourceRequirements") or [], list[ResourceRequirement])
        needs = needs.plus(_needs(listed, fargate))
    if fargate:
        requirements.check_fargate(needs)
    return needs


def _needs(listed: Iterable[ResourceRequirement] | UnsetType, fargate: bool) -> Needs:
    """Of one container; on Fargate it is their sum that must be one of its sizes."""
    return requirements.complete(requirements.read(listed, UNSET, UNSET, fargate), fargate=False)


def merge(asked: EcsPropertiesOverride, task: Mapping[str, Any], fargate: bool) -> dict[str, Any]:
    """The task with overrides in it; ClientError if one breaks a rule or names no container of the task.

    A command is replaced as a whole (an empty one replaces nothing), environment merges by name, resourceRequirements
    by type.
    """
    listed = asked.taskProperties or []
    if len(listed) > 1:
        raise ClientError(
            f"ecsPropertiesOverride.taskProperties can have one element, got {len(listed)}.",
            "List the containers to change in that one.",
        )
    merged = {each["name"]: each for each in task["containers"]}
    seen = set()
    for each in (listed[0].containers or ()) if listed else ():
        name = each.name or (next(iter(merged)) if len(merged) == 1 else "")
        if name not in merged:
            raise ClientError(
                f"ecsPropertiesOverride: the job definition has no container named {name!r}.",
                f"Name one of {', '.join(merged)}.",
            )
        if name in seen:
            raise ClientError(f"ecsPropertiesOverride: container {name} is named more than once.", "Name it once.")
        seen.add(name)
        merged[name] = _merged(each, merged[name], fargate)
    return {**task, "containers": list(merged.values())}


def _merged(asked: TaskContainerOverrides, container: dict[str, Any], fargate: bool) -> dict[str, Any]:
    merged = merging.command_and_environment(asked, container)
    if asked.resourceRequirements:
        requirements.read(asked.resourceRequirements, UNSET, UNSET, fargate)
        old = container.get("resourceRequirements")
        merged["resourceRequirements"] = merging.by("type", old, asked.resourceRequirements)
    return merged
