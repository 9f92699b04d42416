"""On-demand work that can get no room otherwise has Spot capacity reclaimed: as little as needed, that with the least
work lost first.

A head waits for what is coming, and nobody behind it takes what it waits for; all of that is dealt out anew in every
settle (``Pledges``). A queue has none of its own jobs interrupted.
Source: house rules of Spot on our own machines; who is chosen is a choice of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from batchyard.model.needs import NOTHING, Needs
from batchyard.scheduler import capacity, reclaim
from batchyard.scheduler.pledges import Pledges
from batchyard.scheduler.reclaim import Key, opened_of
from batchyard.scheduler.state import Environment, Instance, Provider, Queue, State

NEEDED = "Spot: its room was needed on demand"

CONSIDERED = 1000  # pieces among which those that go are chosen

_IDLE, _INSTANCE, _SLICE = range(3)


class _Piece(NamedTuple):
    """What could go to make room: an idle instance of any kind, or Spot capacity; `lost` is the vCPU time that the
    attempts on it have run."""

    lost: int
    order: tuple[int, ...]  # tells any two apart
    room: Needs
    what: Instance | Key

    @property
    def idle(self) -> bool:
        return self.order[0] == _IDLE


def ask(state: State, queue: Queue, needs: Needs, pledges: Pledges) -> bool:
    """A head that no environment can take waits for the first on-demand one for which Spot capacity can make room: have
    as little as needed go, and keep the room for it. True if the room is there at once."""
    preemptible = {each.provider for each in state.environments.values() if each.spot and each.held_cpu_milli}
    for number in queue.environments:
        environment = state.environments.get(number)
        if environment is None or not environment.enabled or environment.provider not in preemptible:
            continue
        if environment.spot:
            continue
        provider = state.providers.get(environment.provider)
        if provider is None or not capacity.could_grow(environment, provider, needs, pledges):
            continue
        there = _claim(state, queue, environment, provider, needs, pledges)
        if there is not None:
            return there
    return False


def _claim(
    state: State,
    queue: Queue,
    environment: Environment,
    provider: Provider,
    needs: Needs,
    pledges: Pledges,
) -> bool | None:
    """Whether the room is there now; None: nobody can make it."""
    free = capacity.free(provider, pledges)
    coming = _coming(state, environment.provider).minus(pledges.spoken_for(environment.provider))
    pieces: list[_Piece] = []

    def fits(going: Sequence[_Piece]) -> bool:
        room, held_cpu_milli = free.plus(coming), pledges.held_cpu_milli(environment)
        for piece in going:
            room = room.plus(piece.room)
            if isinstance(piece.what, Instance) and piece.what.environment == environment.number:
                held_cpu_milli -= piece.room.cpu_milli
        return capacity.wanted(environment, provider, needs, held_cpu_milli, room) is not None

    if not fits(()):
        pieces = sorted(_pieces(state, queue, environment, pledges))[:CONSIDERED]
        pieces = _fewest(pieces, fits)
        if not pieces:
            return None
    for piece in pieces:
        if piece.idle:
            assert isinstance(piece.what, Instance)
            capacity.end(state, piece.what, capacity.MADE_ROOM)
        else:
            reclaim.warn_piece(state, piece.what, state.now_ms + state.timing.warning_ms, NEEDED)
    free, held_cpu_milli = capacity.free(provider, pledges), pledges.held_cpu_milli(environment)
    if capacity.wanted(environment, provider, needs, held_cpu_milli, free) is not None:
        return True
    coming = _coming(state, environment.provider).minus(pledges.spoken_for(environment.provider))
    room = capacity.wanted(environment, provider, needs, held_cpu_milli, free.plus(coming))
    assert room is not None, "what goes makes the room that it was chosen for"
    pledges.keep(environment, room, coming)
    return False


def _coming(state: State, provider: str) -> Needs:
    """The room of what goes as soon as anything that were warned now; slices are told to end at once."""
    soon, found = state.now_ms + state.timing.warning_ms, NOTHING
    for piece, (name, room, reclaim_ms) in state.going.items():
        if name == provider and (reclaim_ms <= soon or isinstance(piece, tuple)):
            found = found.plus(room)
    return found


def _pieces(state: State, queue: Queue, environment: Environment, pledges: Pledges) -> list[_Piece]:
    """What may go for the queue: what is idle, and Spot capacity on which none of its own jobs run and for which no
    head before it waits."""
    idle = capacity.may_go(state, environment.provider)
    found = [_Piece(0, (_IDLE, each.number), each.room, each) for each in idle]
    known = {each.number for each in idle}
    for place in state.environments.values():
        if not place.spot or place.provider != environment.provider:
            continue
        for instance in place.instances.values():
            own = any(job.queue == queue.number for job in instance.jobs.values())
            own = own or pledges.promised(instance)
            if instance.leaving is None and instance.number not in known and not own:
                lost = sum(_lost(state, key) for key in instance.jobs)
                found.append(_Piece(lost, (_INSTANCE, instance.number), instance.room, instance))
        for key in reclaim.slices(place):
            if opened_of(state, key).reclaim_ms is None and state.jobs[key[0]].queue != queue.number:
                found.append(_Piece(_lost(state, key), (_SLICE, *key), state.needs_of(state.jobs[key[0]]), key))
    return found


def _lost(state: State, key: Key) -> int:
    """Thousandths of a vCPU times ms that the attempt has run."""
    opened = opened_of(state, key)
    since_ms = opened.opened_ms if opened.started_ms is None else opened.started_ms
    return max(0, state.now_ms - since_ms) * state.needs_of(state.jobs[key[0]]).cpu_milli


def _fewest(pieces: list[_Piece], fits: Callable[[Sequence[_Piece]], bool]) -> list[_Piece]:
    """The one with the least work lost that suffices alone; else as many as it takes, in that order, less those that
    turn out not to be needed. Nothing if all together do not suffice."""
    if not pieces or not fits(pieces):
        return []
    for piece in pieces:
        if fits([piece]):
            return [piece]
    chosen: list[_Piece] = []
    for piece in pieces:
        chosen.append(piece)
        if fits(chosen):
            break
    for piece in chosen[:-1][::-1]:
        without = [each for each in chosen if each is not piece]
        if fits(without):
            chosen = without
    return chosen
