"""What can keep the server from starting: a sentence, the next step and an exit code for each."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batchyard.access.keys import KeyFileError
from batchyard.store.sqlite import BrokenFile, NewerFile, StoreError

FULL = frozenset((errno.ENOSPC, errno.EDQUOT))
LEAST_BYTES = 1 << 16  # with less on the disk, what SQLite calls an I/O error is want of room


class ServeError(Exception):
    """The server cannot start."""

    exit_code = 1

    def __init__(self, message: str, next_step: str = ""):
        super().__init__(f"{message} {next_step}".rstrip())
        self.message = message
        self.next_step = next_step


class AlreadyServing(ServeError):
    """Another server holds the data directory."""

    exit_code = 10


class PortTaken(ServeError):
    """The address cannot be listened on."""

    exit_code = 11


class DataUnusable(ServeError):
    """The data directory cannot be made, read or written."""

    exit_code = 12


class KeyUnusable(ServeError):
    """The access key cannot be read or must not be used as it is."""

    exit_code = 13


class FileDamaged(ServeError):
    """A database file is not what a Batchyard wrote."""

    exit_code = 14


class FileNewer(ServeError):
    """A database file was written by a newer Batchyard."""

    exit_code = 15


class DiskFull(ServeError):
    """There is no room for what the start writes."""

    exit_code = 16


ALL = (ServeError, AlreadyServing, PortTaken, DataUnusable, KeyUnusable, FileDamaged, FileNewer, DiskFull)


@contextmanager
def explained(data: Path) -> Iterator[None]:
    """Whatever fails inside is raised as the ServeError that it means for the data directory `data`."""
    try:
        yield
    except NewerFile as error:
        raise FileNewer(error.message, error.next_step) from error
    except BrokenFile as error:
        raise _of_sqlite(error.path, error.error) from error
    except StoreError as error:
        raise FileDamaged(f"{error}") from error
    except KeyFileError as error:
        if _full(error.__context__):
            raise _disk_full(data) from error
        step = "Put one line ID:SECRET there, with mode 0600; or without a setting the server makes its own key."
        said = str(error)
        raise KeyUnusable(f"{said[0].upper()}{said[1:]}.", step) from error
    except sqlite3.Error as error:
        raise _of_sqlite(data, error) from error
    except OSError as error:
        if _full(error):
            raise _disk_full(data) from error
        path = error.filename or data
        step = f"Make {data} writable for {_user()}, or choose another data directory with --data."
        raise DataUnusable(f"{path} cannot be used: {error.strerror}.", step) from error


def _of_sqlite(path: Path, error: sqlite3.Error) -> ServeError:
    """`path` is the file's, or the data directory's where that is not known."""
    data = path if path.is_dir() else path.parent
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _free_bytes(data) < LEAST_BYTES):
        return _disk_full(data)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        step = f"Make {data} and what is in it writable for {_user()}."
        return DataUnusable(f"{path} cannot be written: {error}.", step)
    step = "See what is wrong with `batchyard admin check`; bring back a backup with `batchyard admin restore`."
    return FileDamaged(f"{path} is damaged: {error}.", step)


def _full(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno in FULL


def _disk_full(data: Path) -> DiskFull:
    step = "Make room and start it again; nothing that was acknowledged is lost."
    return DiskFull(f"The disk of {data} is full: the server cannot start.", step)


def _free_bytes(data: Path) -> int:
    disk = os.statvfs(data)
    return disk.f_bavail * disk.f_frsize


def _user() -> str:
    return f"user {os.geteuid()}"
