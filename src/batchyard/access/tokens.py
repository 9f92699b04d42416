"""The token for programs that cannot sign: it reads the metrics and nothing else.

A file in the data directory, made at the first start; whoever may read it may scrape. To change it, remove it and
start the server again.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Sequence
from pathlib import Path

from batchyard.access import secret_file
from batchyard.errors import NotSigned, UnknownKey

_TOKEN = re.compile(r"[!-~]{16,256}")  # printable, without blanks
_STEP = "Send the token in the file metrics-token of the data directory (Authorization: Bearer TOKEN)"


def ensure(path: Path) -> str:
    """The token in the file, which is made with a new one if it does not exist.

    Raises KeyFileError if it is garbled, or readable by others.
    """
    words = "16 to 256 printable characters"
    return secret_file.ensure(path, "metrics token file", _TOKEN, words, lambda: secrets.token_urlsafe(32))


def bears(headers: Sequence[tuple[bytes, bytes]], token: str) -> bool:
    """Whether the request bears the token; False if it is to be judged by its signature.

    Raises NotSigned if there is neither, and UnknownKey for another token.
    """
    given = [value for name, value in headers if name == b"authorization"]
    if not given:
        raise NotSigned("The request has no Authorization header.", f"{_STEP}, or sign it.")
    scheme, _, rest = given[0].partition(b" ")
    if len(given) > 1 or scheme.lower() != b"bearer":
        return False
    if not hmac.compare_digest(rest.strip(), token.encode()):
        raise UnknownKey("The token is not this server's.", f"{_STEP}.")
    return True
