"""Who sent this request: the signature is checked, and the scope says for which region and service.

Any web page can post to loopback, so there is no request without a signature but the health check.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple, Protocol

from batchyard.access import sigv4
from batchyard.access.sigv4 import Authorization
from batchyard.errors import BadSignature, NotSigned, UnknownKey

SKEW_S = 15 * 60
SERVICES = frozenset({"batch", "logs", "sts", "x"})  # x: our own routes
_WITH_SDK = "Sign with an AWS SDK or the aws CLI."
ENV_STEP = 'Run `eval "$(batchyard env)"` to use this server\'s key.'

_REGION = re.compile(r"[a-z0-9-]{1,32}")
_AMZ_DATE = "%Y%m%dT%H%M%SZ"
_AMZ_DATE_FORM = re.compile(r"\d{8}T\d{6}Z", re.ASCII)


Headers = Mapping[str, Sequence[str]]  # by name, in lower case


class Directory(Protocol):
    """The access keys that may sign."""

    def secret(self, key_id: str) -> str | None:
        """The key's secret; None if there is no such key."""


class SignedRequest(NamedTuple):
    method: str
    raw_path: str  # percent-encoded, as received
    query: str  # raw, without the question mark
    headers: Sequence[tuple[bytes, bytes]]  # names in lower case, repeated ones in their order
    body: bytes


class Caller(NamedTuple):
    key_id: str
    region: str
    service: str


def authenticate(request: SignedRequest, directory: Directory, wall_s: float) -> Caller:
    """Who signed the request; `wall_s` is the time by the wall clock, in seconds since the epoch.

    Raises NotSigned (nothing that can be read as a signature), UnknownKey, or BadSignature.
    """
    headers = sigv4.by_name(
        [(name.decode("latin-1"), value.decode("utf-8", "surrogateescape")) for name, value in request.headers]
    )
    authorization = sigv4.parse_authorization(_only_authorization(headers, request.query))
    secret = directory.secret(authorization.key_id)
    if secret is None:
        raise UnknownKey(f"The access key {authorization.key_id} is not known here.", ENV_STEP)
    _check_scope(authorization)
    amz_date = _signed_time(headers, authorization)
    _check_time(amz_date, authorization.scope.date, wall_s)
    _check_signed_headers(headers, authorization)
    body_hash = sha256(request.body).hexdigest()
    _check_declared_hash(headers, body_hash)
    canonical = sigv4.canonical_request(
        request.method, request.raw_path, request.query, headers, authorization.signed_headers, body_hash
    )
    expected = sigv4.signature(
        secret, authorization.scope, sigv4.string_to_sign(amz_date, authorization.scope, canonical)
    )
    if not hmac.compare_digest(expected.encode(), authorization.signature.encode()):
        raise BadSignature(
            "The request signature we calculated does not match the signature you provided.",
            "Check the secret access key, and that nothing between client and server changes requests. " + ENV_STEP,
        )
    return Caller(authorization.key_id, authorization.scope.region, authorization.scope.service)


def _only_authorization(headers: Headers, query: str) -> str:
    found = headers.get("authorization", ())
    if len(found) == 1:
        return found[0]
    if found:
        raise NotSigned(f"The request has {len(found)} Authorization headers.", "Send one.")
    if "x-amz-signature=" in query.lower() or "x-amz-credential=" in query.lower():
        raise NotSigned(
            "Signatures in the query string (presigned URLs) are not accepted here.",
            "Sign in the Authorization header.",
        )
    raise NotSigned("The request is not signed: it has no Authorization header.", ENV_STEP)


def _check_scope(authorization: Authorization) -> None:
    _, region, service = authorization.scope
    if service not in SERVICES:
        raise BadSignature(
            f"The request is signed for the service {service!r}, which is not served here.",
            f"Sign for one of {', '.join(sorted(SERVICES))}.",
        )
    if not _REGION.fullmatch(region):
        raise BadSignature(
            f"The request is signed for {region!r}, which is no region.", "Sign for a region such as us-east-1."
        )


def _signed_time(headers: Headers, authorization: Authorization) -> str:
    """The signer's time as YYYYMMDDTHHMMSSZ: of X-Amz-Date, else of Date; whichever it is must be signed."""
    for wanted in ("x-amz-date", "date"):
        found = headers.get(wanted)
        if not found:
            continue
        if len(found) > 1 or wanted not in authorization.signed_headers:
            raise BadSignature(
                f"The header {wanted} is sent {len(found)} times, or is not among the signed headers.",
                "Send it once, and sign it.",
            )
        try:
            if wanted == "date":
                return parsedate_to_datetime(found[0].strip()).astimezone(UTC).strftime(_AMZ_DATE)
            amz_date = found[0].strip()
            _epoch_s(amz_date)
            return amz_date
        except (ValueError, OverflowError):
            raise NotSigned(f"The header {wanted} is not a time.", "Send X-Amz-Date as YYYYMMDDTHHMMSSZ.") from None
    raise NotSigned("The request has no X-Amz-Date header.", _WITH_SDK)


@lru_cache(maxsize=64)  # strptime costs as much as the signature, and the same second comes many times
def _epoch_s(amz_date: str) -> float:
    if not _AMZ_DATE_FORM.fullmatch(amz_date):
        raise ValueError(amz_date)
    return datetime.strptime(amz_date, _AMZ_DATE).replace(tzinfo=UTC).timestamp()


def _check_time(amz_date: str, scope_date: str, wall_s: float) -> None:
    if amz_date[:8] != scope_date:
        raise BadSignature(
            f"Date in Credential scope does not match X-Amz-Date: {scope_date} is not {amz_date[:8]}.", _WITH_SDK
        )
    sent_s = _epoch_s(amz_date)
    if abs(wall_s - sent_s) <= SKEW_S:
        return
    ours = datetime.fromtimestamp(wall_s, UTC).strftime(_AMZ_DATE)
    what = "Signature expired" if sent_s < wall_s else "Signature not yet current"
    raise BadSignature(
        f"{what}: the request was signed at {amz_date}, here it is {ours}, more than 15 minutes apart.",
        "Set the clock of the client or of the server.",
    )


def _check_signed_headers(headers: Headers, authorization: Authorization) -> None:
    """The host and every x-amz- header must be signed, or a replay could be sent elsewhere or mean something else."""
    signed = set(authorization.signed_headers)
    if len(signed) != len(authorization.signed_headers):
        raise BadSignature(f"SignedHeaders names a header twice: {';'.join(authorization.signed_headers)}.", _WITH_SDK)
    unsigned = [name for name in headers if name not in signed and name.startswith("x-amz-")]
    if "host" not in signed:
        unsigned.append("host")
    if unsigned:
        raise BadSignature(
            f"These headers must be signed and are not: {', '.join(sorted(unsigned))}.",
            "Name them in SignedHeaders; an SDK signs headers that are set before it signs.",
        )
    if missing := [name for name in signed if name not in headers]:
        raise BadSignature(
            f"SignedHeaders names headers that the request does not have: {', '.join(sorted(missing))}.",
            "Send what was signed; a proxy may have dropped them.",
        )


def _check_declared_hash(headers: Headers, body_hash: str) -> None:
    for value in headers.get("x-amz-content-sha256", ()):
        if value == body_hash:
            continue
        if value == "UNSIGNED-PAYLOAD" or value.startswith("STREAMING-"):
            raise BadSignature(
                f"X-Amz-Content-SHA256 is {value[:64]}, and the body must be signed.", "Set it to the body's SHA-256."
            )
        raise BadSignature(
            f"X-Amz-Content-SHA256 is {value[:64]!r}, the SHA-256 of the body that arrived is {body_hash}.",
            "Sign the body that is sent.",
        )
