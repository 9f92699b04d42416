"""A zip archive that a stranger made is unpacked: bounded by what comes out of it, whatever its headers say."""

from __future__ import annotations

import io
import os
import shutil
import stat
import struct
import zipfile
import zlib
from contextlib import suppress
from typing import BinaryIO

FILES_MOST = 50_000
DIRECTORY_MOST = 8 << 20  # bytes of the archive's own table; it is read whole, so this bounds our memory
RATIO_MOST = 100  # of what comes out to the archive itself; programs have 2 to 10, bombs a thousand and more
RATIO_FROM = 16 << 20  # bytes: less than that harms nobody
DEPTH_MOST, NAME_MOST = 64, 255
CHUNK = 1 << 18
_ENCRYPTED = 0x1 | 0x40
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, UnicodeError,
    ValueError, OverflowError,
)  # fmt: skip


class ArchiveError(Exception):
    """The archive is not unpacked; the message is the end of a sentence."""


class _Source(io.FileIO):
    """An archive whose table of contents is no larger than DIRECTORY_MOST: nothing else of it is read in one piece."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > DIRECTORY_MOST:
            raise ArchiveError(f"its table of contents is larger than {DIRECTORY_MOST >> 20} MiB")
        return super().read(size)


class _Made:
    """What has been made below an open directory, step by step and following no links, so that it can go again."""

    def __init__(self, top: int):
        self._top = top
        self._new: set[tuple[str, ...]] = set()  # the uppermost that are ours
        self._count = 0

    def directory(self, parts: tuple[str, ...]) -> int:
        """The directory of that path, open; made as needed."""
        descriptor = os.dup(self._top)
        for number, part in enumerate(parts, 1):
            try:
                new = self._mkdir(part, descriptor, parts[:number])
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                below = os.open(part, flags, dir_fd=descriptor)
                if new:
                    os.fchmod(below, 0o755)  # whatever our umask
            except NotADirectoryError:
                raise ArchiveError(f"{_shown('/'.join(parts[:number]))} is a file and a directory at once") from None
            finally:
                os.close(descriptor)
            descriptor = below
        return descriptor

    def _mkdir(self, name: str, parent: int, parts: tuple[str, ...]) -> bool:
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            return False
        self._note(parts)
        return True

    def file(self, parts: tuple[str, ...], mode: int) -> BinaryIO:
        """A new file of that path and mode, to write to."""
        parent = self.directory(parts[:-1])
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            file = os.open(parts[-1], flags, 0o600, dir_fd=parent)
        except FileExistsError:
            raise ArchiveError(f"{_shown('/'.join(parts))} is there already") from None
        finally:
            os.close(parent)
        target = os.fdopen(file, "wb")
        try:
            self._note(parts)
            os.fchmod(file, mode)
        except BaseException:
            target.close()
            raise
        return target

    def remove(self) -> None:
        for parts in self._new:
            path = "/".join(parts)
            with suppress(OSError):
                if stat.S_ISDIR(os.stat(path, dir_fd=self._top, follow_symlinks=False).st_mode):
                    shutil.rmtree(path, ignore_errors=True, dir_fd=self._top)
                else:
                    os.unlink(path, dir_fd=self._top)

    def _note(self, parts: tuple[str, ...]) -> None:
        if not any(parts[:number] in self._new for number in range(1, len(parts))):
            self._new.add(parts)
        self._count += 1
        if self._count > FILES_MOST:
            raise ArchiveError(f"more than {FILES_MOST} files and directories come out of it")


def unpack(archive: int, directory: int, most_bytes: int) -> None:
    """Unpack the open archive into the open directory, which nobody else writes to.

    Modes are kept but for set-user-id, set-group-id and sticky. Raises ArchiveError, and then leaves nothing behind,
    for what is no archive, too large, or holds anything but plain files and directories below its top.
    """
    made = _Made(directory)
    try:
        with _Source(archive, closefd=False) as source, zipfile.ZipFile(source) as contents:
            _unpack(contents, os.fstat(archive).st_size, most_bytes, made)
    except BaseException as error:
        made.remove()
        if isinstance(error, _BROKEN):
            raise ArchiveError(f"it is not a sound zip archive ({error or type(error).__name__})") from None
        if isinstance(error, OSError):
            raise ArchiveError(f"it cannot be unpacked: {error.strerror}") from None
        raise


def holds(directory: int, word: str) -> str | None:
    """The path, relative to the directory, of the file that the first word of a command names in it; None: none."""
    path = os.path.normpath(word)
    if word.startswith("/") or path.split("/")[0] in ("..", "."):
        return None
    try:
        found = os.stat(path, dir_fd=directory)
    except (OSError, ValueError):
        return None
    return path if stat.S_ISREG(found.st_mode) else None


def _unpack(contents: zipfile.ZipFile, size: int, most_bytes: int, made: _Made) -> None:
    entries = contents.infolist()
    if len(entries) > FILES_MOST:
        raise ArchiveError(f"it holds {len(entries)} files, more than {FILES_MOST}")
    no_modes = not any(entry.external_attr >> 16 for entry in entries)  # it was not made on a Unix
    ratio_bytes = max(RATIO_FROM, size * RATIO_MOST)
    left = min(most_bytes, ratio_bytes)
    too_much = (
        f"more than {most_bytes >> 20} MiB come out of it (setting zip_max_mib)"
        if most_bytes <= ratio_bytes
        else f"more than {RATIO_MOST} times its size comes out of it"
    )
    seen: set[tuple[str, ...]] = set()
    for entry in entries:
        parts = _parts(entry)
        if parts in seen:
            raise ArchiveError(f"it holds {_shown(entry.orig_filename)} twice")
        seen.add(parts)
        if not parts:
            continue
        if entry.is_dir():
            os.close(made.directory(parts))
            continue
        mode = 0o755 if no_modes else (entry.external_attr >> 16) & 0o777 | 0o400
        with made.file(parts, mode) as target, contents.open(entry) as file:
            while piece := file.read(CHUNK):
                left -= len(piece)
                if left < 0:
                    raise ArchiveError(too_much)
                target.write(piece)


def _parts(entry: zipfile.ZipInfo) -> tuple[str, ...]:
    """Where it goes, below the top. ArchiveError for what could go elsewhere, or is no file."""
    name, shown = entry.orig_filename, _shown(entry.orig_filename)
    if "\0" in name or "\\" in name:
        raise ArchiveError(f"the name {shown} holds a character that it must not")
    if name.startswith("/") or name[1:2] == ":":
        raise ArchiveError(f"{shown} is an absolute path")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts:
        raise ArchiveError(f"{shown} leads out of it")
    if len(parts) > DEPTH_MOST or any(len(part.encode(errors="surrogateescape")) > NAME_MOST for part in parts):
        raise ArchiveError(f"the name {shown} is too long or too deep")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ArchiveError(f"{shown} is {'a symbolic link' if kind == stat.S_IFLNK else 'no plain file'}")
    if entry.flag_bits & _ENCRYPTED:
        raise ArchiveError(f"{shown} is encrypted")
    if entry.compress_type not in _METHODS:
        raise ArchiveError(f"{shown} is compressed by method {entry.compress_type}; use deflate")
    return parts


def _shown(name: str) -> str:
    return ascii(name[:80])
