"""What the kernel lets us wall off, by system calls that Python 3.11 has no words for.

Levels, strongest first, tried once when the runner starts:

* ``namespaces``: as root, own PID, mount and IPC namespaces;
* ``user-namespaces``: the same inside a user namespace, as an ordinary user;
* ``session``: neither is allowed; a session of its own and a subreaper, which a hostile job can escape.
"""

from __future__ import annotations

import ctypes
import os

NAMESPACES, USER_NAMESPACES, SESSION = "namespaces", "user-namespaces", "session"

_CLONE_NEWNS, _CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWPID = 0x00020000, 0x08000000, 0x10000000, 0x20000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18
_MNT_DETACH = 2
_PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_CHILD_SUBREAPER = 4, 24, 36

# Docker's default capabilities less MKNOD: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP,
# NET_BIND_SERVICE, NET_RAW, SYS_CHROOT, AUDIT_WRITE, SETFCAP. Numbers of linux/capability.h.
KEPT_CAPABILITIES = frozenset({0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 29, 31})
_LAST_CAPABILITY = 63

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(level: str) -> None:
    """Give this process namespaces of its own; the next child is the init of the PID namespace."""
    flags = _CLONE_NEWPID | _CLONE_NEWNS | _CLONE_NEWIPC
    if level == USER_NAMESPACES:
        uid, gid = os.geteuid(), os.getegid()
        _check(_libc.unshare(flags | _CLONE_NEWUSER), "unshare")
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{uid} {uid} 1")
        _write("/proc/self/gid_map", f"{gid} {gid} 1")
    else:
        _check(_libc.unshare(flags), "unshare")


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    arguments = (source.encode(), target.encode(), kind.encode() if kind else None, flags, options.encode())
    _check(_libc.mount(*arguments), f"mount {target}")


def detach(target: str) -> None:
    """Unmount, now for the eye and for good when its last user is gone."""
    _check(_libc.umount2(target.encode(), _MNT_DETACH), f"umount {target}")


def make_mounts_private() -> None:
    """Nothing we cover shows outside, and nothing outside uncovers it."""
    mount("none", "/", None, _MS_REC | _MS_PRIVATE)


def mount_proc() -> None:
    mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)


def mount_shared_memory() -> None:
    mount("tmpfs", "/dev/shm", "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=1777")


def cover(directory: str) -> None:
    """Hide what is below `directory` under an empty file system."""
    mount("tmpfs", directory, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=755,size=1m")


def bind(source: str, target: str) -> None:
    mount(source, target, None, _MS_BIND)


def hide_memory() -> None:
    """Nobody of our user may trace this process or read its memory, environment and descriptors."""
    _check(_libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "prctl")


def adopt_orphans() -> None:
    """Descendants whose parent ends become our children."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")


def drop_capabilities() -> None:
    """Whatever this process executes, as root or not, can never hold more than KEPT_CAPABILITIES."""
    for number in range(_LAST_CAPABILITY + 1):
        if number not in KEPT_CAPABILITIES:
            _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)  # refused for numbers the kernel does not have


def best_level() -> str:
    """Try the levels in a child and say which one works."""
    order = [NAMESPACES] if os.geteuid() == 0 else [USER_NAMESPACES]
    for level in order:
        pid = os.fork()
        if pid == 0:
            os._exit(_try(level))
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0:
            return level
    return SESSION


def _try(level: str) -> int:
    try:
        unshare(level)
        pid = os.fork()
        if pid == 0:
            os._exit(_try_mounts())
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except OSError:
        return 1


def _try_mounts() -> int:
    try:
        make_mounts_private()
        mount_proc()
        cover("/tmp")
        bind("/", "/tmp")
    except OSError:
        return 1
    return 0
