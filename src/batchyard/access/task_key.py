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


def ensure(path: Path) -> bytes:
    """The key in the file, which is made with a new one if it does not exist.

    Raises KeyFileError if it is garbled, or readable by others.
    """
    words = "64 hexadecimal digits"
    return bytes.fromhex(secret_file.ensure(path, "task key file", _KEY, words, lambda: secrets.token_hex(32)))
