"""Where the files of a volume lie, and whether a job may have them: the rules for processes and containers alike.

An existing path of the machine may be seen only below a directory that the operator named (setting `host_paths`), and
a file system only within the directory that stands for it (setting `efs`). A path that does not exist is a directory of
ours, kept and shared by that path. Nobody is shown the data directory, the server's keys and secrets or the socket of a
container engine: whoever has one of them has the machine.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

KEPT_IN = "volumes"  # of the data directory: what stands for paths that do not exist
NAME_MOST = 255  # bytes of a file's name
# Where engines listen, whether or not we use them; that of the engine in use comes with the order.
SOCKETS = (
    "/run/docker.sock",
    "/run/containerd",
    "/run/podman",
    "/run/crio",
    "/run/user",
    "/run/dbus",
    "/run/systemd",
)


class Refused(ValueError):
    """A job may not have a volume; the message says which, why, and what the operator could do."""


def place(mount: Mapping[str, Any], order: Mapping[str, Any], data: str) -> str | None:
    """The real path of the files of a mount of the order, or None: a volume of the attempt's own.

    What is below ``DATA/volumes`` may have to be made; anything else exists. Raises Refused.
    """
    source, words = mount["source"], f"volume {mount['volume']}"
    if source is None:
        return None
    if not source.startswith("/") or "\0" in source:
        raise Refused(f"{words}: sourcePath {source!r} must be an absolute path")
    real = os.path.realpath(source)
    if mount["within"] is not None:
        return _in_file_system(real, mount["within"], words, data, order)
    never = _covered((real, os.path.normpath(source)), (data, *order.get("never_mounted", ()), *SOCKETS))
    if never is not None:
        raise Refused(f"{words}: {source} cannot be mounted: {_why_never(never, data)}")
    if not os.path.exists(real):
        return f"{data}/{KEPT_IN}/{name_of(source)}"
    allowed = order.get("host_paths", ())
    if not any(_is_below(real, os.path.realpath(each)) for each in allowed):
        where = f"only what is below {', '.join(allowed)}" if allowed else "no directory"
        raise Refused(
            f"{words}: {source} of this machine may not be mounted: the setting host_paths allows {where}"
            + (f" (it is {real})" if real != os.path.normpath(source) else "")
        )
    return real


def name_of(source: str) -> str:
    """What the directory is called that stands for a path which does not exist. One name, not a path: a job that may
    write to one such directory must not be able to put a link where another one's would be."""
    name = quote(os.path.normpath(source).strip("/"), safe=" ") or "%2F"
    if len(name) <= NAME_MOST:
        return name
    return f"{name[: NAME_MOST - 65]}-{hashlib.sha256(name.encode()).hexdigest()}"


def made(path: str) -> str:
    """`path`, made if it is to be one of ours. Root's and, as with Docker, for nobody else to write to."""
    os.makedirs(os.path.dirname(path), mode=0o711, exist_ok=True)
    try:
        os.mkdir(path, 0o755)
    except FileExistsError:
        return path
    os.chmod(path, 0o755)  # whatever the umask is
    return path


def _in_file_system(real: str, within: str, words: str, data: str, order: Mapping[str, Any]) -> str:
    """A directory of a file system. It must be there: a client would not mount one that is not."""
    root = os.path.realpath(within)
    if not _is_below(real, root):
        raise Refused(f"{words}: rootDirectory leads out of {within}, which stands for its file system")
    if _covered((real,), (data, *order.get("never_mounted", ()))) is not None:
        raise Refused(f"{words}: {within}, which stands for its file system, holds what no job may see")
    if not os.path.isdir(real):
        raise Refused(f"{words}: there is no directory {real} in {within}, which stands for its file system")
    return real


def _covered(paths: Iterable[str], never: Iterable[str]) -> str | None:
    """The one of `never` that a path holds, or lies in."""
    for each in never:
        known = {each, os.path.realpath(each)}
        for path in paths:
            if any(_is_below(path, this) or _is_below(this, path) for this in known):
                return each
    return None


def _why_never(never: str, data: str) -> str:
    if never == data:
        return f"it holds the data directory {data}, or lies in it"
    return f"it holds {never}, or lies in it, by which jobs would have the machine, or its secrets"


def _is_below(path: str, top: str) -> bool:
    """Whether `path` is `top` or something in it."""
    return path == top or top == "/" or path.startswith(f"{top}/")


def ready(container: Mapping[str, Any], order: Mapping[str, Any], data: str) -> list[str | None]:
    """Where the files of each of a container's mounts lie, those that are ours made. Raises Refused, or OSError."""
    found = []
    for mount in container["mounts"]:
        path = place(mount, order, data)
        found.append(made(path) if path is not None and path.startswith(f"{data}/{KEPT_IN}/") else path)
    return found
