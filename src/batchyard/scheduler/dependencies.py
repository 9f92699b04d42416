"""Who waits on whom. Knows when the fate of a PENDING job is decided; never changes a status itself.

A dependency is fulfilled only by SUCCEEDED; a FAILED upstream dooms the job at once (reference "Job
dependencies"). Decided jobs go to ``State.work``, a heap by (job, index), from which a turn takes as much as it
may; since a downstream always has a higher number than its upstream, the heap's order is the order of arrival.
"""

from __future__ import annotations

from heapq import heappush

from batchyard.model import states
from batchyard.model.events import Upstream
from batchyard.model.ids import WHOLE
from batchyard.model.jobs import N_TO_N, SEQUENTIAL
from batchyard.scheduler.state import Array, Job, Link, State


def attach(state: State, job: Job, upstreams: tuple[Upstream, ...]) -> None:
    """Tie a job to its upstreams: those that are held get a link, for the others the event says how they ended."""
    for upstream in upstreams:
        if upstream.kind == SEQUENTIAL and not upstream.seq:
            assert isinstance(job, Array), f"job {job.seq}: SEQUENTIAL is for arrays; admission lets no other pass"
            job.sequential = True
            continue
        holder = state.jobs.get(upstream.seq) or state.ended.get(upstream.seq)
        if upstream.kind == N_TO_N:
            assert isinstance(job, Array), f"job {job.seq}: N_TO_N is for arrays; admission lets no other pass"
            _pair(job, holder, upstream)
        else:
            _wait(job, holder, upstream)


def _pair(job: Array, holder: Job | None, upstream: Upstream) -> None:
    if isinstance(holder, Array):
        job.pairs.append(holder.children)
        _link(holder, Link(job.seq, N_TO_N, WHOLE))
    else:
        assert upstream.states is not None, f"job {job.seq}: nobody told the child states of upstream {upstream.seq}"
        job.pairs.append(upstream.states)


def _wait(job: Job, holder: Job | None, upstream: Upstream) -> None:
    current = upstream.state if holder is None else holder.state_of(upstream.index)
    assert current is not None, f"job {job.seq}: nobody told the state of upstream {upstream.seq}"
    if current == states.FAILED:
        job.doomed = True
    elif current != states.SUCCEEDED:
        assert holder is not None, f"job {job.seq}: upstream {upstream.seq} is live but not held"
        job.waits += 1
        _link(holder, Link(job.seq, upstream.kind, upstream.index))


def _link(holder: Job, link: Link) -> None:
    if holder.links is None:
        holder.links = []
    holder.links.append(link)


def fate(job: Job, index: int) -> int | None:
    """RUNNABLE or FAILED if the dependencies of a PENDING job or child decide it, None while it must wait."""
    if job.doomed:
        return states.FAILED
    waiting = job.waits > 0
    if isinstance(job, Array):
        for vector in job.pairs:
            if vector[index] == states.FAILED:
                return states.FAILED
            waiting = waiting or vector[index] != states.SUCCEEDED
        if job.sequential and index > 0:
            before = job.children[index - 1]
            if before == states.FAILED:
                return states.FAILED
            waiting = waiting or before != states.SUCCEEDED
    return None if waiting else states.RUNNABLE


def plain(array: Array) -> bool:
    """Whether all children share one fate."""
    return not array.pairs and not array.sequential


def note_decided(state: State, job: Job) -> None:
    """Put everything of `job` that is PENDING and decided to work: at arrival and at restore."""
    if not isinstance(job, Array):
        if job.status == states.PENDING and fate(job, WHOLE) is not None:
            heappush(state.work, (job.seq, WHOLE))
    elif job.doomed or plain(job):
        if states.PENDING in job.children and fate(job, 0) is not None:
            heappush(state.work, (job.seq, WHOLE))
    elif _some_decided(job):
        for index, child in enumerate(job.children):
            if child == states.PENDING and fate(job, index) is not None:
                heappush(state.work, (job.seq, index))


def _some_decided(array: Array) -> bool:
    """Whether it is worth asking every child: a failure dooms children even while the whole array waits."""
    vectors = [*array.pairs, array.children] if array.sequential else array.pairs
    return not array.waits or any(states.FAILED in vector for vector in vectors)


def tell_whole(state: State, job: Job) -> None:
    """`job` is terminal: jobs that wait on all of it hear of it."""
    for link in job.links or ():
        if link.kind != N_TO_N and link.index == WHOLE:
            _ended(state, link.downstream, job.status)


def tell_children(state: State, array: Array, lo: int, hi: int, outcome: int) -> None:
    """Children lo..hi-1 are terminal: their counterparts, their successor and who waits on one of them hear of it."""
    for link in array.links or ():
        if link.kind == N_TO_N:
            _counterparts(state, link.downstream, lo, hi)
        elif lo <= link.index < hi:
            _ended(state, link.downstream, outcome)
    if array.sequential and hi < array.size and array.children[hi] == states.PENDING and fate(array, hi) is not None:
        heappush(state.work, (array.seq, hi))


def _counterparts(state: State, downstream: int, lo: int, hi: int) -> None:
    job = state.jobs.get(downstream)
    if not isinstance(job, Array):
        return
    for index in range(lo, hi):
        if job.children[index] == states.PENDING and fate(job, index) is not None:
            heappush(state.work, (downstream, index))


def _ended(state: State, downstream: int, outcome: int) -> None:
    job = state.jobs.get(downstream)
    if job is None:
        return  # it was doomed by another upstream, or cancelled
    job.waits -= 1
    if outcome == states.FAILED:
        job.doomed = True
    if job.doomed or job.waits == 0:
        heappush(state.work, (downstream, WHOLE))
