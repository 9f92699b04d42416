"""One attempt in containers: claimed, its containers made and watched in their order, ended, recorded.

It has the face of ``job.Job``. All that waits for the engine is done by the slot's second thread, so the slot answers a
new runner and obeys a stop while an image is pulled. A slot that dies loses nothing: another one is given `resume`.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from batchyard.executors.runner import asking, orders, volumes
from batchyard.executors.runner.containers import application, holder, options, reading, sequence
from batchyard.executors.runner.containers.container import (
    CREATE_WAIT_S,
    ENDED,
    FAILED_TO_START,
    LOOKING,
    MAKING,
    RUNNING,
    SETTLING,
    WAITING,
    Container,
    NotStarted,
)
from batchyard.executors.runner.containers.engine import Engine, EngineError, GivenUp, Unreachable, patiently
from batchyard.executors.runner.containers.hands import Hands
from batchyard.executors.runner.containers.holder import Holder
from batchyard.executors.runner.containers.images import Puller
from batchyard.executors.runner.containers.labels import full_name, labels
from batchyard.executors.runner.containers.reading import Reading
from batchyard.executors.runner.containers.sequence import Plan
from batchyard.executors.runner.files import Files
from batchyard.executors.runner.wire import EngineAbout, boot_s, record
from batchyard.executors.runner.zips import ZipError

log = logging.getLogger("batchyard.slot")

TICK_MS = 100
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
ABANDON_S = 10.0  # for the removal of what runs when the slot is told to end


@dataclass
class Hall(Files):
    """What a slot holds for attempts in containers."""

    orders: int  # open directory
    about: EngineAbout | None
    identity: None = None  # of no user: jobs are whoever their image or definition says
    hands: Hands = field(default_factory=Hands, init=False)
    _engines: dict[str, Engine] = field(default_factory=dict, init=False)  # by their sockets

    def job(self, order: dict) -> Task:
        kept = orders.read(self.orders, order["attempt"]) if order["op"] == "resume" else None
        return Task(order, self) if kept is None else Task(kept.order, self, kept)

    def engine(self, about: EngineAbout) -> Engine:
        """Asked by the hands alone. Its connection is kept from job to job."""
        if about.socket not in self._engines:
            self._engines[about.socket] = Engine(about)
        return self._engines[about.socket]

    def is_clean(self) -> bool:
        return True

    def close(self) -> None:
        """Let the hands end what they are at: containers are removed once their attempt is over."""
        until_s = time.monotonic() + ABANDON_S
        while self.hands.busy and time.monotonic() < until_s:
            self.hands.collect()
            time.sleep(0.01)


class Task:
    """`start`, then `attend` whenever one of `sources` is readable or `patience_ms` have passed, until it is `over`;
    then `finish`, and `recorded` once the record is on disk."""

    oom_kills_before = 0  # of a process's slot

    def __init__(self, order: dict[str, Any], hall: Hall, kept: orders.Kept | None = None):
        self.attempt: str = order["attempt"]
        self.started_ms: int | None = None
        self.over = False
        self._order = order
        self._hall = hall
        self._kept = kept
        self._lost = order["op"] == "resume"  # there is nothing that could be resumed
        self._about = kept.engine if kept is not None else hall.about
        self._notes = -1
        self._asked = {asked["name"]: asked for asked in order.get("containers", ())}
        self._plans = [_plan(asked) for asked in self._asked.values()]
        self._containers: dict[str, Container] = {}  # once they are prepared
        self._holder: Holder | None = None
        self._told: dict[str, Any] = {}  # what the server told of secrets, when asked
        self._prepared = self._stopping = self._timed_out = False
        self._grace_s: float | None = None  # that came with the order to stop
        self._kill_at: dict[str, float] = {}  # of those that were told to stop
        self._end_at: float | None = None  # when the timeout fires
        self._tick_at = 0.0

    # -- start ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Claim the attempt, and begin with its first containers. Raises Claimed when it was claimed before."""
        if self._lost:
            self.over = True
            return
        if self._kept is None:
            self._hall.claim(self.attempt)
            self._notes = orders.keep(self._hall.orders, self.attempt, self._order, self._about)
        else:
            self._notes = orders.reopen(self._hall.orders, self.attempt)
        engine = self._hall.engine(self._about)
        if holder.is_needed(self._order):
            self._holder = Holder(engine, self._hall.data, self.attempt)
        for name in self._asked:
            whole = full_name(self._hall.data, self.attempt, name)
            self._containers[name] = Container(name, whole, engine, self._reading(name), self._note)
            if self._kept is not None:
                self._containers[name].resume([told for told in self._kept.notes if told["name"] == name])
        self._hall.hands.give(self._prepare, self._is_prepared)

    def _reading(self, name: str) -> Reading:
        file = self.attempt if len(self._asked) == 1 else f"{self.attempt}~{name}"
        files = self._hall.log_files(self._order["day"], file)
        return Reading(*files, self._order["log_bytes"], time.time_ns() // 1_000_000)

    def _note(self, told: dict[str, Any]) -> None:
        orders.note(self._notes, told)

    def _prepare(self) -> None:
        """By the hands: all that comes before the first container."""
        if not any(container.phase == WAITING for container in self._containers.values()):
            return
        if self._holder is not None:
            try:
                patiently(lambda: self._holder.make(self._order), lambda: self._stopping, CREATE_WAIT_S)
            except EngineError as error:
                raise NotStarted(FAILED_TO_START + str(error)) from None
        ask = self._order.get("ask")
        if ask:
            self._told = asking.ask(ask["url"], ask["token"], given_up=lambda: self._stopping)
            if self._told["error"]:
                raise NotStarted(self._told["error"])

    def _is_prepared(self, error: BaseException | None) -> None:
        self._prepared = True
        for name, container in self._containers.items():
            if error is not None and container.phase == WAITING:
                self._has_failed(name, error)
            elif container.phase == ENDED:  # with the slot that had it before us
                self._has_ended(name)
        self._advance()

    def _make(self, name: str) -> None:
        """Have the hands make a container."""
        container = self._containers[name]
        container.phase = MAKING
        puller = Puller(container.engine, f"{self._hall.data}/runner/pulls", self._told.get("auth") or {})
        self._hall.hands.give(
            lambda: container.make(lambda: self._body(name), puller), lambda error: self._is_made(name, error)
        )

    def _body(self, name: str) -> dict[str, Any]:
        """By the hands: what the engine is asked for. Raises ValueError for what cannot be had."""
        asked, order = self._asked[name], self._order
        asked = asked | {"env": asked["env"] | (self._answer("secrets", name) or {})}
        if asked["log"] and self._answer("log", name):
            asked["log"] = asked["log"] | {"options": asked["log"]["options"] | self._answer("log", name)}
        sources = volumes.ready(asked, order, self._hall.data)
        if asked["zip"]:
            sources.append(self._application(asked))
            asked = application.with_mount(asked)
        log_config = reading.log_config(self._about.name, order["log_bytes"])
        prefix = full_name(self._hall.data, self.attempt, "")
        host = options.Host.of(self._about, self._about.ulimits)
        body = options.create_body(order, asked, host, sources, log_config, prefix, self._holder_id())
        if asked["zip"]:
            body |= application.command(body, sources[-1])
        return body | {"Labels": labels(self._hall.data, self.attempt, name)}

    def _application(self, asked: dict[str, Any]) -> str:
        place = self._answer("zip", asked["name"])
        try:
            return application.unpacked(asked, place, self._hall.data, self.attempt, lambda: self._stopping)
        except ZipError as error:
            raise NotStarted(str(error)) from None

    def _holder_id(self) -> str | None:
        return None if self._holder is None else self._holder.id

    def _answer(self, kind: str, name: str) -> Any:
        """What the server told of a container when it was asked."""
        return (self._told.get(kind) or {}).get(name)

    def _is_made(self, name: str, error: BaseException | None) -> None:
        if error is not None:
            self._has_failed(name, error)
        else:
            self._containers[name].phase = RUNNING
        self._advance()

    def _has_failed(self, name: str, error: BaseException) -> None:
        """It did not start, or is not to be made any more."""
        container = self._containers[name]
        if isinstance(error, NotStarted):
            container.reason, container.exit_code = str(error), error.exit_code
        elif not isinstance(error, GivenUp):
            log.error("%s: %s: %s", container.name, type(error).__name__, error, extra={"attempt": self.attempt})
            container.reason = f"CannotStartContainerError: {type(error).__name__}: {error}"
        container.started_ms = None
        self._note({"name": name, "not_started": container.reason, "exit_code": container.exit_code})
        self._has_ended(name)

    def _has_ended(self, name: str) -> None:
        container = self._containers[name]
        container.phase = ENDED
        container.ended = 1 + sum(other.ended is not None for other in self._containers.values())
        container.close()

    # -- watch ------------------------------------------------------------------------------------------------------

    def sources(self) -> list[int]:
        """Descriptors to watch."""
        return [self._hall.hands.fileno(), *(fd for container in self._running() for fd in container.sources())]

    def patience_ms(self) -> float:
        """How long to watch them."""
        return 0 if any(container.reading.more for container in self._running()) else TICK_MS

    def _running(self) -> list[Container]:
        """Those that run, and that hands have nothing to do with."""
        return [container for container in self._containers.values() if container.phase == RUNNING]

    def attend(self, ready: set[int]) -> None:
        """See to what is `ready`, and now and then to the clock."""
        if self._hall.hands.fileno() in ready:
            self._hall.hands.collect()
        for container in self._running():
            if container.has_ended(ready):
                self._settle(container)
        now_s = boot_s()
        if not ready or now_s >= self._tick_at:
            self._tick_at = now_s + TICK_MS / 1000
            self._tick(now_s)

    def _tick(self, now_s: float) -> None:
        """Take what was written; see to timeouts and patience; look at those that nobody tells of."""
        for container in self._running():
            container.tick()
            if container.must_be_looked_at(now_s):
                self._look(container)
        if self._end_at is not None and now_s >= self._end_at and not self._stopping:
            self._timed_out = True
            self.stop()
        self._advance()

    def _look(self, container: Container) -> None:
        def then(error: BaseException | None) -> None:
            container.phase = RUNNING
            if error is not None:
                self._has_failed(container.name, error)

        container.phase = LOOKING
        self._hall.hands.give(container.look, then)

    def _settle(self, container: Container) -> None:
        def then(error: BaseException | None) -> None:
            if error is not None:
                log.error("%s: %s", type(error).__name__, error, extra={"attempt": self.attempt})
            self._lost = self._lost or container.lost
            self._has_ended(container.name)
            self._advance()

        container.phase = SETTLING
        self._hall.hands.give(container.settle, then)

    def _advance(self) -> None:
        """Whatever has just changed: start who may start, stop who must stop, see whether all is over."""
        stands = {name: container.stand for name, container in self._containers.items()}
        if self.started_ms is None:
            self.started_ms = sequence.started_ms(self._plans, stands)
            if self.started_ms is not None and self._order["timeout_s"] is not None:
                begun = [self._containers[plan.name].began_s or 0.0 for plan in self._plans if plan.essential]
                self._end_at = max(begun) + self._order["timeout_s"]
        if self._stopping or self._lost or sequence.is_over(self._plans, stands):
            self._wind_down(stands)
        elif self._prepared:
            for name, reason in sequence.hopeless(self._plans, stands, time.time_ns() // 1_000_000).items():
                self._has_failed(name, NotStarted(f"CannotStartContainerError: {reason}"))
            for name in sequence.may_start(self._plans, stands):
                self._make(name)
        self.over = all(container.phase == ENDED for container in self._containers.values())

    # -- stop -------------------------------------------------------------------------------------------------------

    def stop(self, grace_s: float | None = None) -> None:
        """The stop signal to the main process of each container; SIGKILL after its grace time, which is the order's
        or its own unless another is given. Told again, it kills when the first of them is over."""
        now_s = boot_s()
        if grace_s is not None:
            self._grace_s = grace_s if self._grace_s is None else min(self._grace_s, grace_s)
            self._kill_at = {name: min(at, now_s + grace_s) for name, at in self._kill_at.items()}
        self._stopping = True
        if self._containers:
            self._advance()

    def _wind_down(self, stands: sequence.Stands) -> None:
        """Nothing more starts, and what runs is told to stop: those first that no other depends on."""
        now_s = boot_s()
        for name, container in self._containers.items():
            if container.phase == WAITING and self._prepared:
                self._has_ended(name)
            elif container.phase == MAKING and not container.given_up:
                container.given_up = True
                container.engine.interrupt()
        for name in sequence.may_stop(self._plans, stands):
            if self._containers[name].phase == RUNNING and name not in self._kill_at:
                self._kill_at[name] = now_s + self._grace_of(name)
                if self._kill_at[name] > now_s:
                    self._send(self._containers[name], self._containers[name].stop_signal)
        for name, at_s in self._kill_at.items():
            container = self._containers[name]
            if now_s >= at_s and container.phase in (RUNNING, LOOKING) and not container.killed:
                self._send(container, signal.SIGKILL)

    def _grace_of(self, name: str) -> float:
        asked = self._asked[name].get("stop_timeout_s")
        usual = self._order["grace_s"] if asked is None else asked
        return usual if self._grace_s is None else min(usual, self._grace_s)

    def _send(self, container: Container, number: int) -> None:
        if not container.signal(number):
            self._hall.hands.give(lambda: container.send(number), lambda _: None)

    # -- end --------------------------------------------------------------------------------------------------------

    def finish(self) -> bytes | None:
        """The exit record, not yet written; None if nobody can tell what became of the attempt."""
        if self._lost:
            return None
        stands = {name: container.stand for name, container in self._containers.items()}
        decisive = self._containers[sequence.decisive(self._plans, stands)]
        ends = [container.stopped_ms for container in self._containers.values() if container.stopped_ms is not None]
        told = record(
            self.attempt,
            started_ms=self.started_ms,
            stopped_ms=max([*ends, self.started_ms or 0]) if ends else time.time_ns() // 1_000_000,
            exit_code=decisive.exit_code,
            oom=decisive.oom,
            timed_out=self._timed_out,
            not_started=decisive.reason if self.started_ms is None else None,
            containers=[_ending(it) for it in self._containers.values()] if len(self._asked) > 1 else None,
            peak_memory_bytes=sum(container.peak_bytes for container in self._containers.values()) or None,
            cpu_ms=sum(container.cpu_ms for container in self._containers.values()),
        )
        return json.dumps(told, separators=(",", ":")).encode()

    def recorded(self) -> None:
        """The record is on disk, or there is none to be: nothing of the attempt is left to the engine."""
        orders.forget(self._hall.orders, self.attempt)
        if self._notes >= 0:
            os.close(self._notes)
        self._hall.hands.give(self._remove, lambda _: None)

    def _remove(self) -> None:
        """By the hands: what the engine has of the attempt."""
        for container in self._containers.values():
            container.remove()
        if self._holder is not None:
            self._holder.remove()
        for name in options.shared_volumes(self._order) if self._containers else ():
            with suppress(EngineError, Unreachable):
                self._hall.engine(self._about).remove_volume(full_name(self._hall.data, self.attempt, name))

    def abandon(self) -> None:
        """The slot ends, and the attempt with it: it counts as lost."""
        for container in self._containers.values():
            container.given_up = True
            container.engine.interrupt()
            container.signal(signal.SIGKILL)
        self.recorded()
        self._hall.close()


def _plan(asked: dict[str, Any]) -> Plan:
    timeout_s = asked.get("start_timeout_s")
    depends_on = tuple((name, condition) for name, condition in asked.get("depends_on") or ())
    return Plan(
        asked["name"], asked.get("essential", True), depends_on, None if timeout_s is None else int(timeout_s * 1000)
    )


def _ending(container: Container) -> dict[str, Any]:
    reason = OUT_OF_MEMORY if container.oom else container.reason
    return {"name": container.name, "exit_code": container.exit_code, "reason": reason}
