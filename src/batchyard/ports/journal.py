"""What the observe process asks of the store: what happened, in order, and how far each follower is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from batchyard.ports import Standing


class Entry(NamedTuple):
    """One row of the journal: one fact, in the order in which they happened (``store/apply.py`` writes them)."""

    n: int  # grows; retention leaves gaps, and nothing else does
    at_ms: int
    kind: str  # added, moved, opened, began, closed, stop, blocked
    job: int
    index: int
    hi: int  # children index..hi-1; index + 1 for one job
    status: int | None  # the state entered; None when none was
    number: int | None  # of the attempt
    detail: dict[str, Any]  # the rest of the fact
    before: int | None  # the state left; None when none was, and in entries that are older than schema version 3


class Journal(Protocol):
    """Reads what happened. Never writes, and holds nobody up."""

    def newest(self) -> int:
        """The number of the newest entry, 0 if there is none. It is never deleted while there is no newer one."""

    def after(self, n: int, limit: int) -> list[Entry]:
        """The oldest `limit` entries above `n`, in order."""


class Forgotten(LookupError):
    """The job is known no more: retention let it go."""


class Past(Protocol):
    """Jobs as they stood when something happened."""

    def standings(self, entry: Entry) -> Iterator[Standing]:
        """Each job and child that entered a state by `entry`, as it was right then; a parent before its children. Of a
        queue that is blocked, the job at its head.

        None if the entry tells of something else. Raises Forgotten.
        """


class Cursor(NamedTuple):
    """How far a follower is: every entry up to `n` is done with."""

    n: int
    lost: int  # entries that retention deleted before the follower came to them
    memo: bytes | None  # what the follower remembers of the entries up to `n`


class Cursors(Protocol):
    """Where the followers of the journal stand, by name. A cursor may fall back a little when the machine fails; it
    never runs ahead."""

    def load(self, name: str) -> Cursor:
        """KeyError for a follower that was never enrolled."""

    def move(self, name: str, n: int, lost: int = 0, memo: bytes | None = None) -> None:
        """Every entry up to `n` is done with, `lost` more were lost; `memo` replaces the old one unless it is None."""

    def note(self, name: str, failure: str | None, since_ms: int | None) -> None:
        """What goes wrong, and since when; None: nothing does."""


class FollowerRow(NamedTuple):
    """How a follower of the journal is."""

    name: str  # the setting that made it, and what tells it apart
    behind: int  # entries of the journal that it has yet to be done with
    lost: int
    failure: str | None  # what goes wrong now
    failing_ms: int | None  # since when
