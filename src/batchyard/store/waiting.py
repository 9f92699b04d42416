"""Who waits before a job, exactly, and what the engine shows of why: counted in indexes, not job by job.

A queue's RUNNABLE single jobs lie in one range of an index, and so do those that were tried before; children of arrays
are counted array by array.
"""

from __future__ import annotations

import sqlite3
from typing import TypeVar

import msgspec

from batchyard.model.consumables import Asks
from batchyard.model.needs import Needs
from batchyard.model.shown import FrontShown, LineShown, front_name, gang_name, line_name, verdict_name
from batchyard.model.verdicts import Verdict
from batchyard.ports import Backlog, ClassVerdict, JobRow, Shown, Waiting
from batchyard.store import columns
from batchyard.store.queries import queries

_SQL = queries("waiting")
_CONSUMABLES = queries("consumables")
_SUBMISSIONS = queries("submissions")
_STATES = queries("states")
_VIEWS = queries("views")

_verdict_decoder = msgspec.json.Decoder(Verdict)
_line_decoder = msgspec.json.Decoder(LineShown)
_front_decoder = msgspec.json.Decoder(FrontShown)

View = TypeVar("View")


def waiting(state: sqlite3.Connection, asked: sqlite3.Connection, row: JobRow) -> Waiting | None:
    """Where a RUNNABLE job or child stands; None if its request is gone."""
    found = _asked(asked, row)
    if found is None:
        return None
    needs, asks = found
    verdict = _shown(state, _name(row, needs, asks), _verdict_decoder)
    line = _shown(state, line_name(row.queue), _line_decoder)
    share, priority = state.execute(_SQL.place, (row.seq,)).fetchone() or (None, 0)
    return Waiting(needs, _ahead(state, row, share, priority), verdict, line, share)


def verdict(state: sqlite3.Connection, asked: sqlite3.Connection, row: JobRow) -> ClassVerdict | None:
    """Why jobs of its class wait; None if nothing is shown."""
    found = _asked(asked, row)
    shown = None if found is None else _shown(state, _name(row, *found), _verdict_decoder)
    return None if found is None or shown is None else ClassVerdict(found[0], shown)


def front(state: sqlite3.Connection, queue: int) -> Shown[FrontShown] | None:
    """Who goes next in a queue; None if nothing is shown: nobody waits, and nothing runs."""
    return _shown(state, front_name(queue), _front_decoder)


def backlog(state: sqlite3.Connection, asked: sqlite3.Connection, held_until: int) -> Backlog:
    """Requests that the engine has not taken yet."""
    _, last_ms = state.execute(_STATES.meta).fetchone()
    count, since_ms = asked.execute(_SUBMISSIONS.backlog, (held_until,)).fetchone()
    return Backlog(count, since_ms, last_ms)


def resource_name(asked: sqlite3.Connection, number: int) -> str:
    """What the consumable resource with this number is called."""
    return asked.execute(_CONSUMABLES.name_of, (number,)).fetchone()[0]


def _name(row: JobRow, needs: Needs, asks: Asks) -> str:
    """A multi-node job is judged by itself, and only when it goes first (``Look.first_gangs``)."""
    return verdict_name(row.queue, needs, asks) if row.nodes is None else gang_name(row.seq)


def _asked(asked: sqlite3.Connection, row: JobRow) -> tuple[Needs, Asks] | None:
    found = asked.execute(_SUBMISSIONS.needs, (row.seq,)).fetchone()
    return None if found is None else (Needs(*found[:3]), columns.unpack_asks(found[3]))


def _ahead(state: sqlite3.Connection, row: JobRow, share: str | None, priority: int) -> int:
    if share is not None:
        return _ahead_in_share(state, row, share, priority)
    if row.attempts:
        singles = _count(state, _SQL.tried_singles_before, row.queue, row.seq)
        return singles + _count(state, _SQL.children_before_tried, row.queue, row.seq, row.index)
    singles = _count(state, _SQL.singles_before, row.queue, row.seq)
    singles += _count(state, _SQL.tried_singles_after, row.queue, row.seq)
    return singles + _count(state, _SQL.children_before, row.queue, row.seq, row.index)


def _ahead_in_share(state: sqlite3.Connection, row: JobRow, share: str, priority: int) -> int:
    place = (row.queue, share, priority, row.seq)
    tried_before, tried_after = state.execute(_SQL.share_tried_singles, place).fetchone()
    if row.attempts:
        return tried_before + _count(state, _SQL.share_children_before_tried, *place, row.index)
    singles = _count(state, _SQL.share_singles_before, *place)
    return singles + tried_after + _count(state, _SQL.share_children_before, *place, row.index)


def _count(state: sqlite3.Connection, statement: str, *values: int | str) -> int:
    return state.execute(statement, values).fetchone()[0]


def _shown(state: sqlite3.Connection, name: str, decoder: msgspec.json.Decoder[View]) -> Shown[View] | None:
    """A view; None if the engine shows nothing under the name."""
    row = state.execute(_VIEWS.shown, (name,)).fetchone()
    return None if row is None else Shown(row[0], decoder.decode(row[1]))
