"""Whose turn it is in a queue with a fair-share policy: the share that has used least, by its weight.

Use is vCPU time. It is charged exactly, and decays by 3/64 at fixed instants, the multiples of a 64th of the policy's
window, so when it was last looked at changes nothing: integers throughout, and a share's row is all there is to know.
After a window about 5 % of it is left; a share without jobs is then forgotten, and is active no more.

What a share holds now counts as if it were held for a tenth of the window more, and half of an attempt on top; so
slots that are free at one instant are dealt out by weight, with nothing lost or won by rounding, and in the long run,
where use is in proportion to what is held, nothing is tilted. Who has never run anything comes first.
Source: reference "Scheduling: FIFO and fair share"; the decay, the outlook and the order of names among equals are
choices of ours (docs/decisions/20261128-fair-share.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from heapq import heapify, heappop, heappush, heapreplace

from batchyard.model.events import PolicyChanged
from batchyard.model.facts import ShareForgotten, ShareUsed
from batchyard.model.shares import HeldShare, SharePolicy
from batchyard.scheduler.state import Job, Queue, Share, State

STEPS = 64  # of decay in a window,
DECAY = 3  # each by so many 64ths
OUTLOOK = 10  # part of the window for which what is held counts in advance
STALE_MAX = 4  # entries in the heap of turns for each share, before it is made anew


# -- shares come and go ----------------------------------------------------------------------------------------------


def join(state: State, queue: Queue, share_id: str) -> Share:
    """The share of a job that comes to the queue; a new one has used nothing, and has a row from now on."""
    share = queue.shares.get(share_id)
    if share is None:
        share = _add(queue, share_id, state.now_ms)
        state.charged.add((queue.number, share_id))
        state.unsettled = True  # less is reserved for shares to come, even if this job only waits for others
    return share


def _add(queue: Queue, share_id: str, now_ms: int) -> Share:
    assert queue.policy is not None
    share = queue.shares[share_id] = Share(share_id, queue.policy.weight_of(share_id), now_ms)
    return share


def hold(state: State, held: HeldShare) -> None:
    """The share exists, as its row tells it."""
    queue = state.queues.get(held.queue)
    if queue is not None and queue.policy is not None:
        share = _add(queue, held.share, held.charged_ms)
        share.usage, share.used_ms, share.latest_cpu_milli = held.usage, held.used_ms, held.latest_cpu_milli
        _watch(state, queue, share)


def restore(queue: Queue, share: Share | None, cpu_milli: int) -> None:
    """An attempt is open since before its share was last charged."""
    if share is not None:
        share.held_cpu_milli += cpu_milli
    queue.held_cpu_milli += cpu_milli


def change_policy(state: State, event: PolicyChanged) -> None:
    """It holds at once in every queue that goes by it."""
    if event.value is None:
        state.share_policies.pop(event.policy, None)
        return
    state.share_policies[event.policy] = event.value
    for queue in state.queues.values():
        set_policy(state, queue, queue.policy_number)


def set_policy(state: State, queue: Queue, number: int | None) -> None:
    """The queue goes by the policy with this number, or by none."""
    queue.policy_number = number
    policy = None if number is None else state.share_policies[number]
    if queue.policy != policy:
        go_by(state, queue, policy)


def go_by(state: State, queue: Queue, policy: SharePolicy | None) -> None:
    """Use up to now is charged by the old policy; the new one holds from now on."""
    state.unsettled = True
    for share in queue.shares.values() if queue.policy is not None else ():
        charge(queue, share, state.now_ms)
        state.charged.add((queue.number, share.id))
    queue.policy = policy
    queue.turns_until_ms = 0
    for share in queue.shares.values() if policy is not None else ():
        share.weight = policy.weight_of(share.id)


def fade(state: State) -> None:
    """Forget the shares that have no job, and had none running for a window."""
    over = set()
    while state.fading and state.fading[0][0] <= state.now_ms:
        _, number, name = heappop(state.fading)
        queue = state.queues.get(number)
        share = queue.shares.get(name) if queue is not None else None
        if queue is not None and share is not None and not share.jobs and _active_until(queue, share) <= state.now_ms:
            over.add((number, name))
    for number, name in sorted(over):
        del state.queues[number].shares[name]
        state.unsettled = True  # the reservation is another one
        state.facts.append(ShareForgotten(number, name))


def reordered(state: State) -> bool:
    """Whether time may have put another share before one whose head has no place."""
    return bool(state.contested) and state.now_ms > state.placed_ms


def due_ms(state: State) -> int | None:
    """When to look again if nothing happens before: a share is forgotten, or the order of shares may be another one
    (which is looked at once a step of decay, and whenever something happens)."""
    steps = [queue.policy.window_ms // STEPS for queue in state.contested if queue.policy is not None]
    due = [(state.now_ms // step_ms + 1) * step_ms for step_ms in steps]
    forgotten_ms = _forgets_at(state)
    return min(due if forgotten_ms is None else [*due, forgotten_ms], default=None)


def _forgets_at(state: State) -> int | None:
    while state.fading:
        at_ms, number, name = state.fading[0]
        queue = state.queues.get(number)
        share = queue.shares.get(name) if queue is not None else None
        if queue is not None and share is not None and not share.jobs and _active_until(queue, share) == at_ms:
            return at_ms
        heappop(state.fading)
    return None


def _watch(state: State, queue: Queue, share: Share) -> None:
    heappush(state.fading, (_active_until(queue, share), queue.number, share.id))


def _active_until(queue: Queue, share: Share) -> int:
    """Without jobs a share is active until all that it ran lies outside of the window."""
    assert queue.policy is not None
    return share.used_ms + queue.policy.window_ms if share.used_ms else 0


# -- use -------------------------------------------------------------------------------------------------------------


def taken(state: State, job: Job, cpu_milli: int) -> None:
    """An attempt of the job opened (`cpu_milli` of it held from now on) or closed (then it is negative)."""
    queue, share = state.queues[job.queue], job.share
    queue.held_cpu_milli += cpu_milli
    if share is not None:
        charge(queue, share, state.now_ms)
        share.held_cpu_milli += cpu_milli
        share.used_ms, share.latest_cpu_milli = state.now_ms, abs(cpu_milli)
        state.charged.add((queue.number, share.id))
        if share.key is not None and (now := score(queue, share)) < share.key:
            _enter(queue, share, now)


def charge(queue: Queue, share: Share, now_ms: int) -> None:
    """Bring what the share has used up to now."""
    assert queue.policy is not None
    step_ms = queue.policy.window_ms // STEPS
    boundary = (share.charged_ms // step_ms + 1) * step_ms
    held = share.held_cpu_milli
    while boundary <= now_ms:
        before, whole_step = share.usage, share.charged_ms % step_ms == 0
        usage = before + held * (boundary - share.charged_ms)
        share.usage, share.charged_ms = usage - usage * DECAY // STEPS, boundary
        if whole_step and share.usage == before:  # from here on it changes no more, however many steps are left
            share.charged_ms = now_ms // step_ms * step_ms
        boundary = share.charged_ms + step_ms
    share.usage += held * (now_ms - share.charged_ms)
    share.charged_ms = now_ms


def moves(queue: Queue, share: Share, now_ms: int) -> bool:
    """Whether what the share has used changes with time: it holds something, or not all has decayed that will."""
    charge(queue, share, now_ms)
    return bool(share.held_cpu_milli) or share.usage * DECAY >= STEPS


def note_use(state: State) -> None:
    """Record what changed in this turn, and forget who need not be remembered."""
    for number, name in sorted(state.charged):
        queue = state.queues.get(number)
        if queue is not None and name in queue.shares:
            share = queue.shares[name]
            charge(queue, share, state.now_ms)
            state.facts.append(
                ShareUsed(number, name, share.usage, share.charged_ms, share.used_ms, share.latest_cpu_milli)
            )
            if not share.jobs:
                _watch(state, queue, share)
    state.charged.clear()
    fade(state)


# -- whose turn it is ------------------------------------------------------------------------------------------------
#
# Scores move with time, for every share at its own rate. `Queue.turns` is a heap of (score, name) in which a score may
# be too low, never too high: within a step of decay use only grows, and what lowers a score enters it anew. So whoever
# is on top with a score that is still right has the least of all, and to look costs a few shares, not all of them.


def waits(state: State, job: Job) -> None:
    """The job stands in line: the turn of its share may come. Its score is found out by whoever looks; while rows are
    read it could not be charged, since not all that it holds is known."""
    share = job.share
    if share is not None and share.key is None:
        _enter(state.queues[job.queue], share, 0)


def lines(state: State, queue: Queue) -> Iterator[Share]:
    """The shares with jobs in line, least use first; one is offered again as long as it was given something."""
    _bring_up(queue, state.now_ms)
    turns = queue.turns
    while turns:
        key, name = turns[0]
        share = queue.shares.get(name)
        if share is None or share.key != key:  # forgotten, or entered anew
            heappop(turns)
        elif not share.line:
            heappop(turns)
            share.key = None
        elif (current := _score_at(queue, share, state.now_ms)) != key:
            share.key = current
            heapreplace(turns, (current, name))
        else:
            held = share.held_cpu_milli
            yield share
            if share.line and share.held_cpu_milli == held:
                _pass_over(queue, share)


def by_turn(state: State, queue: Queue) -> list[Share]:
    """All shares with jobs in line, least use first, as of now."""
    waiting = [share for share in queue.shares.values() if share.line]
    return sorted(waiting, key=lambda share: (_score_at(queue, share, state.now_ms), share.id))


def _bring_up(queue: Queue, now_ms: int) -> None:
    """Who was passed over before has its turn again; after a step of decay every score is another one."""
    for name in queue.passed:
        share = queue.shares.get(name)
        if share is not None and share.key is None:
            _enter(queue, share, _score_at(queue, share, now_ms))
    queue.passed.clear()
    if now_ms < queue.turns_until_ms:
        return
    assert queue.policy is not None
    step_ms = queue.policy.window_ms // STEPS
    queue.turns_until_ms = (now_ms // step_ms + 1) * step_ms
    queue.turns.clear()
    for share in queue.shares.values():
        if share.key is not None:
            share.key = _score_at(queue, share, now_ms)
            queue.turns.append((share.key, share.id))
    heapify(queue.turns)


def _enter(queue: Queue, share: Share, key: int) -> None:
    share.key = key
    heappush(queue.turns, (key, share.id))
    if len(queue.turns) > STALE_MAX * (len(queue.shares) + 16):
        queue.turns_until_ms = 0  # most of the heap counts no more: make it anew


def _pass_over(queue: Queue, share: Share) -> None:
    share.key = None  # what stands in the heap counts no more
    queue.passed.append(share.id)


def _score_at(queue: Queue, share: Share, now_ms: int) -> int:
    charge(queue, share, now_ms)
    return score(queue, share)


def score(queue: Queue, share: Share, more_cpu_milli: int = 0, latest_cpu_milli: int | None = None) -> int:
    """Of a share that is charged; as if it held so much more, and its latest attempt were another one. Half of an
    attempt: who is given one is as far above its due as it was below."""
    latest = share.latest_cpu_milli if latest_cpu_milli is None else latest_cpu_milli
    counted = share.held_cpu_milli + more_cpu_milli + latest // 2
    return (share.usage + counted * _outlook_ms(queue)) * share.weight


def _outlook_ms(queue: Queue) -> int:
    assert queue.policy is not None
    return queue.policy.window_ms // OUTLOOK


# -- the reservation -------------------------------------------------------------------------------------------------


def admits(state: State, queue: Queue, cpu_milli: int) -> bool:
    """Whether the policy's reservation for shares that are not active yet leaves room for so much more."""
    bound = bound_cpu_milli(state, queue)
    return bound is None or queue.held_cpu_milli + cpu_milli <= bound


def bound_cpu_milli(state: State, queue: Queue) -> int | None:
    """What the shares of the queue may hold together, with so many of them active; None: nothing is reserved."""
    assert queue.policy is not None
    percent = queue.policy.reservation_percent
    if not percent:
        return None
    places = (state.environments.get(number) for number in queue.environments)
    most = sum(place.bound_cpu_milli for place in places if place is not None)
    return most - _reserved(most, percent, len(queue.shares)) if most else None


@lru_cache(maxsize=1024)
def _reserved(most: int, percent: int, active: int) -> int:
    return most * percent**active // 100**active
