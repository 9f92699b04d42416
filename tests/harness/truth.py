"""What the metrics of a data directory must say, from rows alone and as naively as possible: SQL over both files, and
the journal replayed job by job for waits, which no row keeps."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from fractions import Fraction
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from batchyard.model.ids import NODES
from batchyard.model.states import NAMES, RUNNABLE
from batchyard.observe.metrics import ENDINGS, LIVE, LONG_MS, OUTCOMES, SHORT_MS

Samples = dict[tuple[str, frozenset], float]

# A node may have exited before its job was terminated, and no row but the journal's knows.
ENDING = f"""
    CASE WHEN a.idx >= {NODES} AND EXISTS (SELECT 1 FROM journal AS t WHERE t.kind = 'closed' AND t.job = a.job
                              AND t.idx = a.idx AND t.number = a.number AND t.detail ->> 'terminated') THEN 'terminated'
         WHEN iif(a.idx < 0, j.stop_kind, c.stop_kind) = 2 AND coalesce(c.status, j.status) = 6
              AND a.number = coalesce(c.attempts, j.attempts)
              AND NOT EXISTS (SELECT 1 FROM journal AS t WHERE t.kind = 'closed' AND t.job = a.job AND t.idx = a.idx
                              AND t.number = a.number AND t.status = 2) THEN 'terminated'
         WHEN a.status_reason = 'Job attempt duration exceeded timeout' THEN 'timed_out'
         WHEN a.exit_code = 0 THEN 'succeeded'
         WHEN a.reason LIKE 'OutOfMemoryError%' THEN 'out_of_memory'
         WHEN a.status_reason LIKE 'Host EC2%' THEN 'lost'
         WHEN a.status_reason = 'Task failed to start' THEN 'not_started'
         ELSE 'failed' END"""


def parsed(text: str) -> Samples:
    """Every sample of a page, by the official parser. A sample that comes twice is an error."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, f"{key} is told twice"
            found[key] = sample.value
    return found


def counted(page: Samples) -> Samples:
    """Those that tell of jobs, attempts and environments."""
    kinds = (
        "batchyard_job",
        "batchyard_arrays",
        "batchyard_sub",
        "batchyard_att",
        "batchyard_ret",
        "batchyard_env",
        "batchyard_queue",
    )
    return {key: value for key, value in page.items() if key[0].startswith((*kinds, "batchyard_oldest"))}


class Truth:
    """Both files as they are now; nobody may write meanwhile."""

    def __init__(self, data: Path):
        self._db = sqlite3.connect(f"file:{data}/state.db?mode=ro", uri=True)
        self._db.execute("ATTACH ? AS asked", (f"file:{data}/requests.db?mode=ro",))
        self.samples: Samples = {}
        self._gone = {number for (number,) in self._all("SELECT id FROM deleted")}
        queues = self._all("SELECT id, region, name FROM queues WHERE id NOT IN (SELECT id FROM deleted)")
        self._queues = {number: {"region": region, "queue": name} for number, region, name in queues}
        try:
            self._jobs()
            self._attempts()
            self._environments()
            self._waits()
        finally:
            self._db.close()

    def _all(self, sql: str) -> list[tuple]:
        return self._db.execute(sql).fetchall()

    def _say(self, name: str, value: float, **labels: str) -> None:
        self.samples[name, frozenset(labels.items())] = float(value)

    def _of_queues(self, name: str, sql: str, label: str = "", values: tuple[str, ...] = ()) -> None:
        """A number of each queue, 0 where the query has no row; its rows are (queue, [value of the label,] number)."""
        told = {tuple(row[:-1]): row[-1] for row in self._all(sql) if row[0] not in self._gone}
        for queue, named in self._queues.items():
            for value in values:
                self._say(name, told.pop((queue, value), 0), **named, **{label: value})
            if not values:
                self._say(name, told.pop((queue,), 0), **named)
        assert not told, f"{name}: {told}"

    def _jobs(self) -> None:
        everything = """SELECT j.queue, j.status, 1 AS jobs FROM jobs AS j WHERE j.size = 0
            UNION ALL SELECT j.queue, c.status, 1 FROM children AS c JOIN jobs AS j ON j.seq = c.job WHERE j.size > 0
            UNION ALL SELECT r.queue, 0, max(r.size, 1) FROM asked.jobs AS r
            WHERE r.seq NOT IN (SELECT seq FROM jobs)"""
        name = "CASE status " + " ".join(f"WHEN {number} THEN '{name}'" for number, name in enumerate(NAMES)) + " END"
        self._of_queues(
            "batchyard_jobs",
            f"SELECT queue, {name}, sum(jobs) FROM ({everything}) WHERE status < 5 GROUP BY queue, status",
            "state",
            LIVE,
        )
        outcome = "iif(status = 5, 'succeeded', 'failed')"
        self._of_queues(
            "batchyard_jobs_finished_total",
            f"SELECT queue, {outcome}, sum(jobs) FROM ({everything}) WHERE status > 4 GROUP BY queue, status",
            "outcome",
            OUTCOMES,
        )
        live = "SELECT queue, count(*) FROM jobs WHERE size > 0 AND status < 5 GROUP BY queue"
        self._of_queues("batchyard_arrays", live)
        self._of_queues("batchyard_queue_blocked", "SELECT queue, told FROM blocks WHERE told")
        self._of_queues("batchyard_submissions_total", "SELECT queue, count(*) FROM asked.jobs GROUP BY queue")
        jobs = "SELECT queue, sum(max(size, 1)) FROM asked.jobs GROUP BY queue"
        self._of_queues("batchyard_jobs_submitted_total", jobs)

    def _attempts(self) -> None:
        attempts = """attempts AS a JOIN jobs AS j ON j.seq = a.job
            LEFT JOIN children AS c ON c.job = a.job AND c.idx = a.idx"""
        self._of_queues(
            "batchyard_attempts_started_total", f"SELECT j.queue, count(*) FROM {attempts} GROUP BY j.queue"
        )
        self._of_queues(
            "batchyard_attempts_ended_total",
            f"SELECT j.queue, {ENDING} AS e, count(*) FROM {attempts} WHERE a.stopped_ms > 0 GROUP BY j.queue, e",
            "ending",
            ENDINGS,
        )
        retried = f"t.kind = 'closed' AND t.status = 2 AND t.idx < {NODES}"
        again = f"FROM journal AS t JOIN jobs AS j ON j.seq = t.job WHERE {retried}"
        self._of_queues("batchyard_retries_total", f"SELECT j.queue, count(*) {again} GROUP BY j.queue")
        started = f"SELECT j.queue, a.started_ms - a.opened_ms FROM {attempts} WHERE a.started_ms IS NOT NULL"
        self._histogram("batchyard_attempt_start_seconds", SHORT_MS, self._all(started))
        ran = (
            f"SELECT j.queue, a.stopped_ms - a.started_ms FROM {attempts} WHERE a.started_ms + a.stopped_ms IS NOT NULL"
        )
        self._histogram("batchyard_attempt_run_seconds", LONG_MS, self._all(ran))

    def _environments(self) -> None:
        rooms = {name: room for name, *room in self._all("SELECT name, cpu_milli, memory_mib, gpus FROM providers")}
        held: dict[int, tuple] = {}
        for environment, index, nodes, *needs in self._all(
            """SELECT a.environment, a.idx, r.nodes, r.cpu_milli, r.memory_mib, r.gpus FROM attempts AS a
            JOIN asked.jobs AS r ON r.seq = a.job WHERE a.stopped_ms IS NULL"""
        ):
            if index >= NODES:
                needs = next(each for lo, hi, each in json.loads(nodes)[1] if lo <= index - NODES < hi)
            before = held.get(environment, (0, 0, 0, 0))
            held[environment] = tuple(map(sum, zip(before, (1, *needs), strict=True)))
        there = """SELECT id, region, name, provider, kind, body ->> '$.computeResources.maxvCpus'
            FROM asked.environments WHERE id NOT IN (SELECT id FROM deleted)"""
        instances = self._all("SELECT environment, cpu_milli, usable_mib, gpus FROM instances WHERE ended_ms IS NULL")
        for number, region, name, provider, kind, most in self._all(there):
            labels = {"region": region, "environment": name, "provider": provider}
            attempts, *used = held.get(number, (0, 0, 0, 0))
            own = [each[1:] for each in instances if each[0] == number]
            self._say("batchyard_environment_instances", len(own), **labels)
            if kind == "MANAGED":
                self._say("batchyard_environment_max_vcpus", most, **labels)
            usable = [sum(column) for column in zip(*own, strict=True)] or [0, 0, 0]
            self._say("batchyard_environment_attempts", attempts, **labels)
            room = rooms.get(provider, (0, 0, 0))
            for which, needs in (("used", used), ("instances", usable), ("capacity", room)):
                self._say(f"batchyard_environment_{which}_vcpus", Fraction(needs[0], 1000), **labels)
                self._say(f"batchyard_environment_{which}_memory_bytes", needs[1] << 20, **labels)
                self._say(f"batchyard_environment_{which}_gpus", needs[2], **labels)

    def _waits(self) -> None:
        """Every child for itself: since when it is RUNNABLE, and what became of that."""
        since: dict[tuple[int, int], tuple[int, int]] = {}
        waits = []
        journal = self._all(
            f"""SELECT t.kind, t.at_ms, t.job, t.idx, t.hi, t.status, t.detail ->> 'child_status', j.size, j.queue
            FROM journal AS t JOIN jobs AS j ON j.seq = t.job WHERE t.status IS NOT NULL AND t.idx < {NODES}
            ORDER BY t.n"""
        )
        for kind, at_ms, job, lo, hi, status, child_status, size, queue in journal:
            if kind == "added" and size:
                lo, hi, status = 0, size, child_status
            for index in range(lo, hi):
                waited = since.pop((job, index), None)
                if kind == "opened":
                    waits.append((queue, at_ms - waited[0]))
                if status == RUNNABLE:
                    since[job, index] = (at_ms, queue)
        self._histogram("batchyard_job_wait_seconds", LONG_MS, waits)
        oldest: dict[int, int] = {}
        for since_ms, queue in since.values():
            oldest[queue] = min(since_ms, oldest.get(queue, since_ms))
        for queue, since_ms in oldest.items():
            name = "batchyard_oldest_runnable_timestamp_seconds"
            self._say(name, Fraction(since_ms, 1000), **self._queues[queue])

    def _histogram(self, name: str, bounds: tuple[int, ...], rows: list[tuple[int, int]]) -> None:
        values = defaultdict(list)
        for queue, value_ms in rows:
            if queue not in self._gone:
                values[queue].append(value_ms)
        for queue, named in self._queues.items():
            of_queue = values.pop(queue, [])
            for bound in bounds:
                bucket = f"{bound / 1000:g}"
                self._say(f"{name}_bucket", sum(value <= bound for value in of_queue), **named, le=bucket)
            self._say(f"{name}_bucket", len(of_queue), **named, le="+Inf")
            self._say(f"{name}_count", len(of_queue), **named)
            self._say(f"{name}_sum", Fraction(sum(of_queue), 1000), **named)
        assert not values


def differences(page: Samples, data: Path) -> dict:
    """What a page says and what is true, where they differ; empty when every number is right."""
    told, true = counted(page), Truth(data).samples
    return {key: (told.get(key), true.get(key)) for key in told.keys() | true.keys() if told.get(key) != true.get(key)}
