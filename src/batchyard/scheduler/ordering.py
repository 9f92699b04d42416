"""The order of waiting, which is state: a heap of (front, rank, seq, index) for each queue, or each share of one.

`front` is 0 for a job that has been tried before (a retry rejoins at the front, reference "Job life cycle") and 1
otherwise; `rank` is its priority within a share, negative; `seq` is the number the store gave on arrival. An array
stands in the line once, with index WHOLE, and hands out its RUNNABLE children by index; its retried children stand for
themselves. Entries are checked when they
reach the head, so leaving the line costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush

from batchyard.model import states
from batchyard.model.ids import WHOLE
from batchyard.scheduler.state import Array, Job, Line, State

FRONT, BACK = 0, 1


def join(state: State, job: Job, index: int) -> None:
    """A single job, or one child, that just became RUNNABLE takes its place."""
    state.unsettled = True
    if job.number_of(index) > 0:
        heappush(job.line, (FRONT, job.rank, job.seq, index))
    elif isinstance(job, Array):
        _join_array(job, index)
    else:
        heappush(job.line, (BACK, job.rank, job.seq, WHOLE))


def join_children(state: State, array: Array, lo: int) -> None:
    """Untried children from `lo` on became RUNNABLE."""
    state.unsettled = True
    _join_array(array, lo)


def _join_array(array: Array, lo: int) -> None:
    array.ready_from = min(array.ready_from, lo)
    if not array.in_line:
        array.in_line = True
        heappush(array.line, (BACK, array.rank, array.seq, WHOLE))


def head(state: State, line: Line) -> tuple[Job, int] | None:
    """The job and index that must go next, or None if nobody waits. Entries that no longer stand are dropped."""
    while line:
        front, _, seq, index = line[0]
        job = state.jobs.get(seq)
        if job is not None:
            if isinstance(job, Array) and front == BACK:
                ready = job.children.find(states.RUNNABLE, job.ready_from)
                if ready >= 0:
                    job.ready_from = ready
                    return job, ready
                job.ready_from = job.size
                job.in_line = False
            elif job.state_of(index) == states.RUNNABLE:
                return job, index
        heappop(line)
    return None


def leave(state: State, line: Line) -> None:
    """The head was placed. An array stays while it may have more children to give; `head` finds out."""
    front, _, seq, _ = line[0]
    if front == FRONT or not isinstance(state.jobs[seq], Array):
        heappop(line)


def ahead(state: State, line: Line, most: int) -> Iterator[Job]:
    """The job of each of the next `most` that wait, in order, without taking any; an array as often as it has ready
    children."""
    given = 0
    places = [(line[0], 0)] if line else []  # a heap is walked in order from its root
    while places and given < most:
        (front, _, seq, index), at = heappop(places)
        for below in (2 * at + 1, 2 * at + 2):
            if below < len(line):
                heappush(places, (line[below], below))
        job = state.jobs.get(seq)
        if job is None:
            continue
        if isinstance(job, Array) and front == BACK:
            tried = sum(1 for child in job.numbers if job.children[child] == states.RUNNABLE)  # stand for themselves
            for _ in range(min(job.children.count(states.RUNNABLE) - tried, most - given)):
                given += 1
                yield job
        elif job.state_of(index) == states.RUNNABLE:
            given += 1
            yield job
