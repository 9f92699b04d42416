"""Looking after what is stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol


class Finding(NamedTuple):
    """What one check of the stored data says; `word` is ok or broken, `remedy` the next step where it is broken."""

    name: str
    word: str
    sentence: str
    remedy: str | None = None


class Archive(Protocol):
    """A backup, to be read once and closed."""

    size: int  # bytes in all

    def chunks(self) -> Iterator[bytes]:
        """All of it, piece by piece. Blocking."""

    def close(self) -> None: ...


class InstanceTypes(Protocol):
    """The catalogue of instance types that is in force."""

    def text(self) -> tuple[str, bool]:
        """The file as it is, and whether it is the operator's own."""

    def replace(self, text: str | None) -> dict[str, list[str]]:
        """Have this file from now on, or (None) that which comes with Batchyard: the names of types that were `added`,
        `removed` and `altered`. ClientError for what is no catalogue; nothing is changed then. Blocking."""


class Upkeep(Protocol):
    """Backups and checks of all files, beside the writers. Everything here blocks: for a thread, not for a loop."""

    def backup(self) -> Archive:
        """What is stored now. Unavailable if there is no room for it, or if one is being taken already."""

    def check(self) -> Iterator[Finding]:
        """Check after check, each when it is done. Unavailable if somebody else is checking."""
