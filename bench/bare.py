"""What a machine can do at best: a slot loop with the promises that cost something, and nothing else.

As many slots as the server has, each the init of its own PID, mount and IPC namespaces with its own /proc and a memory
limit (where the machine grants them), running one job after another: claim, log file, process, kill of what is left,
exit record written, synced and renamed. No server, no store, no messages.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, NoReturn

TRUE = shutil.which("true") or "/bin/true"
MEMORY_BYTES = 64 << 20
_NEWNS, _NEWIPC, _NEWUSER, _NEWPID = 0x00020000, 0x08000000, 0x10000000, 0x20000000
_PRIVATE = 0x4000 | 1 << 18

_libc = ctypes.CDLL(None, use_errno=True)


class Ran(NamedTuple):
    rate: float  # jobs per second
    cpu_us: float  # per job, all processes together
    how: str  # what isolated them


def slot_loop(slots: int, jobs: int) -> Ran:
    """`slots` slots run `jobs` times `true` together."""
    base = Path(tempfile.mkdtemp(prefix="batchyard-bare-"))
    for name in ("exits", "logs"):
        (base / name).mkdir()
    limits = [_memory_group(f"batchyard-bare-{os.getpid()}-{slot}") for slot in range(slots)]
    isolated = _may_separate()
    before_s = _children_cpu_s()
    begun = time.perf_counter()
    try:
        children = [_fork_slot(base, range(slot, jobs, slots), limits[slot], isolated) for slot in range(slots)]
        failed = [os.waitpid(child, 0)[1] for child in children]
        spent_s = time.perf_counter() - begun
        if any(failed) or len(os.listdir(base / "exits")) != jobs:
            raise RuntimeError(f"the bare slot loop failed: {failed}, {len(os.listdir(base / 'exits'))} exit records")
    finally:
        shutil.rmtree(base)
        for group in limits:
            if group is not None:
                _remove_group(group)
    how = ("namespaces" if isolated else "no namespaces") + (", memory cgroup" if all(limits) else ", no memory limit")
    return Ran(jobs / spent_s, 1e6 * (_children_cpu_s() - before_s) / jobs, how)


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _memory_group(name: str) -> Path | None:
    """A memory cgroup (version 1 or 2) with the limit of a job; None where it cannot be had."""
    for base, file in (
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        ("/sys/fs/cgroup", "memory.max"),
    ):
        group = Path(base) / name
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / file).write_text(str(MEMORY_BYTES))
            return group
        except OSError:
            group.rmdir()
    return None


def _remove_group(group: Path) -> None:
    for _ in range(200):  # the kernel still counts processes that have just ended
        with suppress(OSError):
            group.rmdir()
            return
        time.sleep(0.01)


def _may_separate() -> bool:
    child = os.fork()
    if child == 0:
        try:
            _separate()
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def _separate() -> None:
    flags = _NEWPID | _NEWNS | _NEWIPC
    uid, gid = os.geteuid(), os.getegid()
    if _libc.unshare(flags if uid == 0 else flags | _NEWUSER) < 0:
        raise OSError(ctypes.get_errno(), "unshare")
    if uid:
        for name, line in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            Path(f"/proc/self/{name}").write_text(line)


def _fork_slot(base: Path, numbers: range, group: Path | None, isolated: bool) -> int:
    child = os.fork()
    if child:
        return child
    try:
        if group is not None:
            (group / "cgroup.procs").write_text(str(os.getpid()))
        if isolated:
            _separate()
            init = os.fork()
            if init:
                os._exit(os.waitstatus_to_exitcode(os.waitpid(init, 0)[1]) & 1)
            _libc.mount(b"none", b"/", None, _PRIVATE, None)
            _libc.mount(b"proc", b"/proc", b"proc", 14, None)
        _work(base, numbers, isolated)
    except BaseException as error:
        os.write(2, f"bare slot: {error!r}\n".encode())
        os._exit(1)


def _work(base: Path, numbers: range, isolated: bool) -> NoReturn:
    exits, logs = (os.open(base / name, os.O_RDONLY | os.O_DIRECTORY) for name in ("exits", "logs"))
    environ = {"PATH": "/usr/bin:/bin"}
    draft = f".{numbers.start}"
    for number in numbers:
        name = str(number)
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=exits))
        log = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600, dir_fd=logs)
        actions = (
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, log, 1),
            (os.POSIX_SPAWN_DUP2, log, 2),
        )
        started = time.time()
        pid = os.posix_spawn(TRUE, ["true"], environ, file_actions=actions, setsid=True)
        _, status, usage = os.wait4(pid, 0)
        if isolated:
            with suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
        os.close(log)
        record = {"attempt": name, "pid": pid, "started": started, "stopped": time.time(), "status": status}
        record["cpu_s"] = usage.ru_utime + usage.ru_stime
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600, dir_fd=exits)
        os.write(file, json.dumps(record).encode())
        os.fsync(file)
        os.close(file)
        os.rename(draft, name, src_dir_fd=exits, dst_dir_fd=exits)
    os._exit(0)


def spawns(slots: int, jobs: int) -> float:
    """Jobs per second of posix_spawn and waitpid alone, `slots` at a time."""
    begun = time.perf_counter()
    for number in range(jobs):
        if number >= slots:
            os.waitpid(-1, 0)
        os.posix_spawn(TRUE, ["true"], {})
    for _ in range(min(slots, jobs)):
        os.waitpid(-1, 0)
    return jobs / (time.perf_counter() - begun)


def xargs(slots: int, jobs: int) -> float | None:
    """Jobs per second of ``xargs -P``; None where there is no xargs."""
    if shutil.which("xargs") is None:
        return None
    numbers = "".join(f"{number}\n" for number in range(jobs))
    begun = time.perf_counter()
    subprocess.run(["xargs", f"-P{slots}", "-n1", TRUE], input=numbers, text=True, check=True)
    return jobs / (time.perf_counter() - begun)
