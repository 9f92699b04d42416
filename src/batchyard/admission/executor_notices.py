"""What a job asks for and does not get from the executor that it has on this machine, for its `notices`.

Said when one looks, since the machine and its settings may change while a job waits. What is refused is no notice: the
attempt fails to start, and its reason says why. Source of what members mean: reference "Container semantics".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from batchyard.model.executors import CONTAINER, PROCESS, chosen
from batchyard.model.logplaces import DEFAULT_GROUP

PODMAN = "podman"
MEMORY_LEAST_MIB = 6  # that engines bound a container by
_OURS = ("awslogs", "json-file")  # log drivers that stand for our own log
_ZIP = "zip:"
_NETWORKS = ("host", "bridge", "none")


class Machine(NamedTuple):
    """What notices depend on: settings, and what the runner has found out."""

    executor: str = "auto"
    engine: str | None = None  # name of the container engine that passed its trial
    namespaces: bool = True  # whether processes have namespaces of their own
    swappiness: bool = True  # whether the kernel knows it for a container
    privileged: bool = False
    roles: bool = False  # whether roles of jobs can be assumed
    network: str = "host"  # of containers that name none: host, bridge or none
    mapped: frozenset[str] = frozenset()  # file systems and access points that a directory stands for
    limits: Mapping[str, int] = {}  # the highest hard limits that processes can have, by name; others have no bound


_NO_ENGINE = (
    "The job has several containers, for which there must be a container engine, and there is none: its attempts fail "
    "to start; batchyard doctor says what would help."
)

# As a process: member of the container -> why it has no effect. `{value}` is what was asked.
_OF_PROCESS = {
    "privileged": "privileged gives no extra rights: the job is a process.",
    "repositoryCredentials": "repositoryCredentials are not used: no image is pulled.",
}
_OF_PROCESS_LINUX = {
    "devices": "linuxParameters.devices has no effect: the job sees the devices that every process sees.",
    "maxSwap": "linuxParameters.maxSwap has no effect: the job swaps as the machine does.",
    "swappiness": "linuxParameters.swappiness has no effect: the job swaps as the machine does.",
}
# Likewise where processes have no mount namespace. Mounts and tmpfs are refused there.
_WITHOUT_NAMESPACES = "{member} is not applied: on this machine jobs have no mount namespace of their own."


def executor_of(containers: Sequence[tuple[str, Mapping[str, Any]]], machine: Machine) -> str | None:
    """Which one it has; None: its attempts fail to start."""
    return chosen([each.get("image") for _, each in containers], machine.executor, machine.engine is not None)


def of_job(
    containers: Sequence[tuple[str, Mapping[str, Any]]], task: Mapping[str, Any] | None, machine: Machine
) -> list[str]:
    """Sentences for the containers of a job, by name; `task` has what those of a task share."""
    executor = executor_of(containers, machine)
    whole = containers[0][1] if task is None else task
    said = _of_whole(whole, machine)
    if executor == CONTAINER and machine.roles:
        said += _of_network(whole, machine.network)
    if executor is None and len(containers) > 1:
        said.append(_NO_ENGINE)
    if executor == PROCESS:
        asked = [member for member in ("ipcMode", "pidMode", "networkMode") if whole.get(member)]
        said += [f"{member} {whole[member]} has no effect: the job is a process." for member in asked]
    for name, container in containers:
        own = {CONTAINER: _of_container, PROCESS: _of_process}.get(executor or "", _of_none)(container, machine)
        if executor == CONTAINER:
            own += _of_shared_memory(container, whole)
        said += [f"container {name}: {each}" for each in own] if len(containers) > 1 else own
    return said


def _of_none(_container: Mapping[str, Any], _machine: Machine) -> list[str]:
    return []


def _of_whole(properties: Mapping[str, Any], machine: Machine) -> list[str]:
    """What is the same for both executors and depends on the operator's settings."""
    said = []
    for member in ("jobRoleArn", "taskRoleArn"):
        if properties.get(member) and not machine.roles:
            said.append(
                f"{member} {properties[member]} gives no credentials: no STS is set at which it could be assumed "
                "(setting sts_url, or AWS_ENDPOINT_URL_STS)."
            )
    for volume in properties.get("volumes") or ():
        system, point = _file_system(volume)
        if point and point not in machine.mapped and system in machine.mapped:
            said.append(
                f"volumes {volume.get('name')}: access point {point} is not looked at: all of {system} is mounted "
                "(setting efs; accessPointId or accessPointArn)."
            )
    return said


def _file_system(volume: Mapping[str, Any]) -> tuple[str, str]:
    """The file system of a volume and the access point to it, by their ids; empty where there is none."""
    efs, files = volume.get("efsVolumeConfiguration") or {}, volume.get("s3filesVolumeConfiguration") or {}
    if efs:
        return efs["fileSystemId"], (efs.get("authorizationConfig") or {}).get("accessPointId") or ""
    system, point = ((files.get(member) or "").rpartition("/")[2] for member in ("fileSystemArn", "accessPointArn"))
    return system, point


def _of_shared_memory(container: Mapping[str, Any], whole: Mapping[str, Any]) -> list[str]:
    mode = whole.get("ipcMode")
    if not mode or not (container.get("linuxParameters") or {}).get("sharedMemorySize"):
        return []
    return [
        f"linuxParameters.sharedMemorySize has no effect with ipcMode {mode}: its shared memory is not the container's."
    ]


def _of_network(properties: Mapping[str, Any], usual: str) -> list[str]:
    asked = properties.get("networkMode")
    network = asked if asked in _NETWORKS else usual
    role = properties.get("jobRoleArn") or properties.get("taskRoleArn")
    if not role or network == "host":
        return []
    return [
        f"{role} gives no credentials: they are served on this machine's loopback address, which the network {network} "
        "does not reach (setting container_network, or networkMode)."
    ]


def _of_container(container: Mapping[str, Any], machine: Machine) -> list[str]:
    linux, said = container.get("linuxParameters") or {}, []
    if container.get("privileged") and not machine.privileged:
        said.append("privileged gives no extra rights: the operator does not allow it (setting privileged).")
    if container.get("readonlyRootFilesystem") and machine.engine == PODMAN:
        said.append("readonlyRootFilesystem: /tmp, /var/tmp and /run stay writable, in memory; Podman has it so.")
    if linux.get("swappiness") is not None and linux.get("maxSwap") is None:
        said.append("linuxParameters.swappiness has no effect without maxSwap.")
    elif linux.get("swappiness") is not None and not machine.swappiness:
        said.append("linuxParameters.swappiness has no effect: control groups of version 2 have none.")
    if 0 < _memory_mib(container) < MEMORY_LEAST_MIB:
        said.append(f"MEMORY: the container is bounded by {MEMORY_LEAST_MIB} MiB, the least that engines do.")
    driver = (container.get("logConfiguration") or {}).get("logDriver", _OURS[0])
    if driver not in _OURS and machine.engine == PODMAN and driver != "journald":
        said.append(f"logConfiguration: Podman has no driver {driver}; the log is in group {DEFAULT_GROUP}.")
    elif driver not in _OURS:
        said.append(
            f"logConfiguration: the engine gives the log to {driver}; Batchyard shows it only as far as the engine "
            "keeps a copy."
        )
    return said


def _of_process(container: Mapping[str, Any], machine: Machine) -> list[str]:
    linux, image = container.get("linuxParameters") or {}, container.get("image") or ""
    said = [] if image.startswith(_ZIP) else [_image(image)]
    said += [sentence for member, sentence in _OF_PROCESS.items() if container.get(member)]
    said += [sentence for member, sentence in _OF_PROCESS_LINUX.items() if linux.get(member) not in (None, [])]
    if not machine.namespaces:
        asked = [("readonlyRootFilesystem", container.get("readonlyRootFilesystem"))]
        asked.append(("linuxParameters.sharedMemorySize", linux.get("sharedMemorySize")))
        said += [_WITHOUT_NAMESPACES.replace("{member}", member) for member, value in asked if value]
    said += _of_limits(container, machine)
    driver = (container.get("logConfiguration") or {}).get("logDriver", _OURS[0])
    if driver not in _OURS:
        said.append(f"logConfiguration: driver {driver} is not used; the log is in group {DEFAULT_GROUP}.")
    if not container.get("command") and not image.startswith(_ZIP):
        said.append("command is empty: the image's own command would run, but no image is used, so nothing can start.")
    return said


def _of_limits(container: Mapping[str, Any], machine: Machine) -> list[str]:
    said = []
    for each in container.get("ulimits") or ():
        name, hard = each["name"], each["hardLimit"]
        most = machine.limits.get(name)
        if most is not None and not 0 <= hard <= most:
            said.append(f"ulimits: {name} is at most {most} here; hardLimit {hard} is asked, {most} is given.")
    return said


def _image(image: str) -> str:
    return f"image {image} is not used: the command runs as a process on this machine, with its files."


def _memory_mib(container: Mapping[str, Any]) -> int:
    asked = {each["type"]: each["value"] for each in container.get("resourceRequirements") or ()}
    return int(asked.get("MEMORY", container.get("memory") or 0))
