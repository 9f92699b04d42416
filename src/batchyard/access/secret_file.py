"""A file with a secret in it: one that its owner alone may read, whole and on disk from the moment it is there."""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from batchyard.config import SettingError

LONGEST = 1024  # bytes


class KeyFileError(SettingError):
    """The file cannot be read or must not be used as it stands; the message says what to do."""


def read(path: str | os.PathLike[str], what: str) -> str:
    """The file's text without blanks around it; KeyFileError, calling it `what`, if it is missing or not private."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise KeyFileError(f"{what} {path}: {error.strerror}") from None
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise KeyFileError(f"{what} {path}: not a regular file")
        if about.st_mode & 0o077:
            mode = stat.S_IMODE(about.st_mode)
            raise KeyFileError(f"{what} {path}: others may read it (mode {mode:04o}); run `chmod 600 {path}`")
        return os.read(descriptor, LONGEST).decode("ascii", "replace").strip()
    finally:
        os.close(descriptor)


def ensure(path: Path, what: str, form: re.Pattern[str], words: str, new: Callable[[], str]) -> str:
    """The file's text; made of `new` if there is none. KeyFileError if it has not the form that `words` name."""
    if not path.exists():
        make(path, new() + "\n", what)
    text = read(path, what)
    if not form.fullmatch(text):
        raise KeyFileError(f"{what} {path}: it must hold one line of {words}; remove it to have a new one made")
    return text


def make(path: Path, text: str, what: str) -> None:
    """Write the file with mode 0600, unless somebody else was first. KeyFileError if it cannot be made."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "w") as file:
                os.fchmod(file.fileno(), 0o600)  # whatever the umask is
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)  # unlike rename, fails if somebody else was first
        finally:
            os.unlink(draft)
        _sync_directory(path.parent)
    except FileExistsError:
        pass
    except OSError as error:
        raise KeyFileError(f"{what} {path}: it cannot be made: {error.strerror}") from None


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
