"""The life of a job: the only writer of a status. Every move is checked against the tables of ``model/states.py``.

Sources: reference "Job life cycle", "Array jobs", "CancelJob and TerminateJob", "Retries and timeouts".
"""

from __future__ import annotations

from batchyard.model import states
from batchyard.model.actions import ReleaseAttempt, StartAttempt, StopAttempt
from batchyard.model.events import Ending, JobSubmitted, StopRequested
from batchyard.model.facts import (
    AttemptBegan,
    AttemptClosed,
    AttemptOpened,
    ChildrenMoved,
    JobAdded,
    JobMoved,
    StopNoted,
)
from batchyard.model.ids import WHOLE
from batchyard.model.jobs import CANCEL, TERMINATE
from batchyard.scheduler import consumables, dependencies, fairshare, ledger, ordering, reclaim, retries
from batchyard.scheduler.placement import Place
from batchyard.scheduler.state import Array, Job, Open, State

DEPENDENCY_FAILED = "Dependent Job failed"
CHILD_FAILED = "Array Child Job failed"
QUEUE_DELETED = "JobQueue deleted"


def build(state: State, event: JobSubmitted, child_status: int = states.PENDING) -> Job:
    """The job of `event`, tied to its upstreams; it stands in no line yet."""
    lane, retry = (state.classes.intern(event.needs), event.timeout_s or 0), state.intern(event.retry)
    queue = state.queues[event.queue]
    job: Job
    if event.size:
        job = Array(event.seq, event.uuid, event.queue, lane, retry, queue.line, event.size, child_status)
    else:
        job = Job(event.seq, event.uuid, event.queue, lane, retry, queue.line)
    if event.share is not None and queue.policy is not None:
        share = job.share = fairshare.join(state, queue, event.share)
        share.jobs += 1
        job.line, job.rank = share.line, -event.priority
    if event.asks:
        consumables.attach(state, job, event.asks)
    dependencies.attach(state, job, event.upstreams)
    state.jobs[event.seq] = job
    return job


def add(state: State, event: JobSubmitted) -> None:
    """A job arrives: RUNNABLE if nothing holds it back, else PENDING."""
    job = build(state, event)
    free = not job.waits and not job.doomed
    if isinstance(job, Array):
        job.status = states.PENDING
        child_status = states.RUNNABLE if free and dependencies.plain(job) else states.PENDING
        if child_status == states.RUNNABLE:
            _paint(job, 0, job.size, states.RUNNABLE)
            ordering.join_children(state, job, 0)
    else:
        child_status = job.status = states.RUNNABLE if free else states.PENDING
        if free:
            ordering.join(state, job, WHOLE)
    state.facts.append(JobAdded(job.seq, job.uuid, job.queue, job.size, job.status, child_status, state.now_ms))
    dependencies.note_decided(state, job)


# -- dependencies decided ----------------------------------------------------------------------------------------


def follow_fate(state: State, job: Job) -> None:
    """Move what is PENDING and decided of `job`: a single job, or every decided child of an array."""
    if not isinstance(job, Array):
        fate = dependencies.fate(job, WHOLE) if job.status == states.PENDING else None
        if fate is not None:
            _leave_pending(state, job, fate)
        return
    lo = job.children.find(states.PENDING)
    while lo >= 0 and job.seq in state.jobs:
        lo = job.children.find(states.PENDING, follow_children(state, job, lo))


def follow_children(state: State, array: Array, lo: int) -> int:
    """Move the run of children from `lo` on that are PENDING and share a decided fate; return where it ends."""
    fate = dependencies.fate(array, lo) if array.children[lo] == states.PENDING else None
    hi = lo + 1
    if fate is None:
        return hi
    stop = array.stop_of(lo)
    chain = array.sequential and fate == states.FAILED  # the failure of one is the failure of all behind it
    while (
        hi < array.size
        and array.children[hi] == states.PENDING
        and (chain or (not array.sequential and dependencies.fate(array, hi) == fate))
        and array.stop_of(hi) == stop
    ):
        hi += 1
    _children_leave_pending(state, array, lo, hi, fate)
    return hi


def _leave_pending(state: State, job: Job, fate: int) -> None:
    if job.stop is not None:
        _fail(state, job, job.stop[1])  # a cancelled PENDING job fails once its dependencies are complete
    elif state.queues[job.queue].deleting:
        _fail(state, job, QUEUE_DELETED)
    elif fate == states.FAILED:
        _fail(state, job, DEPENDENCY_FAILED)
    else:
        _set(job, WHOLE, states.RUNNABLE)
        state.facts.append(JobMoved(job.seq, WHOLE, states.PENDING, states.RUNNABLE, state.now_ms))
        ordering.join(state, job, WHOLE)


def _children_leave_pending(state: State, array: Array, lo: int, hi: int, fate: int) -> None:
    stop = array.stop_of(lo)
    if stop is not None:
        if array.stop is not None:
            state.facts.append(StopNoted(array.seq, lo, hi, stop[0], stop[1], state.now_ms))
        _fail_children(state, array, lo, hi, stop[1])
    elif state.queues[array.queue].deleting:
        _fail_children(state, array, lo, hi, QUEUE_DELETED)
    elif fate == states.FAILED:
        _fail_children(state, array, lo, hi, DEPENDENCY_FAILED)
    else:
        _move_children(state, array, lo, hi, states.RUNNABLE, None)
        ordering.join_children(state, array, lo)


# -- attempts ----------------------------------------------------------------------------------------------------


def open_attempt(state: State, job: Job, index: int, place: Place) -> None:
    """RUNNABLE to STARTING at `place`; takes its room."""
    number, environment = job.number_of(index) + 1, place.environment
    opened = Open(number, environment.number, place.instance, state.now_ms)
    _set(job, index, states.STARTING)
    if isinstance(job, Array):
        job.numbers[index] = number
        job.open_children[index] = opened
    else:
        job.number = number
        job.open = opened
    opened.devices = ledger.devices_for(state, opened, state.needs_of(job))
    ledger.take(state, job, index, opened)
    fairshare.taken(state, job, state.needs_of(job).cpu_milli)
    consumables.take(state, job)
    state.facts.append(
        AttemptOpened(
            job.seq, index, number, job.uuid, environment.number, place.instance, state.now_ms, opened.devices
        )
    )
    state.actions.append(StartAttempt(job.seq, index, number, job.uuid, environment.number))


def begin(state: State, job: Job, index: int, at_ms: int) -> None:
    """STARTING to RUNNING. Executors read another clock: an attempt never starts before it was opened."""
    opened = job.open_of(index)
    assert opened is not None
    if opened.started_ms is not None:
        return
    opened.started_ms = max(at_ms, opened.opened_ms)
    _set(job, index, states.RUNNING)
    state.facts.append(AttemptBegan(job.seq, index, opened.number, opened.started_ms))


def close(state: State, job: Job, index: int, ending: Ending) -> None:
    """The open attempt is over: SUCCEEDED, RUNNABLE again at the front, or FAILED."""
    opened = job.open_of(index)
    assert opened is not None
    stop = job.stop_of(index)
    terminated = stop is not None and stop[0] == TERMINATE
    before = job.state_of(index)
    ending = _dated(ending, opened, state.now_ms)
    if not terminated:
        ending = reclaim.as_told(state, opened, ending)
    if stop is not None and terminated:
        ending = ending._replace(status_reason=stop[1])
        to = states.FAILED
    elif ending.exit_code == 0 and not ending.timed_out:
        to = states.SUCCEEDED
    else:
        to = states.RUNNABLE if stop is None and retries.again(job.retry, opened.number, ending) else states.FAILED
    _set(job, index, to)
    _drop_open(job, index)
    ledger.give_back(state, job, index, opened)
    state.going.pop((job.seq, index), None)
    fairshare.taken(state, job, -state.needs_of(job).cpu_milli)
    consumables.give_back(state, job, began=ending.started_ms is not None)
    state.facts.append(AttemptClosed(job.seq, index, opened.number, before, to, ending, state.now_ms, terminated))
    state.actions.append(ReleaseAttempt(job.seq, index, opened.number, job.uuid, opened.environment))
    if to == states.RUNNABLE:
        ordering.join(state, job, index)
    else:
        _settled(state, job, index, index + 1, to)


def lost(state: State, job: Job, index: int) -> None:
    """The host of the open attempt is gone; the text is what clients' retry rules match."""
    opened = job.open_of(index)
    assert opened is not None
    close(state, job, index, Ending(None, reclaim.lost_reason(opened)))


def _dated(ending: Ending, opened: Open, now_ms: int) -> Ending:
    """Started not before opened, stopped not before started: executors read another clock."""
    started = opened.started_ms
    if started is None and ending.started_ms is not None:
        started = max(ending.started_ms, opened.opened_ms)
    stopped = max(ending.stopped_ms or now_ms, started or opened.opened_ms)
    return ending._replace(started_ms=started, stopped_ms=stopped)


def _drop_open(job: Job, index: int) -> None:
    if isinstance(job, Array):
        del job.open_children[index]
        if job.children[index] in states.TERMINAL:
            job.numbers.pop(index, None)
            job.stops.pop(index, None)
    else:
        job.open = None


# -- cancel and terminate ----------------------------------------------------------------------------------------


def stop(state: State, event: StopRequested) -> None:
    """Cancel or terminate what `event` names, as far as its state allows; no effect on what is over."""
    job = state.jobs.get(event.job)
    if job is None:
        return
    if isinstance(job, Array):
        if event.index == WHOLE:
            _stop_array(state, job, event.kind, event.reason)
        elif 0 <= event.index < job.size:
            _stop_one(state, job, event.index, event.kind, event.reason)
    elif event.index == WHOLE:
        _stop_one(state, job, WHOLE, event.kind, event.reason)


def cancel(state: State, job: Job, index: int, reason: str) -> None:
    """Cancel a RUNNABLE job or child."""
    _stop_one(state, job, index, CANCEL, reason)


def _stop_one(state: State, job: Job, index: int, kind: int, reason: str) -> None:
    current = job.state_of(index)
    known = job.stop_of(index)
    running = current in (states.STARTING, states.RUNNING)
    if current in states.TERMINAL or (running and kind != TERMINATE) or (known is not None and known[0] >= kind):
        return
    if isinstance(job, Array):
        job.stops[index] = (kind, reason)
    else:
        job.stop = (kind, reason)
    state.facts.append(StopNoted(job.seq, index, index + 1, kind, reason, state.now_ms))
    if running:
        _order_stop(state, job, index)
    elif current == states.RUNNABLE and isinstance(job, Array):
        _fail_children(state, job, index, index + 1, reason)
    elif current == states.RUNNABLE:
        _fail(state, job, reason)


def _stop_array(state: State, array: Array, kind: int, reason: str) -> None:
    """All children: the RUNNABLE fail now, the PENDING when their dependencies are complete, the running are killed
    by a terminate and left alone by a cancel."""
    if array.stop is not None and array.stop[0] >= kind:
        return
    array.stop = (kind, reason)
    state.facts.append(StopNoted(array.seq, WHOLE, WHOLE + 1, kind, reason, state.now_ms))
    if kind == TERMINATE:
        for index in sorted(array.open_children):
            if not _is_terminated(array.stops.get(index)):
                _terminate_child(state, array, index, reason)
    lo = array.children.find(states.RUNNABLE)
    while lo >= 0:
        hi = lo + 1
        while hi < array.size and array.children[hi] == states.RUNNABLE:
            hi += 1
        state.facts.append(StopNoted(array.seq, lo, hi, kind, reason, state.now_ms))
        _fail_children(state, array, lo, hi, reason)
        lo = array.children.find(states.RUNNABLE, hi)


def _terminate_child(state: State, array: Array, index: int, reason: str) -> None:
    """A child that holds an attempt."""
    array.stops[index] = (TERMINATE, reason)
    state.facts.append(StopNoted(array.seq, index, index + 1, TERMINATE, reason, state.now_ms))
    _order_stop(state, array, index)


def bring_to_end(state: State, job: Job, reason: str, bound: int) -> bool:
    """End a job whose queue is being deleted: what waits, be it PENDING, fails now; what runs is told to stop.

    Who was cancelled or terminated before keeps that reason. Does nothing more when there are `bound` facts; False if
    then something is left to do.
    """
    if not isinstance(job, Array):
        return _bring_single_to_end(state, job, reason, bound)
    for index in sorted(job.open_children):
        if not _is_terminated(job.stops.get(index)):
            if len(state.facts) >= bound:
                return False
            _terminate_child(state, job, index, reason)
    lo = _first_waiting(job, 0)
    while lo >= 0:
        if len(state.facts) >= bound:
            return False
        before, stop, hi = job.children[lo], job.stop_of(lo), lo + 1
        while hi < job.size and job.children[hi] == before and job.stop_of(hi) == stop:
            hi += 1
        _fail_children(state, job, lo, hi, stop[1] if stop else reason)
        lo = _first_waiting(job, hi)
    return True


def _bring_single_to_end(state: State, job: Job, reason: str, bound: int) -> bool:
    if job.open is not None and _is_terminated(job.stop):
        return True
    if len(state.facts) >= bound:
        return False
    if job.open is not None:
        _stop_one(state, job, WHOLE, TERMINATE, reason)
    else:
        _fail(state, job, job.stop[1] if job.stop else reason)
    return True


def _is_terminated(stop: tuple[int, str] | None) -> bool:
    return stop is not None and stop[0] == TERMINATE


def _first_waiting(array: Array, lo: int) -> int:
    """The first child from `lo` on that is PENDING or RUNNABLE, -1 if there is none."""
    found = [array.children.find(each, lo) for each in (states.PENDING, states.RUNNABLE)]
    return min((index for index in found if index >= 0), default=-1)


def _order_stop(state: State, job: Job, index: int) -> None:
    opened = job.open_of(index)
    assert opened is not None
    state.actions.append(StopAttempt(job.seq, index, opened.number, job.uuid, opened.environment))


# -- moves -------------------------------------------------------------------------------------------------------


def _set(job: Job, index: int, to: int) -> None:
    """Move one single job or one child, in memory."""
    if index == WHOLE:
        states.check_job_move(f"job {job.uuid}", job.status, to)
        job.status = to
        return
    assert isinstance(job, Array)
    before = job.children[index]
    states.check_job_move(f"job {job.uuid}:{index}", before, to)
    job.children[index] = to
    job.counts[before] -= 1
    job.counts[to] += 1


def _paint(array: Array, lo: int, hi: int, to: int) -> None:
    """Move children lo..hi-1, all in one state, in memory; in place, because downstreams share the vector."""
    before = array.children[lo]
    states.check_job_move(f"job {array.uuid}:{lo}", before, to)
    array.children[lo:hi] = bytes([to]) * (hi - lo)
    array.counts[before] -= hi - lo
    array.counts[to] += hi - lo


def _move_children(state: State, array: Array, lo: int, hi: int, to: int, reason: str | None) -> None:
    before = array.children[lo]
    _paint(array, lo, hi, to)
    state.facts.append(ChildrenMoved(array.seq, lo, hi, before, to, state.now_ms, reason))


def _fail(state: State, job: Job, reason: str) -> None:
    """A single job that holds no attempt fails."""
    before = job.status
    _set(job, WHOLE, states.FAILED)
    state.facts.append(JobMoved(job.seq, WHOLE, before, states.FAILED, state.now_ms, reason))
    _settled(state, job, WHOLE, WHOLE + 1, states.FAILED)


def _fail_children(state: State, array: Array, lo: int, hi: int, reason: str) -> None:
    """Children that hold no attempt fail."""
    _move_children(state, array, lo, hi, states.FAILED, reason)
    for index in range(lo, hi) if array.numbers or array.stops else ():
        array.numbers.pop(index, None)
        array.stops.pop(index, None)
    _settled(state, array, lo, hi, states.FAILED)


def _settled(state: State, job: Job, lo: int, hi: int, outcome: int) -> None:
    """Something became terminal: tell who waits on it; an array whose last child this was is over, too."""
    ordering.stir(state, job)
    if isinstance(job, Array):
        dependencies.tell_children(state, job, lo, hi, outcome)
        if job.counts[states.SUCCEEDED] + job.counts[states.FAILED] < job.size:
            return
        failed = job.counts[states.FAILED] > 0
        to = states.FAILED if failed else states.SUCCEEDED
        states.check_parent_move(f"job {job.uuid}", job.status, to)
        before, job.status = job.status, to
        reason = _reason_of_failure(state, job) if failed else None
        state.facts.append(JobMoved(job.seq, WHOLE, before, to, state.now_ms, reason))
    dependencies.tell_whole(state, job)
    state.ended[job.seq] = state.jobs.pop(job.seq)
    consumables.detach(job)
    if job.share is not None:
        job.share.jobs -= 1
        state.charged.add((job.queue, job.share.id))


def _reason_of_failure(state: State, array: Array) -> str:
    if array.stop is not None:
        return array.stop[1]
    return QUEUE_DELETED if state.queues[array.queue].deleting else CHILD_FAILED
