"""JSON bodies to typed requests, typed answers to JSON bodies; shared by ``rest_json.py`` and ``json11.py``.

What is lenient here: unknown members are ignored, null is the same as absent, 3.0 is a whole number. What is not:
every other difference from the model's types is refused with the member's path.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import msgspec

from batchyard.wire.shapes import OPERATIONS, Shape

PARSING = "An error occurred during JSON parsing"

_WORDS = {
    "int": "an integer",
    "float": "a number",
    "str": "a string",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_PATH = re.compile(r"^(.*) - at `\$\.?(.*)`$", re.DOTALL)
_EXPECTED = re.compile(r"^Expected `([\w| ]+)`, got `(\w+)`$")
_BOUND = re.compile(r"^Expected `(?:int|float)` (<=|>=) (-?\d+)$")
_encoder = msgspec.json.Encoder()


@cache
def _decoder(operation: str) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(OPERATIONS[operation].request)


def decode(operation: str, body: bytes) -> Shape:
    """The operation's request; an empty body is an empty object. Raises ValueError whose text is for the caller."""
    if not body:
        return OPERATIONS[operation].request()
    try:
        try:
            return _decoder(operation).decode(body)
        except msgspec.ValidationError:
            plain = _tidy(msgspec.json.decode(body))
            return msgspec.convert({} if plain is None else plain, OPERATIONS[operation].request)
    except msgspec.ValidationError as error:
        raise ValueError(f"{PARSING}: {_reworded(str(error))}") from None
    except RecursionError:
        raise ValueError(f"{PARSING}: the body is nested too deeply. Send a flatter one.") from None
    except ValueError as error:
        raise ValueError(f"{PARSING}: the body is not JSON in UTF-8 ({error}). Send one JSON object.") from None


def encode(operation: str, answer: Shape | None) -> bytes:
    """The answer's JSON; None is an empty answer. Members that are UNSET or None do not appear."""
    expected = OPERATIONS[operation].answer
    if answer is None:
        answer = expected()
    if not isinstance(answer, expected):
        raise TypeError(f"{operation} answers with {expected.__name__}, not {type(answer).__name__}")
    body = _encoder.encode(answer)
    if b":null" in body:  # or the same characters in some text, which costs time but changes nothing
        body = _encoder.encode(_tidy(msgspec.json.decode(body)))
    return body


def _tidy(value: Any) -> Any:
    """The value without members that are null, and with whole numbers as integers."""
    if isinstance(value, dict):
        return {name: _tidy(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_tidy(each) for each in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _reworded(message: str) -> str:
    """msgspec's message with the member's path first, in JSON's words."""
    located = _PATH.match(message)
    problem, where = (located[1], located[2]) if located else (message, "")
    where = where.replace("[...]", ".*").lstrip(".") or "the body"
    expected, bound = _EXPECTED.match(problem), _BOUND.match(problem)
    if expected:
        wanted = " or ".join(_WORDS.get(each, each) for each in expected[1].split(" | "))
        return f"{where} must be {wanted}, got {_WORDS.get(expected[2], expected[2])}."
    if bound:
        return f"{where} must be an integer {bound[1]} {bound[2]}."
    return f"{where}: {problem}."
