"""CloudWatch Logs' protocol, JSON 1.1: one path, the operation in X-Amz-Target, all members in the body."""

from __future__ import annotations

from batchyard.errors import InvalidParameter
from batchyard.wire import json_body
from batchyard.wire.shapes import Shape

CONTENT_TYPE = b"application/x-amz-json-1.1"


def decode(operation: str, body: bytes) -> Shape:
    """The operation's request, not yet validated. Raises InvalidParameter."""
    try:
        return json_body.decode(operation, body)
    except ValueError as error:
        raise InvalidParameter(str(error)) from None


def encode(operation: str, answer: Shape | None) -> bytes:
    """The body of a successful answer; None is an empty answer."""
    return json_body.encode(operation, answer)
