"""The NVIDIA GPUs of this machine, in the order of their numbers, and what a job is told and shown of them.

A GPU is known by its device (/dev/nvidiaN) and its UUID, which the driver tells in /proc or nvidia-smi does. A job gets
the UUIDs of those it holds, as ECS does it: they mean the same to it however many others it sees. Where UUIDs are not
known it gets numbers, and sees every GPU's device. Nothing here decides who gets which.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

ASK_S = 10.0  # how long nvidia-smi may take: it waits for a driver that starts
_UUID = re.compile(r"GPU-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Gpu(NamedTuple):
    """`device` is its file; None: not known, and then it cannot be hidden."""

    uuid: str | None
    device: str | None


def listed() -> str:
    """What nvidia-smi says; nothing if there is none, or it fails."""
    try:
        told = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=ASK_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return told.stdout


def found(root: Path = Path("/"), ask: Callable[[], str] = listed) -> tuple[Gpu, ...]:
    """All of them. The driver's files are looked at first: asking nvidia-smi may take seconds."""
    devices = [path for path in (root / "dev").glob("nvidia*") if path.name[6:].isdigit()]
    minors = sorted(int(path.name[6:]) for path in devices)
    told = dict(_told_by_driver(root))
    if minors and set(minors) <= set(told) and all(told[minor] for minor in minors):
        order = [minor for minor in told if minor in minors]  # of the bus, which is that of nvidia-smi
        return tuple(Gpu(told[minor], f"/dev/nvidia{minor}") for minor in order)
    uuids = _UUID.findall(ask())
    if uuids:  # which device is whose is not known, unless there is one of each
        alone = f"/dev/nvidia{minors[0]}" if len(uuids) == len(minors) == 1 else None
        return tuple(Gpu(uuid, alone) for uuid in uuids)
    return tuple(Gpu(None, f"/dev/nvidia{minor}") for minor in minors)


def _told_by_driver(root: Path) -> Iterable[tuple[int, str | None]]:
    """(N of /dev/nvidiaN, UUID) of each GPU of the driver, in the order of the bus."""
    for path in sorted((root / "proc/driver/nvidia/gpus").glob("*/information")):
        text = path.read_text(errors="replace")
        minor = re.search(r"Device Minor:\s*([0-9]+)", text)
        uuid = _UUID.search(text)  # question marks while the driver has not looked at it yet
        if minor:
            yield int(minor[1]), uuid[0] if uuid else None


def variables(devices: Iterable[int], lent: bool, gpus: tuple[Gpu, ...]) -> dict[str, str]:
    """What tells CUDA and NVIDIA's tools which to use; none, if the job holds none. Nothing at all on a machine that
    neither has GPUs nor is said to lend any."""
    held = list(devices)
    if not held:
        return {"CUDA_VISIBLE_DEVICES": "", "NVIDIA_VISIBLE_DEVICES": "void"} if lent or gpus else {}
    uuids = _uuids(held, gpus)
    names = ",".join(uuids or map(str, held))
    told = {"CUDA_VISIBLE_DEVICES": names, "NVIDIA_VISIBLE_DEVICES": names}
    return told if uuids else told | {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def names(devices: Iterable[int], gpus: tuple[Gpu, ...]) -> list[str]:
    """What a container engine calls these GPUs: UUIDs where all are known, else numbers."""
    held = list(devices)
    return _uuids(held, gpus) or [str(number) for number in held]


def container_variables(held: Iterable[str], any_there: bool) -> dict[str, str]:
    """What tells NVIDIA's runtime which to show, as ECS does it; an image's own wish to see all is overruled."""
    listed = ",".join(held)
    if not listed:
        return {"NVIDIA_VISIBLE_DEVICES": "void"} if any_there else {}
    return {"NVIDIA_VISIBLE_DEVICES": listed}


def foreign(devices: Iterable[int], gpus: tuple[Gpu, ...]) -> list[str]:
    """The devices that a job which holds these GPUs must not open."""
    held = set(devices)
    if held and not _uuids(held, gpus):
        return []  # numbers would mean others if some were hidden
    return [gpu.device for number, gpu in enumerate(gpus) if number not in held and gpu.device is not None]


def _uuids(held: Iterable[int], gpus: tuple[Gpu, ...]) -> list[str]:
    """Of all that are held; none if one is not known."""
    known = [gpus[number].uuid if number < len(gpus) else None for number in held]
    return [uuid for uuid in known if uuid is not None] if None not in known else []
