"""What metrics are made of: the journal with what rows say of its jobs, submissions, and how everything stands.

Every look is one snapshot of each file, state.db's taken first: a submission that the state knows of is always seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from batchyard.model.figures import HOLDING, Around, Inventory, Place, Reading, Told
from batchyard.model.jobs import Nodes
from batchyard.model.needs import Needs
from batchyard.model.states import SUBMITTED
from batchyard.model.timings import ENGINE
from batchyard.store import columns
from batchyard.store.queries import queries
from batchyard.store.sqlite import REQUESTS, STATE, open_reader

_FIGURES = queries("figures")
_ASKED = queries("asked")
_NUMBERING = queries("numbering")
_STATES = queries("states")
_BLOCKS = queries("blocks")

_UNBOUND = -1  # a LIMIT that is none


class SqliteFigures:
    """observe.counting.Figures. Used from one thread."""

    def __init__(self, data_path: Path | str):
        self._state = open_reader(data_path, STATE)
        self._requests = open_reader(data_path, REQUESTS)
        self._asked_needs = lru_cache(maxsize=1024)(self._read_needs)

    def close(self) -> None:
        self._state.close()
        self._requests.close()

    @contextmanager
    def _snapshot(self) -> Iterator[int]:
        """Both files as they are now; the number up to which the state holds requests."""
        try:
            self._state.execute("BEGIN")
            held_until = self._state.execute(_STATES.held_until).fetchone()[0]
            self._requests.execute("BEGIN")
            yield held_until
        finally:
            self._requests.rollback()
            self._state.rollback()

    def read(self, after: int, asked_after: int, limit: int) -> Reading:
        """At most `limit` entries above `after`, and every submission above `asked_after`."""
        with self._snapshot() as held_until:
            return self._reading(after, asked_after, limit, held_until)

    def stand(self, after: int | None, asked_after: int | None) -> tuple[Reading, Inventory]:
        """How everything stands, with what happened until then: all of it above `after` and `asked_after`, or None."""
        with self._snapshot() as held_until:
            newest = self._state.execute(_FIGURES.newest).fetchone()[0]
            asked_seq = self._requests.execute(_NUMBERING.last).fetchone()[0]
            after = newest if after is None else after
            asked_after = asked_seq if asked_after is None else asked_after
            reading = self._reading(after, asked_after, _UNBOUND, held_until)
            return reading, Inventory(newest, asked_seq, *self._inventory(held_until))

    def knows(self, n: int, stamp: tuple[int, int] | None) -> bool:
        """Whether this is the journal whose entry `n` had that stamp; it may have been deleted since."""
        if n > self._state.execute(_FIGURES.newest).fetchone()[0]:
            return False
        found = self.stamp(n)
        return found is None or stamp is None or found == stamp

    def complete(self) -> bool:
        """Whether the journal has every entry since the first, as this version writes them."""
        return bool(self._state.execute(_FIGURES.complete).fetchone()[0])

    def stamp(self, n: int) -> tuple[int, int] | None:
        """Time and job of an entry; None if it is not there."""
        return self._state.execute(_FIGURES.stamp, (n,)).fetchone()

    def _reading(self, after: int, asked_after: int, limit: int, held_until: int) -> Reading:
        entries = [self._told(row) for row in self._state.execute(_FIGURES.told, (after, limit))]
        asked = self._requests.execute(_ASKED.submitted, (asked_after,)).fetchall()
        return Reading(entries, asked, self._around(held_until))

    def _inventory(self, held_until: int) -> tuple:
        """The lists of a Inventory."""
        state = self._state
        jobs = [*state.execute(_FIGURES.live_singles), *state.execute(_FIGURES.live_children)]
        submitted = self._requests.execute(_ASKED.submitted_by_queue, (held_until,))
        jobs += [(queue, SUBMITTED, count) for queue, count in submitted]
        histories = [
            self._told(row)
            for (seq,) in state.execute(_FIGURES.runnable_arrays).fetchall()
            for row in state.execute(_FIGURES.told_of, (seq,))
        ]
        attempts = [
            (environment, count, needs.times(count))
            for environment, job, index, count in state.execute(_FIGURES.open_attempts).fetchall()
            if (needs := self._needs(job, index)) is not None
        ]
        return (
            jobs,
            state.execute(_FIGURES.live_arrays).fetchall(),
            state.execute(_FIGURES.runnable_singles).fetchall(),
            histories,
            attempts,
        )

    def _told(self, row: tuple) -> Told:
        n, at_ms, kind, job, index, hi, status, detail, before, queue, size, environment, opened_ms = row
        known = None if detail is None else columns.decode(detail)
        needs = self._needs(job, index) if kind in HOLDING else None
        return Told(
            n, at_ms, kind, job, index, hi, status, known, before, queue, size or 0, environment, opened_ms, needs
        )

    def _needs(self, job: int, index: int) -> Needs | None:
        """What an attempt holds; None if nobody knows the job any more."""
        found = self._asked_needs(job)
        if found is None or found[1] is None:
            return found and found[0]
        return found[1].needs_of(found[1].number(index))

    def _read_needs(self, job: int) -> tuple[Needs, Nodes | None] | None:
        row = self._requests.execute(_ASKED.needs, (job,)).fetchone()
        return None if row is None else (Needs(*row[:3]), columns.unpack_nodes(row[3]))

    def _around(self, held_until: int) -> Around:
        asked = self._requests
        gone = {number for (number,) in self._state.execute(_STATES.deleted)}
        view = self._state.execute(_FIGURES.view, (ENGINE,)).fetchone()
        return Around(
            {number: Place(*named) for number, *named in asked.execute(_ASKED.queues) if number not in gone},
            {number: Place(*named) for number, *named in asked.execute(_ASKED.environments) if number not in gone},
            {name: Needs(*room) for name, *room in self._state.execute(_STATES.providers)},
            asked.execute(_ASKED.waiting, (held_until,)).fetchone()[0],
            None if view is None else columns.decode(view[0]),
            {number: (count, Needs(*usable)) for number, count, *usable in self._state.execute(_FIGURES.instances)},
            frozenset(queue for (queue,) in self._state.execute(_BLOCKS.blocked)),
        )
