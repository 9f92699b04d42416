"""Images that are zipped applications: ``zip:`` and the address of an archive, which is run in a default image.

AWS has no such member; its "fetch and run" practice is the pattern (reference "Job definitions", `.zip` jobs).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

PREFIX = "zip:"
S3, FILE = "s3", "file"
SCHEMES = (S3, "https", "http", FILE)
APP = "/app"  # where a container finds it, as its working directory

_ADDRESSED = re.compile(r"zip:([A-Za-z][A-Za-z0-9+.-]*)://")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def address_of(image: str) -> str | None:
    """The address of the archive; None if the image is an ordinary one, such as `zip:latest`."""
    return image.removeprefix(PREFIX) if _ADDRESSED.match(image) else None


def fault(address: str) -> str | None:
    """What is wrong with an address, as the end of a sentence; None if it can be tried."""
    scheme, _, rest = address.partition("://")
    if _CONTROL.search(address):
        return "it holds control characters"
    if scheme not in SCHEMES:
        return f"its scheme is none of {', '.join(SCHEMES)}"
    if any(segment in (".", "..") for segment in unquote(rest).split("/")):
        return "it holds . or .. as a part"
    host, _, path = rest.partition("/")
    if not path or path.endswith("/"):
        return "it names no archive"
    if scheme == S3:
        return None if _BUCKET.fullmatch(host) else f"{host!r} cannot be a bucket"
    if not re.fullmatch(r"[!-~]+", address) or "\\" in address:
        return "it holds characters that must be percent-encoded"
    if scheme == FILE:
        return None if not host else "a file is on this machine: write file:/// and its path"
    return _web_fault(address)


def _web_fault(address: str) -> str | None:
    try:
        parts = urlsplit(address)
        if not parts.hostname or parts.port == 0:
            return "it names no host"
    except ValueError as error:
        return str(error)
    if parts.username is not None or parts.password is not None:
        return "user and password cannot be part of it"
    return "it holds a fragment" if parts.fragment else None


def fault_of_prefix(prefix: str) -> str | None:
    """Likewise of a prefix of addresses: a bucket, a server, a directory, or what is below one."""
    scheme, found, rest = prefix.partition("://")
    if not found or "?" in rest:
        return "it must begin with s3://, https://, http:// or file:/// and end where a part of the path ends"
    if scheme == FILE and not rest.strip("/"):
        return "it allows every file"
    return fault(f"{scheme}://{rest.rstrip('/')}/a")


def allowed(address: str, prefixes: Iterable[str]) -> bool:
    """Whether it begins with one of the prefixes and, after that, with a new part of the path: `https://host/apps`
    allows neither `https://host/apps-of-others` nor `https://host.evil`."""
    if fault(address) is not None:
        return False
    return any(
        address == prefix or address.startswith(prefix if prefix.endswith("/") else f"{prefix}/") for prefix in prefixes
    )


def bucket_and_key(address: str) -> tuple[str, str]:
    """Of an s3 address."""
    bucket, _, key = address.removeprefix("s3://").partition("/")
    return bucket, key


def file_path(address: str) -> str:
    """Of a file address, absolute."""
    return unquote(address.removeprefix("file://"))
