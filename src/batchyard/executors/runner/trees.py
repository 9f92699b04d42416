"""Mount trees, as the kernel has handled them since 5.2: cloned here, attached there, and namespaces that hold them."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from typing import NamedTuple

from batchyard.executors.runner.sandbox import check

RDONLY, NOSUID, NODEV, NOEXEC = 1, 2, 4, 8
SYNCHRONOUS, DIRSYNC, NOATIME, NODIRATIME = 16, 128, 1024, 2048
_REMOUNT, _BIND = 32, 0x1000
_DETACH = 2
_NEWNS = 0x00020000

# The same on every architecture.
_SYS_OPEN_TREE, _SYS_MOVE_MOUNT = 428, 429
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}
_OPEN_TREE_CLONE, _AT_RECURSIVE, _AT_EMPTY_PATH = 1, 0x8000, 0x1000
_MOVE_MOUNT_F_EMPTY_PATH, _MOVE_MOUNT_T_EMPTY_PATH = 0x04, 0x40
_AT_FDCWD = -100

# Options that a remount forgets unless they are given again.
_KEPT = {"ro": RDONLY, "nosuid": NOSUID, "nodev": NODEV, "noexec": NOEXEC}

_libc = ctypes.CDLL(None, use_errno=True)


class Mounted(NamedTuple):
    path: str
    flags: int  # of _KEPT


def mounts() -> Iterator[Mounted]:
    """All mounts of our namespace that can be seen from our root, in the order in which they were made."""
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            fields = line.split()
            path = os.fsdecode(fields[4].decode("unicode_escape").encode("latin-1"))
            options = fields[5].decode().split(",")
            yield Mounted(path, sum(_KEPT.get(option, 0) for option in options))


def clone(descriptor: int) -> int:
    """A copy of the mounts at and below an open file or directory, mounted nowhere yet. Raises OSError."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_RECURSIVE | _AT_EMPTY_PATH
    return check(_libc.syscall(_SYS_OPEN_TREE, descriptor, b"", flags), "open_tree")


def clone_path(path: str) -> int:
    """The same of a path; of a symbolic link, of what it leads to."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_RECURSIVE
    return check(_libc.syscall(_SYS_OPEN_TREE, _AT_FDCWD, os.fsencode(path), flags), f"open_tree {path}")


def attach(tree: int, directory: int, name: str) -> None:
    """Mount a clone on `name` in an open directory."""
    _move(tree, directory, os.fsencode(name), _MOVE_MOUNT_F_EMPTY_PATH)


def attach_on(tree: int, place: int) -> None:
    """Mount a clone on an open file or directory."""
    _move(tree, place, b"", _MOVE_MOUNT_F_EMPTY_PATH | _MOVE_MOUNT_T_EMPTY_PATH)


def _move(tree: int, directory: int, name: bytes, flags: int) -> None:
    check(_libc.syscall(_SYS_MOVE_MOUNT, tree, b"", directory, name, flags), "move_mount")


def tmpfs(path: str, flags: int, data: str) -> None:
    """Mount an empty file system in memory on `path`."""
    where = os.fsencode(path)
    check(_libc.mount(b"tmpfs", where, b"tmpfs", ctypes.c_ulong(flags), data.encode()), f"mount tmpfs on {path}")


def restrict(mount: Mounted, flags: int) -> None:
    """Add flags to one mount; the file system itself and what else it has of flags stay as they are."""
    flags |= _REMOUNT | _BIND | mount.flags
    where = os.fsencode(mount.path)
    check(_libc.mount(b"none", where, None, ctypes.c_ulong(flags), None), f"remount {mount.path}")


def pivot(root: str) -> None:
    """What is mounted on `root` is our root from now on; the old one is gone."""
    os.chdir(root)
    call = _SYS_PIVOT_ROOT.get(os.uname().machine)
    if call is None:
        raise OSError(f"pivot_root is not known for {os.uname().machine}")
    check(_libc.syscall(call, b".", b"."), "pivot_root")
    check(_libc.umount2(b".", _DETACH), "umount of the old root")
    os.chdir("/")


def own_namespace() -> int:
    """An open file that stands for our mount namespace, to return to."""
    return os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)


def copy_namespace() -> None:
    """From now on we are in a copy of our mount namespace."""
    check(_libc.unshare(_NEWNS), "unshare")


def return_to(namespace: int) -> None:
    """Be in that mount namespace, at its root. The copy that we leave is gone once nobody is in it."""
    check(_libc.setns(namespace, _NEWNS), "setns")
