"""The server's own access key: a file `ID:SECRET` that its owner alone may read, made at the first start."""

from __future__ import annotations

import os
import re
import secrets
import stat
import string
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from batchyard.config import SettingError

ID_VARIABLE = "BATCHYARD_ACCESS_KEY_ID"
SECRET_VARIABLE = "BATCHYARD_SECRET_ACCESS_KEY"

ID_PREFIX = "BYAK"  # long-lived AWS keys begin with AKIA; ours must not be taken for one
_BASE32 = string.ascii_uppercase + "234567"
_LETTERS = string.ascii_letters + string.digits  # no / or +, so that a secret needs no quoting anywhere
_KEY_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_SECRET = re.compile(r"[!-9;-~]{1,128}")  # printable, no colon


class Key(NamedTuple):
    id: str
    secret: str

    def __repr__(self) -> str:  # a secret does not belong into logs and tracebacks
        return f"Key(id={self.id!r})"


class Keyring:
    """The Directory of a server that knows a few keys."""

    def __init__(self, keys: Iterable[Key]):
        self._secrets = dict(keys)

    def secret(self, key_id: str) -> str | None:
        return self._secrets.get(key_id)


class KeyFileError(SettingError):
    """The access key cannot be read or must not be used as it stands; the message says what to do."""


def generate() -> Key:
    """A new random key: 80 bits in its id, 238 in its secret."""
    key_id = ID_PREFIX + "".join(secrets.choice(_BASE32) for _ in range(16))
    return Key(key_id, "".join(secrets.choice(_LETTERS) for _ in range(40)))


def from_environment(environ: Mapping[str, str]) -> Key | None:
    """The key in BATCHYARD_ACCESS_KEY_ID and BATCHYARD_SECRET_ACCESS_KEY; None if neither is set."""
    key_id, secret = environ.get(ID_VARIABLE), environ.get(SECRET_VARIABLE)
    if not key_id and not secret:
        return None
    if not key_id or not secret:
        given, missing = (ID_VARIABLE, SECRET_VARIABLE) if key_id else (SECRET_VARIABLE, ID_VARIABLE)
        raise KeyFileError(f"{given} is set and {missing} is not: set both or neither")
    return _checked(key_id, secret, "environment")


def read(path: str | os.PathLike[str]) -> Key:
    """The key in the file; KeyFileError if it is missing, garbled, or readable by others."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise KeyFileError(f"access key file {path}: {error.strerror}") from None
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise KeyFileError(f"access key file {path}: not a regular file")
        if about.st_mode & 0o077:
            mode = stat.S_IMODE(about.st_mode)
            raise KeyFileError(f"access key file {path}: others may read it (mode {mode:04o}); run `chmod 600 {path}`")
        content = os.read(descriptor, 1024)
    finally:
        os.close(descriptor)
    key_id, colon, secret = content.decode("ascii", "replace").strip().partition(":")
    if not colon:
        raise KeyFileError(f"access key file {path}: it must hold one line ID:SECRET")
    return _checked(key_id, secret, f"access key file {path}")


def ensure(path: str | os.PathLike[str]) -> Key:
    """The key in the file, which is made with a new key if it does not exist.

    The file appears whole, on disk and with mode 0600, or not at all; of two servers that start together both get
    the same key.
    """
    path = Path(path)
    if not path.exists():
        _write(path, generate())
    return read(path)


def _write(path: Path, key: Key) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "w") as file:
                os.fchmod(file.fileno(), 0o600)  # whatever the umask is
                file.write(f"{key.id}:{key.secret}\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)  # unlike rename, fails if somebody else was first
        finally:
            os.unlink(draft)
        _sync_directory(path.parent)
    except FileExistsError:
        pass
    except OSError as error:
        raise KeyFileError(f"access key file {path}: it cannot be made: {error.strerror}") from None


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _checked(key_id: str, secret: str, source: str) -> Key:
    if not _KEY_ID.fullmatch(key_id):
        raise KeyFileError(f"{source}: the access key id must be 1 to 128 of A-Z a-z 0-9 _ . -")
    if not _SECRET.fullmatch(secret):
        raise KeyFileError(f"{source}: the secret must be 1 to 128 printable characters without spaces and colons")
    return Key(key_id, secret)
