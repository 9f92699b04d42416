"""Our own routes under /x/: what AWS has no words for.

ROUTES lists them; the refusal of any other and the reference page are made from it.
"""

from __future__ import annotations

import asyncio
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec

import batchyard
from batchyard.admission import executor_notices
from batchyard.api import admin, catalogue, instances
from batchyard.api.batch.jobs import detail, find_job
from batchyard.api.context import Call, Context
from batchyard.api.explain import explain
from batchyard.api.streamed import Stream
from batchyard.doctor import about, checks
from batchyard.errors import ClientError, Unavailable, UnknownOperation
from batchyard.model import endpoints, ids, tasks
from batchyard.model.executors import PROCESS
from batchyard.model.jobs import kept_as, work_of
from batchyard.ports import AttemptRow, JobRow
from batchyard.ports.journal import FollowerRow

HEALTH = "/x/health"
DOCTOR = "/x/doctor"
METRICS = "/metrics"
METRICS_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class ExtraRoute(NamedTuple):
    method: str
    path: str  # ID stands for a job's id
    answers: str


ROUTES = (
    ExtraRoute("GET", HEALTH, "That the server answers, and its version. It is not signed."),
    ExtraRoute("GET", DOCTOR, "What this machine can do for jobs, check by check; it may take seconds."),
    ExtraRoute(
        "GET",
        METRICS,
        "The metrics in Prometheus' text format. Instead of a signature it takes the token in the file metrics-token "
        "of the data directory (`Authorization: Bearer TOKEN`).",
    ),
    ExtraRoute(
        "GET",
        "/x/jobs/ID",
        "The job as DescribeJobs shows it, with what it asked for and did not get (`notices`) and, attempt by attempt, "
        "what was used and where it lies (`runs`). `taskTags` are those that its tasks bear by propagateTags.",
    ),
    ExtraRoute(
        "GET",
        "/x/explain/ID",
        "Why the job is not running, what would change it, who is ahead of it and when it may start, in one sentence "
        "and as data; of others, where they run or how they ended.",
    ),
    ExtraRoute("POST", admin.BACKUP, "A backup of everything but keys and logs of jobs: a tar archive (see Backup)."),
    ExtraRoute(
        "GET",
        instances.INSTANCES,
        "The instances that managed environments of the region have, with their jobs; `state` is BOOTING, READY or "
        "LEAVING, and then `reclaimAt` and `reason` say when it goes and why.",
    ),
    ExtraRoute(
        "POST",
        instances.INTERRUPT,
        'Has Spot capacity interrupted: `{"target": "i-..."}`, a job on Fargate Spot, or a compute environment.',
    ),
    ExtraRoute("GET", catalogue.CATALOGUE, "The instance types there are: a CSV file as `csv`, `own` if it is yours."),
    ExtraRoute(
        "POST",
        catalogue.CATALOGUE,
        'Replaces them: `{"csv": "..."}`, or null to have ours; answers which were added, removed and altered.',
    ),
    ExtraRoute("POST", admin.CHECK, "Whether the stored data is sound: a line of JSON for each check, as it is done."),
)
LOCAL = "local"  # the provider whose jobs are processes of this machine
_JOB = re.compile(r"/x/(jobs|explain)/([^/]+)")


def health() -> bytes:
    return msgspec.json.encode({"status": "ok", "version": batchyard.__version__})


def metrics(context: Context) -> bytes:
    """The page that the observe process wrote last; Unavailable until there is one."""
    try:
        return (context.settings.data_path / "metrics.prom").read_bytes()
    except FileNotFoundError:
        raise Unavailable(
            "There are no metrics yet.", "They come within seconds of the server's start; if not, its log says why."
        ) from None


async def answer(context: Context, call: Call, method: str, raw_path: str) -> bytes | Stream:
    """The body of the answer to a signed request; UnknownOperation if there is no such route."""
    if (method, raw_path) == ("GET", DOCTOR):
        return msgspec.json.encode(await asyncio.to_thread(_examination, context))
    if (method, raw_path) == ("POST", admin.BACKUP):
        return await admin.backup(context)
    if (method, raw_path) == ("POST", admin.CHECK):
        return await admin.check(context)
    if (method, raw_path) == ("GET", catalogue.CATALOGUE):
        return msgspec.json.encode(await catalogue.show(context))
    if (method, raw_path) == ("POST", catalogue.CATALOGUE):
        return msgspec.json.encode(await catalogue.replace(context, call))
    if (method, raw_path) == ("GET", instances.INSTANCES):
        return msgspec.json.encode(instances.instances(context, call))
    if (method, raw_path) == ("POST", instances.INTERRUPT):
        return msgspec.json.encode(await instances.interrupt(context, call))
    job = _JOB.fullmatch(raw_path) if method == "GET" else None
    if job is None:
        known = ", ".join(f"{each.method} {each.path}" for each in ROUTES)
        raise UnknownOperation(f"There is no {method} {raw_path}.", f"There are {known}.")
    given = unquote(job[2])
    if job[1] == "explain":
        return msgspec.json.encode(await asyncio.to_thread(explain, context, call, given))
    return msgspec.json.encode(_job(context, call, given))


def _examination(context: Context) -> dict[str, Any]:
    """Each check as an object; what it asks may take seconds to answer."""
    data = context.settings.data_path
    found = [*checks.examine(data, context.settings.executor), *map(_follower, context.followers())]
    checked = [check._asdict() for check in found]
    return {"version": batchyard.__version__, "data": str(data), "checks": checked}


def _follower(row: FollowerRow) -> checks.Check:
    """How one of those is to whom events go."""
    setting, _, which = row.name.partition(" ")
    waits = f"{row.behind} entries of the journal wait" if row.behind else "nothing waits"
    lost = f"; {row.lost} entries were deleted before it came to them" if row.lost else ""
    if row.failure is None:
        return checks.Check(setting, checks.OK, f"{which}: {waits}{lost}.".removeprefix(": "))
    since = datetime.fromtimestamp((row.failing_ms or 0) / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    remedy = "It is tried until it succeeds. What waits is kept as long as its jobs are: jobs_keep_days."
    sentence = f"{which}: {row.failure}, since {since}; {waits}{lost}.".removeprefix(": ")
    return checks.Check(setting, checks.WEAKER, sentence, remedy)


def _job(context: Context, call: Call, given: str) -> dict[str, Any]:
    row = find_job(context, call, given)
    if row is None:
        raise ClientError(f"Job {given} does not exist in region {call.region}.", "Find its id with ListJobs.")
    attempts = context.reader.attempts(row.seq, kept_as(row.nodes, row.index)) if row.attempts else []
    return msgspec.to_builtins(detail(context, call, row)) | {
        "taskTags": row.body.get("taskTags", {}),
        "notices": [*row.body["notices"], *_machine_notices(context, row)],
        "runs": [_run(context, row, attempt) for attempt in attempts],
    }


def _machine_notices(context: Context, row: JobRow) -> list[str]:
    """What the job does without on this machine as it is now; of no concern to one that cannot run on it."""
    queue = context.reader.queue_by_id(row.queue)
    environments = [context.reader.environment_by_id(number) for number in queue.environments] if queue else []
    if not any(each is not None and each.provider == LOCAL for each in environments):
        return []
    work, machine = work_of(row.body, row.nodes, row.index), _machine(context)
    if row.nodes is not None:  # which find each other in the machine's own network
        machine = machine._replace(network="host")
    said = executor_notices.of_job(work.containers, work.task, machine)
    if executor_notices.executor_of(work.containers, machine) == PROCESS:
        said += about.notices(context.settings.data_path, work.containers[0][1].get("user"))
    return said


def _machine(context: Context) -> executor_notices.Machine:
    settings, found = context.settings, about.read(context.settings.data_path)
    try:
        own = (settings.data_path / "endpoint").read_text().strip()
    except OSError:
        own = ""
    return executor_notices.Machine(
        executor=settings.executor,
        engine=found.engine.name if found is not None and found.engine is not None else None,
        namespaces=found is None or found.isolation != about.SESSION,
        swappiness=not os.path.exists(f"{checks.CGROUPS}/cgroup.controllers"),
        privileged=settings.privileged,
        roles=endpoints.of_service(endpoints.STS, settings.sts_url, os.environ, own) is not None,
        network=settings.container_network,
        mapped=frozenset(entry.partition("=")[0] for entry in settings.efs),
        limits=dict(found.limits) if found is not None else {},
    )


def _run(context: Context, row: JobRow, attempt: AttemptRow) -> dict[str, Any]:
    """What an attempt, also one that still runs, used and where it lies; null is not known (yet)."""
    attempt_id = ids.attempt_id(row.uuid, kept_as(row.nodes, row.index), attempt.number)
    several = work_of(row.body, row.nodes, row.index).task
    names = tasks.names(several) if several else [tasks.DEFAULT]
    day = datetime.fromtimestamp(attempt.opened_ms / 1000, UTC).strftime("%Y-%m-%d")
    data = context.settings.data_path
    return {
        "attempt": attempt_id,
        "number": attempt.number,
        "environment": context.names.environment(attempt.environment)[0],
        "instance": attempt.instance,
        "openedAt": attempt.opened_ms,
        "startedAt": attempt.started_ms,
        "stoppedAt": attempt.stopped_ms,
        "exitCode": attempt.exit_code,
        "reason": attempt.reason,
        "statusReason": attempt.status_reason,
        "peakMemoryBytes": attempt.peak_memory_bytes,
        "cpuSeconds": None if attempt.cpu_ms is None else attempt.cpu_ms / 1000,
        "reclaimAt": attempt.reclaim_ms,
        "gpus": list(attempt.devices),
        "workDirectory": str(data / "work" / attempt_id) if _is_process(context, row) else None,
        "logFile": None if tasks.has_own_logs(names) else str(data / "logs" / day / f"{attempt_id}.log"),
        "containers": [_container(each, attempt, names, data / "logs" / day / attempt_id) for each in names if several],
    }


def _is_process(context: Context, row: JobRow) -> bool:
    """As things are on this machine now: containers have the working directory of their image."""
    containers = work_of(row.body, row.nodes, row.index).containers
    return executor_notices.executor_of(containers, _machine(context)) == PROCESS


def _container(name: str, attempt: AttemptRow, names: list[str], log: Path) -> dict[str, Any]:
    """A container of a task; `log` is where the attempt's own would lie, less its ending."""
    ending = next((each for each in attempt.containers if each.name == name), tasks.ContainerEnding(name))
    file = log.parent / f"{tasks.log_name(log.name, name, names)}.log"
    return {"name": name, "exitCode": ending.exit_code, "reason": ending.reason, "logFile": str(file)}
