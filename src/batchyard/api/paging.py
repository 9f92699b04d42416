"""nextToken and maxResults (reference "ARNs, identifiers, pagination").

A token holds the operation, what it was asked about and where the next page starts, so it survives a restart and
fits nothing else. It is a convenience, not a secret: whoever alters one reads another page of what they may read.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from batchyard.errors import ClientError

PAGE_MAX = 100
NAMES_MAX = 100

Number = Annotated[int, msgspec.Meta(ge=-1, le=2**63 - 1)]  # a row's number, a revision or a child's index


class _Token(Struct, array_like=True):
    operation: str
    about: str
    position: Any


def token(operation: str, about: str, position: Any) -> str:
    """An opaque token; `position` is any JSON value, `about` what the listing is of."""
    return base64.urlsafe_b64encode(msgspec.json.encode(_Token(operation, about, position))).decode().rstrip("=")


def position(given: str | UnsetType, operation: str, about: str, kind: Any) -> Any:
    """Where the page starts, as a `kind`; None for the first. ClientError unless `given` is of the same listing."""
    if not given:
        return None
    try:
        raw = base64.urlsafe_b64decode(given + "=" * (-len(given) % 4))
        found = msgspec.json.decode(raw, type=_Token)
        if (found.operation, found.about) == (operation, about):
            return msgspec.convert(found.position, kind)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        pass
    raise ClientError(
        f"nextToken is not valid for this {operation} request.",
        "Give the nextToken of the answer before with the same other members, or leave it out.",
    )


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
