"""AWS Batch's protocol, REST-JSON: members in the body, in the path and in the query string."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from batchyard.errors import ClientError
from batchyard.wire import json_body
from batchyard.wire.shapes import OPERATIONS, Shape


class MalformedBody(ClientError):
    """The body is not JSON, or a member has the wrong type."""


def decode(operation: str, body: bytes, path_args: Mapping[str, str], query: str) -> Shape:
    """The operation's request, not yet validated; `query` is raw, without the question mark. Raises MalformedBody."""
    about = OPERATIONS[operation]
    if about.method == "POST":
        try:
            request = json_body.decode(operation, body)
        except ValueError as error:
            raise MalformedBody(str(error)) from None
    else:
        request = about.request()
    for member in about.uri:
        if path_args.get(member):
            setattr(request, member, path_args[member])
    if about.query and query:
        _from_query(request, about.query, query)
    return request


def _from_query(request: Shape, located: tuple[tuple[str, str, bool], ...], query: str) -> None:
    given: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        given.setdefault(name, []).append(value)
    for member, name, is_list in located:
        if name in given:
            setattr(request, member, given[name] if is_list else given[name][-1])


def encode(operation: str, answer: Shape | None) -> bytes:
    """The body of a successful answer; None is an empty answer."""
    return json_body.encode(operation, answer)
