"""Judges a storm by what callers were told, what the machine saw, and what the rows say at the end.

Knows the rules of the reference pages, not the code: nothing here imports the scheduler or the engine.
"""

from __future__ import annotations

from batchyard.model import ids, states
from batchyard.model.ids import WHOLE
from batchyard.model.jobs import AFTER, N_TO_N, SEQUENTIAL, TERMINATE, NewJob
from batchyard.store.reader import SqliteReader
from tests.storm.machine import Machine


class Auditor:
    def __init__(self, data, region: str, machine: Machine):
        self.reader = SqliteReader(data)
        self.region = region
        self.machine = machine
        self.acknowledged: dict[str, NewJob] = {}
        self.wishes: dict[tuple[str, int], list[tuple[int, str]]] = {}

    def close(self) -> None:
        self.reader.close()

    def verdict(self) -> None:
        """Raise AssertionError naming the job and the rule that was broken."""
        for attempt, times in self.machine.starts.items():
            assert times == 1, f"attempt {attempt} was started {times} times"
        for uuid, job in self.acknowledged.items():
            self._judge(uuid, job)
        self._judge_order()

    def _row(self, uuid: str, index: int):
        row = self.reader.job(self.region, uuid, index)
        assert row is not None, f"job {uuid}:{index} was acknowledged and is gone"
        return row

    def _judge(self, uuid: str, job: NewJob) -> None:
        parent = self._row(uuid, WHOLE)
        assert parent.status in states.TERMINAL, f"{uuid} is {states.NAMES[parent.status]} at the end"
        if not job.size:
            self._judge_unit(uuid, WHOLE, job, parent)
            return
        children = [self._row(uuid, index) for index in range(job.size)]
        for index, child in enumerate(children):
            self._judge_unit(uuid, index, job, child)
        failed = any(child.status == states.FAILED for child in children)
        assert (parent.status == states.FAILED) == failed, f"array {uuid}: {parent.status}, a child failed: {failed}"
        counts = self.reader.child_counts(parent.seq)
        assert sum(counts[s] for s in states.TERMINAL) == job.size, f"array {uuid}: counts {counts}"

    def _judge_unit(self, uuid: str, index: int, job: NewJob, row) -> None:
        name = ids.job_id(uuid, index)
        assert row.status in states.TERMINAL, f"{name} is {states.NAMES[row.status]} at the end"
        assert row.stopped_ms is not None, f"{name} is over without stoppedAt"
        attempts = self.reader.attempts(row.seq, index)
        numbers = [attempt.number for attempt in attempts]
        assert numbers == list(range(1, len(attempts) + 1)), f"{name}: attempts {numbers}"
        assert len(attempts) <= job.retry.attempts, f"{name}: {len(attempts)} attempts of {job.retry.attempts}"
        for attempt in attempts:
            self._judge_attempt(name, ids.attempt_id(uuid, index, attempt.number), attempt)
        last = attempts[-1].exit_code if attempts else None
        terminated = any(kind == TERMINATE for kind, _ in self._wished(uuid, index))
        wished = bool(self._wished(uuid, index))
        if row.status == states.SUCCEEDED:
            assert last == 0, f"{name} SUCCEEDED with exit code {last}"
        elif last == 0:
            assert terminated, f"{name} FAILED with exit code 0 and nobody terminated it"
        elif not wished and attempts:
            assert len(attempts) == job.retry.attempts, f"{name} gave up after {len(attempts)} of {job.retry.attempts}"
        if not attempts:
            reasons = {"Dependent Job failed"} | {reason for _, reason in self._wished(uuid, index)}
            assert row.status_reason in reasons, f"{name} never ran and says {row.status_reason!r}"
        self._judge_dependencies(name, uuid, index, job, row, attempts)

    def _wished(self, uuid: str, index: int) -> list[tuple[int, str]]:
        return self.wishes.get((uuid, index), []) + (self.wishes.get((uuid, WHOLE), []) if index != WHOLE else [])

    def _judge_attempt(self, name: str, attempt_id: str, attempt) -> None:
        assert attempt.stopped_ms is not None, f"{attempt_id} is still open at the end"
        assert attempt.opened_ms <= (attempt.started_ms or attempt.opened_ms) <= attempt.stopped_ms, (
            f"{attempt_id}: times"
        )
        if attempt.exit_code is not None:
            really = self.machine.exits.get(attempt_id, "nothing")
            assert attempt.exit_code == really, f"{attempt_id}: rows say {attempt.exit_code}, it was {really}"

    def _judge_dependencies(self, name, uuid, index, job, row, attempts) -> None:
        failed_upstream = False
        for asked in job.upstreams:
            if asked.kind == SEQUENTIAL and asked.uuid is None:
                if index == 0:
                    continue
                upstream = self._row(uuid, index - 1)
            elif asked.kind == N_TO_N:
                upstream = self._row(asked.uuid, index)
            else:
                assert asked.kind in (AFTER, SEQUENTIAL)
                upstream = self._row(asked.uuid, asked.index)
            failed_upstream = failed_upstream or upstream.status == states.FAILED
            if attempts:
                assert upstream.status == states.SUCCEEDED, f"{name} ran though {upstream.uuid}:{upstream.index} failed"
                assert upstream.stopped_ms <= attempts[0].opened_ms, f"{name} was opened before its upstream ended"
        if row.status_reason == "Dependent Job failed":
            assert failed_upstream, f"{name} says a dependency failed, none did"

    def _judge_order(self) -> None:
        """Strict FIFO: of one queue, first attempts of jobs that never had to wait for others open in order."""
        latest: dict[int, tuple[int, str]] = {}
        for uuid in sorted(self.acknowledged, key=lambda each: self._row(each, WHOLE).seq):
            job = self.acknowledged[uuid]
            if job.upstreams:
                continue
            row = self._row(uuid, WHOLE)
            for index in range(job.size) if job.size else (WHOLE,):
                attempts = self.reader.attempts(row.seq, index)
                if not attempts:
                    continue
                before, who = latest.get(job.queue, (0, ""))
                opened = attempts[0].opened_ms
                assert opened >= before, f"{ids.job_id(uuid, index)} was opened {before - opened} ms before {who}"
                latest[job.queue] = (opened, ids.job_id(uuid, index))
