"""The loop: wait, gather what happened, decide once, commit once, act. Nothing leaves before it is written."""

from __future__ import annotations

import logging
import select
from collections.abc import Mapping
from typing import Protocol

from batchyard.engine.act import act
from batchyard.engine.inbox import Inbox
from batchyard.engine.recovery import recover
from batchyard.model.events import ProviderSized
from batchyard.model.needs import Needs
from batchyard.ports import Clock, Commits, Executor, Snapshot

log = logging.getLogger(__name__)

LONGEST_WAIT_S = 1.0  # a lost ring of the bell costs at most this
RECONNECT_WAIT_S = 0.02  # how often an executor that is away is tried again


class Bell(Protocol):
    """Rung by the api process after each of its commits."""

    def fileno(self) -> int: ...

    def drain(self) -> bool:
        """Take all rings; whether there were any."""


class Engine:
    """Runs one scheduler against the store and the executors, by provider name."""

    def __init__(
        self,
        snapshot: Snapshot,
        commits: Commits,
        executors: Mapping[str, Executor],
        rooms: Mapping[str, Needs],
        clock: Clock,
        bell: Bell,
    ):
        self._commits = commits
        self._executors = executors
        self._clock = clock
        self._bell = bell
        self.scheduler, open_attempts = recover(snapshot)
        self.inbox = Inbox(commits, executors, self.scheduler.holds)
        self.inbox.open = open_attempts
        self._pending = [ProviderSized(name, room) for name, room in rooms.items()]
        self._more = True

    def run(self, lifeline: int) -> None:
        """Turn until `lifeline`, a descriptor that says nothing while its other end lives, becomes readable."""
        while not self._wait(lifeline):
            self.turn()

    def turn(self) -> None:
        """Gather, decide, commit, act: once."""
        events = self._pending + self.inbox.gather(self.scheduler.applied_seq)
        if not events and not self._more:
            return
        self._pending = []
        now_ms = self._clock.now_ms()
        decision = self.scheduler.turn(now_ms, events)
        if decision.facts:
            self._commits.commit(now_ms, decision.facts)
        act(decision.actions, self._commits, self._executors, self.scheduler.provider_of, self.inbox.open)
        self._more = decision.more
        log.debug("turn: %d events, %d facts, %d actions", len(events), len(decision.facts), len(decision.actions))

    def _wait(self, lifeline: int) -> bool:
        """Sleep until something may have happened; True when the lifeline is cut."""
        sources = [lifeline, self._bell.fileno()]
        away = False
        for executor in self._executors.values():
            descriptor = executor.fileno()
            away = away or descriptor < 0
            if descriptor >= 0:
                sources.append(descriptor)
        busy = self._more or self.inbox.rung or self._pending
        wait_s = 0.0 if busy else RECONNECT_WAIT_S if away else LONGEST_WAIT_S
        readable, _, _ = select.select(sources, [], [], wait_s)
        if self._bell.fileno() in readable or not readable:
            self.inbox.rung = self._bell.drain() or self.inbox.rung or not readable
        return lifeline in readable
