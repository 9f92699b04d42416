"""The catalogue that is in force: the operator's file in the data directory, or the one that comes with Batchyard.

One process writes the file, the api. What is put there is checked as a whole before, and takes effect for what is
resolved from then on.
"""

from __future__ import annotations

import os
from pathlib import Path

from batchyard.catalogue import reader
from batchyard.catalogue.reader import Catalogue, CatalogueError
from batchyard.errors import ClientError, Unavailable

FILE = "catalogue.csv"  # in the data directory: the operator's own


class Keeper:
    """``ports.upkeep.InstanceTypes``."""

    def __init__(self, data: Path):
        self._own = data / FILE
        self._current: Catalogue | None = None

    def current(self) -> Catalogue:
        """Raises Unavailable if the operator's file was changed by hand into something else."""
        if self._current is None:
            try:
                self._current = reader.parse(self._own.read_text()) if self._own.exists() else reader.built_in()
            except (CatalogueError, UnicodeDecodeError, OSError) as error:
                raise Unavailable(
                    f"{FILE} in the data directory is no catalogue of instance types: {error}.",
                    "Put a good one there with batchyard admin catalogue FILE, or have ours with --default.",
                ) from None
        return self._current

    def text(self) -> tuple[str, bool]:
        """The file as it is, and whether it is the operator's own."""
        own = self._own.exists()
        return (self._own.read_text(errors="replace") if own else reader.built_in_text()), own

    def replace(self, text: str | None) -> dict[str, list[str]]:
        """Have this file from now on, or (None) ours: the names of types that were `added`, `removed` and `altered`.

        On disk when this returns. ClientError for what is no catalogue; nothing is changed then.
        """
        try:
            new = reader.built_in() if text is None else reader.parse(text)
        except CatalogueError as error:
            raise ClientError(
                f"The file is no catalogue of instance types: {error}.",
                "Nothing was changed; correct it.",
            ) from None
        before = self._known()
        try:
            self._own.unlink(missing_ok=True) if text is None else self._write(text)
            _sync(self._own.parent)
        except OSError as error:
            raise Unavailable(
                f"{FILE} cannot be written: {error.strerror}.", "Make room, and try again; the old one holds."
            ) from error
        self._current = new
        return _difference(before, new)

    def _known(self) -> Catalogue | None:
        try:
            return self.current()
        except Unavailable:
            return None

    def _write(self, text: str) -> None:
        draft = self._own.with_name(f".{FILE}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, self._own)


def _difference(before: Catalogue | None, after: Catalogue) -> dict[str, list[str]]:
    old = {} if before is None else before.types
    new = after.types
    both = sorted(old.keys() & new.keys())
    was_arm = after.is_arm if before is None else before.is_arm
    return {
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "altered": [name for name in both if old[name] != new[name] or was_arm(old[name]) != after.is_arm(new[name])],
    }


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
