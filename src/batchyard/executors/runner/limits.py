"""Resource limits of a job (`ulimits`): what they are called, what we can give, how a process gets them."""

from __future__ import annotations

import resource
from collections.abc import Iterable, Mapping
from contextlib import suppress

# Names that Docker and ECS use, and the numbers of Linux for those that Python has no name for.
NUMBERS = {
    "core": resource.RLIMIT_CORE,
    "cpu": resource.RLIMIT_CPU,
    "data": resource.RLIMIT_DATA,
    "fsize": resource.RLIMIT_FSIZE,
    "locks": 10,
    "memlock": resource.RLIMIT_MEMLOCK,
    "msgqueue": resource.RLIMIT_MSGQUEUE,
    "nice": resource.RLIMIT_NICE,
    "nofile": resource.RLIMIT_NOFILE,
    "nproc": resource.RLIMIT_NPROC,
    "rss": resource.RLIMIT_RSS,
    "rtprio": resource.RLIMIT_RTPRIO,
    "rttime": resource.RLIMIT_RTTIME,
    "sigpending": resource.RLIMIT_SIGPENDING,
    "stack": resource.RLIMIT_STACK,
}
UNLIMITED = -1  # Docker's word, and what the kernel's own value is to Python
_CAP_SYS_RESOURCE = 24


def check(ulimits: Iterable[Mapping]) -> None:
    """ValueError for a limit that nobody can set; the texts are those of the engines."""
    for each in ulimits:
        name, soft, hard = each["name"], each["soft"], each["hard"]
        if name not in NUMBERS:
            raise ValueError(f"invalid ulimit type: {name}")
        if hard != UNLIMITED and (soft > hard or soft == UNLIMITED):
            raise ValueError(f"ulimit {name}: soft limit {soft} must be at most the hard limit {hard}")


def apply(ulimits: Iterable[Mapping]) -> None:
    """Limit this process and what it starts. A hard limit above what we can give becomes the highest we can."""
    for each in ulimits:
        number = NUMBERS[each["name"]]
        can_have = [UNLIMITED, resource.getrlimit(number)[1]]
        if number == resource.RLIMIT_NOFILE:
            can_have.insert(1, _most_files())
        for most in can_have:
            with suppress(ValueError, OSError):
                resource.setrlimit(number, (_lower(each["soft"], most), _lower(each["hard"], most)))
                break


def most(as_root: bool) -> dict[str, int]:
    """The highest hard limit of each kind that jobs can have; those without bound are left out. `as_root`: they are
    started outside of user namespaces, where this process may have the right to raise limits."""
    if as_root and _may_raise():
        return {"nofile": _most_files()}
    found = {name: resource.getrlimit(number)[1] for name, number in NUMBERS.items()}
    return {name: value for name, value in found.items() if value != resource.RLIM_INFINITY}


def _lower(asked: int, most: int) -> int:
    if UNLIMITED in (asked, most):
        return most if asked == UNLIMITED else asked
    return min(asked, most)


def _may_raise() -> bool:
    with open("/proc/self/status") as file:
        effective = next(int(line.split()[1], 16) for line in file if line.startswith("CapEff"))
    return bool(effective >> _CAP_SYS_RESOURCE & 1)


def _most_files() -> int:
    with open("/proc/sys/fs/nr_open") as file:
        return int(file.read())
