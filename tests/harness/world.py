"""A World to tell stories in the operator's words: a machine, queues, jobs, and what becomes of them.

Nothing runs and no time passes unless the story says so. After every turn the invariants are checked and every fact
is held against the tables of legal moves (``rows.py``).
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from batchyard.model import states
from batchyard.model.actions import ReleaseAttempt, StartAttempt, StopAttempt
from batchyard.model.blocked import TimeLimit
from batchyard.model.environments import BEST_FIT, Capacity, HeldInstance, Timing
from batchyard.model.events import (
    AttemptEnded,
    AttemptLost,
    AttemptStarted,
    ConsumableChanged,
    Ending,
    EnvironmentChanged,
    ExecutorSurveyed,
    InterruptionRequested,
    InterruptionsDrawn,
    JobSubmitted,
    PolicyChanged,
    ProviderSized,
    QueueChanged,
    StopRequested,
    TimingSet,
    Upstream,
)
from batchyard.model.facts import InstanceEnded, InstanceLaunched
from batchyard.model.ids import NODES, WHOLE
from batchyard.model.jobs import (
    AFTER,
    CANCEL,
    N_TO_N,
    SEQUENTIAL,
    TERMINATE,
    NodeGroup,
    Nodes,
    RetryPolicy,
)
from batchyard.model.needs import Needs
from batchyard.model.shares import SharePolicy
from batchyard.scheduler import invariants
from batchyard.scheduler.scheduler import Decision, Scheduler
from tests.harness.rows import Rows

EXITED = "Essential container in task exited"


def _subject(event: EnvironmentChanged | QueueChanged | ConsumableChanged | PolicyChanged) -> int:
    if isinstance(event, ConsumableChanged):
        return event.number
    if isinstance(event, PolicyChanged):
        return event.policy
    return event.queue if isinstance(event, QueueChanged) else event.environment


class Handle(NamedTuple):
    """A job in a story; `job[3]` is its child 3, `job.node(3)` its node 3 (the main node is the job itself)."""

    seq: int
    index: int = WHOLE

    def __getitem__(self, index):  # type: ignore[override]
        return Handle(self.seq, index)

    def node(self, number: int) -> Handle:
        return Handle(self.seq, NODES + number)


class World:
    def __init__(self, vcpus: int = 4, memory_mib: int = 16_384, twins: bool = False):
        self.twins = twins  # before each turn rebuild a second scheduler from rows and compare what both decide
        self.scheduler = Scheduler()
        self.rows = Rows()
        self.now_ms = 1_000
        self.seq = 0
        self.events: list = []
        self.changes: list = []  # of environments and queues, in order of their numbers
        self.submitted: dict[int, JobSubmitted] = {}
        self.running: dict[tuple[int, int], int] = {}  # what the executor holds: (job, index) -> attempt number
        self.started: list[Handle] = []  # in the order in which attempts were ordered to start
        self.stopped: list[Handle] = []
        self.grace: dict[Handle, int | None] = {}  # of the latest order to stop
        self.decisions: list[Decision] = []
        self.machine(vcpus, memory_mib)

    # -- set up ---------------------------------------------------------------------------------------------------

    def machine(
        self, vcpus: int, memory_mib: int = 16_384, gpus: int = 0, boot_ms: int = 0, linger_ms: int = 60_000, **settings
    ) -> None:
        self.events.append(ProviderSized("local", Needs(vcpus * 1000, memory_mib, gpus)))
        self.events.append(TimingSet(Timing(boot_ms, linger_ms, **settings)))

    def environment(self, enabled: bool = True) -> int:
        return self._create(lambda seq: EnvironmentChanged(seq, seq, "local", f"i-{seq:017x}", enabled))

    def managed(self, capacity: Capacity, enabled: bool = True) -> int:
        """An environment of instances, or of Fargate's slices, on the machine."""
        return self._create(
            lambda seq: EnvironmentChanged(seq, seq, "local", f"i-{seq:017x}", enabled, capacity=capacity)
        )

    def pretend(self, vcpus: int, memory_mib: int = 16_384) -> int:
        """An environment with a provider of its own."""
        room = Needs(vcpus * 1000, memory_mib)
        return self._create(lambda seq: EnvironmentChanged(seq, seq, f"pretend/{seq}", f"i-{seq:017x}", True, room))

    def queue(
        self,
        *environments: int,
        priority: int = 1,
        policy: SharePolicy | None = None,
        limits: tuple[TimeLimit, ...] = (),
    ) -> int:
        places = environments or (self.environment(),)
        number = None if policy is None else self.policy(policy)
        return self._create(lambda seq: QueueChanged(seq, seq, priority, True, places, policy=number, limits=limits))

    def policy(self, value: SharePolicy) -> int:
        """A scheduling policy."""
        return self._create(lambda seq: PolicyChanged(seq, seq, value))

    def edit_policy(self, queue: int, value: SharePolicy) -> None:
        """Change the policy that a queue goes by."""
        number = self.current(queue).policy
        assert number is not None, "the store's guards let no queue gain or lose its policy"
        self._change(PolicyChanged(self._number(), number, value))

    def unborn(self) -> int:
        """The number of a resource that jobs may name, and nobody has created yet."""
        return self._number()

    def resource(self, total: int, replenishable: bool = True, number: int = 0) -> int:
        """A consumable resource, new or, with a `number`, again under its name."""
        seq = self._number()
        number = number or seq
        self._change(ConsumableChanged(seq, number, True, replenishable, total, seq))
        return number

    def set_total(self, number: int, total: int) -> None:
        """As the store words it: what was consumed is granted, too."""
        current = self.current(number)
        self._change(current._replace(seq=self._number(), granted=total + self.consumed(number)))

    def delete_resource(self, number: int) -> None:
        self._change(self.current(number)._replace(seq=self._number(), there=False))

    def _create(self, make) -> int:
        return self._change(make(self._number())).seq

    def _change(self, event):
        self.changes.append(event)
        self.events.append(event)
        return event

    def current(self, number: int):
        """The latest change of an environment, queue or resource."""
        return [event for event in self.changes if _subject(event) == number][-1]

    def update(self, number: int, **given) -> None:
        """Change members of an environment or queue."""
        current = self.current(number)
        assert not current.deleting, "the store's guards let nobody change what is to be deleted"
        if isinstance(current, EnvironmentChanged) and current.capacity is not None:
            current = current._replace(capacity=current.capacity._replace(desired_cpu_milli=0))  # it was for then
        self._change(current._replace(seq=self._number(), **given))

    def delete(self, number: int) -> None:
        """Ask for the end of an environment or queue, under the guards of the store."""
        current = self.current(number)
        assert not current.deleting
        if isinstance(current, EnvironmentChanged):
            assert not self.queues_on(number), "the store's guards keep an environment that a queue names"
        self._change(current._replace(seq=self._number(), enabled=False, deleting=True))

    def queues_on(self, environment: int) -> list[int]:
        """The queues that name the environment and are not gone, as callers can see it."""
        latest = {_subject(event): event for event in self.changes}
        return [
            number
            for number, event in latest.items()
            if isinstance(event, QueueChanged) and environment in event.environments and number not in self.rows.deleted
        ]

    def gone(self, number: int) -> bool:
        return number in self.rows.deleted

    def _number(self) -> int:
        self.seq += 1
        return self.seq

    # -- what callers do ------------------------------------------------------------------------------------------

    def submit(
        self,
        queue: int,
        vcpus: int = 1,
        memory_mib: int = 64,
        gpus: int = 0,
        size: int = 0,
        after=(),
        n_to_n=(),
        sequential: bool = False,
        attempts: int = 1,
        rules=(),
        share: str | None = None,
        priority: int = 0,
        asks: dict[int, int] | None = None,
        timeout_s: int | None = None,
    ) -> Handle:
        seq = self._number()
        upstreams = [Upstream(up.seq, up.index, AFTER) for up in after]
        upstreams += [Upstream(up.seq, WHOLE, N_TO_N) for up in n_to_n]
        upstreams += [Upstream(0, WHOLE, SEQUENTIAL)] if sequential else []
        uuid = f"00000000-0000-4000-8000-{seq:012d}"
        needs, retry = Needs(vcpus * 1000, memory_mib, gpus), RetryPolicy(attempts, tuple(rules))
        event = JobSubmitted(
            seq, uuid, queue, size, needs, retry, tuple(upstreams), share, priority, timeout_s=timeout_s
        )
        event = event._replace(asks=tuple(sorted((asks or {}).items())))
        self.submitted[seq] = event
        self.events.append(event)
        return Handle(seq)

    def submit_nodes(
        self, queue: int, count: int, vcpus: int = 1, memory_mib: int = 64, main: int = 0, **more
    ) -> Handle:
        """A multi-node job whose nodes are all alike; `groups` are (lo, hi, vcpus) where they are not, `type` the
        instance type."""
        groups = more.pop("groups", [(0, count, vcpus)])
        made = tuple(NodeGroup(lo, hi, Needs(each * 1000, memory_mib)) for lo, hi, each in groups)
        nodes = Nodes(main, made, more.pop("type", None))
        job = self.submit(queue, memory_mib=memory_mib, **more)
        event = self.events[-1]._replace(needs=nodes.needs_of(main), nodes=nodes)
        self.events[-1] = self.submitted[job.seq] = event
        return job

    def terminate(self, job: Handle, reason: str = "enough") -> None:
        self.events.append(StopRequested(self._number(), job.seq, job.index, TERMINATE, reason))

    def cancel(self, job: Handle, reason: str = "enough") -> None:
        self.events.append(StopRequested(self._number(), job.seq, job.index, CANCEL, reason))

    def interrupt(self, environment: int, instance: str = "", job: Handle = Handle(0, 0)) -> None:
        """The operator has an instance, an attempt on Fargate Spot, or all of an environment interrupted."""
        self.events.append(InterruptionRequested(self._number(), environment, instance, *job))

    # -- what the machine does ------------------------------------------------------------------------------------

    def starts_running(self, job: Handle) -> None:
        self.events.append(AttemptStarted(job.seq, job.index, self.running[job], self.now_ms))

    def exits(
        self, job: Handle, code: int | None = 0, reason: str | None = None, timed_out: bool = False, **more
    ) -> None:
        text = "Job attempt duration exceeded timeout" if timed_out else EXITED
        number = self.running.pop(job)
        ending = Ending(code, text, reason, self.now_ms, self.now_ms, timed_out, **more)
        self.events.append(AttemptEnded(job.seq, job.index, number, ending))

    def loses(self, job: Handle) -> None:
        self.events.append(AttemptLost(job.seq, job.index, self.running.pop(job)))

    def strikes(self, *picks: int) -> None:
        """Chance interrupts Spot capacity."""
        self.events.append(InterruptionsDrawn(picks))

    def dies(self, job: Handle) -> None:
        """SIGKILL has ended it."""
        self.exits(job, 137)

    def surveys(self) -> None:
        living = frozenset((seq, index, number) for (seq, index), number in self.running.items())
        self.events.append(ExecutorSurveyed("local", living))

    # -- turning --------------------------------------------------------------------------------------------------

    def turn(self, advance_ms: int = 10) -> Decision:
        """One turn over all that happened since the last one."""
        self.now_ms += advance_ms
        events = [self._resolve(event) for event in self.events]
        self.events = []
        twin = self.restored() if self.twins else None
        decision = self.scheduler.turn(self.now_ms, events)
        if twin is not None:
            other = twin.turn(self.now_ms, events)
            assert other == decision, f"a scheduler rebuilt from rows decided differently: {other}, not {decision}"
        self._check_launches(decision, events)
        self.rows.apply(self.now_ms, decision.facts, self.submitted)
        self.decisions.append(decision)
        for action in decision.actions:
            assert self.scheduler.provider_of(action.environment), "the engine must know whom to give the order"
            self._act(action)
        invariants.check(self.scheduler.state)
        if self.twins and not decision.more:
            self._check_rest(decision.due_ms)
        return decision

    def _check_rest(self, due_ms: int | None) -> None:
        """Where no work is left there is nothing to decide until something happens, or until it is due: a scheduler
        rebuilt from rows, which looks at everything, finds nothing, either."""
        last_ms = self.now_ms + 1_000_000 if due_ms is None else due_ms - 1
        contested = bool(self.scheduler.state.contested)  # who is next is looked at only now and then
        for now_ms in [self.now_ms] if contested else [self.now_ms, last_ms]:
            if now_ms >= self.now_ms and (due_ms is None or now_ms < due_ms):
                found = self.restored().turn(now_ms, [])
                assert found[:3] == ([], [], False), f"at {now_ms} something was still to be decided: {found}"

    def _check_launches(self, decision: Decision, events: list) -> None:
        """Nothing is launched at the maximum or beyond, and by BEST_FIT on demand nothing that passes it; where the
        environment was changed twice in one turn, nobody knows by which of its maxima."""
        changes = Counter(event.environment for event in events if isinstance(event, EnvironmentChanged))
        held: dict[int, int] = {}
        there = dict(self.rows.instances)
        for each in there.values():
            held[each.environment] = held.get(each.environment, 0) + each.room.cpu_milli
        for fact in decision.facts:
            if isinstance(fact, InstanceLaunched):
                there[fact.number] = HeldInstance(*fact)
                capacity = self.scheduler.state.environments[fact.environment].capacity
                before = held.get(fact.environment, 0)
                held[fact.environment] = after = before + fact.room.cpu_milli
                strict = capacity.strategy == BEST_FIT and not capacity.spot
                passed = after > capacity.max_cpu_milli if strict else before >= capacity.max_cpu_milli
                assert not passed or changes[fact.environment] > 1, (
                    f"{fact.type} was launched beside {before} milli-vCPUs of {capacity.max_cpu_milli}"
                )
            elif isinstance(fact, InstanceEnded):
                gone = there[fact.number]
                held[gone.environment] -= gone.room.cpu_milli

    def settle(self) -> None:
        """Turn until there is nothing left to decide."""
        while self.turn().more:
            pass

    def _resolve(self, event):
        """As the inbox does: upstreams that are neither held nor earlier in the batch are resolved from rows."""
        if not isinstance(event, JobSubmitted):
            return event
        return self.rows.resolved(event, lambda seq: self.scheduler.holds(seq) or seq not in self.rows.jobs)

    def _act(self, action) -> None:
        job = Handle(action.job, action.index)
        if isinstance(action, StartAttempt):
            if self.running.get(job) != action.number:
                self.started.append(job)
            self.running[job] = action.number
        elif isinstance(action, StopAttempt):
            self.stopped.append(job)
            self.grace[job] = action.grace_ms
        else:
            assert isinstance(action, ReleaseAttempt)

    def restart(self) -> None:
        """The engine dies and is rebuilt from rows alone; the executor is surveyed as always on connecting."""
        self.scheduler = self.restored()
        invariants.check(self.scheduler.state)
        self.surveys()

    def restored(self) -> Scheduler:
        """A scheduler built from rows and the configuration that was applied."""
        applied = {_subject(event): event for event in self.changes if event.seq <= self.rows.applied_seq}
        return self.rows.restored([event for number, event in sorted(applied.items()) if not self.gone(number)])

    def finish_everything(self, code: int = 0) -> None:
        """Every attempt that starts exits with `code`, until nothing runs."""
        self.settle()
        while self.running:
            for job in sorted(self.running):
                self.exits(Handle(*job), code)
            self.settle()

    # -- expectations ---------------------------------------------------------------------------------------------

    def state(self, job: Handle) -> str:
        return states.NAMES[self.rows.jobs[job.seq].status[job.index]]

    def states(self, job: Handle) -> str:
        """Children in one word: first letters, with s for STARTING, R for RUNNING, r for RUNNABLE, S, F, P."""
        letters = ("u", "P", "r", "s", "R", "S", "F")
        row = self.rows.jobs[job.seq]
        return "".join(letters[row.status[index]] for index in range(row.size))

    def nodes(self, job: Handle) -> str:
        """The nodes of a multi-node job in one word, likewise."""
        letters = ("u", "P", "r", "s", "R", "S", "F")
        row, nodes = self.rows.jobs[job.seq], self.submitted[job.seq].nodes
        assert nodes is not None
        indices = [WHOLE if number == nodes.main else NODES + number for number in range(nodes.count)]
        return "".join(letters[row.status[index]] for index in indices)

    def instances(self, environment: int = 0) -> list[str]:
        """The types of the instances there are, in order of launch; of one environment or of all."""
        held = [self.rows.instances[number] for number in sorted(self.rows.instances)]
        return [each.type for each in held if environment in (0, each.environment)]

    def place(self, job: Handle) -> str:
        """The type of the instance on which the job's attempt is open, or the environment's own machine."""
        opened = self.rows.jobs[job.seq].open[job.index]
        types = {each.id: each.type for each in self.rows.instances.values()}
        return types.get(opened.instance, opened.instance)

    def held(self, number: int) -> int:
        """What is in use of a resource, as its row tells."""
        return self.rows.used[number].held if number in self.rows.used else 0

    def consumed(self, number: int) -> int:
        return self.rows.used[number].consumed if number in self.rows.used else 0

    def gpus_of(self, job: Handle) -> tuple[int, ...]:
        """The GPUs that the job's attempt holds, as the machine numbers them."""
        return self.rows.jobs[job.seq].open[job.index].devices

    def instance_of(self, job: Handle) -> str:
        """The id of the instance on which the job's attempt is open."""
        return self.rows.jobs[job.seq].open[job.index].instance

    def warned(self) -> list[str]:
        """The ids of instances that are to go."""
        return [each.id for _, each in sorted(self.rows.instances.items()) if each.leaving is not None]

    def environment_of(self, job: Handle) -> int:
        return self.rows.jobs[job.seq].open[job.index].environment

    def reason(self, job: Handle) -> str | None:
        return self.rows.jobs[job.seq].reason.get(job.index)
