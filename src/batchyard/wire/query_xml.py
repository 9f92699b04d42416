"""STS's protocol, AWS Query: a form in the body names the operation, answers and errors are XML.

Only what the operations served here need: requests without members, answers that are flat lists of texts. A shape
that is more than that is refused loudly, here and not at the client.
"""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

from batchyard.errors import ApiError
from batchyard.wire.shapes import OPERATIONS, UNSET, Shape

FORM = b"application/x-www-form-urlencoded"
CONTENT_TYPE = b"text/xml"
NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"

# The Query protocol's names of errors that the JSON protocols call otherwise; clients of STS know these.
CODES = {
    "AccessDeniedException": "AccessDenied",
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "MissingAuthenticationTokenException": "MissingAuthenticationToken",
    "ServerException": "InternalFailure",
    "ServiceUnavailableException": "ServiceUnavailable",
    "UnknownOperationException": "InvalidAction",
    "UnrecognizedClientException": "InvalidClientTokenId",
}

CARRIAGE_RETURN = "\r"
_ACTION = re.compile(rb"(?:^|&)Action=([A-Za-z0-9]{1,128})(?=&|$)")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def action(body: bytes) -> str | None:
    """The operation that a form names; None for any other body."""
    found = _ACTION.search(body)
    return found and found[1].decode()


def decode(operation: str, body: bytes) -> Shape:
    """The operation's request; what the form holds beside its name and version is ignored, as unknown members are."""
    request = OPERATIONS[operation].request
    if request.__struct_fields__:
        raise TypeError(f"{operation} has members, and wire/query_xml.py does not read any yet")
    return request()


def encode(operation: str, answer: Shape | None, request_id: str) -> bytes:
    """The body of a successful answer."""
    members = []
    for name in OPERATIONS[operation].answer.__struct_fields__:
        value = getattr(answer, name, UNSET)
        if value is not UNSET:
            members.append(_element(name, value))
    result = f"<{operation}Result>{''.join(members)}</{operation}Result>"
    about = f"<ResponseMetadata>{_element('RequestId', request_id)}</ResponseMetadata>"
    return f'<{operation}Response xmlns="{NAMESPACE}">{result}{about}</{operation}Response>'.encode()


def fault(error: ApiError, message: str, request_id: str) -> bytes:
    """The body of an error."""
    whose = "Sender" if error.status < 500 else "Receiver"
    members = [("Type", whose), ("Code", CODES.get(error.code, error.code)), ("Message", message)]
    told = "".join(_element(name, value) for name, value in members)
    return (
        f'<ErrorResponse xmlns="{NAMESPACE}"><Error>{told}</Error>{_element("RequestId", request_id)}</ErrorResponse>'
    ).encode()


def _element(name: str, value: str) -> str:
    """Text that XML cannot hold becomes question marks; a bare carriage return would be read as a line feed."""
    return f"<{name}>{escape(_NOT_XML.sub('?', value), {CARRIAGE_RETURN: '&#13;'})}</{name}>"
