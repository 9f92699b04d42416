"""The files that steps leave for one another, in one directory that all jobs share."""

from __future__ import annotations

import json
from array import array
from pathlib import Path
from typing import Any

PICTURE, PREVIEW, FIGURES = "jacksboro-fault.png", "preview.ppm", "figures.txt"


class Folder:
    """Reads and writes them by name. A file is there whole or not at all, whenever its writer is killed."""

    def __init__(self, path: Path):
        self.path = path

    def write(self, name: str, content: bytes) -> None:
        """Leave a file; another one of that name is replaced."""
        unfinished = self.path / f".{name}.part"  # one attempt of a job at a time, so nobody else has it
        unfinished.write_bytes(content)
        unfinished.replace(self.path / name)

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def write_numbers(self, name: str, numbers: array) -> None:
        self.write(name, numbers.tobytes())

    def read_numbers(self, name: str, kind: str) -> array:
        """What `write_numbers` left; `kind` is the array's type code."""
        numbers = array(kind)
        numbers.frombytes(self.read(name))
        return numbers

    def write_facts(self, name: str, facts: Any) -> None:
        self.write(name, json.dumps(facts).encode())

    def read_facts(self, name: str) -> Any:
        return json.loads(self.read(name))
