"""The order of waiting, which is state: a line of (front, rank, seq, index) for each queue, or each share of one.

`front` is 0 for a job that has been tried before (a retry rejoins at the front, reference "Job life cycle") and 1
otherwise; `rank` is its priority within a share, negative; `seq` is the number the store gave on arrival. An array
stands in the line once, with index WHOLE, and hands out its RUNNABLE children by index; its retried children stand for
themselves. Entries are checked when they reach the front of their lane, so leaving the line costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from batchyard.model import states
from batchyard.model.ids import WHOLE
from batchyard.scheduler.lines import Entry, Lane, Line
from batchyard.scheduler.state import Array, Job, State

FRONT, BACK = 0, 1


def join(state: State, job: Job, index: int) -> None:
    """A single job, or one child, that just became RUNNABLE takes its place."""
    state.unsettled = True
    if job.number_of(index) > 0:
        job.line.push(job.lane, (FRONT, job.rank, job.seq, index))
    elif isinstance(job, Array):
        _join_array(job, index)
    else:
        job.line.push(job.lane, (BACK, job.rank, job.seq, WHOLE))


def join_children(state: State, array: Array, lo: int) -> None:
    """Untried children from `lo` on became RUNNABLE."""
    state.unsettled = True
    _join_array(array, lo)


def _join_array(array: Array, lo: int) -> None:
    array.ready_from = min(array.ready_from, lo)
    if not array.in_line:
        array.in_line = True
        array.line.push(array.lane, (BACK, array.rank, array.seq, WHOLE))


def head(state: State, line: Line) -> tuple[Job, int] | None:
    """The job and index that must go next, or None if nobody waits. Entries that no longer stand are dropped."""
    while (first := line.first()) is not None:
        standing = _standing(state, first[0])
        if standing is not None:
            return standing
        line.pop(first[1])
    return None


def head_of(state: State, line: Line, lane: Lane) -> tuple[Job, int] | None:
    """Likewise of one lane."""
    while lane in line.lanes:
        standing = _standing(state, line.lanes[lane][0])
        if standing is not None:
            return standing
        line.pop(lane)
    return None


def _standing(state: State, entry: Entry) -> tuple[Job, int] | None:
    """The job and index for which the entry stands; None: it stands for nobody any more."""
    front, _, seq, index = entry
    job = state.jobs.get(seq)
    if job is None:
        return None
    if isinstance(job, Array) and front == BACK:
        ready = job.children.find(states.RUNNABLE, job.ready_from)
        if ready >= 0:
            job.ready_from = ready
            return job, ready
        job.ready_from = job.size
        job.in_line = False
        return None
    return (job, index) if job.state_of(index) == states.RUNNABLE else None


def leave(state: State, job: Job) -> None:
    """The first of the job's lane was placed. An array stays while it may have more children to give; `head` finds
    out."""
    front, _, seq, _ = job.line.lanes[job.lane][0]
    if front == FRONT or not isinstance(state.jobs[seq], Array):
        job.line.pop(job.lane)


def waiting(state: State, line: Line) -> Iterator[tuple[Job, int]]:
    """Everybody who waits in the line as (job, index), in order, without taking anybody out."""
    for front, _, seq, index in line.in_order():
        job = state.jobs.get(seq)
        if job is None:
            continue
        if isinstance(job, Array) and front == BACK:
            yield from ((job, child) for child in _untried(job))
        elif job.state_of(index) == states.RUNNABLE:
            yield job, index


def _untried(array: Array) -> Iterator[int]:
    """RUNNABLE children for which the array's own entry stands; those that were tried stand for themselves."""
    child = array.children.find(states.RUNNABLE, array.ready_from)
    while child >= 0:
        if child not in array.numbers:
            yield child
        child = array.children.find(states.RUNNABLE, child + 1)
