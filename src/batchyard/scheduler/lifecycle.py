"""The life of a job: what happens to it, and what follows from that. Its states are written by ``moves.py``.

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
    JobAdded,
    JobMoved,
    StopNoted,
)
from batchyard.model.ids import NODES, WHOLE
from batchyard.model.jobs import CANCEL, TERMINATE
from batchyard.scheduler import capacity, consumables, dependencies, fairshare, ledger, ordering, reclaim, retries
from batchyard.scheduler.moves import move_children, move_nodes, paint, put
from batchyard.scheduler.placement import Place
from batchyard.scheduler.state import Array, Gang, Job, Open, State

DEPENDENCY_FAILED = "Dependent Job failed"
CHILD_FAILED = "Array Child Job failed"
QUEUE_DELETED = "JobQueue deleted"
MAIN_NODE_ENDED = "Main node ended"  # a node that had not begun by then; the words are ours


def build(state: State, event: JobSubmitted, child_status: int = states.PENDING) -> Job:
    """The job of `event`, tied to its upstreams; it stands in no line yet."""
    lane, retry = (state.classes.intern(event.needs), event.timeout_s or 0), state.intern(event.retry)
    queue = state.queues[event.queue]
    job: Job
    if event.size:
        job = Array(event.seq, event.uuid, event.queue, lane, retry, queue.line, event.size, child_status)
    elif event.nodes is not None:
        classes = tuple(state.classes.intern(group.needs) for group in event.nodes.groups)
        lane = (state.lane_of(event.nodes), lane[1])
        job = Gang(event.seq, event.uuid, event.queue, lane, retry, queue.line, event.nodes, classes, child_status)
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
            paint(job, 0, job.size, states.RUNNABLE)
            ordering.join_children(state, job, 0)
    else:
        child_status = job.status = states.RUNNABLE if free else states.PENDING
        if isinstance(job, Gang):
            job.states = dict.fromkeys(job.states, child_status)
        if free:
            ordering.join(state, job, WHOLE)
    added = JobAdded(job.seq, job.uuid, job.queue, job.size, job.status, child_status, state.now_ms)
    if isinstance(job, Gang):
        added = added._replace(nodes=job.nodes.count, main=job.nodes.main)
    if job.share is not None:
        added = added._replace(share=job.share.id, priority=-job.rank)
    state.facts.append(added)
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
        put(job, WHOLE, states.RUNNABLE)
        state.facts.append(JobMoved(job.seq, WHOLE, states.PENDING, states.RUNNABLE, state.now_ms))
        if isinstance(job, Gang):
            move_nodes(state, job, states.RUNNABLE)
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
        move_children(state, array, lo, hi, states.RUNNABLE, None)
        ordering.join_children(state, array, lo)


# -- attempts ----------------------------------------------------------------------------------------------------


def open_attempt(state: State, job: Job, index: int, place: Place) -> None:
    """RUNNABLE to STARTING at `place`; takes its room.

    Of a multi-node job the main node is opened first; the others have their places, and start once it runs.
    """
    is_node = index >= NODES
    number, environment = job.number_of(index) + (not is_node), place.environment
    opened = Open(number, environment.number, place.instance, state.now_ms)
    put(job, index, states.STARTING)
    if isinstance(job, Array):
        job.numbers[index] = number
        job.open_children[index] = opened
    elif isinstance(job, Gang) and is_node:
        job.open_nodes[index] = opened
    else:
        job.number = number
        job.open = opened
    opened.devices = ledger.devices_for(state, opened, state.needs_of(job, index))
    ledger.take(state, job, index, opened)
    fairshare.taken(state, job, state.needs_of(job, index).cpu_milli)
    if not is_node:
        consumables.take(state, job)
    state.facts.append(
        AttemptOpened(
            job.seq, index, number, job.uuid, environment.number, place.instance, state.now_ms, opened.devices
        )
    )
    if not is_node:
        state.actions.append(StartAttempt(job.seq, index, number, job.uuid, environment.number))


def begin(state: State, job: Job, index: int, at_ms: int) -> None:
    """STARTING to RUNNING. Executors read another clock: an attempt never starts before it was opened."""
    opened = job.open_of(index)
    assert opened is not None
    if opened.started_ms is not None:
        return
    opened.started_ms = max(at_ms, opened.opened_ms)
    put(job, index, states.RUNNING)
    state.facts.append(AttemptBegan(job.seq, index, opened.number, opened.started_ms))
    if isinstance(job, Gang) and index == WHOLE:
        _start_nodes(state, job)


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
    elif index >= NODES and job.status == states.RUNNABLE:
        to = states.RUNNABLE  # the job is tried again, and its nodes with it
    elif ending.exit_code == 0 and not ending.timed_out:
        to = states.SUCCEEDED
    elif index >= NODES:
        to = states.FAILED
    else:
        to = states.RUNNABLE if stop is None and retries.again(job.retry, opened.number, ending) else states.FAILED
    put(job, index, to)
    _drop_open(job, index)
    state.facts.append(AttemptClosed(job.seq, index, opened.number, before, to, ending, state.now_ms, terminated))
    ledger.give_back(state, job, index, opened)
    state.going.pop((job.seq, index), None)
    fairshare.taken(state, job, -state.needs_of(job, index).cpu_milli)
    _give_back_supplies(state, job, index, began=ending.started_ms is not None)
    state.actions.append(ReleaseAttempt(job.seq, index, opened.number, job.uuid, opened.environment))
    if isinstance(job, Gang):
        _gang_closed(state, job, index, opened.started_ms is not None)
    elif to == states.RUNNABLE:
        ordering.join(state, job, index)
    else:
        _settled(state, job, index, index + 1, to)


def _give_back_supplies(state: State, job: Job, index: int, began: bool) -> None:
    """What a multi-node job has of consumable resources, for all of its nodes, it has until the last node is closed."""
    if isinstance(job, Gang):
        if index == WHOLE:
            job.began = began
        if job.open is not None or job.open_nodes:
            return
        began = job.began
    consumables.give_back(state, job, began)


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
    if isinstance(job, Gang) and index != WHOLE:
        del job.open_nodes[index]
    elif isinstance(job, Array):
        del job.open_children[index]
        if job.children[index] in states.TERMINAL:
            job.numbers.pop(index, None)
            job.stops.pop(index, None)
    else:
        job.open = None


# -- multi-node jobs ---------------------------------------------------------------------------------------------
#
# The main node's exit decides for the job; then the other nodes are stopped. Until the last of them is closed, the job
# is held, be it over, and not tried again (reference "Multi-node parallel jobs").


def _start_nodes(state: State, gang: Gang) -> None:
    """The main node runs: the others may. Who was told to end meanwhile needs no others."""
    if _is_terminated(gang.stop):
        _close_all_unstarted(state, gang)
    for index, opened in sorted(gang.open_nodes.items()):
        state.actions.append(StartAttempt(gang.seq, index, opened.number, gang.uuid, opened.environment))


def _gang_closed(state: State, gang: Gang, index: int, begun: bool) -> None:
    """An attempt is over; `begun`: it had told that it runs."""
    if index == WHOLE:
        if gang.status == states.RUNNABLE:
            move_nodes(state, gang, states.RUNNABLE, number=gang.number)
        else:
            _settled(state, gang, WHOLE, WHOLE + 1, gang.status)
        if begun:
            for each in sorted(gang.open_nodes):
                _order_stop(state, gang, each)
        elif gang.open_nodes:
            _close_all_unstarted(state, gang)  # the last of them does what is left to do
            return
    if gang.open is None and not gang.open_nodes:
        _gang_left(state, gang)


def _close_all_unstarted(state: State, gang: Gang) -> None:
    for index in sorted(gang.open_nodes):
        close_unstarted(state, gang, index)


def close_unstarted(state: State, gang: Gang, index: int) -> None:
    """The node was never told to start, or never did."""
    close(state, gang, index, Ending(None, MAIN_NODE_ENDED))


def _gang_left(state: State, gang: Gang) -> None:
    """Nothing of it is open: it may be tried again, or leaves."""
    if gang.status == states.RUNNABLE:
        ordering.join(state, gang, WHOLE)
    elif gang.seq in state.jobs:
        _leave(state, gang)


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
    elif event.index == WHOLE:  # of a node nobody asks: its id leads to its job
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
        if isinstance(job, Gang) and job.open is not None and job.open.started_ms is not None:
            for each in sorted(job.open_nodes):
                _order_stop(state, job, each)
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
    if job.status in states.TERMINAL or (job.open is not None and _is_terminated(job.stop)):
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


def _fail(state: State, job: Job, reason: str) -> None:
    """A single job that holds no attempt fails."""
    before = job.status
    put(job, WHOLE, states.FAILED)
    state.facts.append(JobMoved(job.seq, WHOLE, before, states.FAILED, state.now_ms, reason))
    if isinstance(job, Gang):
        move_nodes(state, job, states.FAILED, reason)
        capacity.release_set(state, job.seq)
    _settled(state, job, WHOLE, WHOLE + 1, states.FAILED)


def _fail_children(state: State, array: Array, lo: int, hi: int, reason: str) -> None:
    """Children that hold no attempt fail."""
    move_children(state, array, lo, hi, states.FAILED, reason)
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
    if not isinstance(job, Gang) or not job.open_nodes:
        _leave(state, job)


def _leave(state: State, job: Job) -> None:
    """Nothing of it lives."""
    state.ended[job.seq] = state.jobs.pop(job.seq)
    consumables.detach(job)
    if job.share is not None:
        job.share.jobs -= 1
        state.charged.add((job.queue, job.share.id))


def _reason_of_failure(state: State, array: Array) -> str:
    if array.stop is not None:
        return array.stop[1]
    return QUEUE_DELETED if state.queues[array.queue].deleting else CHILD_FAILED
