"""Every member of every operation, with every wrong type, and left out: botocore's model says what is wrong."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator

import botocore.session
import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape

from batchyard.api import logs
from batchyard.api.batch import OPERATIONS
from tests.harness.raw import Raw, receive

DEPTH = 6
# What a value of the kind must not be. null is left out: it is the same as absent.
WRONG = {
    "structure": ("x", 7, [{}], True),
    "list": ("x", 7, {"a": 1}, False),
    "map": ("x", 7, [["a", "b"]], True),
    "string": (7, 1.5, True, ["x"], {"a": "b"}),
    "integer": ("7", 1.5, True, [7], {"a": 7}, 2**31, -(2**63), 2**64, 10**400, 1e308),
    "long": ("7", 1.5, True, [7], {"a": 7}, 2**63, 2**64, 10**400, 1e308),
    "float": ("1.5", True, [1.5], {}),
    "double": ("1.5", True, [1.5], {}),
    "boolean": ("true", 1, 0.0, [True], {}),
}
# What a value may be by its type, and what no operation should fail at.
ODD = ("", "\0", "x" * 300, "9" * 5000, "-0", "NaN", "../..", "%00", "Ref::x", "*", "é" * 200, "\r\nX-A: b", "${jndi}")

MODELS = {name: botocore.session.get_session().get_service_model(name) for name in ("batch", "logs")}
ASKED = [("batch", name) for name in sorted(OPERATIONS)] + [("logs", name) for name in sorted(logs.OPERATIONS)]


def least(shape: Shape) -> object:
    """The smallest value that has the right types and all required members."""
    if isinstance(shape, StructureShape):
        return {name: least(shape.members[name]) for name in shape.required_members}
    if isinstance(shape, ListShape):
        return [least(shape.member)]
    if isinstance(shape, MapShape):
        return {"k": least(shape.value)}
    if shape.type_name == "string":
        return shape.enum[0] if shape.enum else "x"
    return False if shape.type_name == "boolean" else 1


def places(shape: Shape, path: tuple = ()) -> Iterator[tuple[tuple, Shape]]:
    """Every place in a body of this shape."""
    if len(path) >= DEPTH:
        return
    inner = {}
    if isinstance(shape, StructureShape):
        inner = {name: member for name, member in shape.members.items() if "location" not in member.serialization}
    elif isinstance(shape, ListShape):
        inner = {0: shape.member}
    elif isinstance(shape, MapShape):
        inner = {"k": shape.value}
    for name, member in inner.items():
        yield (*path, name), member
        yield from places(member, (*path, name))


def put(body: dict, root: Shape, path: tuple, value: object) -> dict:
    """A copy of `body` with `value` at `path`; what lies on the way is made with its required members."""
    body = copy.deepcopy(body)
    at, shape = body, root
    for name in path[:-1]:
        shape = shape.members[name] if isinstance(shape, StructureShape) else _inner(shape)
        if isinstance(at, dict):
            at.setdefault(name, least(shape))
        at = at[name]
    at[path[-1]] = value
    return body


def _inner(shape: Shape) -> Shape:
    return shape.member if isinstance(shape, ListShape) else shape.value


class Asker:
    """Sends one body after the other on one connection."""

    def __init__(self, site, service: str, operation: str):
        self.raw = Raw(site)
        model = MODELS[service].operation_model(operation)
        self.shape = model.input_shape
        self.service, self.method = service, model.http["method"]
        self.path = model.http["requestUri"].replace("{resourceArn}", "arn%3Aaws%3Abatch")
        self.headers = {"X-Amz-Target": f"Logs_20140328.{operation}"} if service == "logs" else None
        self.refusal = "InvalidParameterException" if service == "logs" else "ClientException"
        self.sock = self.raw.connect()

    def ask(self, body: dict):
        text = json.dumps(body).encode()
        self.sock.sendall(self.raw.signed(self.method, self.path, text, self.headers, self.service))
        answer = receive(self.sock)
        assert answer is not None, f"no answer to {text[:300]}"
        return answer


@pytest.fixture
def asker(site, request):
    asker = Asker(site, *request.param)
    yield asker
    asker.sock.close()


def each_operation(test):
    return pytest.mark.parametrize("asker", ASKED, indirect=True, ids=lambda asked: asked[1])(test)


@each_operation
def test_wrong_types_and_missing_members_are_refused_by_name(asker):
    if asker.method != "POST":
        return  # no body
    base = least(asker.shape)
    for path, shape in places(asker.shape):
        name = next(part for part in reversed(path) if isinstance(part, str))
        for value in WRONG[shape.type_name]:
            answer = asker.ask(put(base, asker.shape, path, value))
            assert (answer.status, answer.code) == (400, asker.refusal), f"{path}: {value!r:.50}: {answer}"
            message = json.loads(answer.body)["message"]
            assert name in message or "JSON" in message, f"{path}: {value!r:.50} is refused with {message}"
        if isinstance(shape, StructureShape):
            for member in shape.required_members:
                whole = least(shape)
                del whole[member]
                answer = asker.ask(put(base, asker.shape, path, whole))
                assert (answer.status, answer.code) == (400, asker.refusal), f"{path} without {member}: {answer}"
    for member in asker.shape.required_members:
        answer = asker.ask({name: value for name, value in base.items() if name != member})
        assert (answer.status, answer.code) == (400, asker.refusal), f"without {member}: {answer}"
        assert member in json.loads(answer.body)["message"]


@pytest.mark.long
@each_operation
def test_odd_values_are_never_our_fault(asker, site):
    base = least(asker.shape)
    for path, shape in places(asker.shape):
        values = {"string": ODD, "integer": (0, -1, 2**31 - 1), "long": (0, -1, 2**63 - 1)}.get(shape.type_name, ())
        for value in values:
            answer = asker.ask(put(base, asker.shape, path, value))
            assert answer.status in (200, 400), f"{path}: {value!r:.50}: {answer}"
            assert answer.status == 200 or answer.code
    assert "Traceback" not in site.log.read_text()
