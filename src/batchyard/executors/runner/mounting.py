"""What one job sees mounted and the next must not: volumes, file systems in memory, a root that nobody can write to.

They are mounted in a copy of the slot's mount namespace. The slot itself goes into the copy, since what it spawns
starts there, and returns at once: where a volume may lie over anything, it has no business. The copy and all that was
mounted in it are gone with the job's last process, so nothing has to be tidied up, whatever happened in between.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from batchyard.executors.runner import sandbox, trees, volumes
from batchyard.executors.runner.sweep import OWN_VOLUMES

ASKS = ("mounts", "tmpfs", "read_only", "shm_mib")  # members of an order that need a copy
VOLUMES = "volumes"  # in the data directory: what volumes of paths that do not exist are made in
SHM = "/dev/shm"
FORBIDDEN = ("/", "/dev", "/proc", "/sys")
BESIDE_MOST = 4096  # entries of a directory that are shown beside a mount point that it lacks
# How a mount answers that another one hides, or that is in a directory which neither we nor the job may pass.
_UNREACHABLE = (errno.ENOENT, errno.ENOTDIR, errno.EINVAL, errno.EACCES)
_SAFE = trees.NOSUID | trees.NODEV

# Options of a tmpfs, as ECS names them. Those without a value here have no meaning for one job's file system, or are
# what it has anyway; nobody gets devices or set-user-id programs by them.
_FLAGS = {
    "ro": trees.RDONLY,
    "sync": trees.SYNCHRONOUS,
    "dirsync": trees.DIRSYNC,
    "noatime": trees.NOATIME,
    "nodiratime": trees.NODIRATIME,
}
_WITHOUT_EFFECT = re.compile(
    "defaults|rw|(no)?(suid|dev|exec|mand|diratime|relatime|strictatime)|atime|async|remount|"
    "(r?)(bind|private|shared|slave)|r?unbindable"
)
_VALUED = re.compile(r"(mode|uid|gid|nr_inodes|nr_blocks|mpol)=[0-9a-z:-]+")


class MountError(ValueError):
    """A job cannot have what it asks to see mounted; the message says which, where, and why."""


class _Piece(NamedTuple):
    """Something to attach at `path`; `tree` is a clone, -1 stands for a fresh tmpfs with `data`."""

    path: str
    words: str
    flags: int
    tree: int = -1
    data: str = ""
    directory: bool = True


def asked(order: dict) -> bool:
    """Whether the order needs a copy of the namespace at all."""
    return any(order.get(member) for member in ASKS)


def refusal(order: dict) -> str | None:
    """Why the order cannot run where jobs have no mount namespace; None if it only gets less than it asks for."""
    for mount in order.get("mounts") or ():
        return _words(mount) + ": jobs have no mount namespace of their own here; batchyard doctor says what would help"
    for each in order.get("tmpfs") or ():
        return f"no tmpfs at {each['path']}: jobs have no mount namespace of their own here; see batchyard doctor"
    return None


class Mounts:
    """The copy, for one attempt: this process is in it from when this is made until `leave`.

    `work` is the job's working directory, below the data directory `data`. `volumes` and `works` are the open
    directories that are hidden there. Raises MountError; nothing is left of a failure.
    """

    def __init__(self, order: dict, data: str, identity: sandbox.Identity, volumes: int, works: int):
        self._order = order
        self._data = data
        self._work = f"{data}/work/{order['attempt']}"
        self._identity = identity
        self._volumes, self._works = volumes, works
        self._beside: list[str] = []  # directories of ours that show what they replace
        self._ours: list[str] = []  # what was attached, where mount points can simply be made
        self._slot = trees.own_namespace()
        pieces: list[_Piece] = []
        try:
            for piece in self._pieces():  # cloned here, where the sources are: what is open leads to no copy
                pieces.append(piece)
            trees.copy_namespace()
            self._arrange(pieces)
            os.chdir(self._work)
        except OSError as error:
            self.leave()
            raise MountError(str(error)) from None
        except BaseException:
            self.leave()
            raise
        finally:
            for piece in pieces:
                if piece.tree >= 0:
                    os.close(piece.tree)

    def leave(self) -> None:
        """Back in the slot's own namespace, at its root. Raises OSError if the kernel refuses: the slot must end."""
        if self._slot >= 0:
            trees.return_to(self._slot)
            os.close(self._slot)
            self._slot = -1

    # -- sources --------------------------------------------------------------------------------------------------

    def _pieces(self) -> Iterator[_Piece]:
        order = self._order
        for mount in order.get("mounts") or ():
            yield self._volume(mount)
        for each in order.get("tmpfs") or ():
            flags, data = _tmpfs_options(each["options"])
            size = f"size={each['size_mib']}m"
            words = f"tmpfs at {each['path']}"
            yield _Piece(_target(each["path"], words), words, flags, data=",".join((size, *data)))
        if order.get("shm_mib"):
            words, data = "sharedMemorySize", f"mode=1777,size={order['shm_mib']}m"
            yield _Piece(SHM, words, _SAFE | trees.NOEXEC, data=data)

    def _volume(self, mount: dict) -> _Piece:
        words = _words(mount)
        path = _target(mount["path"], words)
        flags = _SAFE | (trees.RDONLY if mount["read_only"] else 0)
        try:
            source = self._open_source(mount)
            try:
                directory = stat.S_ISDIR(os.fstat(source).st_mode)
                return _Piece(path, words, flags, trees.clone(source), directory=directory)
            finally:
                os.close(source)
        except OSError as error:
            raise MountError(f"{words}: {mount['source'] or 'a fresh directory'}: {error.strerror}") from None

    def _open_source(self, mount: dict) -> int:
        """The source, open; made where it is ours to make. Links that others may have put there are not followed."""
        source, mine = volumes.place(mount, self._order, self._data), f"{self._data}/{volumes.KEPT_IN}/"
        if source is None:
            own = self._order["attempt"] + OWN_VOLUMES
            return _made(self._works, [own, mount["volume"]], self._identity)
        if source.startswith(mine):
            return _made(self._volumes, [source.removeprefix(mine)], None)
        opened = os.open(source, os.O_PATH | os.O_CLOEXEC)
        found = os.readlink(f"/proc/self/fd/{opened}")
        if found != source:
            os.close(opened)
            raise MountError(f"{_words(mount)}: {source} is {found} by now; name the real path")
        return opened

    # -- targets --------------------------------------------------------------------------------------------------

    def _arrange(self, pieces: list[_Piece]) -> None:
        """Attach everything in the copy, what is further up first."""
        pieces = sorted(pieces, key=lambda piece: (piece.path.count("/"), piece.path))
        if self._order.get("read_only"):
            for piece in pieces:
                self._make_as_the_job(os.path.realpath(piece.path), piece.directory)
            self._make_read_only()
        for piece in pieces:
            self._attach(piece)
        for path in self._beside:
            trees.restrict([mount for mount in trees.mounts() if mount.path == path][-1], trees.RDONLY)

    def _make_read_only(self) -> None:
        """All that is mounted, but for the job's own directories and what the kernel shows of itself."""
        kept = ("/dev", "/proc", "/sys", self._data)
        for mount in list(trees.mounts()):
            if not _is_at_or_below(mount.path, kept):
                try:
                    trees.restrict(mount, trees.RDONLY)
                except OSError as error:
                    if error.errno not in _UNREACHABLE:
                        raise MountError(f"readonlyRootFilesystem: {error.strerror}") from None

    def _attach(self, piece: _Piece) -> None:
        path = os.path.realpath(piece.path)
        _check_target(path, piece.words)
        if path == self._data or (piece.tree >= 0 and _is_at_or_below(self._data, (path,))):
            raise MountError(f"{piece.words}: it would cover the data directory {self._data}; mount it elsewhere")
        if _is_at_or_below(path, (self._data,)) and not _is_at_or_below(path, (self._work,)):
            raise MountError(f"{piece.words}: that is in the data directory {self._data}; mount it elsewhere")
        try:
            self._provide(path, piece.directory)
            if os.path.isdir(path) != piece.directory:
                what, on = ("a directory", "a file") if piece.directory else ("a file", "a directory")
                raise MountError(f"{piece.words}: {what} cannot be mounted on {on}")
            if piece.tree < 0:
                self._mount_tmpfs(path, piece)
            else:
                _attach_on(piece.tree, path)
                self._restrict(path, piece.flags)
        except OSError as error:
            raise MountError(f"{piece.words}: {error.strerror}") from None
        self._ours.append(path)

    def _mount_tmpfs(self, path: str, piece: _Piece) -> None:
        """With the job's working directory in it, if it was somewhere below: a tmpfs at /tmp, and the server's data
        there, too."""
        covers = _is_at_or_below(self._data, (path,))
        kept = trees.clone_path(self._data) if covers else -1
        try:
            trees.tmpfs(path, piece.flags, piece.data)
            if covers:
                _make(path, os.path.relpath(self._data, path).split("/"), True)
                _attach_on(kept, self._data)
        finally:
            if covers:
                os.close(kept)

    def _restrict(self, path: str, flags: int) -> None:
        """Of what was just mounted and the mounts in it; others that it covers are found by their paths as well."""
        for mount in list(trees.mounts()):
            if _is_at_or_below(mount.path, (path,)):
                try:
                    trees.restrict(mount, flags)
                except OSError as error:
                    if mount.path == path or error.errno not in _UNREACHABLE:
                        raise

    def _provide(self, path: str, directory: bool) -> None:
        """A mount point at `path`, if there is none."""
        if self._make_as_the_job(path, directory):
            return
        parent, missing = _missing(path)
        if parent not in self._beside and not _is_at_or_below(parent, self._ours):
            self._show_beside(parent)
        _make(parent, missing, directory)

    def _make_as_the_job(self, path: str, directory: bool) -> bool:
        """Have a mount point where the job could make it itself; it stays there. False if something else is to do."""
        parent, missing = _missing(path)
        if missing and (_is_at_or_below(parent, self._ours) or not self._could_make(parent)):
            return False
        if missing:
            ours = os.geteuid()
            os.seteuid(self._identity.uid)
            try:
                _make(parent, missing, directory)
            finally:
                os.seteuid(ours)
        return True

    def _could_make(self, parent: str) -> bool:
        """Root could anywhere, but shall only where anybody can."""
        if _is_at_or_below(parent, (self._work,)):
            return True
        mode = os.stat(parent).st_mode
        if self._identity.uid == 0:
            return bool(mode & stat.S_ISVTX and mode & stat.S_IWOTH)
        return os.access(parent, os.W_OK)

    def _show_beside(self, parent: str) -> None:
        """Replace a directory by one in memory that shows the same, and in which mount points can be made.

        It becomes read-only: what a job made directly in it would be nowhere afterwards.
        """
        entries = sorted(os.listdir(parent))
        if len(entries) > BESIDE_MOST:
            raise OSError(0, f"{parent} has more than {BESIDE_MOST} entries: make the mount point on the machine")
        about = os.stat(parent)
        clones = {}
        try:
            for name in entries:
                path = os.path.join(parent, name)
                if not os.path.islink(path):
                    clones[name] = trees.clone_path(path)
            links = {name: os.readlink(os.path.join(parent, name)) for name in entries if name not in clones}
            where = self._data if parent == "/" else parent  # any directory serves: what is there is cloned by now
            trees.tmpfs(where, _SAFE, f"mode={stat.S_IMODE(about.st_mode):o}")
            with suppress(OSError):  # an owner that has no number in a user namespace
                os.chown(where, about.st_uid, about.st_gid)
            _fill(where, links, clones)
        finally:
            for tree in clones.values():
                os.close(tree)
        if parent == "/":
            trees.pivot(where)
        self._beside.append(parent)


def _fill(where: str, links: dict[str, str], clones: dict[str, int]) -> None:
    """Have a directory show symbolic links and clones of mounts, by their names."""
    directory = os.open(where, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name, target in links.items():
            os.symlink(target, name, dir_fd=directory)
        for name, tree in clones.items():
            _make_one(name, directory, stat.S_ISDIR(os.fstat(tree).st_mode))
            trees.attach(tree, directory, name)
    finally:
        os.close(directory)


def _missing(path: str) -> tuple[str, list[str]]:
    """The deepest directory on the way to `path` that exists, and what is missing below it."""
    parent = path
    while not os.path.lexists(parent):
        parent = os.path.dirname(parent)
    return parent, [] if parent == path else os.path.relpath(path, parent).split("/")


def _attach_on(tree: int, path: str) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        trees.attach_on(tree, place)
    finally:
        os.close(place)


def _words(mount: dict) -> str:
    return f"volume {mount['volume']} cannot be mounted at {mount['path']}"


def _target(path: str, words: str) -> str:
    if not path.startswith("/") or "\0" in path:
        raise MountError(f"{words}: it must be an absolute path")
    path = os.path.normpath("/" + path.lstrip("/"))
    _check_target(path, words)
    return path


def _check_target(path: str, words: str) -> None:
    if path in FORBIDDEN or _is_at_or_below(path, ("/proc", "/sys")):
        raise MountError(f"{words}: destination can't be {path}")


def _is_at_or_below(path: str, tops: Sequence[str]) -> bool:
    return any(path == top or path.startswith(top.rstrip("/") + "/") for top in tops)


def _tmpfs_options(options: Sequence[str]) -> tuple[int, list[str]]:
    flags, data = _SAFE, []
    if "exec" not in options:
        flags |= trees.NOEXEC
    for option in options:
        if option in _FLAGS:
            flags |= _FLAGS[option]
        elif _VALUED.fullmatch(option):
            data.append(option)
        elif not _WITHOUT_EFFECT.fullmatch(option):
            raise MountError(f"invalid tmpfs option {option!r}")
    if not any(option.startswith("mode=") for option in data):
        data.append("mode=1777")
    return flags, data


def _made(top: int, names: Sequence[str], owner: sandbox.Identity | None) -> int:
    """The directory below an open one, open; what is missing of it is made. Raises OSError for a link on the way."""
    descriptor = os.dup(top)
    try:
        for name in names:
            if name in ("", "."):
                continue
            if name == "..":
                raise OSError(0, "the path holds ..")
            try:
                os.mkdir(name, 0o755, dir_fd=descriptor)
                if owner is not None:
                    os.chown(name, owner.uid, owner.gid, dir_fd=descriptor, follow_symlinks=False)
            except FileExistsError:
                pass
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            below = os.open(name, flags, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        return descriptor
    except BaseException:
        os.close(descriptor)
        raise


def _make(parent: str, names: Sequence[str], directory: bool) -> None:
    """Make the missing directories, the last one a file if that is what will be mounted on it."""
    descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for number, name in enumerate(names, 1):
            _make_one(name, descriptor, directory or number < len(names))
            if number < len(names):
                below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
    finally:
        os.close(descriptor)


def _make_one(name: str, directory: int, is_directory: bool) -> None:
    try:
        if is_directory:
            os.mkdir(name, 0o755, dir_fd=directory)
        else:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644, dir_fd=directory))
    except FileExistsError:
        pass
