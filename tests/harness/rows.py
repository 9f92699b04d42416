"""The store as a few dictionaries: applies facts, answers what rows answer, and rebuilds a scheduler.

It is also an auditor: it knows the tables of legal moves and refuses a fact that does not fit what it has seen, so
every harness test checks the scheduler's facts and not only its memory.
"""

from __future__ import annotations

from batchyard.model import facts as f
from batchyard.model import states
from batchyard.model.blocked import Block
from batchyard.model.consumables import HeldConsumable
from batchyard.model.environments import HeldInstance, Timing
from batchyard.model.events import HeldJob, JobSubmitted
from batchyard.model.ids import NODES, WHOLE
from batchyard.model.jobs import TERMINATE, OpenAttempt
from batchyard.model.shares import HeldShare
from batchyard.scheduler.scheduler import Scheduler


class JobRow:
    def __init__(self, fact: f.JobAdded, submitted: JobSubmitted):
        self.submitted = submitted
        self.size = fact.size
        self.status = {WHOLE: fact.status} | {i: fact.child_status for i in range(fact.size)}
        others = [number for number in range(fact.nodes) if number != fact.main]
        self.status |= {NODES + number: fact.child_status for number in others}
        self.reason: dict[int, str | None] = {}
        self.attempts: dict[int, int] = {}
        self.stops: dict[int, tuple[int, str]] = {}
        self.open: dict[int, OpenAttempt] = {}
        self.closed: list[f.AttemptClosed] = []

    @property
    def live(self) -> bool:
        return self.status[WHOLE] not in states.TERMINAL or bool(self.open)

    def vector(self) -> bytes:
        return bytes(status for index, status in sorted(self.status.items()) if index != WHOLE)


class Rows:
    def __init__(self) -> None:
        self.jobs: dict[int, JobRow] = {}
        self.providers: dict = {}
        self.deleted: set[int] = set()  # queues and environments, by number
        self.instances: dict[int, HeldInstance] = {}
        self.launched = 0
        self.timing = Timing()
        self.shares: dict[tuple[int, str], HeldShare] = {}
        self.blocks: dict[int, Block] = {}  # by queue
        self.told: list[f.QueueBlocked] = []  # what was told, in order
        self.used: dict[int, f.ConsumableUsed] = {}
        self.applied_seq = 0
        self.last_ms = 0

    def apply(self, now_ms: int, facts: list[f.Fact], submitted: dict[int, JobSubmitted]) -> None:
        self.last_ms = now_ms
        for fact in facts:
            if isinstance(fact, f.JobAdded):
                assert fact.job not in self.jobs, f"job {fact.job} added twice"
                self.jobs[fact.job] = JobRow(fact, submitted[fact.job])
            elif isinstance(fact, f.RequestApplied):
                assert fact.seq > self.applied_seq
                self.applied_seq = fact.seq
            elif isinstance(fact, f.ProviderRecorded):
                self.providers[fact.provider] = fact.room
            elif isinstance(fact, f.QueueDeleted):
                left = [seq for seq, row in self.jobs.items() if row.live and row.submitted.queue == fact.queue]
                assert not left, f"queue {fact.queue} is gone, its jobs {left} live"
                assert fact.queue not in self.blocks, f"queue {fact.queue} is gone and blocked"
                self._delete(fact.queue)
                self.shares = {key: held for key, held in self.shares.items() if key[0] != fact.queue}
            elif isinstance(fact, f.EnvironmentDeleted):
                opened = [attempt for row in self.jobs.values() for attempt in row.open.values()]
                left = [attempt for attempt in opened if attempt.environment == fact.environment]
                assert not left, f"environment {fact.environment} is gone, in it are {left}"
                if fact.provider is not None:
                    del self.providers[fact.provider]
                self._delete(fact.environment)
            elif isinstance(fact, f.TimingRecorded):
                self.timing = fact.timing
            elif isinstance(fact, f.ShareUsed):
                self.shares[fact.queue, fact.share] = HeldShare(*fact)
            elif isinstance(fact, f.ShareForgotten):
                assert not self.live_in(fact.queue, fact.share), f"share {fact.share} is forgotten, but has jobs"
                del self.shares[fact.queue, fact.share]
            elif isinstance(fact, f.HeadStuck | f.QueueBlocked | f.QueueUnblocked):
                self._apply_block(fact)
            elif isinstance(fact, f.ConsumableUsed):
                self.used[fact.number] = fact
            elif isinstance(fact, f.InstanceLaunched):
                assert fact.number > self.launched, f"instance {fact.number} after {self.launched}"
                self.launched = fact.number
                self.instances[fact.number] = HeldInstance(*fact)
            elif isinstance(fact, f.InstanceIdled):
                assert not self.jobs_on(fact.number), f"instance {fact.number} is idle with a job on it"
                there = self.instances[fact.number]
                self.instances[fact.number] = there._replace(idle_since_ms=fact.at_ms, reserved=0)
            elif isinstance(fact, f.InstanceWarned):
                assert self.jobs_on(fact.number), f"instance {fact.number} is warned, though it could go at once"
                before = self.instances[fact.number].leaving
                sooner = before is None or fact.leaving.reclaim_ms < before.reclaim_ms
                assert sooner, f"instance {fact.number} is warned twice, and not to go sooner"
                self.instances[fact.number] = self.instances[fact.number]._replace(leaving=fact.leaving)
            elif isinstance(fact, f.InstanceReclaimed):
                held = self.instances[fact.number]
                assert held.leaving.reclaimed_ms is None and held.leaving.reclaim_ms <= fact.at_ms
                leaving = held.leaving._replace(reclaimed_ms=fact.at_ms)
                self.instances[fact.number] = held._replace(leaving=leaving)
            elif isinstance(fact, f.InstanceEnded):
                assert not self.jobs_on(fact.number), f"instance {fact.number} went with a job on it"
                del self.instances[fact.number]
            else:
                self._apply_to_job(self.jobs[fact.job], fact)

    def _apply_block(self, fact: f.HeadStuck | f.QueueBlocked | f.QueueUnblocked) -> None:
        row = self.jobs[fact.job]
        assert row.submitted.queue == fact.queue
        if isinstance(fact, f.QueueUnblocked):
            block = self.blocks.pop(fact.queue)
            assert (block.job, block.index, block.reason, block.told) == fact[1:]
            if fact.told and row.status[fact.index] == states.RUNNABLE:
                assert row.reason[fact.index] == fact.reason
                row.reason[fact.index] = None
            return
        assert row.status[fact.index] == states.RUNNABLE, "only who could go is at the head"
        if isinstance(fact, f.HeadStuck):
            assert fact.queue not in self.blocks
            self.blocks[fact.queue] = Block(*fact)
        else:
            block = self.blocks[fact.queue]
            assert (block.job, block.index, block.reason, block.told) == (fact.job, fact.index, fact.reason, False)
            assert fact.number == row.attempts.get(fact.index, 0)
            self.blocks[fact.queue] = block._replace(told=True)
            row.reason[fact.index] = fact.reason
            self.told.append(fact)

    def _delete(self, number: int) -> None:
        assert number not in self.deleted, f"{number} was deleted twice"
        self.deleted.add(number)

    def _apply_to_job(self, row: JobRow, fact: f.Fact) -> None:
        if isinstance(fact, f.JobMoved):
            assert row.status[fact.index] == fact.before
            self._move(row, fact.index, fact.to, fact.status_reason)
        elif isinstance(fact, f.ChildrenMoved):
            for index in range(fact.lo, fact.hi):
                assert row.status[index] == fact.before
                assert fact.number in (None, row.attempts.get(index))
                self._move(row, index, fact.to, fact.status_reason)
        elif isinstance(fact, f.AttemptOpened):
            assert fact.number == row.attempts.get(fact.index, 0) + 1 <= row.submitted.retry.attempts
            self._move(row, fact.index, states.STARTING, None)
            row.attempts[fact.index] = fact.number
            placed = [each for each in self.instances.values() if each.id == fact.instance]
            assert all(each.leaving is None for each in placed), f"{fact} on an instance that was warned"
            row.open[fact.index] = OpenAttempt(
                fact.index, fact.number, fact.environment, fact.instance, fact.at_ms, None, devices=fact.devices
            )
        elif isinstance(fact, f.AttemptBegan):
            self._move(row, fact.index, states.RUNNING, None)
            row.open[fact.index] = row.open[fact.index]._replace(started_ms=fact.started_ms)
        elif isinstance(fact, f.AttemptWarned):
            opened = row.open[fact.index]
            assert (opened.number, opened.instance, opened.reclaim_ms) == (fact.number, "", None)
            row.open[fact.index] = opened._replace(reclaim_ms=fact.reclaim_ms)
        elif isinstance(fact, f.AttemptClosed):
            opened = row.open.pop(fact.index)
            assert opened.number == fact.number
            assert row.status[fact.index] == fact.before
            stop = row.stops.get(fact.index) or row.stops.get(WHOLE)
            assert fact.terminated == (stop is not None and stop[0] == TERMINATE)
            assert fact.ending.stopped_ms >= (fact.ending.started_ms or 0) >= 0
            self._move(row, fact.index, fact.to, fact.ending.status_reason)
            row.closed.append(fact)
        elif isinstance(fact, f.StopNoted):
            for index in range(fact.index, fact.hi):
                row.stops[index] = (fact.kind, fact.reason)

    def _move(self, row: JobRow, index: int, to: int, reason: str | None) -> None:
        what = f"job {row.submitted.seq}:{index}"
        if index == WHOLE and row.size:
            states.check_parent_move(what, row.status[index], to)
            assert all(row.status[i] in states.TERMINAL for i in range(row.size)), f"{what} over before its children"
        elif index >= NODES:
            states.check_node_move(what, row.status[index], to)
        else:
            states.check_job_move(what, row.status[index], to)
        row.status[index] = to
        row.reason[index] = reason

    def live_in(self, queue: int, share: str) -> bool:
        wanted = (queue, share)
        return any(row.live and (row.submitted.queue, row.submitted.share) == wanted for row in self.jobs.values())

    def jobs_on(self, number: int) -> list[int]:
        """The jobs with an open attempt on the instance."""
        name = self.instances[number].id
        return [seq for seq, row in self.jobs.items() for opened in row.open.values() if opened.instance == name]

    # -- what the inbox and recovery ask of rows ------------------------------------------------------------------

    def resolved(self, event: JobSubmitted, holds) -> JobSubmitted:
        """The event with the states of upstreams that are not held."""
        upstreams = []
        for up in event.upstreams:
            if up.seq and not holds(up.seq):
                row = self.jobs[up.seq]
                up = up._replace(state=row.status[up.index], states=row.vector() if row.size else None)
            upstreams.append(up)
        return event._replace(upstreams=tuple(upstreams))

    def held(self) -> list[HeldJob]:
        live = {seq for seq, row in self.jobs.items() if row.live}
        answer = []
        for seq in sorted(live):
            row = self.jobs[seq]
            answer.append(
                HeldJob(
                    self.resolved(row.submitted, live.__contains__),
                    row.status[WHOLE],
                    row.vector(),
                    dict(row.attempts),
                    dict(row.stops),
                    tuple(row.open.values()),
                )
            )
        return answer

    def restored(self, configuration) -> Scheduler:
        scheduler = Scheduler()
        scheduler.restore(
            self.applied_seq,
            self.last_ms,
            self.providers,
            self.timing,
            configuration,
            self.launched,
            [self.instances[number] for number in sorted(self.instances)],
            [self.shares[key] for key in sorted(self.shares)],
            [self.blocks[queue] for queue in sorted(self.blocks)],
            [HeldConsumable(number, used.consumed) for number, used in sorted(self.used.items())],
            self.held(),
        )
        return scheduler
