"""The checks: each looks at one thing and says in a word, a sentence and a remedy how it stands.

`ok`: as good as Batchyard can use it. `weaker`: it works, with less. `missing`: it is not there. Sources: the project's
own rules for process jobs (ARCHITECTURE.md), kernel documentation of the files that are read.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from batchyard.doctor import about, engines
from batchyard.doctor.about import About

OK, WEAKER, MISSING = "ok", "weaker", "missing"
TRIAL_WAIT_S = 5.0
DISK_LEAST_BYTES = 1 << 30
FILES_LEAST = 1200  # a thousand connections, and what the server itself holds open
CGROUPS = "/sys/fs/cgroup"
TRY_AGAIN = "have docker or podman answer (below): while no job runs, engines are tried again every 20 s"
UNSYNCHRONISED = 5  # TIME_ERROR of adjtimex(2)


class Check(NamedTuple):
    """`remedy` is what enables more: a Debian package, a setting, a command; None where nothing is to be done."""

    name: str
    word: str
    sentence: str
    remedy: str | None = None


def examine(data: Path, executor: str = "auto") -> list[Check]:
    """All checks, for a server on the data directory `data`, as this process and its user see the machine; `executor`
    is that setting.

    Blocks for as long as what it asks takes to answer (seconds at worst): not for an event loop.
    """
    found = about.read(data)
    return [
        _executor(found, executor),
        _isolation(found),
        _memory(found),
        _user(found),
        *(_engine(engine, found) for engine in engines.KNOWN),
        _gpus(),
        _disk(data),
        _files(),
        Check("python", OK, f"Python {platform.python_version()} at {sys.executable}."),
        Check("sqlite", OK, f"SQLite {sqlite3.sqlite_version}."),
        _clock(),
    ]


# -- what jobs run in ----------------------------------------------------------------------------------------------


def _executor(found: About | None, executor: str) -> Check:
    """Containers or processes, and why."""
    if executor == "process":
        return Check(
            "executor", OK, "Jobs run as processes: the setting executor says so.", "for images: executor auto"
        )
    if found is None:
        return Check(
            "executor",
            MISSING,
            "Not known yet: no runner has tried an engine here.",
            "batchyard serve; after its start a moment of patience",
        )
    if found.engine is not None:
        kind, own = found.engine, " of the server's own user" if found.engine.rootless else ""
        sentence = f"Jobs run in containers{own}, by {kind.name} {kind.version} at {kind.socket}."
        return Check("executor", OK, sentence)
    failure = found.engine_failure or "no container engine was tried"
    if executor == "container":
        sentence = f"Jobs cannot start: the setting executor is container, and no engine does: {failure}."
        return Check("executor", MISSING, sentence, TRY_AGAIN)
    return Check("executor", WEAKER, f"Jobs run as processes, without their images: {failure}.", TRY_AGAIN)


# -- how jobs are kept apart ---------------------------------------------------------------------------------------


def _isolation(found: About | None) -> Check:
    """What the runner found; where none has run yet, what a trial shows."""
    if found is not None:
        kind, weaker = found.isolation, found.weaker
    else:
        kind, weaker = _tried_isolation(), ()
    if kind is None:
        return Check(
            "isolation",
            MISSING,
            "Not known: no runner has run here yet, nor is there unshare.",
            "apt install util-linux",
        )
    if kind == about.SESSION:
        sentence = f"Weak: {'; '.join(weaker) or about.NO_NAMESPACES}."
        return Check("isolation", WEAKER, sentence, _namespaces_remedy())
    by = "as root" if kind != about.USER_NAMESPACES else "in a user namespace"
    sentence = f"Jobs have PID, mount and IPC namespaces of their own, made {by}"
    if weaker:
        return Check("isolation", WEAKER, f"{sentence}, but {'; '.join(weaker)}.", _namespaces_remedy())
    return Check("isolation", OK, f"{sentence}.")


def _tried_isolation() -> str | None:
    """The best kind of namespaces that this user can make; None if it cannot be tried."""
    if shutil.which("unshare") is None:
        return None
    for kind, flag in (("namespaces", []), (about.USER_NAMESPACES, ["--user"])):
        if _said(["unshare", *flag, "--pid", "--mount", "--ipc", "--fork", "true"]) is not None:
            return kind
    return about.SESSION


def _namespaces_remedy() -> str:
    """The setting that stands in the way, as far as the kernel shows it."""
    if os.geteuid() != 0:
        for name, bad, good in (
            ("kernel/unprivileged_userns_clone", "0", "1"),
            ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
            ("user/max_user_namespaces", "0", "15000"),
        ):
            if _text(f"/proc/sys/{name}") == bad:
                return f"sysctl -w {name.replace('/', '.')}={good} (as root), or run the server as root"
        return "run the server as root; in a container, one with --security-opt seccomp=unconfined"
    return "in a container: start it with --privileged, or with --cap-add SYS_ADMIN and seccomp and AppArmor unconfined"


def _memory(found: About | None) -> Check:
    """Whether the kernel keeps a job within its memory, or we look at it from time to time."""
    if found is None:
        kept = any(os.access(path, os.W_OK) for path in (f"{CGROUPS}/memory", f"{CGROUPS}/cgroup.subtree_control"))
        where = CGROUPS
    else:
        kept, where = found.groups is not None, str(found.groups)
    if kept:
        return Check("memory", OK, f"The kernel enforces memory limits, by control groups below {where}.")
    remedy = f"mount {CGROUPS} writable"
    if os.geteuid() != 0:
        remedy = (
            "run the server as root, or as the service in deploy/ with systemd 254 or newer: control groups need it"
        )
    return Check("memory", WEAKER, f"{about.POLLED[0].upper()}{about.POLLED[1:]}.", remedy)


def _user(found: About | None) -> Check:
    """Whether a job can run as another user than the server's."""
    uid = os.geteuid() if found is None else found.uid
    if uid != 0:
        return Check(
            "users", WEAKER, f"Every job runs as {about.user_name(uid)}, the server's user.", "run the server as root"
        )
    if found is not None and found.isolation == about.USER_NAMESPACES:
        return Check("users", WEAKER, "Every job runs as root of a user namespace.", _namespaces_remedy())
    if found is not None and found.isolation == about.SESSION:
        sentence = "Jobs run as nobody unless their definition names a user: root's reach cannot be limited here."
        return Check("users", WEAKER, sentence, _namespaces_remedy())
    return Check("users", OK, "Jobs run as the user that their definition names, else as root with few capabilities.")


# -- what there is -------------------------------------------------------------------------------------------------


def _engine(engine: engines.Engine, found: About | None) -> Check:
    """A container engine: does one answer on a socket that we may open?"""
    used = found.engine if found is not None and found.engine is not None else None
    use = "Jobs run in its containers." if used is not None and used.name == engine.name else "Jobs do not use it."
    ours = [used.socket] if used is not None and used.name == engine.name else []
    sockets = ours or engine.sockets(os.environ)
    answering = next((path for path in sockets if engines.answers(path)), None)
    if answering is not None:
        return Check(engine.name, OK, f"{engine.name} answers at {answering}. {use}")
    command = shutil.which(engine.name)
    if command is None:
        return Check(engine.name, MISSING, f"There is no {engine.name}. {use}", f"apt install {engine.package}")
    sentence = f"{command} is there, but nothing answers at {' or '.join(sockets)}. {use}"
    return Check(engine.name, WEAKER, sentence, engine.how_to_start)


def _gpus() -> Check:
    """NVIDIA GPUs, as their own tool lists them."""
    devices = sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*"))
    listed = _said(["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"])
    if listed:
        names = listed.splitlines()
        return Check(
            "gpus", OK, f"{len(names)} found: {'; '.join(names)}.", "to lend jobs fewer, or none: serve --gpus 0"
        )
    if devices:
        sentence = f"/dev has {', '.join(devices)}, but nvidia-smi does not list them."
        return Check("gpus", WEAKER, sentence, "apt install nvidia-smi (section non-free)")
    return Check(
        "gpus", MISSING, "No NVIDIA GPU is found.", "if there is one: apt install nvidia-driver (section non-free)"
    )


def _disk(data: Path) -> Check:
    """Room where requests, states, logs and working directories go."""
    there = next(path for path in (data, *data.parents) if path.exists())
    usage = shutil.disk_usage(there)
    sentence = f"{_size(usage.free)} of {_size(usage.total)} are free for {data}"
    if usage.free >= DISK_LEAST_BYTES:
        return Check("disk", OK, f"{sentence}.")
    remedy = "make room, or lower jobs_keep_days, jobs_keep_most, work_keep_hours or log_max_mib"
    return Check("disk", WEAKER, f"{sentence}: when it is full, submissions are refused until there is room.", remedy)


def _files() -> Check:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = hard == resource.RLIM_INFINITY
    sentence = f"A process may hold {'any number of' if unlimited else f'{hard:,}'} files open"
    if unlimited or hard >= FILES_LEAST:
        return Check("files", OK, f"{sentence}.")
    remedy = f"ulimit -Hn {FILES_LEAST} before serve; as a systemd service: LimitNOFILE={FILES_LEAST}"
    return Check("files", WEAKER, f"{sentence}: the server takes fewer connections at once than it could.", remedy)


def _clock() -> Check:
    """Whether somebody keeps the kernel's clock right. Requests are refused when it is five minutes off."""
    state = _adjtimex()
    if state is None:
        return Check("clock", WEAKER, "Whether the clock is kept right is not known: adjtimex is refused here.")
    if state != UNSYNCHRONISED:
        return Check("clock", OK, "The clock is kept right: the kernel calls it synchronised.")
    sentence = "Nothing keeps the clock right, as far as the kernel knows."
    return Check("clock", WEAKER, sentence, "apt install systemd-timesyncd (or chrony)")


def _adjtimex() -> int | None:
    """The clock's state, asked without changing anything; None if that is refused."""
    question = ctypes.create_string_buffer(512)  # struct timex, all zero: `modes` 0 only reads
    state = ctypes.CDLL(None).adjtimex(question)
    return None if state < 0 else state


# -- asking --------------------------------------------------------------------------------------------------------


def _said(command: list[str]) -> str | None:
    """What the command prints; None if it is not there, fails, or takes too long."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=TRIAL_WAIT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def _size(count: int) -> str:
    for unit, factor in (("TiB", 1 << 40), ("GiB", 1 << 30)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count / (1 << 20):.0f} MiB"
