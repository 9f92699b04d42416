"""A small client of AWS's services and of servers that speak like them: one signed POST, one answer.

Plain ``http.client``, so that what is sent and waited for is what stands here: no redirect is followed, no proxy and
no file of AWS's tools is read.
"""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree

from batchyard.access import sigv4

TIMEOUT_S = 5.0  # of connecting, and of the next bytes of an answer
ANSWER_S = 10.0  # in which it must be whole
TRIES, PAUSE_S = 3, 0.3
ANSWER_MAX = 1 << 20  # bytes
THROTTLED = frozenset(("ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded"))


class CallFailed(Exception):
    """No answer, or one that says no: `code` is AWS's, empty if there was none. The message is for people."""

    def __init__(self, message: str, code: str = "", may_succeed_later: bool = False):
        super().__init__(message)
        self.code = code
        self.may_succeed_later = may_succeed_later


class Credentials(NamedTuple):
    key_id: str
    secret: str
    token: str | None = None

    def __repr__(self) -> str:  # a secret does not belong into logs and tracebacks
        return f"Credentials(key_id={self.key_id!r})"


def from_environment(environ: Mapping[str, str]) -> Credentials | None:
    """The server's own credentials, as AWS's tools name them."""
    key_id, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    return Credentials(key_id, secret, environ.get("AWS_SESSION_TOKEN") or None) if key_id and secret else None


class Service(NamedTuple):
    """One service of a region at a URL, as its requests are signed."""

    url: str
    name: str  # in the scope of signatures
    region: str
    environ: Mapping[str, str] = os.environ  # has our credentials
    wall_s: Callable[[], float] = time.time

    def json(self, target: str, members: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of an operation that is named by X-Amz-Target. Raises CallFailed."""
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
        try:
            answer = json.loads(self._post(headers, json.dumps(members).encode(), _json_fault))
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise CallFailed(f"{self.place} answered with something else than a JSON object")
        return answer

    def form(self, members: Mapping[str, str]) -> dict[str, str]:
        """The answer of an operation of AWS Query: the text of each element, by its name. Raises CallFailed."""
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        return _elements(self._post(headers, urlencode(members).encode(), _xml_fault), self.place)

    @property
    def place(self) -> str:
        """Where it is, without a path, for messages."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    def _post(self, headers: Mapping[str, str], body: bytes, fault: Callable[[bytes], tuple[str, str]]) -> bytes:
        """What fails for a moment is tried again."""
        for tried in range(1, TRIES + 1):
            try:
                return self._post_once(headers, body, fault)
            except CallFailed as error:
                if not error.may_succeed_later or tried == TRIES:
                    raise
            time.sleep(PAUSE_S * tried)
        raise AssertionError("the last try raises or returns")

    def _post_once(self, headers: Mapping[str, str], body: bytes, fault: Callable[[bytes], tuple[str, str]]) -> bytes:
        parts = urlsplit(self.url)
        path = parts.path or "/"
        signed = self._signed({"Host": parts.netloc, **headers}, path, parts.query, body)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
        try:
            connection.request("POST", path + (f"?{parts.query}" if parts.query else ""), body, signed)
            answer = connection.getresponse()
            content = _whole(answer)
        except (OSError, http.client.HTTPException) as error:
            raise CallFailed(f"{self.place}: {_words(error)}", may_succeed_later=True) from None
        finally:
            connection.close()
        if content is None:
            raise CallFailed(f"{self.place}: its answer is larger than {ANSWER_MAX} bytes, or takes {ANSWER_S:g} s")
        if answer.status != 200:
            code, message = fault(content)
            later = answer.status >= 500 or code in THROTTLED
            raise CallFailed(f"{self.place}: {code or answer.status}: {message}"[:400].rstrip(": "), code, later)
        return content

    def _signed(self, headers: dict[str, str], path: str, query: str, body: bytes) -> dict[str, str]:
        known = from_environment(self.environ)
        if known is None:
            raise CallFailed(
                f"{self.place} is asked with signed requests, and AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not "
                "in the environment of the server"
            )
        if known.token:
            headers |= {"X-Amz-Security-Token": known.token}
        at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self.wall_s()))
        key = (known.key_id, known.secret, self.region, self.name)
        return headers | sigv4.sign("POST", path, query, headers, body, *key, at)


def _whole(answer: http.client.HTTPResponse) -> bytes | None:
    """The body; None if it is too large, or comes so slowly that it would hold up others."""
    content, until_s = bytearray(), time.monotonic() + ANSWER_S
    while piece := answer.read1(1 << 16):
        content += piece
        if len(content) > ANSWER_MAX or time.monotonic() > until_s:
            return None
    return bytes(content)


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _json_fault(content: bytes) -> tuple[str, str]:
    try:
        told = json.loads(content)
        code = str(told.get("__type", "")).rpartition("#")[2]
        return code, str(told.get("message") or told.get("Message") or "")
    except (ValueError, AttributeError):
        return "", ""


def _xml_fault(content: bytes) -> tuple[str, str]:
    try:
        told = _elements(content, "")
    except CallFailed:
        return "", ""
    return told.get("Code", ""), told.get("Message", "")


def _elements(content: bytes, place: str) -> dict[str, str]:
    """The text of each element that has some, by its name without namespace. Entities are none of AWS's business."""
    try:
        if b"<!" in content:
            raise ElementTree.ParseError
        tree = ElementTree.fromstring(content)
    except ElementTree.ParseError:
        raise CallFailed(f"{place} answered with something else than XML") from None
    return {each.tag.rpartition("}")[2]: each.text for each in tree.iter() if each.text}
