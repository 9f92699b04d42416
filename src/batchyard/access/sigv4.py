"""Signature Version 4: the arithmetic of AWS's request signing, for the server and for our own clients.

Checked against botocore's signer, whose choices are followed: the path is encoded once more than it is sent (as all
services but S3 do) and loses empty and dot segments; the query string is sorted as it stands.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote

from batchyard.errors import NotSigned

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"

# Set or changed by HTTP libraries and proxies after signing.
NEVER_SIGNED = frozenset(
    (
        *("authorization", "baggage", "connection", "expect", "keep-alive", "proxy-authenticate"),
        *("proxy-authorization", "te", "traceparent", "tracestate", "trailer", "transfer-encoding", "upgrade"),
        *("user-agent", "x-amzn-trace-id"),
    )
)

_CREDENTIAL = re.compile(r"([\w.+-]{1,128})/(\d{8})/([\w-]{1,64})/([\w-]{1,64})/aws4_request", re.ASCII)
_SIGNED_HEADERS = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+(;[!#$%&'*+.^_`|~0-9a-z-]+)*")
_SIGNATURE = re.compile(r"\s*=\s*([0-9a-f]{64})\s*(?=,|$)")


class Scope(NamedTuple):
    date: str  # YYYYMMDD
    region: str
    service: str

    def __str__(self) -> str:
        return "/".join((*self, TERMINATOR))


class Authorization(NamedTuple):
    """An Authorization header taken apart."""

    key_id: str
    scope: Scope
    signed_headers: tuple[str, ...]
    signature: str

    def __repr__(self) -> str:  # a signature does not belong into logs and tracebacks
        return f"Authorization(key_id={self.key_id!r}, scope={str(self.scope)!r})"


def parse_authorization(header: str) -> Authorization:
    """Raises NotSigned, naming the part that cannot be read and never repeating its value."""
    before, _, after = header.rpartition("Signature")
    found = _SIGNATURE.match(after) if before.endswith((" ", ",", "\t")) else None
    if found is None:
        _parse_all_but_signature(header)  # what is wrong before the signature is told first
        raise _unreadable("Signature=64 hexadecimal digits")
    # The rest is the same for all requests that one signer sends on one day.
    return Authorization(*_parse_all_but_signature(before + after[found.end() :]), found[1])


@lru_cache(maxsize=256)
def _parse_all_but_signature(header: str) -> tuple[str, Scope, tuple[str, ...]]:
    algorithm, _, rest = header.strip().partition(" ")
    if algorithm != ALGORITHM:
        raise NotSigned(
            "The Authorization header is not of Signature Version 4.",
            f"Sign with {ALGORITHM}, as boto3 and the aws CLI do.",
        )
    parts = {name.strip(): value.strip() for name, _, value in (part.partition("=") for part in rest.split(","))}
    key_id, scope = _credential(parts.get("Credential", ""))
    return key_id, scope, _signed_headers(parts.get("SignedHeaders", ""))


def _credential(text: str) -> tuple[str, Scope]:
    found = _CREDENTIAL.fullmatch(text)
    if found is None:
        raise _unreadable("Credential=KEY/YYYYMMDD/REGION/SERVICE/aws4_request")
    key_id, date, region, service = found.groups()
    return key_id, Scope(date, region, service)


def _signed_headers(text: str) -> tuple[str, ...]:
    if not _SIGNED_HEADERS.fullmatch(text):
        raise _unreadable("SignedHeaders=lower-case;names")
    return tuple(text.split(";"))


def _unreadable(part: str) -> NotSigned:
    return NotSigned(f"The Authorization header has no readable {part}.", "Sign with an AWS SDK or the aws CLI.")


@lru_cache(maxsize=256)
def canonical_path(raw_path: str) -> str:
    """The path as it is signed, from the percent-encoded path as it is sent."""
    kept: list[str] = []
    for segment in raw_path.split("/"):
        if segment == "..":
            if kept:
                kept.pop()
        elif segment and segment != ".":
            kept.append(segment)
    path = "/" + "/".join(kept) + ("/" if kept and raw_path.endswith("/") else "")
    return quote(path, safe="/~", errors="surrogateescape")


def canonical_query(query: str) -> str:
    """The raw query string with its parameters sorted, each with an equals sign."""
    if not query:
        return ""
    pairs = sorted((name, value) for name, _, value in (each.partition("=") for each in query.split("&")))
    return "&".join(f"{name}={value}" for name, value in pairs)


def by_name(headers: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The values of each header, in their order."""
    values: dict[str, list[str]] = {}
    for name, value in headers:
        if name in values:
            values[name].append(value)
        else:
            values[name] = [value]
    return values


def canonical_request(
    method: str,
    raw_path: str,
    query: str,
    headers: Mapping[str, Sequence[str]],
    signed: Iterable[str],
    body_hash: str,
    encode_again: bool = True,
) -> str:
    """`headers` as of ``by_name``, in lower case; only the `signed` ones count, and all of those must be there.

    S3 signs paths as they are sent: then `encode_again` is False.
    """
    names = sorted(signed)
    lines = [method, canonical_path(raw_path) if encode_again else raw_path, canonical_query(query)]
    for name in names:
        values = headers[name]
        lines.append(f"{name}:{','.join([' '.join(value.split()) for value in values])}")
    lines += ("", ";".join(names), body_hash)
    return "\n".join(lines)


def string_to_sign(amz_date: str, scope: Scope, canonical: str) -> str:
    """`amz_date` as YYYYMMDDTHHMMSSZ."""
    # Bytes of a header that are not UTF-8 travel as surrogates and come out as they came in.
    digest = sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{ALGORITHM}\n{amz_date}\n{scope}\n{digest}"


@lru_cache(maxsize=256)
def signing_key(secret: str, scope: Scope) -> hmac.HMAC:
    """The key of one day, region and service, ready to be copied and fed: to make it is most of a signature's cost."""
    key = f"AWS4{secret}".encode()
    for part in (*scope, TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, digestmod="sha256")


def signature(secret: str, scope: Scope, to_sign: str) -> str:
    """64 hexadecimal digits."""
    digest = signing_key(secret, scope).copy()
    digest.update(to_sign.encode())
    return digest.hexdigest()


def sign(
    method: str,
    raw_path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
    key_id: str,
    secret: str,
    region: str,
    service: str,
    amz_date: str,
    encode_again: bool = True,
) -> dict[str, str]:
    """The headers to add to a request, in any case of names: `X-Amz-Date` and `Authorization`.

    `headers` are those that will be sent; `Host` must be among them. `raw_path` is percent-encoded, `query` has no
    question mark and `amz_date` is the time now as YYYYMMDDTHHMMSSZ, in UTC. S3 has paths signed as they are sent
    (`encode_again` False), and wants the header `X-Amz-Content-Sha256`.
    """
    sent = [(name.lower(), value) for name, value in headers.items() if name.lower() not in NEVER_SIGNED]
    sent = [(name, value) for name, value in sent if name != "x-amz-date"] + [("x-amz-date", amz_date)]
    names = sorted({name for name, _ in sent})
    if "host" not in names:
        raise ValueError("the Host header must be signed: pass it in headers")
    scope = Scope(amz_date[:8], region, service)
    canonical = canonical_request(method, raw_path, query, by_name(sent), names, sha256(body).hexdigest(), encode_again)
    signed = signature(secret, scope, string_to_sign(amz_date, scope, canonical))
    credential = f"{key_id}/{scope}"
    header = f"{ALGORITHM} Credential={credential}, SignedHeaders={';'.join(names)}, Signature={signed}"
    return {"X-Amz-Date": amz_date, "Authorization": header}
