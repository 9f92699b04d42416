"""Whether an engine runs containers here: it is tried, with an image of one tiny program of our own.

To find an engine's socket, or even to be answered there, says little: its runtime may lack a right or not know the
layout of control groups. The program says a word, waits a moment and ends with a code of its own, so that the trial
sees what jobs need: that it runs, that its process is this machine's, what it writes, how it ends.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from batchyard.executors.runner.containers import programs
from batchyard.executors.runner.containers.engine import Engine, EngineError, NoSuchImage, Unreachable
from batchyard.executors.runner.containers.labels import DATA, data_id
from batchyard.executors.runner.containers.programs import NoProgram
from batchyard.executors.runner.wire import EngineAbout

IMAGE = "batchyard/trial-1:latest"  # Podman gives what is imported no other tag
SAYS, CODE = b"trial\n", 42
RUNS_S = 0.2
TRIES = 3  # until its process is seen: a busy machine may be late, or the engine's are elsewhere
AGAIN_S = 1.0  # an engine that fails once may be busy
PATIENCE_S = 20.0
LOG_S = 2.0
NEWEST_API = "1.41"


class Failed(Exception):
    """The engine does not do; the message says why."""


def find(sockets: Sequence[str], data: str) -> tuple[EngineAbout | None, str | None]:
    """The first engine that passes, else why none does."""
    failures = []
    for path in sockets:
        try:
            return _passed_sometime(path, data), None
        except (Failed, NoProgram, EngineError, Unreachable, OSError) as error:
            failures.append(f"{path}: {error}")
    return None, "; ".join(failures) or "no socket of a container engine was found"


def _passed_sometime(path: str, data: str) -> EngineAbout:
    try:
        return passed(path, data)
    except (Failed, EngineError):
        if not os.path.exists(path):
            raise
    time.sleep(AGAIN_S)
    return passed(path, data)


def passed(path: str, data: str) -> EngineAbout:
    """What the engine at the socket is, if it passes. Raises Failed, EngineError, Unreachable or OSError."""
    if not os.path.exists(path):
        raise Failed("there is no such socket")
    about = _about(path)
    engine = Engine(about)
    for _ in range(TRIES):
        seen = _run(engine, data)
        if seen["local"]:
            break
    return about._replace(local=seen["local"], ulimits=seen["HostConfig"].get("Ulimits") or [])


def _run(engine: Engine, data: str) -> dict[str, Any]:
    """Run the program; returns how its container looked while it ran. Raises Failed."""
    name = f"batchyard-trial-{data_id(data)[:8]}-{os.getpid()}"
    body = {"Image": IMAGE, "HostConfig": {"NetworkMode": "none"}, "Labels": {DATA: data_id(data)}}
    try:
        container = engine.create(name, body)
    except NoSuchImage:
        engine.load(IMAGE, programs.image(SAYS, RUNS_S, CODE), programs.PATH)
        container = engine.create(name, body)
    try:
        engine.start(container)
        seen = engine.inspect(container)
        seen["local"] = _is_ours(seen["State"].get("Pid") or 0)
        state = _ended(engine, container)
        said = _said(engine, container)
    finally:
        with suppress(EngineError, Unreachable):
            engine.remove(container)
    if state["ExitCode"] != CODE:
        raise Failed(f"a trial container ended with exit code {state['ExitCode']} instead of {CODE}")
    if said != SAYS:
        raise Failed(f"a trial container wrote {said!r} instead of {SAYS!r}")
    return seen


def _said(engine: Engine, container: str) -> bytes:
    """What it wrote; Podman's log may be a moment behind."""
    until_s = time.monotonic() + LOG_S
    while (said := engine.log(container)) != SAYS and time.monotonic() < until_s:
        time.sleep(0.05)
    return said


def _about(path: str) -> EngineAbout:
    engine = Engine(EngineAbout("", "", path, False, 1, False, NEWEST_API, []))
    version, info = engine.told()
    least, most = version.get("MinAPIVersion") or NEWEST_API, version.get("ApiVersion") or NEWEST_API
    api = max(min(NEWEST_API, most, key=_numbers), least, key=_numbers)
    parts = {part["Name"]: part["Version"] for part in version.get("Components") or ()}
    podman = parts.get("Podman Engine")
    rootless = bool(info.get("Rootless")) or any("rootless" in told for told in info.get("SecurityOptions") or ())
    groups = 2 if str(info.get("CgroupVersion")) == "2" else 1
    name, number = ("podman", podman) if podman else ("docker", version["Version"])
    return EngineAbout(name, number, path, rootless, groups, False, api, [])


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _is_ours(pid: int) -> bool:
    """Whether the process of that number is the trial, here on this machine."""
    with suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read().rstrip(b"\0") == programs.PATH.encode()
    return False


def _ended(engine: Engine, container: str) -> dict:
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        state = engine.inspect(container)["State"]
        if not state.get("Running") and state.get("Status") in ("exited", "stopped"):
            return state
        time.sleep(0.02)
    raise Failed(f"a trial container did not end within {PATIENCE_S:g} s")
