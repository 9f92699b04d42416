"""Who starts now: queue after queue, highest priority first, the heads of the lines are placed until one has no place.

Spot comes last, and where something was given all is looked at once more, so that what is decided follows from what is
there and not from the way it came about (docs/decisions/20261128-a-turn-ends-at-rest.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import islice

from batchyard.scheduler import blocked, capacity, fairshare, gangs, lifecycle, ordering, passing, placement
from batchyard.scheduler.lines import Line
from batchyard.scheduler.pledges import Pledges
from batchyard.scheduler.state import Gang, Job, Queue, State

FACTS_PER_TURN = 2000
ROUNDS = 50  # of looking at all queues in one turn
FORESEEN = 1000  # jobs looked at behind a head that waits for an instance


def serve(state: State) -> None:
    """Rounds until one changes nothing that somebody may have been waiting for: whoever looks at all of it again, as a
    restart does, finds nothing more to do. What is left after ROUNDS is the next turn's work."""
    ordering.offer(state)
    state.contested = []
    gangs.start_ready(state, FACTS_PER_TURN)
    for _ in range(ROUNDS):
        state.unsettled = False
        stuck: dict[int, tuple[Job, int]] = {}
        if not _round(state, stuck):
            state.unsettled = True
            return
        if not state.unsettled:
            break
    else:
        return
    state.contested = [queue for queue in state.order if queue.number in stuck and ordering.is_contested(state, queue)]
    state.placed_ms = state.now_ms
    blocked.review(state, stuck)
    blocked.act(state)


def _round(state: State, stuck: dict[int, tuple[Job, int]]) -> bool:
    """All queues, and then once more those that wait for Spot capacity, which takes what on-demand work leaves. False
    if the turn is over before.

    Who is placed takes what others may have, and gives nothing. What gives unsettles: instances that come and go, who
    passes a head, and who takes what somebody before it counts on.
    """
    pledges = Pledges()
    capacity.keep_floors(state, pledges)
    if not _serve(state, state.order, pledges, stuck):
        return False
    pledges.spot_grows = True
    capacity.keep_floors(state, pledges)
    return _serve(state, pledges.deferred, pledges, stuck)


def _serve(state: State, queues: list[Queue], pledges: Pledges, stuck: dict[int, tuple[Job, int]]) -> bool:
    """Strict FIFO: each queue, highest priority first, starts jobs from its head until the head does not fit; then it
    is noted as stuck. False if the turn is over before."""
    for queue in queues:
        stuck.pop(queue.number, None)
        turns = _lines(state, queue)
        for line in turns:
            if len(state.facts) >= FACTS_PER_TURN:
                return False
            head = ordering.head(state, line)
            if head is None:
                continue
            job, index = head
            if isinstance(job, Gang):
                if gangs.start(state, queue, job, pledges):
                    _went(state, job, pledges)
                    continue
                _stays(stuck, queue, head, pledges)
                if job.seq in state.sets:
                    _foresee(state, queue, line, pledges)
                elif state.timing.passing and not gangs.possible(state, queue, job):
                    _pass(state, queue, passing.Head(state, queue, job, nowhere=True), turns, pledges)
                break
            pledged, claims = pledges.made, pledges.claims
            place = _place_for(state, queue, job, pledges)
            if place is None:
                _stays(stuck, queue, head, pledges)
                if pledges.made:
                    _foresee(state, queue, line, pledges)
                if state.timing.passing and pledges.claims == claims and not pledges.defers(queue):
                    _pass(state, queue, passing.Head(state, queue, job, pledges.made > pledged), turns, pledges)
                break
            ordering.leave(state, job)
            lifecycle.open_attempt(state, job, index, place)
            _went(state, job, pledges)
    return True


def _went(state: State, job: Job, pledges: Pledges) -> None:
    """The job was started; what it took may be what somebody who was looked at before counts on."""
    ordering.offer(state)
    if pledges.foreseen or (pledges.asked and job.asks):
        state.unsettled = True


def _stays(stuck: dict[int, tuple[Job, int]], queue: Queue, head: tuple[Job, int], pledges: Pledges) -> None:
    """The head has no place. If it loses what it asks for of consumable resources, another one is the head."""
    stuck[queue.number] = head
    pledges.asked = pledges.asked or bool(head[0].asks)


def _lines(state: State, queue: Queue) -> Iterator[Line]:
    """The lines whose heads may go, one after the other: the queue's own, or that of the share whose turn it is."""
    if queue.policy is None:
        while queue.line:
            yield queue.line
    else:
        for share in fairshare.lines(state, queue):
            yield share.line


def _place_for(state: State, queue: Queue, job: Job, pledges: Pledges) -> placement.Place | None:
    needs = state.needs_of(job)
    if queue.policy is not None and not fairshare.admits(state, queue, needs.cpu_milli):
        return None
    return placement.find(state, queue, needs, pledges)


def _pass(state: State, queue: Queue, head: passing.Head, turns: Iterator[Line], pledges: Pledges) -> None:
    """Start who may start before the head: of its own line, then of the shares whose turn is next."""
    if queue.policy is not None and not fairshare.admits(state, queue, state.needs_of(head.job).cpu_milli):
        return  # what is reserved is to stay free
    done = len(state.facts)
    while _pass_one(state, queue, head.job.stands_in, head, pledges) and queue.policy is None:
        pass
    for line in turns if queue.policy is not None else ():  # a share that got something is offered again
        _pass_one(state, queue, line, head, pledges)
    if len(state.facts) > done:
        state.unsettled = True  # others stand behind the head now


def _pass_one(state: State, queue: Queue, line: Line, head: passing.Head, pledges: Pledges) -> bool:
    lanes = head.lanes_of(line)
    while lanes and len(state.facts) < FACTS_PER_TURN:
        _, lane = heappop(lanes)
        found = None if lane in head.hopeless else ordering.head_of(state, line, lane)
        if found is None:
            continue
        job, index = found
        if isinstance(job, Gang):
            head.hopeless.add(lane)  # nobody looks whether all of its nodes could pass
            continue
        admitted = queue.policy is None or fairshare.admits(state, queue, state.needs_of(job).cpu_milli)
        place = passing.find(state, queue, job, head, pledges) if admitted else None
        if place is not None:
            ordering.leave(state, job)
            lifecycle.open_attempt(state, job, index, place)
            ordering.offer(state)
            if job.askers is not None:
                lanes[:] = line.firsts()  # somebody else may have their turn at a resource now
            elif lane in line.lanes:
                heappush(lanes, (line.lanes[lane][0], lane))
            return True
        head.hopeless.add(lane)  # room only shrinks from here on
    return False


def _foresee(state: State, queue: Queue, line: Line, pledges: Pledges) -> None:
    """While the head waits for an instance that boots, have those launched that the next in line will need."""
    by_turn = queue.policy is not None
    ahead = ordering.supplied_by_turn(state, queue) if by_turn else ordering.supplied(state, line)
    cpu_milli = 0
    for number, (job, _) in enumerate(islice(ahead, FORESEEN)):
        needs = state.needs_of(job)
        pledges.asked = pledges.asked or bool(job.asks)
        cpu_milli += needs.cpu_milli
        if by_turn and not fairshare.admits(state, queue, cpu_milli):
            return
        if number and (isinstance(job, Gang) or not placement.foresee(state, queue, needs, pledges)):
            return
