"""The containers of an attempt as its order tells them: of containerProperties one, of a task several.

Nothing is looked at on the machine here; that volumes are where they may be is the slot's to see. Source: reference
"Container semantics", "Fargate specifics", "Multi-container jobs".
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from typing import Any

from batchyard.config import Settings
from batchyard.model import tasks, zip_images
from batchyard.model.needs import Needs

PERMISSIONS = (("READ", "r"), ("WRITE", "w"), ("MKNOD", "m"))
_ARCHITECTURES = {"x86_64": "X86_64", "amd64": "X86_64", "aarch64": "ARM64", "arm64": "ARM64"}


class CannotStart(Exception):
    """Why no container can be made of what is asked; the message is the reason that clients read."""


def check_platform(properties: Mapping[str, Any], machine: str = "") -> None:
    """CannotStart if the job asks for another system or processor (`machine`, as uname names it) than ours."""
    wanted = properties.get("runtimePlatform") or {}
    system = wanted.get("operatingSystemFamily") or "LINUX"
    machine = machine or platform.machine()
    ours = _ARCHITECTURES.get(machine.lower(), machine)
    processor = wanted.get("cpuArchitecture") or ours
    if (system, processor) != ("LINUX", ours):
        raise CannotStart(f"runtimePlatform asks for {system} on {processor}, and this machine has LINUX on {ours}")


def container(
    properties: Mapping[str, Any],
    task: Mapping[str, Any],
    variables: dict[str, str],
    needs: Needs,
    devices: Iterable[str],
    settings: Settings,
    fargate: bool,
) -> dict[str, Any]:
    """One container of the order, less its name; `task` holds the volumes, `devices` are its GPUs by UUID or number."""
    linux = properties.get("linuxParameters") or {}
    return {
        "image": settings.zip_image if zipped(properties, settings) else properties["image"],
        "command": list(properties.get("command") or ()),
        "env": variables,
        "user": properties.get("user") or None,
        "cpu_milli": needs.cpu_milli,
        "cpu_hard": fargate,  # on EC2 a vCPU is a share of what nobody else takes
        "memory_mib": needs.memory_mib,
        "devices": list(devices),
        "essential": tasks.is_essential(properties),
        "depends_on": [[each["containerName"], each["condition"]] for each in properties.get("dependsOn") or ()],
        "start_timeout_s": properties.get("startTimeout"),
        "stop_timeout_s": properties.get("stopTimeout"),
        "privileged": bool(properties.get("privileged")) and settings.privileged,
        "init": bool(linux.get("initProcessEnabled")),
        "max_swap_mib": linux.get("maxSwap"),
        "swappiness": linux.get("swappiness"),
        "linux_devices": linux_devices(properties),
        "log": _log(properties),
        **of_process(properties, task, settings),
    }


def of_process(properties: Mapping[str, Any], task: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """What a process on this machine is given of what a container is."""
    linux = properties.get("linuxParameters") or {}
    return {
        "read_only": bool(properties.get("readonlyRootFilesystem")),
        "ulimits": ulimits(properties),
        "shm_mib": linux.get("sharedMemorySize"),
        "tmpfs": tmpfs(properties),
        "mounts": mounts(properties, task.get("volumes") or (), settings),
        "zip": zipped(properties, settings),
    }


def zipped(properties: Mapping[str, Any], settings: Settings) -> dict[str, Any] | None:
    """Of an image that is a zipped application: where it is, and from where and how large it may be."""
    address = zip_images.address_of(properties.get("image") or "")
    if address is None:
        return None
    return {"address": address, "from": list(settings.zip_from), "max_mib": settings.zip_max_mib}


def needs(properties: Mapping[str, Any]) -> Needs:
    """What a container of a task asks for. Its values are numbers: admission saw to it."""
    asked = {each["type"]: each["value"] for each in properties.get("resourceRequirements") or ()}
    whole, _, part = asked.get("VCPU", "0").partition(".")
    milli = int(whole or 0) * 1000 + int(part.ljust(3, "0")[:3])
    return Needs(milli, int(asked.get("MEMORY", 0)), int(asked.get("GPU", 0)))


def network(task: Mapping[str, Any], settings: Settings, several_nodes: bool) -> str:
    """`host`, `bridge` or `none`: as the task names it, else as set; nodes find each other on the machine's own."""
    if several_nodes:
        return "host"
    asked = task.get("networkMode")
    return asked if asked in ("host", "bridge", "none") else settings.container_network


def ulimits(properties: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": each["name"], "soft": each["softLimit"], "hard": each["hardLimit"]}
        for each in properties.get("ulimits") or ()
    ]


def tmpfs(properties: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"path": each["containerPath"], "size_mib": each["size"], "options": list(each.get("mountOptions") or ())}
        for each in (properties.get("linuxParameters") or {}).get("tmpfs") or ()
    ]


def linux_devices(properties: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Devices of the machine that the job asks for by name."""
    found = []
    for each in (properties.get("linuxParameters") or {}).get("devices") or ():
        asked = each.get("permissions") or [name for name, _ in PERMISSIONS]
        letters = "".join(letter for name, letter in PERMISSIONS if name in asked)
        path = each["hostPath"]
        found.append({"host": path, "path": each.get("containerPath") or path, "permissions": letters})
    return found


def mounts(
    properties: Mapping[str, Any], volumes: Iterable[Mapping[str, Any]], settings: Settings
) -> list[dict[str, Any]]:
    """Where volumes are seen. `source` None: a volume of the attempt's own, by its name. `within`: a directory that it
    must not leave, given by the operator; None: the rules for volumes of the host hold. CannotStart for a file system
    that is mapped to none."""
    known = {each.get("name"): each for each in volumes}
    found = []
    for number, each in enumerate(properties.get("mountPoints") or ()):
        name = each.get("sourceVolume") or f"mount{number}"
        source, within = _source(known.get(name, {}), settings)
        found.append(
            {
                "source": source,
                "within": within,
                "volume": name,
                "path": each.get("containerPath") or "",
                "read_only": bool(each.get("readOnly")),
            }
        )
    return found


def _source(volume: Mapping[str, Any], settings: Settings) -> tuple[str | None, str | None]:
    efs, files = volume.get("efsVolumeConfiguration"), volume.get("s3filesVolumeConfiguration")
    if efs:
        point = (efs.get("authorizationConfig") or {}).get("accessPointId")
        return _file_system(volume, efs["fileSystemId"], point, efs.get("rootDirectory"), settings)
    if files:
        names = [(files.get(member) or "").rpartition("/")[2] for member in ("fileSystemArn", "accessPointArn")]
        return _file_system(volume, names[0], names[1], files.get("rootDirectory"), settings)
    return (volume.get("host") or {}).get("sourcePath") or None, None


def _file_system(
    volume: Mapping[str, Any], name: str, point: str | None, root: str | None, settings: Settings
) -> tuple[str, str]:
    """The directory that stands for a file system, or for an access point of it where that has one of its own."""
    mapped = dict(entry.split("=", 1) for entry in settings.efs)
    path = mapped.get(point or "") or mapped.get(name)
    if path is None:
        raise CannotStart(
            f"volume {volume.get('name')}: no directory stands for file system {name}; the setting efs names them, "
            f"such as {name}=/srv/{name}"
        )
    return f"{path.rstrip('/')}/{(root or '/').strip('/')}".rstrip("/") or "/", path


def _log(properties: Mapping[str, Any]) -> dict[str, Any] | None:
    """None: our own log, which is what the drivers awslogs and json-file mean here."""
    log = properties.get("logConfiguration")
    if not log or log["logDriver"] in ("awslogs", "json-file"):
        return None
    return {"driver": log["logDriver"], "options": dict(log.get("options") or {})}
