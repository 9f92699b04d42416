"""Whose turn it is in a queue with a fair-share policy: the share that has used least, by its weight.

Use is vCPU time. It is charged exactly, and decays by 1/64 at fixed instants, the multiples of a 64th of the policy's
window, so when it was last looked at changes nothing: integers throughout, and (usage, when) is all there is to know.
What a share holds now counts as if it were held for a tenth of the window more; so slots that are free at one instant
are dealt out by weight, and in the long run, where use is in proportion to what is held, nothing is tilted.
Source: reference "Scheduling: FIFO and fair share"; the decay and the outlook are choices of ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush

from batchyard.model.facts import ShareForgotten, ShareUsed
from batchyard.model.shares import HeldShare, SharePolicy
from batchyard.scheduler.state import Job, Queue, Share, State

STEPS = 64  # of decay in a window, each by 1/64
OUTLOOK = 10  # part of the window for which what is held counts in advance


def join(queue: Queue, share_id: str, now_ms: int) -> Share:
    """The share of a job that comes to the queue; a new one has used nothing."""
    assert queue.policy is not None
    share = queue.shares.get(share_id)
    if share is None:
        share = queue.shares[share_id] = Share(share_id, queue.policy.weight_of(share_id), now_ms)
    return share


def hold(state: State, held: HeldShare) -> None:
    """The share exists, as its row tells it."""
    queue = state.queues.get(held.queue)
    if queue is not None and queue.policy is not None:
        share = join(queue, held.share, held.charged_ms)
        share.usage, share.charged_ms = held.usage, held.charged_ms


def restore(queue: Queue, share: Share | None, cpu_milli: int) -> None:
    """An attempt is open since before its share was last charged."""
    if share is not None:
        share.held_cpu_milli += cpu_milli
    queue.held_cpu_milli += cpu_milli


def change_policy(state: State, queue: Queue, policy: SharePolicy | None) -> None:
    """Use up to now is charged by the old policy; the new one holds from now on."""
    for share in queue.shares.values() if queue.policy is not None else ():
        charge(queue, share, state.now_ms)
        state.charged.add((queue.number, share.id))
    queue.policy = policy
    if policy is not None:
        for share in queue.shares.values():
            share.weight = policy.weight_of(share.id)


def taken(state: State, job: Job, cpu_milli: int) -> None:
    """An attempt of the job opened (`cpu_milli` of it held from now on) or closed (then it is negative)."""
    queue, share = state.queues[job.queue], job.share
    queue.held_cpu_milli += cpu_milli
    if share is not None:
        charge(queue, share, state.now_ms)
        share.held_cpu_milli += cpu_milli
        state.charged.add((queue.number, share.id))


def charge(queue: Queue, share: Share, now_ms: int) -> None:
    """Bring what the share has used up to now."""
    assert queue.policy is not None
    step_ms = queue.policy.window_ms // STEPS
    boundary = (share.charged_ms // step_ms + 1) * step_ms
    held = share.held_cpu_milli
    while boundary <= now_ms:
        before, whole_step = share.usage, share.charged_ms % step_ms == 0
        usage = before + held * (boundary - share.charged_ms)
        share.usage, share.charged_ms = usage - usage // STEPS, boundary
        if whole_step and share.usage == before:  # from here on it changes no more, however many steps are left
            share.charged_ms = now_ms // step_ms * step_ms
        boundary = share.charged_ms + step_ms
    share.usage += held * (now_ms - share.charged_ms)
    share.charged_ms = now_ms


def lines(state: State, queue: Queue) -> Iterator[Share]:
    """The shares with jobs in line, least use first; each is offered again after it was given something."""
    policy = queue.policy
    assert policy is not None
    outlook_ms = policy.window_ms // OUTLOOK
    order = []
    for share in queue.shares.values():
        if share.line:
            charge(queue, share, state.now_ms)
            order.append((_score(share, outlook_ms), share.id))
    heapify(order)
    while order:
        score, name = heappop(order)
        share = queue.shares[name]
        yield share
        after = _score(share, outlook_ms)
        if after != score and share.line:
            heappush(order, (after, name))


def by_turn(state: State, queue: Queue) -> list[Share]:
    """The shares with jobs in line, least use first, as of now."""
    assert queue.policy is not None
    outlook_ms = queue.policy.window_ms // OUTLOOK
    waiting = [share for share in queue.shares.values() if share.line]
    for share in waiting:
        charge(queue, share, state.now_ms)
    return sorted(waiting, key=lambda share: (_score(share, outlook_ms), share.id))


def _score(share: Share, outlook_ms: int) -> int:
    return (share.usage + share.held_cpu_milli * outlook_ms) * share.weight


def admits(state: State, queue: Queue, cpu_milli: int) -> bool:
    """Whether the policy's reservation for shares that are not active yet leaves room for so much more."""
    bound = bound_cpu_milli(state, queue)
    return bound is None or queue.held_cpu_milli + cpu_milli <= bound


def bound_cpu_milli(state: State, queue: Queue) -> int | None:
    """What the shares of the queue may hold together, with so many of them active; None: nothing is reserved."""
    assert queue.policy is not None
    percent, active = queue.policy.reservation_percent, len(queue.shares)
    if not percent:
        return None
    places = (state.environments.get(number) for number in queue.environments)
    most = sum(place.bound_cpu_milli for place in places if place is not None)
    return most - most * percent**active // 100**active if most else None


def note_use(state: State) -> None:
    """Record what changed in this turn; a share without jobs is forgotten when its use has decayed."""
    for number, name in sorted(state.charged):
        queue = state.queues.get(number)
        if queue is not None and name in queue.shares:
            share = queue.shares[name]
            state.facts.append(ShareUsed(number, name, share.usage, share.charged_ms))
    for number in sorted({number for number, _ in state.charged}):
        queue = state.queues.get(number)
        for share in list(queue.shares.values()) if queue is not None else ():
            if not share.jobs:
                charge(queue, share, state.now_ms)
                if share.usage < STEPS:
                    del queue.shares[share.id]
                    state.facts.append(ShareForgotten(number, share.id))
    state.charged.clear()
