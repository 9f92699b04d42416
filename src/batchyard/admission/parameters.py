"""`Ref::name` placeholders in commands (reference "SubmitJob", section on parameters)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from batchyard.errors import ClientError

_REF = re.compile(r"Ref::([A-Za-z0-9_-]+)")


def refers(command: Iterable[str]) -> bool:
    """Whether any element holds a placeholder."""
    return any("Ref::" in element for element in command)


def substitute(command: Iterable[str], parameters: Mapping[str, str]) -> list[str]:
    """The command with every placeholder replaced, also inside a longer element.

    Text only: an element stays one element, and what was put in is not searched again. ClientError if a name has
    no parameter.
    """

    def value(match: re.Match[str]) -> str:
        found = parameters.get(match[1])
        if found is None:
            raise ClientError(f"Unable to substitute value. No parameter found for reference {match[1]}")
        return found

    return [_REF.sub(value, element) if "Ref::" in element else element for element in command]
