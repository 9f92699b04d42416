"""What the model says about values: required members, enumerations, lengths, ranges, patterns.

Rules that need to know more than one member, or the store, are `admission`'s and `api`'s; they also hold the texts
that are special to one noun. Here the texts are the general ones: `<path> is required.` for Batch (reference "Wire
protocol and errors"), and for Logs AWS's `1 validation error detected`.

The checks of a shape are compiled at its first use into plain closures, so that a SubmitJob costs microseconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

from msgspec import UNSET

from batchyard.errors import ApiError, ClientError, InvalidParameter
from batchyard.wire import shapes
from batchyard.wire.shapes import OPERATIONS, Shape

ECHO_MAX = 100  # characters of the caller's value that an error repeats

# Enumerations for which the service's own text is known (reference "Error message catalogue").
KNOWN_TEXTS = {
    "PlatformCapability": "Capability {value} is not valid. Valid capabilities: [FARGATE, EC2, MANAGED_INSTANCES]",
    "JobStateTimeLimitActionsAction": "Invalid job action. Valid job actions: [CANCEL, TERMINATE]",
    "QuotaShareIdleResourceAssignmentStrategy": "Idle resource assignment strategy must be one of [FIFO].",
}


class Violation(Exception):
    """A value that the model does not allow; `path` grows while the error climbs out of the request."""

    def __init__(self, value: Any, batch: str, logs: str):
        self.value = value
        self.batch = batch  # with {path} and {value}
        self.logs = logs  # what the member must satisfy, in AWS's general wording
        self.path = ""

    def within(self, name: str) -> Violation:
        joint = "." if self.path and not self.path.startswith("[") else ""
        self.path = name + joint + self.path
        return self

    def fault(self, service: str) -> ApiError:
        value = str(self.value)
        value = value if len(value) <= ECHO_MAX else value[:ECHO_MAX] + "..."
        if service == "logs":
            shown = "null" if self.value is UNSET else f"'{value}'"
            return InvalidParameter(
                f"1 validation error detected: Value {shown} at '{self.path}' failed to satisfy constraint: {self.logs}"
            )
        return ClientError(self.batch.replace("{path}", self.path).replace("{value}", value))


Check = Callable[[Any], None]  # raises Violation


class Member(NamedTuple):
    name: str
    required: bool
    check: Check | None


def check(operation: str, request: Shape) -> None:
    """Raise ClientError (Batch) or InvalidParameter (Logs) for the first member that the model does not allow."""
    checked = _structure(type(request).__name__)
    try:
        checked(request)
    except Violation as violation:
        raise violation.fault(OPERATIONS[operation].service) from None


@cache
def _structure(shape: str) -> Check:
    required = shapes.REQUIRED.get(shape, ())
    held = shapes.MEMBERS.get(shape, {})
    members = [
        Member(name, name in required, _of(held[name]) if name in held else None)
        for name in dict.fromkeys((*required, *held))
    ]
    return partial(_check_members, members)


def _check_members(members: list[Member], value: Any) -> None:
    for name, required, check_value in members:
        given = getattr(value, name)
        if given is UNSET:
            if required:
                raise Violation(UNSET, "{path} is required.", "Member must not be null").within(name)
        elif check_value is not None:
            try:
                check_value(given)
            except Violation as violation:
                raise violation.within(name) from None


@cache
def _of(shape: str) -> Check:
    """The check of a member's value by the name of its shape."""
    if shape in shapes.REQUIRED or shape in shapes.MEMBERS:
        # A structure may hold itself, so its members are looked up only when a value arrives.
        return lambda value: _structure(shape)(value)
    checks = [make(shape) for table, make in _MAKERS if shape in table]
    if len(checks) == 1:
        return checks[0]

    def all_of(value: Any) -> None:
        for each in checks:
            each(value)

    return all_of


def _items(shape: str) -> Check:
    of = {role: _of(child) for role, child in shapes.ITEMS[shape].items()}
    if "member" in of:
        return partial(_check_list, of["member"])
    return partial(_check_map, of.get("key"), of.get("value"))


def _check_list(check_item: Check, values: list[Any]) -> None:
    for index, value in enumerate(values):
        try:
            check_item(value)
        except Violation as violation:
            raise violation.within(f"[{index}]") from None


def _check_map(check_key: Check | None, check_value: Check | None, values: dict[str, Any]) -> None:
    for key, value in values.items():
        try:
            if check_key is not None:
                check_key(key)
            if check_value is not None:
                check_value(value)
        except Violation as violation:
            raise violation.within(f"['{key[:ECHO_MAX]}']") from None


def _enumeration(shape: str) -> Check:
    allowed = shapes.ENUMS[shape]
    any_case = shape in shapes.ANY_CASE
    choices = ", ".join(allowed)
    batch = KNOWN_TEXTS.get(shape, "{path} must be one of " + choices + ", got {value}.")
    logs = f"Member must satisfy enum value set: [{choices}]"

    def check_choice(value: str) -> None:
        if value not in allowed and not (any_case and value.upper() in allowed):
            raise Violation(value, batch, logs)

    return check_choice


def _length(shape: str) -> Check:
    least, most = shapes.LENGTHS[shape]

    def check_length(value: Any) -> None:
        size = len(value)
        if size >= least and (most is None or size <= most):
            return
        unit = "characters" if isinstance(value, str) else "entries"
        bound = f"at least {least}" if size < least else f"at most {most}"
        relation = "greater" if size < least else "less"
        logs = f"Member must have length {relation} than or equal to {least if size < least else most}"
        raise Violation(value, f"{{path}} must have {bound} {unit}, got {size}.", logs)

    return check_length


def _range(shape: str) -> Check:
    least, most = shapes.RANGES[shape]

    def check_range(value: float) -> None:
        if value < least:
            logs = f"Member must have value greater than or equal to {least}"
            raise Violation(value, f"{{path}} must be at least {least}, got {{value}}.", logs)
        if most is not None and value > most:
            logs = f"Member must have value less than or equal to {most}"
            raise Violation(value, f"{{path}} must be at most {most}, got {{value}}.", logs)

    return check_range


def _pattern(shape: str) -> Check:
    expression = shapes.PATTERNS[shape]
    whole = re.compile(expression, re.ASCII).fullmatch

    def check_pattern(value: str) -> None:
        if whole(value) is None:
            logs = f"Member must satisfy regular expression pattern: {expression}"
            raise Violation(value, "{path} must match the pattern " + expression + ", got {value}.", logs)

    return check_pattern


_MAKERS: tuple[tuple[dict[str, Any], Callable[[str], Check]], ...] = (
    (shapes.ENUMS, _enumeration),
    (shapes.LENGTHS, _length),
    (shapes.RANGES, _range),
    (shapes.PATTERNS, _pattern),
    (shapes.ITEMS, _items),
)
