"""vCPUs, memory and GPUs of a container: their rules and how they become Needs.

Source: reference "Job definitions" (requirements rules) and "Fargate specifics".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from msgspec import UNSET, UnsetType

from batchyard.errors import ClientError
from batchyard.model.needs import Needs
from batchyard.wire.shapes import ResourceRequirement

MEMORY_MIN_MIB = 4
_AMOUNT_MAX = 2**31 - 1

_WHOLE = re.compile(r"-?[0-9]{1,12}")
_FRACTION = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,3})?")


_FARGATE_MIB = {  # by thousandths of a vCPU
    250: (512, 1024, 2048),
    500: range(1024, 4097, 1024),
    1000: range(2048, 8193, 1024),
    2000: range(4096, 16_385, 1024),
    4000: range(8192, 30_721, 1024),
    8000: range(16_384, 61_441, 4096),
    16_000: range(32_768, 122_881, 8192),
    32_000: (61_440, 122_880, 249_856),
}


class Requirements(NamedTuple):
    """What was asked for by type, each None if not."""

    cpu_milli: int | None = None
    memory_mib: int | None = None
    gpus: int | None = None


def read(
    listed: Iterable[ResourceRequirement] | UnsetType, vcpus: int | UnsetType, memory: int | UnsetType, fargate: bool
) -> Requirements:
    """Check what one container object asks for; ClientError with AWS's text if a rule is broken."""
    cpu_milli = memory_mib = gpus = None
    seen = set()
    for requirement in listed or ():
        if requirement.type in seen:
            raise ClientError("Cannot provide duplicates in resourceRequirements.")
        seen.add(requirement.type)
        if requirement.type == "VCPU":
            cpu_milli = _fraction(requirement.value) if fargate else _vcpu(_whole("VCPU", requirement.value)) * 1000
        elif requirement.type == "MEMORY":
            memory_mib = _memory(_whole("MEMORY", requirement.value))
        elif requirement.type == "GPU":
            gpus = _gpu(_whole("GPU", requirement.value), fargate)
        else:
            raise ClientError(
                f"Type {requirement.type} in resourceRequirement is not valid.", "Use VCPU, MEMORY or GPU."
            )
    if vcpus is not UNSET:
        _check_alone("vcpus", "VCPU", seen)
        cpu_milli = _vcpu(vcpus) * 1000
    if memory is not UNSET:
        _check_alone("memory", "MEMORY", seen)
        memory_mib = _memory(memory)
    return Requirements(cpu_milli, memory_mib, gpus)


def complete(asked: Requirements, fargate: bool) -> Needs:
    """The needs of a container that may run; ClientError if vCPUs or memory are missing, or no size of Fargate."""
    if asked.cpu_milli is None:
        raise ClientError("vCPU is required.")
    if asked.memory_mib is None:
        raise ClientError("Memory is required.", "Give resourceRequirements an entry of type MEMORY, in MiB.")
    needs = Needs(asked.cpu_milli, asked.memory_mib, asked.gpus or 0)
    if fargate:
        check_fargate(needs)
    return needs


def check_fargate(needs: Needs) -> None:
    """ClientError unless Fargate has this pair of vCPUs and memory (reference "Fargate specifics")."""
    if needs.memory_mib not in _FARGATE_MIB.get(needs.cpu_milli, ()):
        vcpus = f"{needs.cpu_milli // 1000}.{needs.cpu_milli % 1000 // 10:02}"
        raise ClientError(f"Fargate resource requirements ({vcpus} vCPU, {needs.memory_mib} MiB) not valid.")


def _check_alone(member: str, kind: str, listed: set[str]) -> None:
    if kind in listed:
        raise ClientError(f"Cannot use both ECS containerProperties {member} and resourceRequirement {kind}.")


def _whole(kind: str, value: str) -> int:
    if not _WHOLE.fullmatch(value):
        raise ClientError(
            f"Value {value} for type {kind} in resourceRequirement is not valid. Please provide a numeric value."
        )
    return int(value)


def _fraction(value: str) -> int:
    """Fargate alone takes fractions of a vCPU; in thousandths."""
    whole, _, part = value.partition(".")
    milli = int(whole) * 1000 + int(part.ljust(3, "0")) if _FRACTION.fullmatch(value) else 0
    if not milli:
        raise ClientError(
            f"Value {value} for type VCPU in resourceRequirement is not valid. Please provide a numeric value."
        )
    return milli


def _vcpu(count: int) -> int:
    if not 1 <= count <= _AMOUNT_MAX:
        raise ClientError(f"vCPU must be at least 1, got {count}.")
    return count


def _memory(mib: int) -> int:
    if not MEMORY_MIN_MIB <= mib <= _AMOUNT_MAX:
        raise ClientError(f"Memory must be at least {MEMORY_MIN_MIB} Mib, got {mib} Mib.")
    return mib


def _gpu(count: int, fargate: bool) -> int:
    if fargate:
        raise ClientError("GPU is not applicable for Fargate.")
    if not 1 <= count <= _AMOUNT_MAX:
        raise ClientError(f"GPU must be at least 1, got {count}.", "Leave the GPU requirement out if none is needed.")
    return count
