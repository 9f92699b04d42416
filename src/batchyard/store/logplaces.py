"""Numbers of the places where attempts log, given out by the engine's writer when a place is first used."""

from __future__ import annotations

import sqlite3

from batchyard.model.logplaces import LogPlace
from batchyard.store.queries import queries

_LOGS = queries("logs")

NOWHERE = 0  # for an attempt whose job's request is not there


class LogPlaces:
    """What it remembers of an undone transaction is wrong: it goes with the writer that failed."""

    def __init__(self, state: sqlite3.Connection):
        self._state = state
        self._known: dict[LogPlace, int] = {}

    def number(self, place: LogPlace, at_ms: int) -> int:
        """The place's number; a new one gets its rows, in the transaction that is open."""
        number = self._known.get(place)
        if number is None:
            self._state.execute(_LOGS.add_group, (place.region, place.group, at_ms))
            group, _ = self._state.execute(_LOGS.group, (place.region, place.group)).fetchone()
            self._state.execute(_LOGS.add_place, (group, place.beginning))
            number = self._known[place] = self._state.execute(_LOGS.place, (group, place.beginning)).fetchone()[0]
        return number

    def forget_unused(self, numbers: set[int]) -> None:
        """Those of `numbers` at which no attempt logs any more go."""
        gone = {number for number in numbers if self._state.execute(_LOGS.forget_place, (number,)).rowcount}
        if gone:
            self._known = {place: number for place, number in self._known.items() if number not in gone}
