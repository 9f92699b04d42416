"""Which operation a request means, judged by its method, its raw path and, at the path `/`, how the operation is named:
in the target header (Logs) or in the form of the body (STS).

The path must be the percent-encoded one: a resource ARN in `/v1/tags/{resourceArn}` holds slashes, and a path that
was decoded first has lost its borders (reference "Wire protocol and errors").
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote

from batchyard.errors import UnknownOperation
from batchyard.wire.shapes import OPERATIONS

LOGS_TARGET = "Logs_20140328."
TAGS_PATH = "/v1/tags/"
ECHO_MAX = 200  # characters of the caller's path or target that an error repeats


class Route(NamedTuple):
    """`service` is batch, logs, sts or extra (our own routes, whose operation is the path)."""

    service: str
    operation: str
    path_args: dict[str, str]


def _fixed_paths() -> dict[tuple[str, str], Route]:
    return {
        (each.method, each.path): Route("batch", name, {})
        for name, each in OPERATIONS.items()
        if each.service == "batch" and not each.uri
    }


_FIXED = _fixed_paths()
_FIXED_PATHS = {path for _, path in _FIXED}
_TAGS = {each.method: name for name, each in OPERATIONS.items() if each.uri == ("resourceArn",)}
_LOGS = {LOGS_TARGET + name: Route("logs", name, {}) for name, each in OPERATIONS.items() if each.service == "logs"}
_STS = {name: Route("sts", name, {}) for name, each in OPERATIONS.items() if each.service == "sts"}


def route(method: str, raw_path: str, target: str | None, action: str | None = None) -> Route:
    """The operation that is meant; `raw_path` without the query string, `target` the X-Amz-Target header, `action` what
    the body's form calls so.

    Raises UnknownOperation, naming method and path.
    """
    fixed = _FIXED.get((method, raw_path))
    if fixed is not None:
        return fixed
    if raw_path.startswith(TAGS_PATH) and method in _TAGS:
        # Some clients and proxies send the ARN's slashes and colons as they are.
        return Route("batch", _TAGS[method], {"resourceArn": unquote(raw_path[len(TAGS_PATH) :])})
    if raw_path == "/" and method == "POST" and target is not None:
        found = _LOGS.get(target)
        if found is None:
            raise UnknownOperation(
                f"There is no operation {_short(target)}.", f"Targets served here: {', '.join(sorted(_LOGS))}."
            )
        return found
    if raw_path == "/" and method == "POST" and action is not None:
        found = _STS.get(action)
        if found is None:
            raise UnknownOperation(
                f"There is no operation {_short(action)}.", f"Actions served here: {', '.join(sorted(_STS))}."
            )
        return found
    if raw_path.startswith("/x/") or raw_path == "/metrics":
        return Route("extra", raw_path, {})
    raise _unknown(method, raw_path)


def _unknown(method: str, raw_path: str) -> UnknownOperation:
    if raw_path in _FIXED_PATHS:
        step = "Send it with POST."
    elif raw_path.startswith(TAGS_PATH):
        step = f"Tags are served with {', '.join(sorted(_TAGS))}."
    else:
        step = "Paths are /v1/ and an operation's name in lower case, such as POST /v1/submitjob."
    return UnknownOperation(f"There is no operation {_short(method)} {_short(raw_path)}.", step)


def _short(text: str) -> str:
    return text if len(text) <= ECHO_MAX else text[:ECHO_MAX] + "..."
