"""The observe process: followers of the journal, each in a thread of its own, each with a cursor that outlives it.

A follower that is slow, stuck or broken holds up neither another one nor those who write the journal.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from batchyard.ports.journal import Cursors, Entry, Journal

log = logging.getLogger(__name__)

LOOK_S = 0.1  # how often the journal is looked at while nothing happens
IDLE_S = 1.0  # how often a follower is told that nothing happened
ENTRIES = 500  # told at a time
AGAIN_S = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # after so many failures in a row
QUIET_S = 60.0  # between two lines about failures that come and go
REMIND_S = 600.0  # between two lines about one that lasts
END_S = 2.0  # in which followers end when they are asked to


class Mark(Protocol):
    """Call it with a number when all entries up to it are done with, or lost: `lost` of those since the last mark were
    told and could not be dealt with any more. `memo`, if not None, is what the follower remembers from here on."""

    def __call__(self, n: int, memo: bytes | None = None, lost: int = 0) -> None: ...


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


class Failed(Exception):
    """A follower cannot do its work now; the message tells the operator why, and holds no secrets.

    `got_on`: some of it was done since the last time, though not enough for a mark.
    """

    def __init__(self, message: str, got_on: bool = False):
        super().__init__(message)
        self.got_on = got_on


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
        trouble = _Trouble(follower.name, self._cursors)
        while not self._stop.is_set():
            marks = telling.marks
            try:
                wait_s = telling.step()
                trouble.over()
            except Stopped:
                return
            except Exception as error:
                got_on = telling.marks > marks or (isinstance(error, Failed) and error.got_on)
                wait_s = trouble.wait_s(error, got_on)
            self._stop.wait(wait_s)


class _Trouble:
    """What goes wrong with one follower: said when it begins and when it is over, not each time it is tried."""

    def __init__(self, name: str, cursors: Cursors):
        self._name = name
        self._cursors = cursors
        self._failures = 0  # in a row
        self._since_ms = 0
        self._said = False  # of this trouble
        self._say_s = 0.0  # not before
        cursors.note(name, None, None)

    def wait_s(self, error: Exception, got_on: bool) -> float:
        """How long to wait after a failure; `got_on` if something succeeded before it."""
        if not self._failures:
            self._since_ms = time.time_ns() // 1_000_000
        self._failures = 1 if got_on else self._failures + 1
        text = str(error) if isinstance(error, Failed) else repr(error)
        if time.monotonic() >= self._say_s:
            self._say_s = time.monotonic() + (REMIND_S if self._said else QUIET_S)
            self._said = True
            unexpected = None if isinstance(error, Failed) else error
            log.warning("%s: %s. It is tried until it succeeds.", self._name, text, exc_info=unexpected)
        self._cursors.note(self._name, text, self._since_ms)
        return AGAIN_S[min(self._failures, len(AGAIN_S)) - 1] * random.uniform(0.8, 1.2)

    def over(self) -> None:
        """Something succeeded, or there was nothing to do."""
        if not self._failures:
            return
        if self._said:
            log.warning("%s: it works again.", self._name)
        self._cursors.note(self._name, None, None)
        self._failures, self._said = 0, False


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
        self.marks = 0

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

    def _mark(self, n: int, memo: bytes | None = None, lost: int = 0) -> None:
        # Numbers are missing where retention deleted something.
        lost += n - self._n - sum(self._n < each <= n for each in self._told) if n > self._n else 0
        n = max(n, self._n)
        self._cursors.move(self._follower.name, n, lost, memo)
        self._n = n
        self.marks += 1
        if lost and not self._losing:
            log.warning(
                "%s is too far behind: %d entries of the journal were deleted before it came to them. The settings "
                "jobs_keep_days and jobs_keep_most say how long they are kept.",
                self._follower.name,
                lost,
            )
        self._losing = lost > 0
