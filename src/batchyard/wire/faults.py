"""Errors as AWS's clients read them.

botocore takes the code from the header `x-amzn-errortype`, else from the body's `__type`, and the text from
`message`; without the header no typed handler fires (reference "Wire protocol and errors").
"""

from __future__ import annotations

import msgspec

from batchyard.errors import ApiError, ServerError
from batchyard.wire import query_xml
from batchyard.wire.json11 import CONTENT_TYPE as JSON11
from batchyard.wire.rest_json import MalformedBody

UNEXPECTED = "The server failed unexpectedly and has logged why under this request id."


def render(error: BaseException, service: str, request_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """(status, headers, body) of the error; content-length is left to whoever sends it.

    Anything but an ApiError is our own fault and is shown without its text.
    """
    if not isinstance(error, ApiError):
        error = ServerError(UNEXPECTED, f"Send the request again; if it fails again, report request {request_id}.")
    # A message may repeat what the caller sent, and that need not be Unicode that can be encoded.
    message = error.message.encode("utf-8", "replace").decode()
    headers = [(b"x-amzn-errortype", error.code.encode()), (b"x-amzn-requestid", request_id.encode())]
    if service == "sts":
        headers.append((b"content-type", query_xml.CONTENT_TYPE))
        return error.status, headers, query_xml.fault(error, message, request_id)
    body = {"message": message}
    # Logs always names the type in the body; Batch was seen to do so for malformed bodies only.
    if service == "logs" or isinstance(error, MalformedBody):
        body = {"__type": error.code, **body}
    headers.append((b"content-type", JSON11 if service == "logs" else b"application/json"))
    return error.status, headers, msgspec.json.encode(body)
