"""Queues that are blocked: the job at the head cannot start, and no end of a running job will change that.

Where somebody has to change something, a head is stuck at once. Where only room is missing, it is stuck if it is others
that hold it: nothing runs in any environment that could take the job, so that nothing of theirs will end. Who waits for
running jobs of such an environment, or for an instance that boots, is not stuck. What lasts (``Timing``) blocks the
queue: the job's statusReason says so, and a time limit of the queue may cancel it.
Source: reference "Blocked job queues and jobStateTimeLimitActions"; where it is silent, the decision record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from batchyard.model import blocked as reasons
from batchyard.model.blocked import Block
from batchyard.model.facts import HeadStuck, QueueBlocked, QueueUnblocked
from batchyard.model.ids import WHOLE
from batchyard.model.verdicts import Kind, Obstacle, PlaceVerdict
from batchyard.scheduler import fairshare, gangs, lifecycle, verdicts
from batchyard.scheduler.state import Gang, Job, Queue, State
from batchyard.scheduler.verdicts import Look

Heads = Mapping[int, tuple[Job, int]]  # by queue, the job and index that could not be placed

CLOSED = frozenset({Kind.LEAVING, Kind.DISABLED, Kind.NO_MACHINE})  # the environment takes no job at all
CODES = {
    Kind.MAXIMUM_BELOW: reasons.MAX_RESOURCE,
    Kind.TYPE_ABOVE_MAXIMUM: reasons.MAX_RESOURCE,
    Kind.RESERVATION_BELOW: reasons.MAX_RESOURCE,
    Kind.NO_TYPE: reasons.JOB_REQUIREMENT,
    Kind.MACHINE_TOO_SMALL: reasons.JOB_REQUIREMENT,
    Kind.BID_BELOW: reasons.CAPACITY,
}


def review(state: State, heads: Heads) -> None:
    """After every queue was looked at: which heads are stuck now, and which are no longer."""
    look = Look(state)
    for number in sorted({*state.stuck, *heads}):
        job, index = heads.get(number, (None, WHOLE))
        reason = None if job is None else reason_of(state, look, state.queues[number], job)
        known = state.stuck.get(number)
        if known is not None:
            if job is not None and (known.job, known.index, known.reason) == (job.seq, index, reason):
                continue
            clear(state, number)
        if job is not None and reason is not None:
            block = state.stuck[number] = Block(number, job.seq, index, reason, state.now_ms)
            state.facts.append(HeadStuck(number, block.job, block.index, reason, block.since_ms))


def clear(state: State, number: int) -> None:
    """The queue's head is stuck no longer, or another job is at the head."""
    block = state.stuck.pop(number, None)
    if block is not None:
        state.facts.append(QueueUnblocked(number, block.job, block.index, block.reason, block.told))


# -- why -------------------------------------------------------------------------------------------------------------


def reason_of(state: State, look: Look, queue: Queue, job: Job) -> str | None:
    """Why the queue is blocked by this head, in AWS's words; None: the head merely waits."""
    if isinstance(job, Gang):
        return _of_gang(state, queue, job)
    if _waits_for_jobs(state, queue, job):
        return None
    verdict = look.verdict(queue, state.needs_of(job))
    opened = [place for place in verdict.places if not any(each.kind in CLOSED for each in place.obstacles)]
    if not opened:
        return reasons.text_of(reasons.ACTION_REQUIRED)
    standing = [each for each in verdict.own if each.kind in CODES]
    if standing:
        return _in_words(standing[0])
    could = [place for place in opened if not any(each.kind.standing for each in place.obstacles)]
    if not could:
        return _in_words(opened[0].obstacles[0])  # where environments differ, the first in order has the word
    if verdict.kind == Kind.UNDETERMINED:
        return reasons.text_of(reasons.UNDETERMINED)
    return None if verdict.own else _without_room(state, could)


def _waits_for_jobs(state: State, queue: Queue, job: Job) -> bool:
    """Whether an environment could take it, and jobs run there: so it is with most heads, and this is soon found."""
    needs = state.needs_of(job)
    bound = None if queue.policy is None else fairshare.bound_cpu_milli(state, queue)
    if bound is not None and needs.cpu_milli > bound:
        return False
    for number in queue.environments:
        environment = state.environments.get(number)
        if environment is not None and environment.enabled and environment.open:
            provider = state.providers.get(environment.provider)
            if provider is not None and not verdicts.standing(environment, provider, needs):
                return True
    return False


def _in_words(obstacle: Obstacle) -> str:
    """A machine that is too small for every type that would do is AWS's type that is not offered."""
    if obstacle.kind == Kind.MACHINE_TOO_SMALL and obstacle.type:
        return reasons.text_of(reasons.UNSUPPORTED)
    return reasons.text_of(CODES.get(obstacle.kind, reasons.UNDETERMINED), obstacle.type)


def _without_room(state: State, could: Sequence[PlaceVerdict]) -> str | None:
    """The reason if others hold the room that every one of these environments lacks, and nothing of its own runs."""
    for place in could:
        alone = [each.kind for each in place.obstacles] == [Kind.ROOM_HELD]
        if not alone or state.environments[place.environment].open:
            return None
    first = could[0]
    capacity = state.environments[first.environment].capacity
    return reasons.text_of(
        reasons.CAPACITY, first.obstacles[0].type or ("UNMANAGED" if capacity is None else capacity.kind)
    )


def _of_gang(state: State, queue: Queue, gang: Gang) -> str | None:
    """Likewise of a multi-node job: it waits in the first environment that could ever hold all of its nodes, even where
    a later one has room, or for its own instances to boot."""
    if gang.seq in state.sets:
        return None
    named = (state.environments.get(number) for number in queue.environments)
    opened = [each for each in named if each is not None and each.enabled]
    if not opened:
        return reasons.text_of(reasons.ACTION_REQUIRED)
    bound = None if queue.policy is None else fairshare.bound_cpu_milli(state, queue)
    if bound is not None and queue.held_cpu_milli + gangs.cpu_milli_of(gang) > bound:
        return None if gangs.cpu_milli_of(gang) <= bound else reasons.text_of(reasons.MAX_RESOURCE)
    for environment in opened:
        chosen = gangs.type_for(state, environment, gang) if gangs.suits(environment) else None
        if chosen is not None:
            waits = environment.open or environment.booting
            return None if waits else reasons.text_of(reasons.CAPACITY, chosen.name)
    above = (each for each in opened if each.capacity and each.capacity.max_cpu_milli < gangs.cpu_milli_of(gang))
    for environment in above:
        provider = state.providers.get(environment.provider)
        if provider is not None and not verdicts.standing(environment, provider, gangs.largest(gang)):
            return reasons.text_of(reasons.MAX_RESOURCE)  # it could hold a node, and not all of them
    return reasons.text_of(reasons.JOB_REQUIREMENT)


# -- time ------------------------------------------------------------------------------------------------------------


def act(state: State) -> None:
    """Tell what has lasted, and cancel what has lasted for too long; not both of one job in one turn, so that rows and
    journal have the one before the other."""
    for number, block in sorted(state.stuck.items()):
        if not block.told and _told_ms(state, block) <= state.now_ms:
            state.stuck[number] = block._replace(told=True)
            attempts = state.jobs[block.job].number_of(block.index)
            state.facts.append(QueueBlocked(number, block.job, block.index, attempts, block.reason, state.now_ms))
            continue
        limit_ms = _limit_ms(state, block)
        if block.told and limit_ms is not None and limit_ms <= state.now_ms:
            clear(state, number)
            lifecycle.cancel(state, state.jobs[block.job], block.index, reasons.CANCELED + block.reason)


def due_ms(state: State) -> int | None:
    """When there is something to tell or to cancel next."""
    times = [_limit_ms(state, block) if block.told else _told_ms(state, block) for block in state.stuck.values()]
    return min((each for each in times if each is not None), default=None)


def _told_ms(state: State, block: Block) -> int:
    full = block.reason.startswith(reasons.CAPACITY)
    return block.since_ms + (state.timing.full_ms if full else state.timing.blocked_ms)


def _limit_ms(state: State, block: Block) -> int | None:
    """When the job is to be cancelled; time counts from when it stood at the head for this reason."""
    code = reasons.code_of(block.reason)
    for limit in state.queues[block.queue].limits:
        if limit.code == code:
            return max(block.since_ms + limit.most_ms, _told_ms(state, block))
    return None
