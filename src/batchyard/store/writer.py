"""Group commit: many callers on one asyncio loop, one transaction for all that wait, one sync for all of them.

Statements run on the loop's own thread and only the COMMIT, the one call that waits for the disk, in a thread:
SQLite calls from a second thread would each hand the interpreter lock over, which costs a hundredfold beside a busy
loop. While one transaction syncs, the next one gathers. All methods belong to the loop's thread.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from batchyard.errors import Unavailable

Unit = Callable[[sqlite3.Connection], Any]

MOST_UNITS = 256  # of one transaction: bounds how long the loop is held before the sync

RETRY = "Nothing was changed; try again in a few seconds."
_CLOSING = "The server is shutting down and takes no more requests."
# These are the fault of one unit; any other sqlite3.Error (full, I/O, locked, malformed) is the file's.
_OF_THE_UNIT = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.DataError)


class _Waiting(NamedTuple):
    unit: Unit
    future: asyncio.Future


class GroupCommit:
    """Runs units of work, each in its own savepoint, in as few transactions as there are syncs.

    `open_file` opens the connection, at first use and again after every failure: what a failed sync left behind is
    read from the file, never synced a second time. `finish` adds the last statements of a transaction, `on_commit`
    is called after each one when its callers have been answered.
    """

    def __init__(
        self,
        open_file: Callable[[], sqlite3.Connection],
        finish: Callable[[sqlite3.Connection], None],
        on_commit: Callable[[], None],
    ):
        self._open_file = open_file
        self._finish = finish
        self._on_commit = on_commit
        self._db: sqlite3.Connection | None = None
        self._waiting: deque[_Waiting] = deque()
        self._busy = False  # a transaction is being gathered, run or synced
        self._closed = False
        self._idle: asyncio.Event | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="commit")
        self.commits = 0

    async def run(self, unit: Unit) -> Any:
        """Run `unit(connection)` in a transaction and return its value when that is on disk.

        What the unit raises is raised here, and only its own statements are undone. Raises Unavailable, with
        nothing changed, when the file cannot be written or the writer is closed.
        """
        if self._closed:
            raise Unavailable(_CLOSING, "Try again when it is back.")
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._waiting.append(_Waiting(unit, future))
        if not self._busy:
            self._busy = True
            loop.call_soon(self._transact, loop)
        return await future

    async def close(self) -> None:
        """Take nothing more, finish what waits, close the file."""
        self._closed = True
        if self._busy:
            self._idle = asyncio.Event()
            await self._idle.wait()
        self._thread.shutdown(wait=True)
        self._drop()

    def _transact(self, loop: asyncio.AbstractEventLoop) -> None:
        """Execute what waits, on this thread; then let the thread commit."""
        batch: list[tuple[asyncio.Future, Any, BaseException | None]] = []
        units: list[_Waiting] = []
        while self._waiting and len(units) < MOST_UNITS:
            waiting = self._waiting.popleft()
            if not waiting.future.done():  # its caller has gone away
                units.append(waiting)
        try:
            db = self._begin()
            batch = [(waiting.future, *_attempt(db, waiting.unit)) for waiting in units]
            self._finish(db)
        except Exception as error:
            self._fail(loop, [waiting.future for waiting in units], error)
            return
        commit = loop.run_in_executor(self._thread, db.commit)
        commit.add_done_callback(lambda done: self._committed(loop, batch, done.exception()))

    def _begin(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = self._open_file()
        self._db.execute("BEGIN IMMEDIATE")
        return self._db

    def _committed(self, loop: asyncio.AbstractEventLoop, batch: list, error: BaseException | None) -> None:
        if error is not None:
            self._fail(loop, [future for future, _, _ in batch], error)
            return
        self.commits += 1
        for future, value, failure in batch:
            if future.done():
                continue
            if failure is None:
                future.set_result(value)
            else:
                future.set_exception(failure)
        try:
            self._on_commit()
        finally:
            self._next(loop)

    def _fail(self, loop: asyncio.AbstractEventLoop, futures: list[asyncio.Future], error: BaseException) -> None:
        """Nobody of the batch was answered: undo it, refuse them all, begin with a newly opened file."""
        self._drop()
        for future in futures:
            if not future.done():
                refusal = Unavailable(f"The request could not be stored ({error}).", RETRY)
                refusal.__cause__ = error
                future.set_exception(refusal)
        self._next(loop)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        # Through the loop: callers just answered run first, and what they ask for joins the next transaction.
        loop.call_soon(self._continue, loop)

    def _continue(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._waiting:
            self._transact(loop)
            return
        self._busy = False
        if self._idle is not None:
            self._idle.set()

    def _drop(self) -> None:
        if self._db is not None:
            db, self._db = self._db, None
            db.close()  # undoes an open transaction


def _attempt(db: sqlite3.Connection, unit: Unit) -> tuple[Any, BaseException | None]:
    """The unit's value, or what it raised, with its own statements undone. Raises what is the file's fault."""
    db.execute("SAVEPOINT unit")
    try:
        value = unit(db)
    except sqlite3.Error as error:
        if not isinstance(error, _OF_THE_UNIT):
            raise
        failure: Exception = error
    except Exception as error:
        failure = error
    else:
        db.execute("RELEASE unit")
        return value, None
    db.execute("ROLLBACK TO unit")
    db.execute("RELEASE unit")
    return None, failure
