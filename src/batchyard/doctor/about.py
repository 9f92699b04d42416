"""What the runner of a data directory has found out about its machine, as it wrote it into ``runner/about.json``.

The runner is the only writer: it writes the file whole, before it takes its first order. Everyone else reads.
"""

from __future__ import annotations

import json
import pwd
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

SESSION = "session"  # the weakest kind of isolation; executors/runner/sandbox.py names all
USER_NAMESPACES = "user-namespaces"
POLLED = (
    "memory limits are kept by looking at a job's processes from time to time, not by the kernel: "
    "for a moment a job can hold more"
)
NO_NAMESPACES = "jobs have no namespaces of their own: files are protected by owner and mode only"
HERE = "On this machine "  # how each notice begins that is the same for every job
HINT = "batchyard doctor says what would help"


class FoundEngine(NamedTuple):
    """A container engine that passed the runner's trial."""

    name: str
    version: str
    socket: str
    rootless: bool


class About(NamedTuple):
    """`weaker`: phrases that say what jobs that are processes do without. `groups`: where the kernel counts their
    memory; None: nowhere. `engine_failure`: why there is no engine; None also where none was to be tried."""

    isolation: str
    weaker: tuple[str, ...]
    groups: str | None
    uid: int  # of the runner
    engine: FoundEngine | None = None
    engine_failure: str | None = None
    limits: tuple[tuple[str, int], ...] = ()  # the highest hard limits of processes, by ulimit; others have no bound

    @property
    def honours_users(self) -> bool:
        """Whether a job can run as another user than the runner's: root's right, outside of user namespaces."""
        return self.uid == 0 and self.isolation != USER_NAMESPACES

    def lacks(self) -> list[str]:
        """All that every job on this machine does without, each a phrase."""
        said = list(self.weaker)
        if self.isolation == SESSION and not said:
            said.append(NO_NAMESPACES)
        if self.isolation == SESSION and self.uid == 0:
            said.append("jobs run as nobody unless their definition names a user, since root's reach cannot be limited")
        return said if self.groups else [*said, POLLED]


def path(data: Path) -> Path:
    return data / "runner" / "about.json"


def read(data: Path) -> About | None:
    """None if no runner has said anything yet, or this user may not read it."""
    try:
        found = path(data).stat()
        return _read(str(path(data)), found.st_ino, found.st_mtime_ns, found.st_size)
    except (OSError, ValueError, KeyError, TypeError):
        return None


@lru_cache(4)
def _read(name: str, _inode: int, _changed_ns: int, _size: int) -> About:
    """Parsed once for each time that it is written: every look at a job asks."""
    told = json.loads(Path(name).read_text())
    first = (told["isolation"], tuple(told["weaker"]), told["groups"], told["uid"])
    engine = told.get("engine")
    found = FoundEngine(*(engine[name] for name in FoundEngine._fields)) if engine else None
    return About(*first, found, told.get("engine_failure"), tuple((told.get("limits") or {}).items()))


def notices(data: Path, user: str | None = None) -> list[str]:
    """Sentences for the notices of a job that runs as a process of this machine; none where nothing is weaker.

    `user` is the one that the job's definition names.
    """
    found = read(data)
    if found is None:
        return []
    said = [f"{HERE}{phrase}; {HINT}." for phrase in found.lacks()]
    if user and not found.honours_users and user not in (str(found.uid), user_name(found.uid)):
        said.append(f"user {user} is not applied: the job runs as {user_name(found.uid)}, the server's user.")
    return said


def user_name(uid: int) -> str:
    """The user's name, or its number if it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
