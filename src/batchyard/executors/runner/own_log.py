"""What runner and slots say: ``runner/runner.log``, since they outlive whoever reads the server's standard error."""

from __future__ import annotations

import os

KEPT_BYTES = 1 << 20  # of the file; what was there before is kept once more, beside it
FILE, BEFORE = "runner.log", "runner.log.1"


def open_in(directory: str) -> None:
    """Make it our standard output and error, and nothing our standard input."""
    file = os.open(os.path.join(directory, FILE), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (file, 1), (file, 2)):
        os.dup2(source, target)
    os.close(file)
    os.close(nothing)
    shorten(directory)


def shorten(directory: str) -> None:
    """Begin it anew if it is long. Slots hold it open as well, so it stays the same file."""
    about = os.fstat(2)
    if about.st_size <= KEPT_BYTES:
        return
    path = os.path.join(directory, FILE)
    try:
        if not os.path.samestat(about, os.stat(path)):
            return
        with open(path, "rb") as told:
            told.seek(-KEPT_BYTES, os.SEEK_END)
            kept = told.read()
        with open(os.open(os.path.join(directory, BEFORE), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as old:
            old.write(kept)
    except OSError:  # no room: then what is old goes
        pass
    os.ftruncate(2, 0)
