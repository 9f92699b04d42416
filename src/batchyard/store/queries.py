"""The loader of named SQL: ``sql/queries/<noun>.sql`` holds statements, each with a name and a sentence."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from types import SimpleNamespace

_NAMED = re.compile(r"^-- name: (?P<name>[a-z_]+)\n(?P<sentence>(?:-- [^\n]+\n)+)(?P<sql>.+?;)[ \t]*\n", re.M | re.S)


def text(path: str) -> str:
    """The text of a file below ``store/sql``."""
    return files("batchyard.store").joinpath("sql", *path.split("/")).read_text(encoding="utf-8")


@cache
def queries(noun: str) -> SimpleNamespace:
    """The statements of one file as attributes. ValueError for one without a sentence, or with a name used twice."""
    source = text(f"queries/{noun}.sql")
    found = {match["name"]: match["sql"].strip() for match in _NAMED.finditer(source)}
    if len(found) != source.count("-- name:"):
        raise ValueError(f"queries/{noun}.sql: every statement needs a name of its own, a sentence and a semicolon")
    return SimpleNamespace(**found)
