"""One container of an attempt: made, watched, ended, removed.

What asks the engine is called in the slot's second thread (``hands.py``) and says so; everything else in the slot's
loop. They never work on the same container at a time: the loop leaves it alone while hands have it.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from batchyard.executors.runner.containers.counting import Counts
from batchyard.executors.runner.containers.engine import (
    Engine,
    EngineError,
    GivenUp,
    NoSuchContainer,
    NoSuchImage,
    Unreachable,
    patiently,
)
from batchyard.executors.runner.containers.images import Puller
from batchyard.executors.runner.containers.reading import Reading, source_of
from batchyard.executors.runner.containers.sequence import Stand
from batchyard.executors.runner.wire import boot_s

COMMAND_NOT_FOUND, COMMAND_NOT_EXECUTABLE = 127, 126
CREATE_WAIT_S = 240  # for an engine that is away
KILLED = 128 + signal.SIGKILL
LOOK_S = 0.5  # how often a container is looked at whose process is not ours to watch
EARLY_MS = 10_000  # an engine's word that a container began so much before its answer is not to be believed
GONE_S = 60.0  # what was killed needs no engine to tell how it ended, if that stays away

FAILED_TO_START = "CannotStartContainerError: Error response from daemon: "
NO_PULL = "CannotPullContainerError: Error response from daemon: "
NO_ENGINE = "DockerTimeoutError: Could not transition to created; timed out after waiting 4m0s"

# runc: exec: "x": executable file not found in $PATH; crun: executable file `x` not found; exec /x: exec format error
_COMMAND = re.compile(r"\bexec\b|executable file")
_NOT_FOUND = re.compile(r"not found|no such file or directory", re.IGNORECASE)
_NOT_EXECUTABLE = re.compile(r"permission denied|is a directory|exec format error", re.IGNORECASE)


class NotStarted(Exception):
    """The container did not start; the message is the whole reason, as ECS words it."""

    def __init__(self, reason: str, exit_code: int | None = None):
        super().__init__(reason)
        self.exit_code = exit_code


WAITING, MAKING, RUNNING, LOOKING, SETTLING, ENDED = range(6)  # phases; in MAKING, LOOKING and SETTLING hands have it


class Container:
    """`name` is its own in the task, `full_name` the engine's."""

    def __init__(
        self, name: str, full_name: str, engine: Engine, reading: Reading, note: Callable[[dict[str, Any]], None]
    ):
        self.name = name
        self.phase = WAITING
        self.ended: int | None = None  # the how-manieth of its task to end
        self.engine = engine
        self.reading = reading
        self.given_up = False  # it must not start any more
        self.killed = False
        self.began_s: float | None = None  # as boot_s tells it
        self.started_ms: int | None = None
        self.stopped_ms: int | None = None
        self.exit_code: int | None = None
        self.oom = self.lost = False
        self.reason: str | None = None  # why it did not start
        self.peak_bytes = self.cpu_ms = 0
        self.stop_signal: int = signal.SIGTERM
        self._full_name = full_name
        self._note = note
        self._id: str | None = None
        self._pid = 0
        self._pidfd = -1
        self._counts: Counts | None = None
        self._attached = self._gone = self._read = False
        self._look_at = 0.0
        self._last: Mapping[str, Any] | None = None  # its state as the engine told it once it had ended

    @property
    def stand(self) -> Stand:
        started_ms = None if self.phase in (WAITING, MAKING) else self.started_ms
        return Stand(self.phase != WAITING, started_ms, self.ended, self.exit_code)

    # -- in the second thread ---------------------------------------------------------------------------------------

    def make(self, body: Callable[[], dict[str, Any]], puller: Puller) -> None:
        """Create it, with the image pulled if need be, and start it. Raises NotStarted or GivenUp."""
        try:
            wanted = body()
            self._id = self._asked(lambda: self._create(wanted, puller))
            prepared = self._asked(lambda: self.engine.prepare(self._id))
            if prepared:
                self._look(self._asked(lambda: self.engine.inspect(self._id)))
            self._start()
            if not prepared:
                inspected = self._asked(lambda: self.engine.inspect(self._id))
                early_ms = self.started_ms - _epoch_ms(inspected["State"]["StartedAt"])
                self._began_before(early_ms if 0 < early_ms < EARLY_MS else 0)
                self._look(inspected)
        except EngineError as error:
            raise NotStarted(FAILED_TO_START + str(error), _exit_code_of(str(error))) from None
        except Unreachable:
            raise NotStarted(NO_ENGINE) from None
        except ValueError as error:  # of the body: a volume that may not be had, for one
            raise NotStarted(f"CannotStartContainerError: {error}") from None
        self._note_started()

    def _asked(self, question: Callable[[], Any]) -> Any:
        return patiently(question, lambda: self.given_up, CREATE_WAIT_S)

    def _create(self, body: dict[str, Any], puller: Puller) -> str:
        """Its id."""
        if self.given_up:
            raise GivenUp
        try:
            return self.engine.create(self._full_name, body)
        except NoSuchImage:
            pass
        try:
            return puller.pulled(body["Image"], self.name, lambda: self.engine.create(self._full_name, body), self)
        except NoSuchImage as error:
            raise NotStarted(NO_PULL + str(error)) from None

    def _start(self) -> None:
        if self.given_up:
            raise GivenUp
        self._note({"name": self.name, "id": self._id, "starting": True})
        called_s = 0.0

        def start() -> None:
            nonlocal called_s
            called_s = boot_s()
            self.engine.start(self._id)

        self._asked(start)
        self.began_s, self.started_ms = boot_s(), time.time_ns() // 1_000_000
        if self._pidfd >= 0:  # it was only to be let go, and writes from the moment on at which it was
            self._began_before(int((self.began_s - called_s) * 1000))

    def _began_before(self, by_ms: int) -> None:
        """It began so much earlier than we knew: nothing that it writes shall be older than its start."""
        assert self.started_ms is not None and self.began_s is not None
        self.started_ms -= by_ms
        self.began_s -= by_ms / 1000

    def _look(self, inspected: Mapping[str, Any]) -> None:
        """Open what there is to watch of the process."""
        self.stop_signal = _signal(inspected["Config"].get("StopSignal"))
        if not self._attached:
            self.reading.attach(source_of(inspected, self.engine.about))
            self._attached = True
        state = inspected["State"]
        self._last = state if self.started_ms is not None and _is_over(state) else None
        self._open(state.get("Pid") or 0)

    def _open(self, pid: int) -> None:
        """Watch process `pid`, if it is this container's and lives."""
        if self._pidfd >= 0 or not (pid > 0 and self.engine.about.local):
            return
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            return
        counts = Counts(pid, self._id or "")
        if not counts.found and not self.engine.about.rootless:
            counts.close()
            os.close(pidfd)
            return
        self._pid, self._pidfd, self._counts = pid, pidfd, counts

    def _note_started(self) -> None:
        told = {"name": self.name, "id": self._id, "began_s": self.began_s}
        told |= {"pid": self._pid, "ticks": _ticks(self._pid) if self._pidfd >= 0 else None}
        self._note(told | {"started_ms": self.started_ms, "stop_signal": int(self.stop_signal)})

    def look(self) -> None:
        """Where nobody tells us of it: ask how it stands, and watch it if that is possible.

        Raises GivenUp if it has not been started and must not be any more.
        """
        with suppress(Unreachable):  # asked again soon
            try:
                inspected = self._inspected()
                if inspected["State"]["Status"] in ("created", "initialized", "configured"):
                    self._start()
                    inspected = self._inspected()
            except NoSuchContainer:
                self._gone = True
                return
            if self.started_ms is None:
                self.started_ms = _epoch_ms(inspected["State"]["StartedAt"])
                self.began_s = boot_s() - max(0, time.time_ns() // 1_000_000 - self.started_ms) / 1000
            self._look(inspected)
            self._note_started()

    def _inspected(self) -> dict[str, Any]:
        inspected = self.engine.inspect(self._id) if self._id else self.engine.named(self._full_name)
        self._id = inspected["Id"]
        return inspected

    def settle(self) -> None:
        """It has ended: learn how, and take the rest of what it wrote. Waits for an engine that is away."""
        until_s = time.monotonic() + GONE_S
        pause_s = 0.002
        try:
            while self._last is None:
                self._last = self._final_state(until_s)
                if self._last is None:
                    time.sleep(pause_s)  # the engine learns of it after us
                    pause_s = min(0.1, pause_s * 1.5)
            self.exit_code = self._last["ExitCode"]
            self.oom = self.oom or bool(self._last.get("OOMKilled"))
        except (NoSuchContainer, GivenUp):  # somebody has removed it, which has killed it
            self.lost = self._pidfd < 0 and not self.killed
            self.exit_code = None if self.lost else KILLED
        self._finish_reading()

    def _final_state(self, until_s: float) -> Mapping[str, Any] | None:
        """None if the engine does not call it ended, or cannot say it for a moment."""
        try:
            found = patiently(lambda: self.engine.inspect(self._id), lambda: self._needs_no_engine(until_s))["State"]
        except NoSuchContainer:
            raise
        except EngineError:
            if time.monotonic() > until_s:
                raise
            return None
        return found if _is_over(found) else None

    def _finish_reading(self) -> None:
        if not self._read:
            self._read = True
            self.reading.finish(self.now_ms())

    def _needs_no_engine(self, until_s: float) -> bool:
        return self.killed and self._pidfd >= 0 and time.monotonic() > until_s

    def remove(self) -> None:
        """Nothing of it stays."""
        with suppress(EngineError, Unreachable):
            patiently(lambda: self.engine.remove(self._id or self._inspected()["Id"]), lambda: False, GONE_S)

    # -- in the loop ------------------------------------------------------------------------------------------------

    def sources(self) -> list[int]:
        bell = self._counts.bell if self._counts is not None else -1
        return [descriptor for descriptor in (self._pidfd, bell) if descriptor >= 0]

    def has_ended(self, ready: set[int]) -> bool:
        """Whether it is seen to have ended."""
        if self._gone:
            self.stopped_ms = self.now_ms()
            return True
        if self._last is not None:
            self.stopped_ms = max(self.started_ms or 0, _epoch_ms(self._last.get("FinishedAt") or ""))
            return True
        if self._counts is not None and self._counts.bell in ready:
            self._counts.ring()
        if self._pidfd < 0 or self._pidfd not in ready:
            return False
        self.stopped_ms = self.now_ms()
        if self._counts is not None:
            self._counts.last()
        return True

    def must_be_looked_at(self, now_s: float) -> bool:
        """Whether nobody tells of its end, or its log is not at hand, and it is time to ask the engine."""
        if (self._pidfd >= 0 and self._attached) or self._last is not None or now_s < self._look_at:
            return False
        self._look_at = now_s + LOOK_S
        return True

    def tick(self) -> None:
        if self._counts is not None:
            self._counts.sample()
        self.reading.take(self.now_ms())

    def now_ms(self) -> int:
        """Epoch milliseconds that advance with `boot_s` from its start."""
        if self.started_ms is None or self.began_s is None:
            return time.time_ns() // 1_000_000
        return self.started_ms + int((boot_s() - self.began_s) * 1000)

    def resume(self, notes: list[dict[str, Any]]) -> None:
        """Go on where another slot has died, by its `notes` on this container. The engine may be away."""
        known: dict[str, Any] = {}
        for told in notes:
            known |= told
        if "not_started" in known:
            self.reason, self.exit_code, self.phase = known["not_started"], known["exit_code"], ENDED
            return
        if known:
            self._id, self.phase = known["id"], RUNNING
        if known.get("started_ms") is not None:
            self.began_s, self.started_ms = known["began_s"], known["started_ms"]
            self.stop_signal = known["stop_signal"]
            if known["ticks"] is not None and _ticks(known["pid"]) == known["ticks"]:
                self._open(known["pid"])

    def signal(self, number: int) -> bool:
        """Send it without the engine; False if that is not possible."""
        self.killed = self.killed or number == signal.SIGKILL
        if self._pidfd < 0:
            return False
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            pass
        except PermissionError:  # of another user: the engine may
            return False
        return True

    def send(self, number: int) -> None:
        """By the hands: have the engine send a signal that we cannot."""
        with suppress(EngineError, Unreachable):
            self.engine.kill(self._id or self._inspected()["Id"], number)

    def close(self) -> None:
        """Nobody watches it any more; what did not start has an empty log."""
        self._finish_reading()
        if self._counts is not None:
            self.oom = (self.oom or self._counts.oom) and self.exit_code != 0
            self.peak_bytes, self.cpu_ms = self._counts.peak_bytes, self._counts.cpu_ms
            self._counts.close()
            self._counts = None
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1


def _ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since the machine did; None if it is gone."""
    with suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[19])
    return None


def _is_over(state: Mapping[str, Any]) -> bool:
    return not state.get("Running") and state.get("Status") in ("exited", "stopped", "dead", "removing")


def _signal(told: str | int | None) -> int:
    """A signal as the engines write it: a name, a number, or nothing."""
    text = str(told or "")
    if text.isdigit():
        return int(text) or signal.SIGTERM
    name = text.upper()
    return getattr(signal, name if name.startswith("SIG") else f"SIG{name}", signal.SIGTERM)


def _exit_code_of(message: str) -> int | None:
    """What a shell would say; None unless it was the command that could not be started."""
    if not _COMMAND.search(message):
        return None
    if _NOT_FOUND.search(message):
        return COMMAND_NOT_FOUND
    return COMMAND_NOT_EXECUTABLE if _NOT_EXECUTABLE.search(message) else None


def _epoch_ms(text: str) -> int:
    """A time as the engines write it: RFC 3339 with up to nine digits of fraction."""
    found = re.match(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", text)
    if found is None or found[1].startswith("0001"):
        return time.time_ns() // 1_000_000
    zone = found[3].replace("Z", "+00:00")
    return int(datetime.fromisoformat(found[1] + zone).timestamp()) * 1000 + int((found[2] or "0").ljust(3, "0")[:3])
