"""The same container in Podman's own words, for what it does not understand in Docker's: GPUs.

A body of ``POST /containers/create`` (``options.py``) becomes one of ``POST /libpod/containers/create``. GPUs are named
as the Container Device Interface names them (``nvidia-ctk cdi generate`` writes what they are).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

GPU = "nvidia.com/gpu="
_READ = (  # members of HostConfig that are put into Podman's words here
    "NetworkMode IpcMode PidMode CpuShares CpuPeriod CpuQuota Memory MemorySwap MemorySwappiness Devices "
    "DeviceRequests Privileged CapAdd CapDrop SecurityOpt ReadonlyRootfs Init Tmpfs Ulimits LogConfig ShmSize Mounts"
)
READ = frozenset(_READ.split())


def needed(body: Mapping[str, Any]) -> bool:
    """Whether the body asks for what Podman passes over in silence."""
    return bool(body.get("HostConfig", {}).get("DeviceRequests"))


def specification(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The body in Podman's words."""
    asked = body["HostConfig"]
    made: dict[str, Any] = {
        "name": name,
        "image": body["Image"],
        "env": dict(each.split("=", 1) for each in body["Env"]),
        "labels": body.get("Labels", {}),
        "healthconfig": body["Healthcheck"],
        "netns": _namespace(asked["NetworkMode"]),
        "resource_limits": _limits(asked),
        "devices": [{"path": path} for path in _devices(asked)],
        "r_limits": [{"type": each["Name"], "soft": each["Soft"], "hard": each["Hard"]} for each in asked["Ulimits"]],
        "read_only_filesystem": asked["ReadonlyRootfs"],
        "privileged": asked.get("Privileged", False),
        "init": asked["Init"],
        "log_configuration": _log(asked["LogConfig"]),
        **_files(asked),
    }
    if "Cmd" in body:
        made["command"] = body["Cmd"]
    if "User" in body:
        made["user"] = body["User"]
    for key, ours in (("IpcMode", "ipcns"), ("PidMode", "pidns")):
        if key in asked:
            made[ours] = _namespace(asked[key])
    if "ShmSize" in asked:
        made["shm_size"] = asked["ShmSize"]
    if "CapAdd" in asked:
        made |= {"cap_add": asked["CapAdd"], "cap_drop": asked["CapDrop"], "unmask": ["all"]}
        made |= {"seccomp_profile_path": "unconfined", "selinux_opts": ["disable"]}
    return made


def _namespace(mode: str) -> dict[str, str]:
    kind, _, value = mode.partition(":")
    return {"nsmode": kind, "value": value} if value else {"nsmode": kind}


def _limits(asked: Mapping[str, Any]) -> dict[str, Any]:
    memory = {"limit": asked["Memory"], "swap": asked.get("MemorySwap", 2 * asked["Memory"])}
    if "MemorySwappiness" in asked:
        memory["swappiness"] = asked["MemorySwappiness"]
    processor = {"shares": asked["CpuShares"]}
    if "CpuQuota" in asked:
        processor |= {"quota": asked["CpuQuota"], "period": asked["CpuPeriod"]}
    return {"memory": memory, "cpu": processor}


def _devices(asked: Mapping[str, Any]) -> list[str]:
    gpus = [GPU + each for request in asked["DeviceRequests"] for each in request["DeviceIDs"]]
    named = [f"{each['PathOnHost']}:{each['PathInContainer']}:{each['CgroupPermissions']}" for each in asked["Devices"]]
    return gpus + named


def _files(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Binds and file systems in memory are mounts, all else volumes."""
    mounts = [
        {"type": "tmpfs", "source": "tmpfs", "destination": path, "options": options.split(",")}
        for path, options in asked["Tmpfs"].items()
    ]
    volumes = []
    for each in asked["Mounts"]:
        kept = ["ro"] if each["ReadOnly"] else []
        if each["Type"] == "bind":
            mounts.append(
                {"type": "bind", "source": each["Source"], "destination": each["Target"], "options": ["rbind", *kept]}
            )
        else:
            volumes.append({"Name": each.get("Source", ""), "Dest": each["Target"], "Options": kept})
    return {"mounts": mounts, "volumes": volumes}


def _log(config: Mapping[str, Any]) -> dict[str, Any]:
    """The bound of a log is no option here."""
    options = dict(config["Config"])
    made: dict[str, Any] = {"driver": config["Type"]}
    if "max-size" in options:
        made["size"] = int(options.pop("max-size"))
    return made | {"options": options}
