"""The key from which the tokens of tasks are derived (``model/tasktokens.py``): a file in the data directory.

Made at the first start. To make all tokens that are out worthless, remove it and start the server again.
"""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from batchyard.access import secret_file

FILE = "task-key"

_KEY = re.compile("[0-9a-f]{64}")
_WHAT = "task key file"


def ensure(path: Path) -> bytes:
    """The key in the file, which is made with a new one if it does not exist.

    Raises KeyFileError if it is garbled, or readable by others.
    """
    if not path.exists():
        secret_file.make(path, secrets.token_hex(32) + "\n", _WHAT)
    text = secret_file.read(path, _WHAT)
    if not _KEY.fullmatch(text):
        raise secret_file.KeyFileError(
            f"{_WHAT} {path}: it must hold one line of 64 hexadecimal digits; remove it to have a new one made"
        )
    return bytes.fromhex(text)
