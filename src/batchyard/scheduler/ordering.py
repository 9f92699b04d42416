"""The order of waiting, which is state: a heap of (front, seq, index) for each queue.

`front` is 0 for a job that has been tried before (a retry rejoins at the front, reference "Job life cycle") and 1
otherwise; `seq` is the number the store gave on arrival. An array stands in the line once, as (1, seq, WHOLE), and
hands out its RUNNABLE children by index; its retried children stand for themselves. Entries are checked when they
reach the head, so leaving the line costs nothing.
"""

from __future__ import annotations

from heapq import heappop, heappush

from batchyard.model import states
from batchyard.model.ids import WHOLE
from batchyard.scheduler.state import Array, Job, Queue, State

FRONT, BACK = 0, 1


def join(state: State, job: Job, index: int) -> None:
    """A single job, or one child, that just became RUNNABLE takes its place."""
    line = state.queues[job.queue].line
    state.unsettled = True
    if job.number_of(index) > 0:
        heappush(line, (FRONT, job.seq, index))
    elif isinstance(job, Array):
        _join_array(line, job, index)
    else:
        heappush(line, (BACK, job.seq, WHOLE))


def join_children(state: State, array: Array, lo: int) -> None:
    """Untried children from `lo` on became RUNNABLE."""
    state.unsettled = True
    _join_array(state.queues[array.queue].line, array, lo)


def _join_array(line: list[tuple[int, int, int]], array: Array, lo: int) -> None:
    array.ready_from = min(array.ready_from, lo)
    if not array.in_line:
        array.in_line = True
        heappush(line, (BACK, array.seq, WHOLE))


def head(state: State, queue: Queue) -> tuple[Job, int] | None:
    """The job and index that must go next, or None if nobody waits. Entries that no longer stand are dropped."""
    line = queue.line
    while line:
        front, seq, index = line[0]
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


def leave(state: State, queue: Queue) -> None:
    """The head was placed. An array stays while it may have more children to give; `head` finds out."""
    front, seq, _ = queue.line[0]
    if front == FRONT or not isinstance(state.jobs[seq], Array):
        heappop(queue.line)
