"""What a slot asks of the kernel: namespaces of its own, the data directory out of sight, few capabilities.

Three kinds of isolation, the best that works is taken:

* ``namespaces``: PID, mount and IPC namespaces, made by root. Killing the slot kills all of its job.
* ``user-namespaces``: the same for an ordinary user, inside a user namespace that maps only that user.
* ``session``: where the kernel refuses both. The slot is a subreaper and walks its descendants to kill them; files
  are protected by their owner and mode alone.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Callable, Sequence
from typing import NamedTuple

NAMESPACES = "namespaces"
USER_NAMESPACES = "user-namespaces"
SESSION = "session"
KINDS = (NAMESPACES, USER_NAMESPACES, SESSION)

# Docker's default capabilities, less MKNOD: a job is not in a devices cgroup.
KEPT_CAPABILITIES = frozenset(
    {
        0,  # CHOWN
        1,  # DAC_OVERRIDE
        3,  # FOWNER
        4,  # FSETID
        5,  # KILL
        6,  # SETGID
        7,  # SETUID
        8,  # SETPCAP
        10,  # NET_BIND_SERVICE
        13,  # NET_RAW
        18,  # SYS_CHROOT
        29,  # AUDIT_WRITE
        31,  # SETFCAP
    }
)

# Devices that a job of root sees; block devices would show it the whole disk.
SEEN_DEVICES = frozenset(
    ("null", "zero", "full", "random", "urandom", "tty", "fuse", "kvm", "net", "dri", "kfd", "infiniband", "hugepages")
)
DEVICE_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"}

_CLONE_NEWNS, _CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWPID = 0x00020000, 0x08000000, 0x10000000, 0x20000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT = 1, 2, 4, 8, 32
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 1 << 18
_MNT_DETACH = 2
_PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_CHILD_SUBREAPER = 4, 24, 36
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


class Identity(NamedTuple):
    """Whom a job runs as. Equal identities may follow each other in one slot."""

    uid: int
    gid: int
    groups: tuple[int, ...]


def check(result: int, what: str) -> int:
    """What a call of the C library returned. Raises OSError if it failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _prctl(option: int, *arguments: int) -> None:
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    check(_libc.prctl(option, *padded), f"prctl({option})")


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    encoded = [value.encode(errors="surrogateescape") if value is not None else None for value in (kind, data)]
    source_bytes, target_bytes = os.fsencode(source), os.fsencode(target)
    check(_libc.mount(source_bytes, target_bytes, encoded[0], ctypes.c_ulong(flags), encoded[1]), f"mount on {target}")


def bind(source: str, target: str) -> None:
    """Show the directory or file `source` at `target` too."""
    _mount(source, target, None, _MS_BIND)


def unmount(target: str) -> None:
    """Take what is mounted on `target` out of sight, even while in use."""
    check(_libc.umount2(os.fsencode(target), _MNT_DETACH), f"umount {target}")


def deny(device: str) -> None:
    """Have nobody in this namespace open the device until it is unmounted: EACCES, as from a devices cgroup, which
    CUDA takes for a GPU that is not its own."""
    bind(device, device)
    _mount("none", device, None, _MS_REMOUNT | _MS_BIND | _MS_NODEV | _MS_NOSUID | _MS_NOEXEC)


def hide_memory() -> None:
    """Nobody without CAP_SYS_PTRACE may look into this process (memory, environment, open files)."""
    _prctl(_PR_SET_DUMPABLE, 0)


def adopt_orphans() -> None:
    """Descendants whose parent dies become our children."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def separate(kind: str) -> None:
    """Leave the namespaces of the machine; the next child is the init of a PID namespace. Raises OSError."""
    flags = _CLONE_NEWPID | _CLONE_NEWNS | _CLONE_NEWIPC
    if kind == NAMESPACES:
        check(_libc.unshare(flags), "unshare")
        return
    uid, gid = os.geteuid(), os.getegid()
    check(_libc.unshare(flags | _CLONE_NEWUSER), "unshare")
    _prctl(_PR_SET_DUMPABLE, 1)  # else our own maps belong to root
    for name, line in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(line)
    hide_memory()


def furnish(kind: str) -> list[str]:
    """In the new init: own /proc and, for root, a small /dev and kernel settings that cannot be changed.

    Returns what could not be done. Nothing mounted here is seen outside.
    """
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    weaker = []
    try:
        _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    except OSError:
        weaker.append("jobs see the process list of the machine")
    if kind == NAMESPACES:
        for path in ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs", "/sys"):
            _read_only(path)
        try:
            _furnish_dev()
        except OSError as error:
            weaker.append(f"jobs see all devices ({error.strerror})")
    else:
        try:
            _mount("tmpfs", "/dev/shm", "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=1777")
        except OSError:
            weaker.append("jobs share /dev/shm with the machine")
    return weaker


def _read_only(path: str) -> None:
    """Make what is mounted on or below `path` unchangeable; a path that is absent needs no protection."""
    if not os.path.exists(path):
        return
    _mount(path, path, None, _MS_BIND | _MS_REC)
    with open("/proc/self/mountinfo") as file:
        mounts = [line.split()[4] for line in file]
    for below in {mount for mount in mounts if mount == path or mount.startswith(path + "/")}:
        _mount("none", below, None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)


def _furnish_dev() -> None:
    """A /dev of few devices, with a /dev/shm of the slot's own."""
    old = os.open("/dev", os.O_RDONLY | os.O_DIRECTORY)
    try:
        _mount("tmpfs", "/dev", "tmpfs", _MS_NOSUID | _MS_NOEXEC, "mode=755,size=64k")
        for name in os.listdir(old):
            mode = os.stat(name, dir_fd=old, follow_symlinks=False).st_mode
            if not (name in SEEN_DEVICES or name.startswith("nvidia")):
                continue
            if stat.S_ISDIR(mode):
                os.mkdir(f"/dev/{name}")
            elif stat.S_ISCHR(mode):
                os.close(os.open(f"/dev/{name}", os.O_CREAT | os.O_WRONLY, 0o600))
            else:
                continue
            _mount(f"/proc/self/fd/{old}/{name}", f"/dev/{name}", None, _MS_BIND | _MS_REC)
        for name, target in DEVICE_LINKS.items():
            os.symlink(target, f"/dev/{name}")
        for name, kind, options in (
            ("pts", "devpts", "newinstance,ptmxmode=0666,mode=620"),
            ("shm", "tmpfs", "mode=1777"),
        ):
            os.mkdir(f"/dev/{name}")
            _mount(kind, f"/dev/{name}", kind, _MS_NOSUID | _MS_NOEXEC, options)
        os.mkdir("/dev/mqueue")
        _mount("mqueue", "/dev/mqueue", "mqueue", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    finally:
        os.close(old)


def cover(data: str, hidden: Sequence[str]) -> None:
    """Put an empty directory over the data directory, with room for one working directory and nothing else, and
    empty files or directories over `hidden`."""
    os.makedirs(data, exist_ok=True)  # it may have been below /dev/shm, which is a new one now
    _mount("tmpfs", data, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=755,size=4k,nr_inodes=3")
    os.mkdir(f"{data}/work", 0o755)
    for path in hidden:
        if os.path.isdir(path):
            _mount("tmpfs", path, "tmpfs", _MS_NOSUID | _MS_NODEV | _MS_RDONLY, "mode=755,size=4k,nr_inodes=1")
        elif os.path.exists(path):
            bind("/dev/null", path)


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Sets(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def drop_capabilities() -> None:
    """What this process starts from now on can have KEPT_CAPABILITIES at most; it keeps its own."""
    with open("/proc/sys/kernel/cap_last_cap") as file:
        last = int(file.read())
    for number in range(last + 1):
        if number not in KEPT_CAPABILITIES:
            _prctl(_PR_CAPBSET_DROP, number)
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header, sets = _Header(_CAPABILITY_VERSION_3, 0), (_Sets * 2)()
    check(_libc.capget(ctypes.byref(header), sets), "capget")
    for part in sets:
        part.inheritable = 0
    check(_libc.capset(ctypes.byref(header), sets), "capset")


def become(identity: Identity) -> None:
    """Be `identity` by our real ids and root by our effective ones: posix_spawn's `resetids` then makes jobs it."""
    os.setgroups(identity.groups)
    os.setresgid(identity.gid, 0, 0)
    os.setresuid(identity.uid, 0, 0)


def become_for_good() -> None:
    """In a child: be only whom we really are, with a job's capabilities at most, and unseen by others of that user."""
    uid, gid = os.getuid(), os.getgid()
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    header, sets = _Header(_CAPABILITY_VERSION_3, 0), (_Sets * 2)()
    check(_libc.capget(ctypes.byref(header), sets), "capget")
    for number, part in enumerate(sets):
        kept = sum(1 << capability - 32 * number for capability in KEPT_CAPABILITIES if capability // 32 == number)
        part.effective &= kept
        part.permitted &= kept
        part.inheritable = 0
    check(_libc.capset(ctypes.byref(header), sets), "capset")
    hide_memory()


def best_kind(trial: Callable[[str], list[str]]) -> tuple[str, list[str]]:
    """The best isolation for which `trial`, run in a child that it may change for good, succeeds; and its notes."""
    answer = ""
    for kind in (NAMESPACES, USER_NAMESPACES):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            _try(kind, trial, writer)
        os.close(writer)
        with os.fdopen(reader) as file:
            answer = file.read()
        os.waitpid(child, 0)
        if answer.split("\n")[0] == "ok":
            return kind, answer.splitlines()[1:]
    return SESSION, [
        f"no namespaces ({answer}): a job's processes are found by walking its descendants, and files are protected "
        "by owner and mode only"
    ]


def _try(kind: str, trial: Callable[[str], list[str]], writer: int) -> None:
    """In a child: separate, let a grandchild (the new init) run the trial and tell; never returns."""
    try:
        separate(kind)
        init = os.fork()
        if init == 0:
            notes = trial(kind)
            os.write(writer, "\n".join(["ok", *notes]).encode())
        else:
            os.waitpid(init, 0)
    except BaseException as error:
        os.write(writer, str(error).encode())
    finally:
        os._exit(0)


def descendants(pid: int) -> list[int]:
    """All living descendants of `pid` that /proc shows."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            if fields[0] != b"Z":
                children.setdefault(int(fields[1]), []).append(int(name))
    found, todo = [], [pid]
    while todo:
        below = children.get(todo.pop(), ())
        found += below
        todo += below
    return found
