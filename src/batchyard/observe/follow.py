"""The observe process: followers of the journal, each in a thread of its own, each with a cursor that outlives it.

A follower that is slow, stuck or broken holds up neither another one nor those who write the journal.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from batchyard.ports import Cursors, Entry, Journal

log = logging.getLogger(__name__)

LOOK_S = 0.1  # how often the journal is looked at while nothing happens
IDLE_S = 1.0  # how often a follower is told that nothing happened
ENTRIES = 500  # told at a time
AGAIN_S = (0.1, 0.5, 2.0, 10.0)  # after so many failures in a row
END_S = 2.0  # in which followers end when they are asked to


class Mark(Protocol):
    """Call it with an entry's number when all up to it is done with; `memo` is then what the follower remembers."""

    def __call__(self, n: int, memo: bytes | None = None) -> None: ...


class Follower(Protocol):
    """Is told everything that happens, in order and at least once."""

    name: str  # under which its cursor is kept

    def resume(self, memo: bytes | None, stop: threading.Event) -> None:
        """Called once, first, with what was remembered last. Once `stop` is set, give up waiting and return."""

    def follow(self, entries: Sequence[Entry], mark: Mark) -> None:
        """Do with these what is to be done; empty about once a second while nothing happens.

        It may block. Returning means that all of it is done with, without a call of `mark`, which is for marking a
        part, or for remembering something. If it raises, it is told the same again from its last mark on.
        """


class Stopped(Exception):
    """A follower gave up since it was asked to stop; nothing is wrong."""


class Observer:
    """Tells followers what happens until it is told to end."""

    def __init__(self, followers: Sequence[Follower], open_journal: Callable[[], Journal], cursors: Cursors):
        self._open_journal = open_journal
        self._cursors = cursors
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._tell, args=(follower,), name=follower.name, daemon=True)
            for follower in followers
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Followers that do not end in time are left behind: what they did not mark is told again."""
        self._stop.set()
        deadline = time.monotonic() + END_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _tell(self, follower: Follower) -> None:
        """The life of a follower's thread."""
        journal = self._open_journal()
        cursor = self._cursors.load(follower.name)
        follower.resume(cursor.memo, self._stop)
        telling = _Telling(follower, journal, self._cursors, cursor.n)
        failures = 0
        while not self._stop.is_set():
            try:
                wait_s = telling.step()
                failures = 0
            except Stopped:
                return
            except Exception:
                wait_s = AGAIN_S[min(failures, len(AGAIN_S) - 1)]
                failures += 1
                log.exception("%s failed; it is told again in %.1f s", follower.name, wait_s)
            self._stop.wait(wait_s)


class _Telling:
    """One follower and where it stands."""

    def __init__(self, follower: Follower, journal: Journal, cursors: Cursors, n: int):
        self._follower = follower
        self._journal = journal
        self._cursors = cursors
        self._n = n
        self._told: list[int] = []  # numbers of the entries it is being told of
        self._losing = False
        self._idle_s = time.monotonic()

    def step(self) -> float:
        """Tell what there is; how long to wait for more."""
        entries = self._journal.after(self._n, ENTRIES)
        self._told = [entry.n for entry in entries]
        if entries:
            self._follower.follow(entries, self._mark)
            if self._told[-1] > self._n:
                self._mark(self._told[-1])
        elif time.monotonic() - self._idle_s >= IDLE_S:
            self._follower.follow((), self._mark)
        else:
            return LOOK_S
        self._idle_s = time.monotonic()
        return 0.0 if len(entries) == ENTRIES else LOOK_S

    def _mark(self, n: int, memo: bytes | None = None) -> None:
        # Numbers are missing where retention deleted something.
        lost = n - self._n - sum(self._n < each <= n for each in self._told) if n > self._n else 0
        self._cursors.move(self._follower.name, n, lost, memo)
        self._n = n
        if lost and not self._losing:
            log.warning(
                "%s is too far behind: %d entries of the journal were deleted before it came to them (the settings "
                "jobs_keep_days and jobs_keep_most say what is kept)",
                self._follower.name,
                lost,
            )
        self._losing = lost > 0
