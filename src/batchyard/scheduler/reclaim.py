"""Capacity that is to go though jobs run on it: it is warned, takes no more jobs, and is reclaimed after that.

Spot on our own machines is pre-emptible: it goes when on-demand work needs its room (``preemption.py``), when the
operator says so, or by chance, which arrives on events. A warning is never taken back. At the reclaim the attempts on
an instance are killed at once, and closed as lost when nothing of them is alive; those on Fargate Spot are told to end
at the warning. Only with the last of them does the instance go, and only then is its room free.

`State.going` holds what was warned and is still there: provider, room, and when it is reclaimed.
Source: reference "Allocation strategies and scaling", Spot interruption; who is chosen is a choice of ours.
"""

from __future__ import annotations

from collections.abc import Sequence

from batchyard.model.actions import StopAttempt
from batchyard.model.environments import Leaving
from batchyard.model.events import Ending, InterruptionRequested
from batchyard.model.facts import AttemptWarned, InstanceReclaimed, InstanceWarned
from batchyard.scheduler import capacity
from batchyard.scheduler.state import Environment, Instance, Open, State

ASKED = "Spot: the operator had it interrupted"
CHANCE = "Spot: interrupted by chance, as often as is set"

SLICE_INTERRUPTED = "Your Spot Task was interrupted."
KILLED = 137  # exit code of what SIGKILL ended

Key = tuple[int, int]  # (job, index)


# -- being warned ----------------------------------------------------------------------------------------------------


def warn(state: State, instance: Instance, reclaim_ms: int, cause: str) -> None:
    """The instance is to go at `reclaim_ms`, or at once if nothing runs on it; no effect on one that goes by then."""
    leaving = instance.leaving
    if leaving is not None and (leaving.reclaimed_ms is not None or leaving.reclaim_ms <= reclaim_ms):
        return
    if not instance.jobs:
        capacity.end(state, instance, cause)
        return
    environment = state.environments[instance.environment]
    environment.shelf_of(instance).discard(instance)
    instance.leaving = Leaving(state.now_ms, reclaim_ms, cause)
    note_going(state, instance)
    state.unsettled = True
    state.facts.append(InstanceWarned(instance.number, instance.leaving))


def note_going(state: State, instance: Instance) -> None:
    """An instance that leaves is there, just warned or as its row tells it."""
    leaving = instance.leaving
    if leaving is not None:
        provider = state.environments[instance.environment].provider
        state.going[instance.number] = provider, instance.room, leaving.reclaim_ms
        capacity.watch_going(state, instance)


def _warn_slice(state: State, key: Key, reclaim_ms: int) -> None:
    """An attempt on Fargate Spot is told to end."""
    opened = opened_of(state, key)
    if opened.reclaim_ms is None:
        opened.reclaim_ms = reclaim_ms
        note_going_slice(state, key, opened)
        state.unsettled = True
        state.facts.append(AttemptWarned(*key, opened.number, state.now_ms, reclaim_ms))
        _order_stop(state, key, reclaim_ms - state.now_ms)


def note_going_slice(state: State, key: Key, opened: Open) -> None:
    """An attempt that may have been interrupted is open, as its row tells it."""
    if opened.reclaim_ms is not None:
        needs = state.needs_of(state.jobs[key[0]])
        state.going[key] = state.environments[opened.environment].provider, needs, opened.reclaim_ms


def slices(environment: Environment) -> list[Key]:
    """The attempts that are open in a Fargate environment, in order."""
    return sorted(environment.open) if environment.capacity is not None and environment.capacity.fargate else []


def opened_of(state: State, key: Key) -> Open:
    opened = state.jobs[key[0]].open_of(key[1])
    assert opened is not None
    return opened


def _order_stop(state: State, key: Key, grace_ms: int) -> None:
    opened = opened_of(state, key)
    order = (*key, opened.number, state.jobs[key[0]].uuid, opened.environment)
    state.actions.append(StopAttempt(*order, grace_ms=max(0, grace_ms)))


# -- going -----------------------------------------------------------------------------------------------------------


def proceed(state: State, woken: Sequence[int]) -> None:
    """Reclaim what is due of the instances that were woken; end those that leave and lost their last job."""
    for number in sorted(set(woken)):  # not in the order of timers: some of those are older than what rows tell
        instance = state.instances.get(number)
        if instance is not None and instance.jobs and _is_due(state, instance):
            assert instance.leaving is not None
            instance.leaving = instance.leaving._replace(reclaimed_ms=state.now_ms)
            state.facts.append(InstanceReclaimed(number, state.now_ms))
            for key in sorted(instance.jobs):
                _order_stop(state, key, 0)
    for number in sorted(state.touched):
        instance = state.instances.get(number)
        if instance is not None and instance.leaving is not None and not instance.jobs:
            capacity.end(state, instance, instance.leaving.cause)


def _is_due(state: State, instance: Instance) -> bool:
    leaving = instance.leaving
    return leaving is not None and leaving.reclaimed_ms is None and leaving.reclaim_ms <= state.now_ms


def order_again(state: State, key: Key, opened: Open) -> None:
    """After a survey, for an attempt that lives: repeat what it was told because its place goes, if anything."""
    if is_over(state, opened):
        _order_stop(state, key, 0 if opened.reclaim_ms is None else opened.reclaim_ms - state.now_ms)


def is_over(state: State, opened: Open) -> bool:
    """Whether the attempt was told to end because its place goes: then it is not begun any more."""
    instance = state.environments[opened.environment].by_id.get(opened.instance)
    reclaimed = instance is not None and instance.leaving is not None and instance.leaving.reclaimed_ms is not None
    return reclaimed or opened.reclaim_ms is not None


def lost_reason(opened: Open) -> str:
    """What clients' retry rules match when the host of an attempt is gone."""
    if opened.reclaim_ms is not None:
        return SLICE_INTERRUPTED
    return (
        f"Host EC2 (instance {opened.instance}) terminated."
        if opened.instance
        else ("Host of the Fargate task terminated.")
    )


def as_told(state: State, opened: Open, ending: Ending) -> Ending:
    """The ending of an attempt whose place went: what killed it is not its own. One that ended by itself keeps its
    ending, and so does one on Fargate Spot that succeeded when it was told to end."""
    if ending.timed_out or ending.exit_code == 0 or not is_over(state, opened):
        return ending
    if opened.reclaim_ms is not None:
        return ending._replace(status_reason=SLICE_INTERRUPTED)
    if ending.exit_code != KILLED or ending.reason is not None:
        return ending
    return ending._replace(exit_code=None, status_reason=lost_reason(opened))


# -- by the operator, and by chance ----------------------------------------------------------------------------------


def interrupt(state: State, event: InterruptionRequested) -> None:
    """Warn what the operator names, as far as it is there and is Spot."""
    environment = state.environments.get(event.environment)
    if environment is None or not environment.spot:
        return
    reclaim_ms = state.now_ms + state.timing.warning_ms
    if event.instance:
        instance = environment.by_id.get(event.instance)
        pieces: list[Instance | Key] = [] if instance is None else [instance]
    elif event.job:
        pieces = [key for key in slices(environment) if key == (event.job, event.index)]
    else:
        pieces = [*(each for _, each in sorted(environment.instances.items())), *slices(environment)]
    for piece in pieces:
        warn_piece(state, piece, reclaim_ms, ASKED)


def interruptible(state: State) -> list[Instance | Key]:
    """All Spot capacity that is there and was not warned, in an order that rows give."""
    found: list[Instance | Key] = []
    for _, environment in sorted(state.environments.items()):
        if environment.spot:
            found += (each for _, each in sorted(environment.instances.items()) if each.leaving is None)
            found += (key for key in slices(environment) if opened_of(state, key).reclaim_ms is None)
    return found


def by_chance(state: State, picks: Sequence[int]) -> None:
    there = interruptible(state)
    reclaim_ms = state.now_ms + state.timing.warning_ms
    for place in sorted({pick % len(there) for pick in picks} if there else ()):
        warn_piece(state, there[place], reclaim_ms, CHANCE)


def warn_piece(state: State, piece: Instance | Key, reclaim_ms: int, cause: str) -> None:
    if isinstance(piece, Instance):
        warn(state, piece, reclaim_ms, cause)
    else:
        _warn_slice(state, piece, reclaim_ms)
