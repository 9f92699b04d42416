"""The loop: wait, gather what happened, decide once, commit once, act. Nothing leaves before it is written."""

from __future__ import annotations

import logging
import select
from collections.abc import Mapping
from time import perf_counter_ns
from typing import Protocol

from batchyard.engine.act import act
from batchyard.engine.chance import Chance
from batchyard.engine.inbox import Inbox
from batchyard.engine.recovery import recover
from batchyard.engine.showing import Showing
from batchyard.model.environments import Timing
from batchyard.model.events import Event, ProviderSized, TimingSet
from batchyard.model.needs import Needs
from batchyard.ports import Clock, Commits, Executor, Snapshot

log = logging.getLogger(__name__)

LONGEST_WAIT_S = 1.0  # a lost ring of the bell costs at most this
PACE_S = 0.001  # after a commit: what comes meanwhile shares the next one, and no job starts and ends faster
REST_S = 0.05  # at most, after a turn that left nothing but deletion: as long as it took, for the disk is everybody's
RECONNECT_WAIT_S = 0.02  # how often an executor that is away is tried again
FULL_WAIT_S = 0.5  # how often a full disk is looked at again
RETIRE_EVERY_MS = 1000
RETIRE_AGAIN_MS = 50  # when more finished jobs are to go: a few milliseconds of work in so many


class Bell(Protocol):
    """Rung by the api process after each of its commits."""

    def fileno(self) -> int: ...

    def drain(self) -> bool:
        """Take all rings; whether there were any."""


class Engine:
    """Runs one scheduler against the store and the executors, which go by name (``model.ids.executor_name``)."""

    def __init__(
        self,
        snapshot: Snapshot,
        commits: Commits,
        executors: Mapping[str, Executor],
        rooms: Mapping[str, Needs],
        clock: Clock,
        bell: Bell,
        timing: Timing = Timing(),
        chance: Chance | None = None,
    ):
        self._commits = commits
        self._executors = executors
        self._clock = clock
        self._bell = bell
        self._chance = chance or Chance()
        self.scheduler, open_attempts = recover(snapshot)
        self.inbox = Inbox(commits, executors, self.scheduler.holds)
        self.inbox.open = open_attempts
        self._pending: list[Event] = [ProviderSized(name, room) for name, room in rooms.items()]
        self._pending.append(TimingSet(timing))
        self._more = True
        self._leisurely = False  # whether what is more to do is nobody's who waits
        self._due_ms: int | None = None  # when something happens by itself next
        self._full = False  # whether the disk was, when last looked at
        self._retire_ms = 0  # when finished jobs are seen to next
        self._retiring = False  # whether more of them are to go
        self._showing = Showing(self.scheduler, commits, clock.now_ms())

    def run(self, lifeline: int) -> None:
        """Turn until `lifeline`, a descriptor that says nothing while its other end lives, becomes readable."""
        while not self._wait(lifeline):
            begun_ns = perf_counter_ns()
            if self._has_room() and self.turn() and (self._leisurely or not self._more):
                took_s = (perf_counter_ns() - begun_ns) / 1e9
                select.select([lifeline], [], [], min(took_s, REST_S) if self._leisurely else PACE_S)
            self.retire()
            self.show()

    def turn(self) -> bool:
        """Gather, decide, commit, act: once. Whether anything was committed."""
        begun_ns = perf_counter_ns()
        events = self._pending + self.inbox.gather(self.scheduler.applied_seq)
        now_ms = self._clock.now_ms()
        drawn = self._chance.draw(now_ms, self.scheduler.interruptible)
        events += [] if drawn is None else [drawn]
        due = self._due_ms is not None and self._due_ms <= now_ms
        if not events and not self._more and not due:
            return False
        self._pending = []
        decision = self.scheduler.turn(now_ms, events)
        if decision.facts:
            decided_ns = perf_counter_ns()
            self._commits.commit(now_ms, decision.facts)
            self._showing.timings.commit.note((perf_counter_ns() - decided_ns) // 1000)
        act(decision.actions, self._commits, self._executors, self.scheduler.provider_of, self.inbox.open)
        self._more, self._due_ms, self._leisurely = decision.more, decision.due_ms, decision.leisurely
        self._showing.note(now_ms, decision.facts)
        self._showing.timings.turn.note((perf_counter_ns() - begun_ns) // 1000)
        log.debug("turn: %d events, %d facts, %d actions", len(events), len(decision.facts), len(decision.actions))
        return bool(decision.facts)

    def _has_room(self) -> bool:
        """Without room on the disk nothing is decided: news and requests wait where they are."""
        full = not self._commits.has_room()
        if full != self._full:
            self._full = full
            log.warning(
                "The disk is full: nothing is started or recorded until there is room." if full else "Room again."
            )
        return not full

    def retire(self) -> None:
        """Between turns, let go of finished jobs: bounded, and not too often."""
        now_ms = self._clock.now_ms()
        if now_ms >= self._retire_ms:
            self._retiring = self._commits.retire(now_ms)
            self._retire_ms = now_ms + (RETIRE_AGAIN_MS if self._retiring else RETIRE_EVERY_MS)

    def show(self) -> None:
        """Between turns, tell how long they took and why jobs wait, if something changed and not too often."""
        if not self._full:
            self._showing.show(self._clock.now_ms())

    def _wait(self, lifeline: int) -> bool:
        """Sleep until something may have happened; True when the lifeline is cut."""
        if self._full:
            return bool(select.select([lifeline], [], [], FULL_WAIT_S)[0])
        sources = [lifeline, self._bell.fileno()]
        away = False
        for executor in self._executors.values():
            descriptor = executor.fileno()
            away = away or descriptor < 0
            if descriptor >= 0:
                sources.append(descriptor)
        busy = self._more or self.inbox.rung or self._pending
        idle_s = RETIRE_AGAIN_MS / 1000 if self._retiring else LONGEST_WAIT_S
        if self._due_ms is not None:
            idle_s = min(idle_s, max(0, self._due_ms - self._clock.now_ms()) / 1000)
        wait_s = 0.0 if busy else RECONNECT_WAIT_S if away else idle_s
        readable, _, _ = select.select(sources, [], [], wait_s)
        if self._bell.fileno() in readable or not readable:
            self.inbox.rung = self._bell.drain() or self.inbox.rung or not readable
        return lifeline in readable
