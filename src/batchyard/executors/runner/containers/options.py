"""A container of an order as the engine is asked to create it: the body of ``POST /containers/create``.

Pure: what the machine is like comes as `Host`, where volumes lie as `sources`. Docker and Podman are asked in the same
words, those of Docker's API, except where Podman would not listen; each such place says so. Source: reference
"Container semantics".
"""

from __future__ import annotations

import resource
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

SHARES_OF_VCPU = 1024
SHARES_LEAST = 2  # the kernel's
PERIOD_US = 100_000  # in which a bounded container has its quota; the kernel's default
MEMORY_LEAST_MIB = 6  # Docker's; a job may ask for 4
PODMAN = "podman"

_BY_NUMBER = (  # linux/capability.h
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN "
    "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE "
    "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
CAPABILITIES = tuple(_BY_NUMBER.split())

_NEWER = frozenset(("PERFMON", "BPF", "CHECKPOINT_RESTORE"))  # Docker before 23 neither gives nor knows them
_USUAL_LIMITS = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}


class EngineAbout(Protocol):
    """What must be known of an engine (``wire.EngineAbout``)."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def rootless(self) -> bool: ...
    @property
    def cgroups(self) -> int: ...


class Host(NamedTuple):
    """What containers of an engine cannot have more of than the machine has."""

    engine: EngineAbout
    capabilities: frozenset[str]  # that a process can have here
    limits: Mapping[str, int]  # those ulimits that the engine gives where none is asked for

    @classmethod
    def of(cls, engine: EngineAbout, told: Sequence[Mapping[str, Any]] | None = None) -> Host:
        """This machine as this process finds it. `told` are the HostConfig.Ulimits of a container for which none were
        asked for; an engine that does not tell has the same as we."""
        with open("/proc/self/status") as file:
            bounding = next(int(line.split()[1], 16) for line in file if line.startswith("CapBnd:"))
        held = frozenset(name for number, name in enumerate(CAPABILITIES) if bounding >> number & 1)
        limits = {name: resource.getrlimit(kind)[1] for name, kind in _USUAL_LIMITS.items()}
        limits |= {each["Name"].removeprefix("RLIMIT_").lower(): each["Hard"] for each in told or ()}
        return cls(engine, held, limits)


def create_body(
    order: Mapping[str, Any],
    container: Mapping[str, Any],
    host: Host,
    sources: Sequence[str | None],
    log: Mapping[str, Any],
    prefix: str = "",
    holder: str | None = None,
) -> dict[str, Any]:
    """The body, less labels. ValueError for what the engine cannot do.

    `sources` are the real paths of the container's mounts, None for a volume of the attempt's own; those that several
    mounts see have the name `prefix` and the volume's. `log` is the LogConfig of our own log. `holder` is a container
    that runs as long as the task, in whose namespaces those of ipcMode and pidMode `task` are.
    """
    body: dict[str, Any] = {
        "Image": container["image"],
        "Env": [f"{name}={value}" for name, value in container["env"].items()],
        "Healthcheck": {"Test": ["NONE"]},  # ECS does not look at an image's own
        "HostConfig": _host_config(order, container, host, log, holder)
        | {"Mounts": _mounts(order, container, sources, prefix)},
    }
    if container["command"]:
        body["Cmd"] = list(container["command"])
    if container["user"]:
        body["User"] = container["user"]
    return body


def shared_volumes(order: Mapping[str, Any]) -> list[str]:
    """Volumes of the attempt's own that several mounts see: they must have a name, and be removed by it."""
    named = [mount["volume"] for each in order["containers"] for mount in each["mounts"] if mount["source"] is None]
    return sorted({name for name in named if named.count(name) > 1})


def _host_config(
    order: Mapping[str, Any],
    container: Mapping[str, Any],
    host: Host,
    log: Mapping[str, Any],
    holder: str | None,
) -> dict[str, Any]:
    return {
        **_namespaces(order, holder),
        **_processor(container),
        **_memory(container, host),
        **_rights(container, host),
        **_gpus(container),
        "ReadonlyRootfs": container["read_only"],
        "Init": container["init"],
        "Tmpfs": {each["path"]: _tmpfs_options(each) for each in container["tmpfs"]},
        "Ulimits": _ulimits(container, host),
        "LogConfig": _log(container, host, log),
        **({"ShmSize": container["shm_mib"] << 20} if container["shm_mib"] and order["ipc"] is None else {}),
    }


def _namespaces(order: Mapping[str, Any], holder: str | None) -> dict[str, Any]:
    """Containers of a task find each other at 127.0.0.1, whatever its network is."""
    shared = f"container:{holder}"
    network = order["network"] if holder is None or order["network"] == "host" else shared
    found = {"NetworkMode": network}
    for member, key in (("ipc", "IpcMode"), ("pid", "PidMode")):
        asked = order[member]
        if asked is not None:
            found[key] = (shared if holder is not None else "") if asked == "task" else asked
    return {key: value for key, value in found.items() if value}


def _processor(container: Mapping[str, Any]) -> dict[str, Any]:
    """A share, which counts only when others want the processor, too; or no more than so much (Fargate). By quota,
    since NanoCpus may not be more than the machine has, and the operator may lend more."""
    milli = container["cpu_milli"]
    found = {"CpuShares": max(SHARES_LEAST, milli * SHARES_OF_VCPU // 1000)}
    if container["cpu_hard"]:
        found |= {"CpuPeriod": PERIOD_US, "CpuQuota": milli * PERIOD_US // 1000}
    return found


def _memory(container: Mapping[str, Any], host: Host) -> dict[str, Any]:
    """Without maxSwap engines allow as much swap as memory, as ECS does. Swappiness is a member of it; version 2 of
    control groups has none."""
    limit = max(MEMORY_LEAST_MIB, container["memory_mib"]) << 20
    found = {"Memory": limit}
    if container["max_swap_mib"] is not None:
        found["MemorySwap"] = limit + (container["max_swap_mib"] << 20)
        if container["swappiness"] is not None and host.engine.cgroups == 1:
            found["MemorySwappiness"] = container["swappiness"]
    return found


def _rights(container: Mapping[str, Any], host: Host) -> dict[str, Any]:
    """Devices that are asked for and, if it is privileged, all that the machine can give.

    An engine that cannot give a capability does not start a privileged container at all, so where some are lacking it
    is asked for all others, and for the rest of what it means to be privileged.
    """
    devices = [
        {"PathOnHost": each["host"], "PathInContainer": each["path"], "CgroupPermissions": each["permissions"]}
        for each in container["linux_devices"]
    ]
    found: dict[str, Any] = {"Devices": devices}
    if not container["privileged"]:
        return found
    lacking = [name for name in CAPABILITIES if name not in host.capabilities]
    if host.engine.rootless or not lacking:
        return found | {"Privileged": True}
    unconfined = ["seccomp=unconfined", "label=disable"]
    unknown = _NEWER if host.engine.name != PODMAN and _major(host.engine.version) < 23 else frozenset()
    found |= {"CapAdd": ["ALL"], "CapDrop": [name for name in lacking if name not in unknown]}
    if host.engine.name == PODMAN:
        return found | {"SecurityOpt": [*unconfined, "unmask=all"]}
    found |= {"SecurityOpt": [*unconfined, "apparmor=unconfined"], "MaskedPaths": [], "ReadonlyPaths": []}
    return found | {"DeviceCgroupRules": ["a *:* rwm"]}


def _gpus(container: Mapping[str, Any]) -> dict[str, Any]:
    """Podman passes over such requests in silence: ``podman.py`` puts them into its own words."""
    if not container["devices"]:
        return {}
    return {"DeviceRequests": [{"DeviceIDs": list(container["devices"]), "Capabilities": [["gpu"]]}]}


def _tmpfs_options(tmpfs: Mapping[str, Any]) -> str:
    """`defaults` says nothing, and Podman does not know the word."""
    return ",".join([f"size={tmpfs['size_mib']}m", *(each for each in tmpfs["options"] if each != "defaults")])


def _ulimits(container: Mapping[str, Any], host: Host) -> list[dict[str, Any]]:
    """Podman that is asked for any forgets those that it would set otherwise, and asks the kernel for too much."""
    asked = [{"Name": each["name"], "Soft": each["soft"], "Hard": each["hard"]} for each in container["ulimits"]]
    if not asked or host.engine.name != PODMAN:
        return asked
    named = {each["Name"] for each in asked}
    usual = [(name, most) for name, most in sorted(host.limits.items()) if name not in named]
    return asked + [{"Name": name, "Soft": most, "Hard": most} for name, most in usual]


def _major(version: str) -> int:
    first = version.partition(".")[0]
    return int(first) if first.isdigit() else 0


def _log(container: Mapping[str, Any], host: Host, ours: Mapping[str, Any]) -> dict[str, Any]:
    """Drivers that Podman does not have (it knows journald) are not asked of it: the job's notices say so."""
    asked = container["log"]
    if asked is None or (host.engine.name == PODMAN and asked["driver"] != "journald"):
        return dict(ours)
    return {"Type": asked["driver"], "Config": dict(asked["options"])}


def _mounts(
    order: Mapping[str, Any], container: Mapping[str, Any], sources: Sequence[str | None], prefix: str
) -> list[dict[str, Any]]:
    """A volume without a name is removed with its container, and begins, like a named one, with the image's files."""
    shared, found = shared_volumes(order), []
    for mount, source in zip(container["mounts"], sources, strict=True):
        entry = {"Target": mount["path"], "ReadOnly": mount["read_only"]}
        if source is not None:
            entry |= {"Type": "bind", "Source": source}
        else:
            entry["Type"] = "volume"
            if mount["volume"] in shared:
                entry["Source"] = prefix + mount["volume"]
        found.append(entry)
    return found
