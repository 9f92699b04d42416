"""Moves of jobs, children and nodes, each checked against the tables of ``model/states.py``: the only place where a
state changes. Called by ``lifecycle`` alone.
"""

from __future__ import annotations

from batchyard.model import states
from batchyard.model.facts import ChildrenMoved
from batchyard.model.ids import NODES, WHOLE
from batchyard.scheduler.state import Array, Gang, Job, State


def put(job: Job, index: int, to: int) -> None:
    """Move one single job, child or node, in memory."""
    if index == WHOLE:
        states.check_job_move(f"job {job.uuid}", job.status, to)
        job.status = to
        return
    if isinstance(job, Gang):
        states.check_node_move(f"job {job.uuid}#{index - NODES}", job.states[index], to)
        job.states[index] = to
        return
    assert isinstance(job, Array)
    before = job.children[index]
    states.check_job_move(f"job {job.uuid}:{index}", before, to)
    job.children[index] = to
    job.counts[before] -= 1
    job.counts[to] += 1


def paint(array: Array, lo: int, hi: int, to: int) -> None:
    """Move children lo..hi-1, all in one state, in memory; in place, because downstreams share the vector."""
    before = array.children[lo]
    states.check_job_move(f"job {array.uuid}:{lo}", before, to)
    array.children[lo:hi] = bytes([to]) * (hi - lo)
    array.counts[before] -= hi - lo
    array.counts[to] += hi - lo


def move_children(state: State, array: Array, lo: int, hi: int, to: int, reason: str | None) -> None:
    before = array.children[lo]
    paint(array, lo, hi, to)
    state.facts.append(ChildrenMoved(array.seq, lo, hi, before, to, state.now_ms, reason))


def move_nodes(state: State, gang: Gang, to: int, reason: str | None = None, number: int | None = None) -> None:
    """Nodes that hold no attempt and are not there yet, in as few ranges as there are."""
    moving = [index for index, status in gang.states.items() if status != to and index not in gang.open_nodes]
    at = 0
    while at < len(moving):
        lo, before = moving[at], gang.states[moving[at]]
        hi = lo
        while at < len(moving) and moving[at] == hi and gang.states[hi] == before:
            put(gang, hi, to)
            at, hi = at + 1, hi + 1
        state.facts.append(ChildrenMoved(gang.seq, lo, hi, before, to, state.now_ms, reason, number))
