"""The front of a queue: who would be considered next, in order, as if each of them found its place.

Read between two turns; it decides nothing. It costs as much as is asked for, however many wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import NamedTuple

from batchyard.scheduler import fairshare, ordering
from batchyard.scheduler.state import Job, Queue, State

JOBS_MOST = 100  # these and the next: reference "Job queues", GetJobQueueSnapshot
SHARES_MOST = 20


class Front(NamedTuple):
    """The first who wait, by UUID and index; vCPUs (thousandths) that the queue's attempts hold; with a policy, how
    many shares hold any, and those that hold most."""

    jobs: tuple[tuple[str, int], ...]
    held_cpu_milli: int
    holding: int | None = None
    shares: tuple[tuple[str, int], ...] = ()


def front(state: State, number: int) -> Front | None:
    """Of a queue that waits for something or holds anything; None otherwise, and if there is none of that number."""
    queue = state.queues.get(number)
    if queue is None:
        return None
    jobs = tuple((job.uuid, index) for job, index in islice(waiting(state, queue), JOBS_MOST))
    if not jobs and not queue.held_cpu_milli:
        return None
    if queue.policy is None:
        return Front(jobs, queue.held_cpu_milli)
    holding = [(share.id, share.held_cpu_milli) for share in queue.shares.values() if share.held_cpu_milli]
    holding.sort(key=lambda each: (-each[1], each[0]))
    return Front(jobs, queue.held_cpu_milli, len(holding), tuple(holding[:SHARES_MOST]))


def waiting(state: State, queue: Queue) -> Iterator[tuple[Job, int]]:
    """Everybody who waits in the queue as (job, index), in the order in which they would be considered."""
    return ordering.waiting(state, queue.line) if queue.policy is None else _by_share(state, queue)


def _by_share(state: State, queue: Queue) -> Iterator[tuple[Job, int]]:
    """The share whose turn it is gives its next job, which counts from then on as if it ran."""
    shares = [share for share in queue.shares.values() if share.jobs]
    lines = {share.id: ordering.waiting(state, share.line) for share in shares}
    given = dict.fromkeys(lines, 0)
    for share in shares:
        fairshare.charge(queue, share, state.now_ms)  # when that is done makes no difference
    turns = [(fairshare.score(queue, share), share.id) for share in shares]
    heapify(turns)
    while turns:
        _, name = heappop(turns)
        found = next(lines[name], None)
        if found is not None:
            yield found
            cpu_milli = state.needs_of(found[0]).cpu_milli
            given[name] += cpu_milli
            heappush(turns, (fairshare.score(queue, queue.shares[name], given[name], cpu_milli), name))
