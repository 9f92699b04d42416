"""`Ref::name` placeholders in commands (reference "SubmitJob", section on parameters)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from batchyard.errors import ClientError

# A definition may name a parameter thousands of times: without a bound, 50 KiB of requests become a command of
# 100 MiB. Linux gives a process no longer argument than this.
PUT_IN_MAX = 128 * 1024  # characters of all values together

_REF = re.compile(r"Ref::([A-Za-z0-9_-]+)")


def refers(command: Iterable[str]) -> bool:
    """Whether any element holds a placeholder."""
    return any("Ref::" in element for element in command)


def substitute(command: Iterable[str], parameters: Mapping[str, str]) -> list[str]:
    """The command with every placeholder replaced, also inside a longer element.

    Text only: an element stays one element, and what was put in is not searched again. ClientError if a name has
    no parameter, or if the values together are longer than PUT_IN_MAX.
    """
    room = PUT_IN_MAX

    def value(match: re.Match[str]) -> str:
        nonlocal room
        found = parameters.get(match[1])
        if found is None:
            raise ClientError(f"Unable to substitute value. No parameter found for reference {match[1]}")
        room -= len(found)
        if room < 0:
            raise ClientError(
                f"The parameters put into the command are longer than {PUT_IN_MAX} characters together.",
                "Give the job a file that holds the values, or set them as environment variables.",
            )
        return found

    return [_REF.sub(value, element) if "Ref::" in element else element for element in command]
