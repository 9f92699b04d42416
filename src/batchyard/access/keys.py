"""The server's own access key: a file `ID:SECRET` that its owner alone may read, made at the first start."""

from __future__ import annotations

import os
import re
import secrets
import string
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from batchyard.access import secret_file
from batchyard.access.secret_file import KeyFileError

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
    key_id, colon, secret = secret_file.read(path, "access key file").partition(":")
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
        made = generate()
        secret_file.make(path, f"{made.id}:{made.secret}\n", "access key file")
    return read(path)


def _checked(key_id: str, secret: str, source: str) -> Key:
    if not _KEY_ID.fullmatch(key_id):
        raise KeyFileError(f"{source}: the access key id must be 1 to 128 of A-Z a-z 0-9 _ . -")
    if not _SECRET.fullmatch(secret):
        raise KeyFileError(f"{source}: the secret must be 1 to 128 printable characters without spaces and colons")
    return Key(key_id, secret)
