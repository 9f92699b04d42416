"""Pretends to run attempts: nothing runs, time passes on whatever clock it is given, and the news is that of real ones.

An attempt is a small file below ``pretend`` in the data directory: what was asked, when it began, when it was told to
stop. How it ends is a function of that file alone (``fate``), so a restart in the middle changes nothing.
"""

from __future__ import annotations

import json
import logging
import os
from heapq import heappop, heappush
from pathlib import Path
from typing import Any, NamedTuple

from batchyard.executors import contract, pretend_task
from batchyard.executors.pretend_program import NAME, USAGE_ERROR, parse, refusal, written
from batchyard.executors.timer import Timer
from batchyard.model import tasks
from batchyard.model.ids import parse_attempt_id
from batchyard.model.jobs import AttemptSpec
from batchyard.ports import Began, Clock, Ended, Lost, News, Survey

log = logging.getLogger(__name__)

SIGKILL, SIGTERM = 9, 15
_DRAFT = ".draft"


class Record(NamedTuple):
    """What is on disk of an attempt."""

    command: list[str]
    memory_mib: int  # the job's limit, 0 for none
    timeout_ms: int | None
    grace_ms: int
    began_ms: int
    stop_ms: int | None = None  # when it was told to end
    error: str | None = None  # why it could not begin
    kill_ms: int | None = None  # when it is killed then, if not after `grace_ms`
    refused: str | None = None  # why no task can be made of it
    task: list[dict[str, Any]] | None = None  # its containers (``pretend_task.asked``), if it is one of several


def fate(record: Record) -> dict[str, Any]:
    """How and when the attempt ends if nobody stops it (any more), as the exit record of a real one."""
    begun: dict[str, Any] = {"started_ms": record.began_ms, "stopped_ms": record.began_ms, "start_error": None}
    begun |= {"exit_code": None, "signal": None, "oom": False, "timed_out": False, "peak_memory_bytes": 0, "cpu_ms": 0}
    if record.refused is not None:
        return begun | {"started_ms": None, "refused": record.refused, "peak_memory_bytes": None}
    if record.task is not None and record.error is None:
        return _fate_of_task(record, record.task)
    code, error = _refusal(record)
    if error is not None:
        return begun | {"started_ms": None, "exit_code": code, "start_error": error, "peak_memory_bytes": None}
    try:
        asked = parse(record.command[1:])
    except ValueError:
        return begun | {"exit_code": USAGE_ERROR}
    begun["peak_memory_bytes"] = asked.memory_mib << 20
    if asked.memory_mib > record.memory_mib > 0:
        return begun | {"signal": SIGKILL, "oom": True}
    end_ms = record.began_ms + asked.run_ms
    by_itself = {"stopped_ms": end_ms} | ({"signal": asked.signal} if asked.signal else {"exit_code": asked.exit})
    asked_to_end = [] if record.stop_ms is None else [record.stop_ms]
    timeout_ms = None if record.timeout_ms is None else record.began_ms + record.timeout_ms
    term_ms = min([end_ms, *asked_to_end, *([] if timeout_ms is None else [timeout_ms])])
    if term_ms == end_ms:
        return begun | by_itself
    begun["timed_out"] = term_ms == timeout_ms
    kill_ms = term_ms + record.grace_ms
    if record.kill_ms is not None:
        kill_ms = record.kill_ms if term_ms == record.stop_ms else min(kill_ms, record.kill_ms)
    if not asked.ignore_term and kill_ms > term_ms:
        return begun | {"stopped_ms": term_ms, "signal": SIGTERM}
    if kill_ms < end_ms:
        return begun | {"stopped_ms": kill_ms, "signal": SIGKILL}
    return begun | by_itself


def _fate_of_task(record: Record, containers: list[dict[str, Any]]) -> dict[str, Any]:
    """An order to end that came without a grace time leaves each container its own."""
    usual = record.stop_ms is not None and record.kill_ms == record.stop_ms + record.grace_ms
    kill_ms = None if usual else record.kill_ms
    orders = pretend_task.Orders(record.began_ms, record.timeout_ms, record.grace_ms, record.stop_ms, kill_ms)
    return pretend_task.Play(containers, orders).record()


def _refusal(record: Record) -> tuple[int | None, str | None]:
    """Exit code and words for what cannot start."""
    return (None, record.error) if record.error is not None else refusal(record.command)


class Attempt:
    """An attempt and how it will end; both None if its record could not be read."""

    __slots__ = ("record", "fate", "over")

    def __init__(self, record: Record | None):
        self.record = record
        self.fate = None if record is None else fate(record)
        self.over = record is None


class PretendExecutor:
    """Implements ``ports.Executor`` for commands of the `pretend` language; any other command is not found."""

    def __init__(self, data: Path, clock: Clock, stop_grace_s: int):
        self._records = data / "pretend"
        self._records.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._logs = data / "logs"
        self._clock = clock
        self._grace_ms = stop_grace_s * 1000
        self._attempts: dict[str, Attempt] = {}
        self._due: list[tuple[int, str]] = []  # heap of (time, attempt): ends, and beginnings that come later
        self._news: list[News] = []
        self._surveyed = False
        self._timer = Timer()
        self._timer.set(0)

    # -- orders ---------------------------------------------------------------------------------------------------

    def start(self, spec: AttemptSpec) -> None:
        self._survey()
        known = self._attempts.get(spec.attempt)
        if known is not None:
            self._tell(spec.attempt, known)
            return
        record = Record(
            command=list(spec.container.get("command") or ()),
            memory_mib=spec.needs.memory_mib,
            timeout_ms=None if spec.timeout_s is None else spec.timeout_s * 1000,
            grace_ms=self._grace_ms,
            began_ms=self._clock.now_ms(),
            refused=spec.refused,
            task=None if spec.task is None else pretend_task.asked(spec.task),
        )
        try:
            self._write_log(spec, record)
            self._claim(spec.attempt, record)
        except (OSError, ValueError) as error:
            record = record._replace(error=str(error))
        self._hold(spec.attempt, record)
        if self._attempts[spec.attempt].fate["started_ms"] == record.began_ms:
            self._news.append(Began(spec.attempt, record.began_ms))

    def stop(self, attempt: str, grace_ms: int | None = None) -> None:
        self._survey()
        known = self._attempts.get(attempt)
        if known is None or known.over:
            return
        now_ms, told = self._clock.now_ms(), known.record
        kill_ms = now_ms + (told.grace_ms if grace_ms is None else grace_ms)
        record = told._replace(stop_ms=told.stop_ms or now_ms, kill_ms=min(kill_ms, told.kill_ms or kill_ms))
        if record == told:
            return
        try:
            self._write(attempt, record, os.replace)
        except OSError as error:
            log.warning("the stop of %s will be forgotten at a restart: %s", attempt, error)
        self._hold(attempt, record)

    def release(self, attempt: str) -> None:
        known = self._attempts.get(attempt)
        if known is not None and known.over:
            del self._attempts[attempt]
            (self._records / attempt).unlink(missing_ok=True)

    def flush(self) -> None:
        """Nothing is sent; but what was ordered may end before what was waited for."""
        self._arm()

    # -- news -----------------------------------------------------------------------------------------------------

    def fileno(self) -> int:
        return self._timer.fileno()

    def observe(self) -> list[News]:
        self._survey()
        self._end_due()
        news, self._news = self._news, []
        self._arm()
        return news

    def close(self) -> None:
        self._timer.close()

    def _survey(self) -> None:
        """Once, before anything else: what the records say."""
        if self._surveyed:
            return
        self._surveyed = True
        for name in sorted(os.listdir(self._records)):
            if parse_attempt_id(name) is not None:
                self._hold(name, self._read(name))
        self._end_due()
        self._news.append(Survey(frozenset(name for name, attempt in self._attempts.items() if not attempt.over)))

    def _end_due(self) -> None:
        now_ms = self._clock.now_ms()
        while self._due and self._due[0][0] <= now_ms:
            at_ms, name = heappop(self._due)
            attempt = self._attempts.get(name)
            if attempt is not None and not attempt.over:
                attempt.over = attempt.fate["stopped_ms"] <= now_ms
                if attempt.over or attempt.fate["started_ms"] == at_ms:
                    self._tell(name, attempt)

    def _tell(self, name: str, attempt: Attempt) -> None:
        if attempt.record is None:
            self._news.append(Lost(name))
        elif attempt.over:
            self._news.append(Ended(name, contract.ending(attempt.fate)))
        elif (began_ms := attempt.fate["started_ms"]) is not None and began_ms <= self._clock.now_ms():
            self._news.append(Began(name, began_ms))

    def _hold(self, name: str, record: Record | None) -> None:
        attempt = self._attempts[name] = Attempt(record)
        if attempt.record is None:
            self._tell(name, attempt)
        else:
            ends_ms, began_ms = attempt.fate["stopped_ms"], attempt.fate["started_ms"]
            heappush(self._due, (ends_ms, name))
            if began_ms is not None and began_ms > attempt.record.began_ms:
                heappush(self._due, (began_ms, name))

    def _arm(self) -> None:
        if self._news:
            self._timer.set(0)
        else:
            self._timer.set(max(1, self._due[0][0] - self._clock.now_ms()) if self._due else None)

    # -- files ----------------------------------------------------------------------------------------------------

    def _claim(self, attempt: str, record: Record) -> None:
        """The record is there whole or not at all, and never twice: FileExistsError."""
        try:
            self._write(attempt, record, os.link)
        finally:
            (self._records / _DRAFT).unlink(missing_ok=True)

    def _write(self, attempt: str, record: Record, publish) -> None:
        draft = self._records / _DRAFT
        draft.write_bytes(json.dumps(record._asdict(), separators=(",", ":")).encode())
        publish(draft, self._records / attempt)

    def _read(self, attempt: str) -> Record | None:
        """None if the machine went down before it was on disk: then the attempt's host is lost, as a real one's."""
        try:
            return Record(**json.loads((self._records / attempt).read_bytes()))
        except (ValueError, TypeError):
            return None

    def _write_log(self, spec: AttemptSpec, record: Record) -> None:
        """All at once and before the claim: whoever starts the attempt again writes the same. Of a container that is
        to start later, too: if the attempt is told to end before, its log says what it would have said."""
        day = self._logs / contract.day(spec.opened_ms)
        day.mkdir(mode=0o700, parents=True, exist_ok=True)
        if record.task is None:
            _write_one(day / f"{spec.attempt}.log", record.command, record.began_ms)
            return
        ran = {each["name"]: each["started_ms"] for each in fate(record)["containers"]}
        for each in record.task:
            if ran[each["name"]] is not None:
                name = tasks.log_name(spec.attempt, each["name"], list(ran))
                _write_one(day / f"{name}.log", each["command"], ran[each["name"]])


def _write_one(path: Path, command: list[str], at_ms: int) -> None:
    output = b""
    if refusal(command)[1] is None:
        try:
            output = written(parse(command[1:]))
        except ValueError as error:
            output = f"{NAME}: {error}\n".encode("utf-8", "surrogateescape")
    path.write_bytes(output)
    path.with_suffix(".idx").write_bytes(f"{at_ms} 0\n{at_ms} {len(output)} end\n".encode())
