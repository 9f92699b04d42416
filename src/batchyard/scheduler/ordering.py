"""The order of waiting, which is state: a line of (front, rank, seq, index) for each queue, or each share of one.

`front` is 0 for a job that has been tried before (a retry rejoins at the front, reference "Job life cycle") and 1
otherwise; `rank` is its priority within a share, negative; `seq` is the number the store gave on arrival. An array
stands in the line once, with index WHOLE, and hands out its RUNNABLE children by index; its retried children stand for
themselves. Entries are checked when they reach the front of their lane, so leaving the line costs nothing.

Jobs that ask for the same of consumable resources wait in a heap of their own (``Askers``); the first of them has a
second entry in the queue's line while it may have what it asks for (``consumables.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush, merge
from operator import itemgetter

from batchyard.model import states
from batchyard.model.ids import WHOLE
from batchyard.scheduler import consumables, fairshare
from batchyard.scheduler.lines import Entry, Lane, Line
from batchyard.scheduler.state import Array, Askers, Job, Queue, State

FRONT, BACK = 0, 1


def join(state: State, job: Job, index: int) -> None:
    """A single job, or one child, that just became RUNNABLE takes its place."""
    stir(state, job)
    if job.number_of(index) > 0:
        job.line.push(job.lane, (FRONT, job.rank, job.seq, index))
    elif isinstance(job, Array):
        _join_array(job, index)
    else:
        job.line.push(job.lane, (BACK, job.rank, job.seq, WHOLE))
    fairshare.waits(state, job)


def join_children(state: State, array: Array, lo: int) -> None:
    """Untried children from `lo` on became RUNNABLE."""
    stir(state, array)
    _join_array(array, lo)
    fairshare.waits(state, array)


def stir(state: State, job: Job) -> None:
    """Who waits has changed: with the job, who is first among those who ask for the same."""
    state.unsettled = True
    _look_who_is_first(state, job)


def _look_who_is_first(state: State, job: Job) -> None:
    if job.askers is not None:
        state.stirred[job.askers] = None


def _join_array(array: Array, lo: int) -> None:
    array.ready_from = min(array.ready_from, lo)
    if not array.in_line:
        array.in_line = True
        array.line.push(array.lane, (BACK, array.rank, array.seq, WHOLE))


def head(state: State, line: Line) -> tuple[Job, int] | None:
    """The job and index that must go next, or None if nobody waits. Entries that no longer stand are dropped."""
    while (first := line.first()) is not None:
        standing = _standing(state, line, first[0])
        if standing is not None:
            return standing
        _drop(state, line, first[1])
    return None


def head_of(state: State, line: Line, lane: Lane) -> tuple[Job, int] | None:
    """Likewise of one lane."""
    while lane in line.lanes:
        standing = _standing(state, line, line.lanes[lane][0])
        if standing is not None:
            return standing
        _drop(state, line, lane)
    return None


def _standing(state: State, line: Line, entry: Entry) -> tuple[Job, int] | None:
    """The job and index for which the entry stands there; None: it stands for nobody any more."""
    front, _, seq, index = entry
    job = state.jobs.get(seq)
    if job is None or (line is not job.line and not consumables.has_turn(state, job.askers, entry)):
        return None
    if isinstance(job, Array) and front == BACK:
        ready = job.children.find(states.RUNNABLE, job.ready_from)
        if ready >= 0:
            job.ready_from = ready
            return job, ready
        if line is job.line:
            job.ready_from = job.size
            job.in_line = False
        return None
    return (job, index) if job.stands(index) else None


def _drop(state: State, line: Line, lane: Lane) -> None:
    """The first of the lane stands for nobody."""
    entry = line.lanes[lane][0]
    line.pop(lane)
    job = state.jobs.get(entry[2])
    if job is not None and line is not job.line and job.askers is not None and job.askers.stands == entry:
        job.askers.stands = None
        _look_who_is_first(state, job)
        offer(state)


def offer(state: State) -> None:
    """Put into its queue's or share's line whoever may now have the consumable resources that it asks for."""
    consumables.look_again(state)
    while state.stirred:
        askers, _ = state.stirred.popitem()
        job = head(state, askers.own)
        first = askers.own.first()
        entry = None if first is None else first[0]
        if entry != askers.first:
            consumables.set_first(state, askers, entry)
        if job is not None and entry != askers.stands and consumables.may_go(state, askers):
            askers.line.push(job[0].lane, entry)
            fairshare.waits(state, job[0])
            askers.stands = entry


def leave(state: State, job: Job) -> None:
    """The first of the job's lane was placed. An array stays while it may have more children to give; `head` finds
    out."""
    line = job.stands_in
    stays = line.lanes[job.lane][0][0] == BACK and isinstance(job, Array)
    if not stays:
        line.pop(job.lane)
    if job.askers is not None:
        _look_who_is_first(state, job)
        if not stays:
            job.askers.own.pop(job.lane)
            job.askers.stands = None


def waiting(state: State, line: Line) -> Iterator[tuple[Job, int]]:
    """Everybody who waits in the line as (job, index), in order, without taking anybody out; also those who wait for
    consumable resources."""
    ordered = [_of_line(state, line, None), *(_of_line(state, askers.own, askers) for askers in line.aside.values())]
    for entry, job in merge(*ordered, key=itemgetter(0)):
        yield from _those_of(job, entry)


def supplied(state: State, line: Line) -> Iterator[tuple[Job, int]]:
    """Of these, those for whom there are consumable resources when all before them have theirs; or who ask for none."""
    supplies = consumables.Supplies(state)
    ordered = [_of_line(state, line, None), *(_of_line(state, askers.own, askers) for askers in line.aside.values())]
    firsts = [next(each, None) for each in ordered]
    heap = [(first[0], number, first[1]) for number, first in enumerate(firsts) if first is not None]
    heapify(heap)
    while heap:
        entry, number, job = heappop(heap)
        for each in _those_of(job, entry):
            if not supplies.take(job.asks):
                break  # nor is there anything for those behind it who ask for the same
            yield each
        else:
            if (following := next(ordered[number], None)) is not None:
                heappush(heap, (following[0], number, following[1]))


def _of_line(state: State, line: Line, askers: Askers | None) -> Iterator[tuple[Entry, Job]]:
    """The entries of those who ask for the same of consumable resources, or for nothing, with their jobs, in order."""
    for entry in line.in_order():
        job = state.jobs.get(entry[2])
        if job is not None and job.askers is askers:
            yield entry, job


def _those_of(job: Job, entry: Entry) -> Iterator[tuple[Job, int]]:
    """For whom an entry stands: of an array, the ready children that were never tried."""
    front, _, _, index = entry
    if isinstance(job, Array) and front == BACK:
        yield from ((job, child) for child in _untried(job))
    elif job.stands(index):
        yield job, index


def _untried(array: Array) -> Iterator[int]:
    """RUNNABLE children for which the array's own entry stands; those that were tried stand for themselves."""
    child = array.children.find(states.RUNNABLE, array.ready_from)
    while child >= 0:
        if child not in array.numbers:
            yield child
        child = array.children.find(states.RUNNABLE, child + 1)


def supplied_by_turn(state: State, queue: Queue) -> Iterator[tuple[Job, int]]:
    """Likewise of all shares of a queue with a policy, in the order in which they would be given their turns."""
    turns: list[tuple[int, str, int, Iterator[tuple[Job, int]]]] = []
    for share in queue.shares.values():
        if share.line or share.line.aside:
            fairshare.charge(queue, share, state.now_ms)
            turns.append((fairshare.score(queue, share), share.id, 0, supplied(state, share.line)))
    heapify(turns)
    while turns:
        _, name, given, jobs = heappop(turns)
        found = next(jobs, None)
        if found is not None:
            yield found
            cpu_milli = state.needs_of(found[0]).cpu_milli
            given += cpu_milli
            heappush(turns, (fairshare.score(queue, queue.shares[name], given, cpu_milli), name, given, jobs))


def is_contested(state: State, queue: Queue) -> bool:
    """Whether jobs of more than one share wait, and time will change what the shares have used."""
    waiting, moving = 0, False
    for share in queue.shares.values():
        if share.line and head(state, share.line) is not None:
            waiting += 1
            moving = moving or fairshare.moves(queue, share, state.now_ms)
            if moving and waiting > 1:  # with many shares the first few tell
                return True
    return False
