"""What the engine shows of who waits, besides rows: views by name, told anew when they changed.

No decision reads them and nothing is lost with them: an engine that starts shows its own. A job's explanation is its
row, its class's verdict, its place in line and what its queue shows.
"""

from __future__ import annotations

from typing import NamedTuple

from batchyard.model.consumables import Asks
from batchyard.model.needs import Needs

MINUTE_MS = 60_000
STARTS_KEPT_MIN = 10  # how long back starts of jobs are counted


def verdict_name(queue: int, needs: Needs, asks: Asks = ()) -> str:
    """The view with the verdict on a queue's jobs with these needs and askings of consumable resources."""
    asked = "".join(f"/{number}:{quantity}" for number, quantity in asks)
    return f"verdict/{queue}/{'/'.join(map(str, needs))}{asked}"


def gang_name(job: int) -> str:
    """The view with the verdict on a multi-node job that goes first in its line."""
    return f"verdict/job/{job}"


def line_name(queue: int) -> str:
    """The view with what goes on in a queue (LineShown)."""
    return f"line/{queue}"


def front_name(queue: int) -> str:
    """The view with who goes next in a queue (FrontShown)."""
    return f"front/{queue}"


class Starts(NamedTuple):
    """How many attempts started, minute by minute, where any did. Nobody counted before `since_ms`."""

    since_ms: int
    minutes: tuple[tuple[int, int], ...] = ()  # (when it began, how many), oldest first


class ShareShown(NamedTuple):
    """A share of which jobs wait; `head`, by UUID and index, goes first of them."""

    id: str
    weight: int
    held_cpu_milli: int
    head: tuple[str, int] | None
    starts: Starts


class LineShown(NamedTuple):
    """What goes on in a queue. `head` goes next of all: with `shares`, which are those of which jobs wait, in the order
    of their turns, it is the head of the first."""

    head: tuple[str, int] | None
    starts: Starts
    shares: tuple[ShareShown, ...] = ()


class FrontJob(NamedTuple):
    """A job or child that waits, and since when it stands where it stands."""

    uuid: str
    index: int
    since_ms: int


class FrontShown(NamedTuple):
    """The first jobs of a queue in the order in which they would be considered, and what its attempts hold; with a
    fair-share policy also how many shares hold anything, and those that hold most, first."""

    jobs: tuple[FrontJob, ...] = ()
    held_cpu_milli: int = 0
    holding: int | None = None
    shares: tuple[tuple[str, int], ...] = ()
