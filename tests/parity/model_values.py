"""Random values that botocore's model allows: a small strategy over its shapes, from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

ODD_STRINGS = (
    "",
    " ",
    "null",
    "é世界🎉",
    'a"b\\c',
    "a\nb\tc\r",
    "\x00\x7f",
    "a/b:c#d?e=f&g%20+",
    "</script>",
    "x" * 300,
    "1.0",
)
LETTERS = "abcXYZ019-_"
INT_BOUNDS = {"integer": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}

# One maker for each pattern of the generated operations; a new pattern fails loudly with a KeyError.
PATTERNS: dict[str, Callable[[random.Random, int], str]] = {
    r"^\d{12}$": lambda chance, size: "".join(chance.choices("0123456789", k=12)),
    r"[\w#+=/:,.@-]*": lambda chance, size: "".join(chance.choices("aZ09_#+=/:,.@-", k=size)),
    r"[\.\-_/#A-Za-z0-9]+": lambda chance, size: "".join(chance.choices("aZ09.-_/#", k=max(1, size))),
    r"[\.\-_/#A-Za-z0-9]*": lambda chance, size: "".join(chance.choices("aZ09.-_/#", k=size)),
    r"[\u0009\u000A\u000D\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD\u10000-\u10FFFF]+": (
        lambda chance, size: "".join(chance.choices("aZ09:/<&>\"' é世🎉\r\n\t", k=size))
    ),
    r"[^:*]*": lambda chance, size: "".join(chance.choices("aZ09 /é\"'\n[]", k=size)),
}


class Values:
    """Makes values for shapes; the same seed makes the same ones."""

    def __init__(self, seed: int | str):
        self.chance = random.Random(seed)

    def request(self, operation: OperationModel) -> dict[str, Any]:
        return self.of(operation.input_shape) if operation.input_shape else {}

    def answer(self, operation: OperationModel) -> dict[str, Any]:
        return self.of(operation.output_shape) if operation.output_shape else {}

    def of(self, shape: Shape, depth: int = 0) -> Any:
        if isinstance(shape, StructureShape):
            return self._structure(shape, depth)
        if isinstance(shape, ListShape):
            return [self.of(shape.member, depth + 1) for _ in range(self._size(shape, depth))]
        if isinstance(shape, MapShape):
            keys = (self.of(shape.key, depth + 1) for _ in range(self._size(shape, depth)))
            return {key: self.of(shape.value, depth + 1) for key in keys}
        return getattr(self, f"_{shape.type_name}")(shape)

    def _structure(self, shape: StructureShape, depth: int) -> dict[str, Any]:
        share = (0.8, 0.6, 0.5, 0.4)[min(depth, 3)] * self.chance.random() * 1.5
        chosen = {}
        for name, member in shape.members.items():
            located = member.serialization.get("location") == "uri"
            if located:
                chosen[name] = self._label()
            elif name in shape.required_members or self.chance.random() < share:
                chosen[name] = self.of(member, depth + 1)
        return chosen

    def _size(self, shape: Shape, depth: int) -> int:
        least, most = shape.metadata.get("min", 0), shape.metadata.get("max")
        size = max(least, self.chance.choice((0, 1, 1, 2, 3 if depth < 4 else 1)))
        return size if most is None else min(size, most)

    def _label(self) -> str:
        tail = self.chance.choice(
            ("job-queue/q", "job-definition/a:7", "job/x y", "job/é%2F", "job/a+b~c", "job/a#1", "x?y=z")
        )
        return f"arn:aws:batch:us-east-1:123456789012:{tail}"

    def _string(self, shape: Shape) -> str:
        least, most = shape.metadata.get("min", 0), shape.metadata.get("max")
        if shape.enum:
            return self.chance.choice(shape.enum)
        size = max(least, min(self.chance.randrange(12), most if most is not None else 12))
        if "pattern" in shape.metadata:
            return PATTERNS[shape.metadata["pattern"]](self.chance, size)
        if self.chance.random() < 0.3:
            odd = self.chance.choice(ODD_STRINGS)[: most if most is not None else 1000]
            if len(odd) >= least:
                return odd
        return "".join(self.chance.choices(LETTERS, k=size))

    def _whole(self, shape: Shape) -> int:
        least, most = INT_BOUNDS[shape.type_name]
        least, most = max(least, shape.metadata.get("min", least)), min(most, shape.metadata.get("max", most))
        near = [number for number in (0, 1, 7, 60, 10000) if least <= number <= most]
        return self.chance.choice([least, most, self.chance.randint(least, most), *near, *near])

    _integer = _long = _whole

    def _double(self, shape: Shape) -> float:
        return self.chance.choice([0.0, 1.0, 1, -2.5, 0.0001, 999.9999, self.chance.uniform(-1e300, 1e300), 5e-324])

    _float = _double

    def _boolean(self, shape: Shape) -> bool:
        return self.chance.random() < 0.5
