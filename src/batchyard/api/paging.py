"""nextToken and maxResults (reference "ARNs, identifiers, pagination").

A token holds where the next page starts and a seal over that, the listing and the caller's secret key: it survives a
restart, fits no other listing, and is refused when anything of it was changed or when it is another server's.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from batchyard.api.context import Call, Context
from batchyard.errors import ClientError

PAGE_MAX = 100
NAMES_MAX = 100
SEAL_BYTES = 12

Number = Annotated[int, msgspec.Meta(ge=-1, le=2**63 - 1)]  # a row's number, a revision or a child's index


class Listing:
    """Pages of one listing for one caller; `about` is all that tells it from others of the operation and region."""

    def __init__(self, context: Context, call: Call, operation: str, *about: Any):
        self._operation = operation
        self._about = msgspec.json.encode((operation, call.region, about))
        self._secret = hashlib.sha256((context.directory.secret(call.key_id) or "").encode()).digest()

    def token(self, position: Any) -> str:
        """An opaque token for the page that starts at `position`, any JSON value."""
        return self._sealed(msgspec.json.encode(position))

    def position(self, given: str | UnsetType, kind: Any) -> Any:
        """Where the page starts, as a `kind`; None for the first. ClientError for a token that is not ours."""
        if not given:
            return None
        try:
            raw = base64.urlsafe_b64decode(given + "=" * (-len(given) % 4))[SEAL_BYTES:]
            if hmac.compare_digest(given.encode(), self._sealed(raw).encode()):
                return msgspec.json.decode(raw, type=kind)
        except (ValueError, binascii.Error, msgspec.MsgspecError):
            pass
        raise ClientError(
            f"nextToken is not valid for this {self._operation} request.",
            "Give the nextToken of the answer before with the same other members, or leave it out.",
        )

    def _sealed(self, raw: bytes) -> str:
        digest = hashlib.blake2b(key=self._secret, digest_size=SEAL_BYTES, person=b"batchyard-page")
        digest.update(len(self._about).to_bytes(4) + self._about + raw)
        return base64.urlsafe_b64encode(digest.digest() + raw).decode().rstrip("=")


def limit(given: int | UnsetType, most: int = PAGE_MAX) -> int:
    """How many rows a page holds; ClientError outside 1 to `most`."""
    if given is UNSET:
        return most
    if not 1 <= given <= most:
        raise ClientError(f"maxResults must be between 1 and {most}, got {given}.", "Page with nextToken.")
    return given


def check_names(names: list[str], member: str, others: dict[str, Any]) -> None:
    """ClientError if the list of names in `member` is too long or comes with `others`, which it excludes."""
    for other, given in others.items():
        if given is not UNSET:
            raise ClientError(f"{_title(member)} and {_title(other)} cannot both be set")
    if len(names) > NAMES_MAX:
        raise ClientError(f"{member} can hold at most {NAMES_MAX} entries, got {len(names)}.", "Ask in several calls.")


def _title(member: str) -> str:
    return member[0].upper() + member[1:]
