"""Judges a storm by what callers asked and were told, what the machine saw, and what the rows say at the end.

Knows the rules of the reference pages, not the code: nothing here imports the scheduler or the engine.
"""

from __future__ import annotations

from batchyard.model import ids, states
from batchyard.model.ids import WHOLE
from batchyard.model.jobs import AFTER, N_TO_N, SEQUENTIAL, TERMINATE, NewJob, RetryRule
from batchyard.ports import AttemptRow, JobRow
from batchyard.store.reader import SqliteReader
from tests.storm.callers import REGION, Callers, Submission
from tests.storm.machine import Machine

MAIN_NODE_ENDED = "Main node ended"
DEPENDENCY_FAILED = "Dependent Job failed"
SLICE_INTERRUPTED = "Your Spot Task was interrupted."
# A stop that was acknowledged takes effect within this: rings of the bell may be lost, and the engine looks by
# itself every 20 ticks of at most 60 ms.
EFFECT_MS = 3000


class Auditor:
    def __init__(self, data, callers: Callers, machine: Machine):
        self.reader = SqliteReader(data)
        self.callers = callers
        self.machine = machine
        self.jobs: dict[str, NewJob] = {}  # all that were stored, answered or not
        self.rows: dict[tuple[str, int], JobRow] = {}

    def close(self) -> None:
        self.reader.close()

    def verdict(self, strict: bool) -> None:
        """Raise AssertionError naming the job and the rule that was broken. `strict`: nobody may pass a head."""
        for attempt, times in self.machine.starts.items():
            assert times == 1, f"attempt {attempt} was started {times} times"
        for submission in self.callers.submissions:
            self._judge_submission(submission)
        for uuid, job in self.jobs.items():
            self._judge(uuid, job)
        self._judge_resources()
        if strict:
            self._judge_order()

    def _judge_submission(self, submission: Submission) -> None:
        """One job a key however often it was tried, and every answer names it."""
        stored = [uuid for uuid in submission.uuids if self.reader.job(REGION, uuid, WHOLE) is not None]
        assert len(stored) <= 1, f"tries of one submission are {len(stored)} jobs: {stored}"
        assert submission.answers <= set(stored), f"answered {submission.answers}, stored {stored}"
        assert submission.answers or submission.tries_left < 50, f"a patient caller heard nothing: {submission.uuids}"
        for uuid in stored:
            self.jobs[uuid] = submission.job

    def _row(self, uuid: str, index: int) -> JobRow:
        row = self.rows.get((uuid, index))
        if row is None:
            row = self.reader.job(REGION, uuid, index)
            assert row is not None, f"job {uuid}:{index} was acknowledged and is gone"
            self.rows[uuid, index] = row
        return row

    def _judge(self, uuid: str, job: NewJob) -> None:
        parent = self._row(uuid, WHOLE)
        assert parent.status in states.TERMINAL, f"{uuid} is {states.NAMES[parent.status]} at the end"
        if not job.size:
            self._judge_unit(uuid, WHOLE, job, parent)
            if job.nodes is not None:
                self._judge_nodes(uuid, job, parent)
            return
        children = [self._row(uuid, index) for index in range(job.size)]
        for index, child in enumerate(children):
            self._judge_unit(uuid, index, job, child)
        failed = any(child.status == states.FAILED for child in children)
        assert (parent.status == states.FAILED) == failed, f"array {uuid}: {parent.status}, a child failed: {failed}"
        counts = self.reader.child_counts(parent.seq)
        assert sum(counts[s] for s in states.TERMINAL) == job.size, f"array {uuid}: counts {counts}"
        last_ms = max(child.stopped_ms for child in children)
        assert parent.stopped_ms >= last_ms, (
            f"array {uuid} ended {last_ms - parent.stopped_ms} ms before its last child"
        )

    def _judge_nodes(self, uuid: str, job: NewJob, parent: JobRow) -> None:
        """As many attempts as the main node; none of them begins before it, the next waits for the last of them."""
        nodes = job.nodes
        assert nodes is not None
        mains = self.reader.attempts(parent.seq, WHOLE)
        for number in range(nodes.count):
            index = ids.NODES + number
            name, row = ids.job_id(uuid, index), self._row(uuid, index)
            assert row.status in states.TERMINAL, f"{name} is {states.NAMES[row.status]} at the end"
            if number == nodes.main:
                assert row.status == parent.status, f"{name} is not as its job"
                continue
            attempts = self.reader.attempts(parent.seq, index)
            assert len(attempts) == len(mains), f"{name} has {len(attempts)} attempts, the main node {len(mains)}"
            for place, (attempt, main) in enumerate(zip(attempts, mains, strict=True)):
                self._judge_attempt(uuid, index, attempt)
                assert attempt.opened_ms == main.opened_ms, f"{name} was opened at another time than the main node"
                assert attempt.instance != main.instance, f"{name} shares the main node's instance"
                if attempt.started_ms is not None:
                    assert main.started_ms is not None, f"{name} ran, the main node never did"
                    assert attempt.started_ms >= main.started_ms, f"{name} ran before the main node"
                if place:
                    former = attempts[place - 1].stopped_ms
                    assert main.opened_ms >= former, f"{uuid} was tried again before {name} was over"

    def _judge_unit(self, uuid: str, index: int, job: NewJob, row: JobRow) -> None:
        """A single job or a child."""
        name = ids.job_id(uuid, index)
        assert row.status in states.TERMINAL, f"{name} is {states.NAMES[row.status]} at the end"
        assert row.stopped_ms is not None, f"{name} is over without stoppedAt"
        attempts = self.reader.attempts(row.seq, index)
        numbers = [attempt.number for attempt in attempts]
        assert numbers == list(range(1, len(attempts) + 1)), f"{name}: attempts {numbers}"
        for attempt in attempts:
            self._judge_attempt(uuid, index, attempt)
        self._judge_retries(name, uuid, index, job, row, attempts)
        self._judge_outcome(name, uuid, index, row, attempts)
        self._judge_stops(name, uuid, index, row, attempts)
        self._judge_dependencies(name, uuid, index, job, row, attempts)

    # -- attempts -------------------------------------------------------------------------------------------------

    def _reasons(self, uuid: str, index: int, kind: int | None = None) -> set[str]:
        """Of the stops that were asked for, of one kind or of any."""
        return {stop.reason for stop in self.callers.stops_of(uuid, index) if kind is None or stop.kind == kind}

    def _by_limit(self, uuid: str, row: JobRow) -> bool:
        """Whether a time limit of its queue cancelled it, and for a reason that it had."""
        return any((row.status_reason or "").startswith(text) for text in self.callers.limits_of(self.jobs[uuid]))

    def _judge_attempt(self, uuid: str, index: int, attempt: AttemptRow) -> None:
        """Times, exit code and texts are those of what really happened."""
        name = ids.attempt_id(uuid, index, attempt.number)
        assert attempt.stopped_ms is not None, f"{name} is still open at the end"
        assert attempt.opened_ms <= (attempt.started_ms or attempt.opened_ms) <= attempt.stopped_ms, f"{name}: times"
        terminated = attempt.status_reason in self._reasons(uuid, index, TERMINATE)
        if name not in self.machine.endings:
            assert not self.machine.starts.get(name), f"{name} was started and never ended"
            interrupted = attempt.status_reason in (SLICE_INTERRUPTED, _lost(attempt))
            unstarted = index >= ids.NODES and attempt.status_reason == MAIN_NODE_ENDED
            assert terminated or interrupted or unstarted, (
                f"{name} never ran, nobody terminated it, and it says {attempt.status_reason!r}"
            )
            assert attempt.exit_code is None
            return
        ending = self.machine.endings[name]
        if ending is None or (name in self.machine.killed and attempt.instance and not terminated):
            text = _lost(attempt)
            told = (attempt.exit_code, attempt.reason)
            assert told == (None, None), f"{name} was lost with its host, and the rows know {told}"
        else:
            text = ending.status_reason
            told, really = (attempt.exit_code, attempt.reason), (ending.exit_code, ending.reason)
            assert told == really, f"{name}: rows say {told}, it was {really}"
            assert ending.started_ms in (None, attempt.started_ms), f"{name}: startedAt"
        if attempt.reclaim_ms is not None and attempt.exit_code != 0 and not (ending and ending.timed_out):
            text = SLICE_INTERRUPTED
        assert terminated or attempt.status_reason == text, f"{name} says {attempt.status_reason!r}, not {text!r}"

    def _judge_retries(self, name, uuid: str, index: int, job: NewJob, row: JobRow, attempts: list[AttemptRow]) -> None:
        """Tried again exactly as often as the policy says (reference "Retries and timeouts")."""
        assert len(attempts) <= job.retry.attempts, f"{name}: {len(attempts)} attempts of {job.retry.attempts}"
        for attempt in attempts[:-1]:
            assert self._again(uuid, index, job, attempt), f"{name}: attempt {attempt.number} was retried: {attempt}"
        if row.status == states.SUCCEEDED or not attempts or self._reasons(uuid, index, TERMINATE):
            return
        whole = self.callers.stops.get((uuid, WHOLE)) if index != WHOLE else None
        if whole or row.status_reason in self._reasons(uuid, index) or self._by_limit(uuid, row):
            return  # cancelled while it waited for its next attempt, or with its array
        last = attempts[-1]
        assert last.number == job.retry.attempts or not self._again(uuid, index, job, last), f"{name} gave up: {last}"

    def _again(self, uuid: str, index: int, job: NewJob, attempt: AttemptRow) -> bool:
        ending = self.machine.endings.get(ids.attempt_id(uuid, index, attempt.number))
        if attempt.exit_code == 0 or (ending is not None and ending.timed_out):
            return False
        for rule in job.retry.rules:
            if _applies(rule, attempt):
                return rule.retry
        return True

    # -- outcomes -------------------------------------------------------------------------------------------------

    def _judge_outcome(self, name, uuid: str, index: int, row: JobRow, attempts: list[AttemptRow]) -> None:
        """The job's status and text are those of its last attempt, of its stop, or of its dependencies."""
        if not attempts:
            reasons = {DEPENDENCY_FAILED} | self._reasons(uuid, index)
            assert row.status == states.FAILED, f"{name} SUCCEEDED and never ran"
            known = row.status_reason in reasons or self._by_limit(uuid, row)
            assert known, f"{name} never ran and says {row.status_reason!r}"
            return
        last = attempts[-1]
        if row.status == states.SUCCEEDED:
            assert last.exit_code == 0, f"{name} SUCCEEDED with exit code {last.exit_code}"
        elif last.exit_code == 0:
            assert row.status_reason in self._reasons(uuid, index, TERMINATE), f"{name} FAILED with exit code 0"
        assert self.jobs[uuid].needs.cpu_milli <= self.callers.vcpus * 1000, f"{name} ran and could not"
        if row.status_reason != last.status_reason and not self._by_limit(uuid, row):
            assert row.status_reason in self._reasons(uuid, index), f"{name}: {row.status_reason!r} is not {last}"

    def _judge_stops(self, name, uuid: str, index: int, row: JobRow, attempts: list[AttemptRow]) -> None:
        """What was acknowledged takes effect, unless the job was over or, for a cancel, had begun."""
        for stop in self.callers.stops_of(uuid, index):
            if stop.acknowledged_ms is None:
                continue
            by_ms = stop.acknowledged_ms + EFFECT_MS
            for attempt in attempts if stop.kind == TERMINATE else ():
                late_ms = attempt.stopped_ms - max(by_ms, attempt.opened_ms + EFFECT_MS)
                assert late_ms <= 0, f"{name}: attempt {attempt.number} ran {late_ms} ms after it was terminated"
            begun = [attempt for attempt in attempts if attempt.opened_ms <= by_ms]
            if stop.kind == TERMINATE or not begun:
                later = [attempt.number for attempt in attempts if attempt.opened_ms > by_ms]
                assert not later, f"{name} was stopped at {stop.acknowledged_ms} and began attempts {later} after that"
                if row.stopped_ms > by_ms:
                    assert row.status == states.FAILED, f"{name} was stopped at {stop.acknowledged_ms} and SUCCEEDED"
                    known = row.status_reason in self._reasons(uuid, index) or self._by_limit(uuid, row)
                    assert known, f"{name} was stopped: {row.status_reason!r}"

    # -- dependencies ---------------------------------------------------------------------------------------------

    def _judge_dependencies(self, name, uuid, index, job: NewJob, row: JobRow, attempts: list[AttemptRow]) -> None:
        """Nothing runs before its upstreams have succeeded, and nothing fails before they are decided, even if it was
        cancelled while it was PENDING."""
        upstreams = self._upstreams(uuid, index, job)
        failed = [upstream.stopped_ms for upstream in upstreams if upstream.status == states.FAILED]
        for upstream in upstreams if attempts else ():
            assert upstream.status == states.SUCCEEDED, f"{name} ran though {upstream.uuid}:{upstream.index} failed"
            assert upstream.stopped_ms <= attempts[0].opened_ms, f"{name} was opened before its upstream ended"
        if upstreams:
            decided_ms = min(failed) if failed else max(upstream.stopped_ms for upstream in upstreams)
            with_queue = job.queue in self.callers.queue_stops  # whose deletion asks no dependencies
            assert with_queue or row.stopped_ms >= decided_ms, f"{name} ended before its dependencies were decided"
        if row.status_reason == DEPENDENCY_FAILED:
            assert failed, f"{name} says a dependency failed, none did"
        elif failed:
            assert row.status_reason in self._reasons(uuid, index), f"{name}: {row.status_reason!r}, an upstream failed"

    def _upstreams(self, uuid: str, index: int, job: NewJob) -> list[JobRow]:
        found = []
        for asked in job.upstreams:
            if asked.kind == SEQUENTIAL and asked.uuid is None:
                found += [self._row(uuid, index - 1)] if index else []
            elif asked.kind == N_TO_N:
                found.append(self._row(asked.uuid, index))
            else:
                assert asked.kind in (AFTER, SEQUENTIAL)
                found.append(self._row(asked.uuid, asked.index))
        return found

    def _judge_order(self) -> None:
        """Strict FIFO: of one queue, or one share and priority in it, first attempts of jobs that never had to wait for
        others open in order. Of those that ask for consumable resources, those that ask for the same."""
        latest: dict[tuple, tuple[int, str]] = {}
        for uuid in sorted(self.jobs, key=lambda each: self._row(each, WHOLE).seq):
            job = self.jobs[uuid]
            if job.upstreams:
                continue
            row = self._row(uuid, WHOLE)
            for index in range(job.size) if job.size else (WHOLE,):
                attempts = self.reader.attempts(row.seq, index)
                if not attempts:
                    continue
                line = job.queue, job.share, job.priority, job.consumables
                before, who = latest.get(line, (0, ""))
                opened = attempts[0].opened_ms
                assert opened >= before, f"{ids.job_id(uuid, index)} was opened {before - opened} ms before {who}"
                latest[line] = (opened, ids.job_id(uuid, index))

    def _judge_resources(self) -> None:
        """When nothing runs any more, nothing is in use."""
        for row in self.reader.consumables(REGION, None, "", 10):
            assert row.held == 0, f"{row.held} of {row.name} are in use at the end"


def _lost(attempt: AttemptRow) -> str:
    """What clients are told of an attempt whose host is gone."""
    if attempt.reclaim_ms is not None:
        return SLICE_INTERRUPTED
    host = f"EC2 (instance {attempt.instance})" if attempt.instance else "of the Fargate task"
    return f"Host {host} terminated."


def _applies(rule: RetryRule, attempt: AttemptRow) -> bool:
    """All conditions that were given match; an absent text is empty, an absent exit code matches nothing."""
    code = None if attempt.exit_code is None else str(attempt.exit_code)
    given = (
        (rule.on_exit_code, code),
        (rule.on_reason, attempt.reason or ""),
        (rule.on_status_reason, attempt.status_reason),
    )
    return all(pattern is None or (value is not None and _like(pattern, value)) for pattern, value in given)


def _like(pattern: str, value: str) -> bool:
    prefix, star, _ = pattern.partition("*")
    return value.startswith(prefix) if star else value == pattern
