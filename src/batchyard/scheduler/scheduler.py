"""The one door: ``turn(now_ms, events) -> Decision``. Each event is stepped, then one settle decides who starts.

A turn is bounded: at most about FACTS_PER_TURN facts (``serving.py``) besides those that the events themselves cause.
What is left is remembered (``Decision.more``) and the next turn, even one without events, goes on with it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from heapq import heappop
from typing import NamedTuple

from batchyard.model import states
from batchyard.model.actions import Action, StartAttempt, StopAttempt
from batchyard.model.blocked import Block
from batchyard.model.consumables import HeldConsumable
from batchyard.model.environments import HeldInstance, Timing
from batchyard.model.events import (
    AttemptEnded,
    AttemptLost,
    AttemptStarted,
    ConsumableChanged,
    Ending,
    EnvironmentChanged,
    Event,
    ExecutorSurveyed,
    HeldJob,
    InterruptionRequested,
    InterruptionsDrawn,
    JobSubmitted,
    PolicyChanged,
    ProviderSized,
    QueueChanged,
    StopRequested,
    TimingSet,
)
from batchyard.model.facts import Fact, ProviderRecorded, RequestApplied, TimingRecorded
from batchyard.model.ids import WHOLE, executor_name
from batchyard.model.jobs import TERMINATE
from batchyard.model.needs import Needs
from batchyard.model.shares import HeldShare
from batchyard.scheduler import (
    blocked,
    capacity,
    consumables,
    deletion,
    dependencies,
    fairshare,
    front,
    ledger,
    lifecycle,
    ordering,
    reclaim,
    serving,
    updates,
)
from batchyard.scheduler.front import Front
from batchyard.scheduler.pledges import Pledges
from batchyard.scheduler.serving import FACTS_PER_TURN
from batchyard.scheduler.state import Array, Environment, Gang, Job, Open, Provider, Queue, State
from batchyard.scheduler.verdicts import Look


class Decision(NamedTuple):
    """`facts` must be durable before any of `actions` is carried out; `more`: call again soon, work is left.

    `due_ms`: call again then, even if nothing happens before; None: nothing happens by itself. `leisurely`: the work
    that is left is nobody's who waits.
    """

    facts: list[Fact]
    actions: list[Action]
    more: bool
    due_ms: int | None = None
    leisurely: bool = False


class Scheduler:
    """Holds the live jobs and decides. Deterministic: the same events at the same times give the same decisions."""

    def __init__(self) -> None:
        self.state = State()
        self._steps = {
            ProviderSized: _provider_sized,
            TimingSet: _timing_set,
            EnvironmentChanged: _environment_changed,
            PolicyChanged: _policy_changed,
            QueueChanged: _queue_changed,
            ConsumableChanged: _consumable_changed,
            JobSubmitted: _job_submitted,
            StopRequested: _stop_requested,
            InterruptionRequested: _interruption_requested,
            InterruptionsDrawn: _interruptions_drawn,
            AttemptStarted: _attempt_started,
            AttemptEnded: _attempt_ended,
            AttemptLost: _attempt_lost,
            ExecutorSurveyed: _executor_surveyed,
        }

    def turn(self, now_ms: int, events: Iterable[Event]) -> Decision:
        """Step every event, settle once, and say what is to be recorded and done."""
        state = self.state
        state.now_ms = max(now_ms, state.now_ms)
        state.left.clear()
        fairshare.fade(state)
        applied = state.applied_seq
        for event in events:
            self._steps[type(event)](state, event)
        more, leisurely = _settle(state)
        capacity.note_idle(state)
        fairshare.note_use(state)
        consumables.note_use(state)
        if state.unsettled and not more:  # a share was forgotten: more is reserved from now on
            more, leisurely = True, False
        if state.applied_seq != applied:
            state.facts.append(RequestApplied(state.applied_seq))
        decision = Decision(state.facts, state.actions, more, _due_ms(state), leisurely)
        state.facts, state.actions = [], []
        state.ended.clear()
        return decision

    def holds(self, seq: int) -> bool:
        """Whether the job is live here; of others, rows tell how they ended."""
        return seq in self.state.jobs

    @property
    def applied_seq(self) -> int:
        """The number of the last request that is part of the state."""
        return self.state.applied_seq

    def look(self) -> Look:
        """Why jobs wait, as of now; good until the next turn."""
        return Look(self.state)

    @property
    def queues(self) -> Collection[int]:
        """The numbers of all queues."""
        return self.state.queues.keys()

    def front(self, queue: int) -> Front | None:
        """Who goes next in a queue, as of now, and what it holds; None if that is nobody and nothing."""
        return front.front(self.state, queue)

    def line_of(self, seq: int) -> tuple[int, str | None] | None:
        """The queue and share of a live job; None if it is over."""
        job = self.state.jobs.get(seq)
        return None if job is None else (job.queue, None if job.share is None else job.share.id)

    def interruptible(self) -> int:
        """How many pieces of Spot capacity there are that chance may interrupt."""
        return len(reclaim.interruptible(self.state))

    def provider_of(self, environment: int) -> str:
        """The provider that the environment draws on; until the next turn also of one that was deleted."""
        return (self.state.environments.get(environment) or self.state.left[environment]).provider

    def restore(
        self,
        applied_seq: int,
        last_ms: int,
        providers: dict[str, Needs],
        timing: Timing,
        configuration: Collection[Event],
        launched: int,
        instances: Iterable[HeldInstance],
        shares: Iterable[HeldShare],
        blocks: Iterable[Block],
        used: Iterable[HeldConsumable],
        jobs: Iterable[HeldJob],
    ) -> None:
        """Rebuild everything from rows; `instances` and `jobs` in order of their numbers, `launched` the highest ever.

        The next turn decides as if never stopped.
        """
        state = self.state
        state.now_ms = last_ms
        state.timing = timing
        for name, room in providers.items():
            state.providers[name] = Provider(name, room)
        for event in configuration:
            if isinstance(event, PolicyChanged):
                fairshare.change_policy(state, event)
        for event in configuration:  # numbers of changes are not in order of ids: nothing to compare them with
            if isinstance(event, EnvironmentChanged):
                _set_environment(state, event)
            elif isinstance(event, QueueChanged):
                _set_queue(state, event)
            elif isinstance(event, ConsumableChanged):
                consumables.change(state, event)
        for instance in instances:
            reclaim.note_going(state, capacity.hold(state, instance))
        state.launched = launched
        for each in shares:
            fairshare.hold(state, each)
        for consumed in used:
            consumables.hold(state, consumed)
        state.used.clear()
        for held in jobs:
            _restore_job(state, held)
        state.stuck = {block.queue: block for block in blocks}
        for job in state.jobs.values():
            dependencies.note_decided(state, job)
        state.applied_seq = applied_seq
        state.unsettled = True
        state.facts, state.actions = [], []


def _due_ms(state: State) -> int | None:
    due = (capacity.due_ms(state), blocked.due_ms(state), fairshare.due_ms(state))
    return min((at_ms for at_ms in due if at_ms is not None), default=None)


def _settle(state: State) -> tuple[bool, bool]:
    """Follow what is decided, place from the heads of lines, let go of what is idle, go on deleting; whether more is to
    do, and whether all of that is deletion."""
    waited = capacity.wake(state)
    reclaim.proceed(state, waited)
    while state.work and len(state.facts) < FACTS_PER_TURN:
        seq, index = heappop(state.work)
        job = state.jobs.get(seq)
        if job is None:
            continue
        if index == WHOLE:
            lifecycle.follow_fate(state, job)
        else:
            assert isinstance(job, Array)
            lifecycle.follow_children(state, job, index)
    blocked_due_ms = blocked.due_ms(state)
    blocked_due = blocked_due_ms is not None and blocked_due_ms <= state.now_ms
    if state.unsettled or blocked_due or fairshare.reordered(state):
        serving.serve(state)
    capacity.expire(state, waited)
    pressing = bool(state.work) or state.unsettled
    leaving = bool(state.leaving_queues or state.leaving_environments) and deletion.proceed(state)
    return leaving or bool(state.work) or state.unsettled, leaving and not pressing


# -- steps: one for each kind of event -------------------------------------------------------------------------------


def _is_new(state: State, seq: int) -> bool:
    """Whether a request was not applied before; a replayed one is ignored."""
    if seq <= state.applied_seq:
        return False
    state.applied_seq = seq
    return True


def _provider_sized(state: State, event: ProviderSized) -> None:
    provider = state.providers.get(event.provider)
    if provider is None:
        provider = state.providers[event.provider] = Provider(event.provider, event.room)
    elif provider.room == event.room:
        return
    provider.room = event.room
    state.unsettled = True
    state.facts.append(ProviderRecorded(event.provider, event.room))


def _timing_set(state: State, event: TimingSet) -> None:
    if state.timing != event.timing:
        state.timing = event.timing
        state.facts.append(TimingRecorded(event.timing))
        capacity.watch_all(state)
        state.unsettled = True


def _environment_changed(state: State, event: EnvironmentChanged) -> None:
    if _is_new(state, event.seq):
        if event.room is not None:
            _provider_sized(state, ProviderSized(event.provider, event.room))
        known = state.environments.get(event.environment)
        before = None if known is None else known.capacity
        _set_environment(state, event)
        if before is not None:
            updates.replace(state, state.environments[event.environment], before)
        if event.enabled and event.capacity is not None and event.capacity.desired_cpu_milli:
            desired = event.capacity.desired_cpu_milli
            capacity.fill(state, state.environments[event.environment], desired, Pledges())


def _set_environment(state: State, event: EnvironmentChanged) -> None:
    """A DISABLED environment starts nothing; what runs there goes on, and it keeps its minimum."""
    environment = state.environments.get(event.environment)
    if environment is None:
        environment = Environment(event.environment, event.provider, event.instance)
        state.environments[event.environment] = environment
    environment.enabled, environment.deleting = event.enabled, event.deleting
    environment.own = event.room is not None
    environment.bound_cpu_milli = event.unmanaged_cpu_milli if event.capacity is None else event.capacity.max_cpu_milli
    if environment.capacity != event.capacity:
        environment.capacity = event.capacity
        environment.ranked.clear()
        capacity.watch_idle(state, environment)
    state.leaving_environments = [each for _, each in sorted(state.environments.items()) if each.deleting]
    state.unsettled = True


def _policy_changed(state: State, event: PolicyChanged) -> None:
    """It holds at once in every queue that goes by it."""
    if _is_new(state, event.seq):
        fairshare.change_policy(state, event)


def _queue_changed(state: State, event: QueueChanged) -> None:
    if _is_new(state, event.seq):
        _set_queue(state, event)


def _set_queue(state: State, event: QueueChanged) -> None:
    """A DISABLED queue takes no submissions, which admission sees to; what it holds still runs."""
    queue = state.queues.get(event.queue)
    if queue is None:
        queue = state.queues[event.queue] = Queue(event.queue)
    queue.priority, queue.environments, queue.deleting = event.priority, event.environments, event.deleting
    queue.limits = event.limits
    fairshare.set_policy(state, queue, event.policy)
    starting = [each for each in state.queues.values() if not each.deleting]
    state.order = sorted(starting, key=lambda each: (-each.priority, each.number))
    state.leaving_queues = [each for _, each in sorted(state.queues.items()) if each.deleting]
    state.unsettled = True


def _consumable_changed(state: State, event: ConsumableChanged) -> None:
    if _is_new(state, event.seq):
        consumables.change(state, event)


def _job_submitted(state: State, event: JobSubmitted) -> None:
    if _is_new(state, event.seq):
        lifecycle.add(state, event)


def _stop_requested(state: State, event: StopRequested) -> None:
    if _is_new(state, event.seq):
        lifecycle.stop(state, event)


def _interruption_requested(state: State, event: InterruptionRequested) -> None:
    if _is_new(state, event.seq):
        reclaim.interrupt(state, event)


def _interruptions_drawn(state: State, event: InterruptionsDrawn) -> None:
    reclaim.by_chance(state, event.picks)


def _live(state: State, seq: int, index: int, number: int) -> Job | None:
    """The job if this very attempt is open; news of any other attempt is stale."""
    job = state.jobs.get(seq)
    opened = None if job is None else job.open_of(index)
    return job if opened is not None and opened.number == number else None


def _attempt_started(state: State, event: AttemptStarted) -> None:
    job = _live(state, event.job, event.index, event.number)
    if job is not None:
        lifecycle.begin(state, job, event.index, event.at_ms)


def _attempt_ended(state: State, event: AttemptEnded) -> None:
    job = _live(state, event.job, event.index, event.number)
    if job is not None:
        lifecycle.close(state, job, event.index, event.ending)


def _attempt_lost(state: State, event: AttemptLost) -> None:
    job = _live(state, event.job, event.index, event.number)
    if job is not None:
        lifecycle.lost(state, job, event.index)


def _executor_surveyed(state: State, event: ExecutorSurveyed) -> None:
    """Heal: start again what was never begun, give up what is gone, repeat stops that may not have arrived."""
    for job in list(state.jobs.values()):
        for index, opened in sorted(job.opens(), key=lambda item: item[0]):
            if executor_name(state.environments[opened.environment].provider) != event.provider:
                continue
            if job.open_of(index) is not opened:
                continue  # it went with its main node
            order = (job.seq, index, opened.number, job.uuid, opened.environment)
            stop = job.stop_of(index)
            if isinstance(job, Gang) and index != WHOLE:
                _heal_node(state, job, index, opened, event)
            elif (job.seq, index, opened.number) in event.living:
                if stop is not None and stop[0] == TERMINATE:
                    state.actions.append(StopAttempt(*order))
                reclaim.order_again(state, (job.seq, index), opened)
            elif opened.started_ms is not None or reclaim.is_over(state, opened):
                lifecycle.lost(state, job, index)
            elif stop is not None and stop[0] == TERMINATE:
                lifecycle.close(state, job, index, Ending(None, stop[1]))
            else:
                state.actions.append(StartAttempt(*order))


def _heal_node(state: State, gang: Gang, index: int, opened: Open, event: ExecutorSurveyed) -> None:
    """The same for a node beside the main one: it starts when that runs, and stops when that is over."""
    main = gang.open
    wanted = main is not None and not (gang.stop is not None and gang.stop[0] == TERMINATE)
    order = (gang.seq, index, opened.number, gang.uuid, opened.environment)
    if (gang.seq, index, opened.number) in event.living:
        if not wanted:
            state.actions.append(StopAttempt(*order))
    elif opened.started_ms is not None:
        lifecycle.lost(state, gang, index)
    elif not wanted:
        lifecycle.close_unstarted(state, gang, index)
    elif main is not None and main.started_ms is not None:
        state.actions.append(StartAttempt(*order))


# -- restore ---------------------------------------------------------------------------------------------------------


def _restore_job(state: State, held: HeldJob) -> None:
    job = lifecycle.build(state, held.submitted)
    job.status = held.status
    job.stop = held.stops.get(WHOLE)
    if isinstance(job, Array):
        _restore_children(job, held)
    else:
        if isinstance(job, Gang):
            job.states = dict(zip(job.states, held.states, strict=True))
        job.number = held.attempts.get(WHOLE, 0)
    for attempt in held.open_attempts:
        opened = Open(attempt.number, attempt.environment, attempt.instance, attempt.opened_ms, attempt.started_ms)
        opened.reclaim_ms, opened.devices = attempt.reclaim_ms, attempt.devices
        if isinstance(job, Array):
            job.open_children[attempt.index] = opened
        elif isinstance(job, Gang) and attempt.index != WHOLE:
            job.open_nodes[attempt.index] = opened
        else:
            job.open = opened
        ledger.take(state, job, attempt.index, opened)
        reclaim.note_going_slice(state, (job.seq, attempt.index), opened)
        needs = state.needs_of(job, attempt.index)
        fairshare.restore(state.queues[job.queue], job.share, needs.cpu_milli)
        if not isinstance(job, Gang):
            consumables.restore(state, job)
    if isinstance(job, Gang) and held.open_attempts:
        consumables.restore(state, job)
        state.sets.pop(job.seq, None)  # its instances hold it
    _restore_line(state, job)


def _restore_children(array: Array, held: HeldJob) -> None:
    array.children[:] = held.states
    array.counts = [held.states.count(number) for number in range(len(states.NAMES))]
    live = [index for index in held.attempts if index != WHOLE and held.states[index] not in states.TERMINAL]
    array.numbers = {index: held.attempts[index] for index in live if held.attempts[index]}
    array.stops = {
        index: stop
        for index, stop in held.stops.items()
        if index != WHOLE and held.states[index] not in states.TERMINAL
    }


def _restore_line(state: State, job: Job) -> None:
    if not isinstance(job, Array):
        if job.stands(WHOLE):
            ordering.join(state, job, WHOLE)
        return
    first = job.children.find(states.RUNNABLE)
    if first >= 0:
        ordering.join_children(state, job, first)
    for index in job.numbers:
        if job.children[index] == states.RUNNABLE:
            ordering.join(state, job, index)
