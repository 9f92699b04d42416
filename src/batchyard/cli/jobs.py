"""``batchyard jobs``: the newest jobs of all states, or all about one."""

from __future__ import annotations

import json
import time
from itertools import islice
from typing import Any
from urllib.parse import quote

import click

from batchyard.cli import follow, render
from batchyard.cli.client import Client, Problem, Refused, connect, connection_options
from batchyard.cli.explain import explanation

STATUSES = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")
WAITING = ("SUBMITTED", "PENDING", "RUNNABLE")
_TIMES = (("created", "createdAt"), ("started", "startedAt"), ("stopped", "stoppedAt"))
_PLACES = (("directory", "workDirectory"), ("log file", "logFile"))
_PLACED = ("taskArn", "containerInstanceArn")
# What every job has that asks for nothing else: not worth a line.
_ORDINARY = {"retryStrategy": {"evaluateOnExit": [], "attempts": 1}}
# Members of the detail that have a line of their own, or that are only of use to programs.
_TOLD = frozenset(
    {
        "jobId",
        "jobArn",
        "jobName",
        "jobQueue",
        "jobDefinition",
        "status",
        "statusReason",
        "container",
        "ecsProperties",
        "shareIdentifier",
    }
)
_TOLD |= {
    "attempts",
    "runs",
    "notices",
    "arrayProperties",
    "createdAt",
    "startedAt",
    "stoppedAt",
    "isCancelled",
    "isTerminated",
}


@click.command()
@connection_options
@click.option("--queue", metavar="NAME", help="Only jobs of this queue.")
@click.option("--status", type=click.Choice(STATUSES, case_sensitive=False), help="Only jobs in this status.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="JSON, as the API words it.")
@click.argument("job_id", metavar="[ID]", required=False)
def jobs(
    data: str | None,
    endpoint: str | None,
    queue: str | None,
    status: str | None,
    limit: int,
    as_json: bool,
    job_id: str | None,
) -> None:
    """List jobs, newest first, or show the one named ID (a child of an array is ID:0, ID:1 and so on)."""
    client = connect(data, endpoint)
    if job_id:
        found = detail(client, job_id)
        waits = not as_json and found["status"] in WAITING
        sentence = explanation(client, job_id)["sentence"] if waits else None
        click.echo(json.dumps(found, indent=2) if as_json else described(found, sentence))
        return
    newest = listed(client, queue, (status,) if status else STATUSES, limit)
    if as_json:
        click.echo(json.dumps(newest, indent=2))
    elif newest:
        headings = ("ID", "NAME", "QUEUE", "STATUS", "CREATED", "TOOK", "")
        click.echo(render.table(headings, [_row(job, int(time.time() * 1000)) for job in newest]))
    else:
        click.echo("No jobs. Submit one: batchyard run -- echo hello", err=True)


def listed(client: Client, queue: str | None, statuses: tuple[str, ...], limit: int) -> list[dict[str, Any]]:
    """The newest `limit` jobs of one queue or of all, each as ListJobs tells it and with its `jobQueue`."""
    asked = {"jobQueues": [queue]} if queue else {}
    queues = list(follow.pages(client, "DescribeJobQueues", "jobQueues", **asked))
    if queue and not queues:
        raise Problem(f"There is no queue {queue}.", "batchyard jobs without --queue shows the jobs of all.")
    found: list[dict[str, Any]] = []
    for name in (each["jobQueueName"] for each in queues):
        for status in statuses:
            summaries = follow.pages(
                client, "ListJobs", "jobSummaryList", jobQueue=name, jobStatus=status, maxResults=min(limit, 100)
            )
            found += [{**summary, "jobQueue": name} for summary in islice(summaries, limit)]
    found.sort(key=lambda job: job["createdAt"], reverse=True)
    return _with_children(client, found[:limit])


def _with_children(client: Client, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same jobs, array parents with the count of their children: ListJobs need not tell it, DescribeJobs does."""
    parents = [
        job["jobId"] for job in found if follow.array_size(job) and "statusSummary" not in job["arrayProperties"]
    ]
    counted: dict[str, Any] = {}
    for first in range(0, len(parents), 100):
        described = client.call("DescribeJobs", jobs=parents[first : first + 100])["jobs"]
        counted |= {job["jobId"]: job["arrayProperties"] for job in described}
    return [job | ({"arrayProperties": counted[job["jobId"]]} if job["jobId"] in counted else {}) for job in found]


def detail(client: Client, job_id: str) -> dict[str, Any]:
    """All that the server tells about one job, notices included; Problem if there is none of that id."""
    try:
        return client.get(f"/x/jobs/{quote(job_id, safe='')}")
    except Refused as refused:
        if refused.code != "ClientException":
            raise
        raise Problem(f"There is no job {job_id}.", "batchyard jobs lists those that there are.") from None


def _row(job: dict[str, Any], now_ms: int) -> tuple[str, ...]:
    return (
        job["jobId"],
        job["jobName"],
        job["jobQueue"],
        job["status"],
        render.instant(job["createdAt"]),
        _took(job, now_ms),
        _outcome(job),
    )


def _took(job: dict[str, Any], now_ms: int) -> str:
    """How long it ran, or runs; an array parent from its creation on."""
    start = job.get("startedAt") or (job["createdAt"] if "size" in job.get("arrayProperties", {}) else None)
    return "-" if not start else render.duration((job.get("stoppedAt") or now_ms) - start)


def _outcome(job: dict[str, Any]) -> str:
    """What is worth a word in the last column."""
    if follow.array_size(job):
        succeeded, failed = follow.ended_children(job)
        return f"{succeeded + failed} of {follow.array_size(job)} done" + (f", {failed} failed" if failed else "")
    if job["status"] == "FAILED":
        return follow.failure(job)
    return "" if job["status"] == "SUCCEEDED" else job.get("statusReason") or ""


def described(job: dict[str, Any], why: str | None = None) -> str:
    """The job as lines for a person; `why` it waits, if it does."""
    lines = [("job", job["jobId"]), ("name", job["jobName"]), ("status", render.status(job["status"]))]
    lines += [("reason", job["statusReason"])] if job.get("statusReason") else []
    lines += [("waits", why)] if why else []
    lines += [("queue", _last(job.get("jobQueue", "-"))), ("definition", _last(job.get("jobDefinition", "-")))]
    lines += [("share", job["shareIdentifier"])] if job.get("shareIdentifier") else []
    lines += [(word, render.instant(job[member])) for word, member in _TIMES if job.get(member)]
    if follow.array_size(job):
        counts = job["arrayProperties"].get("statusSummary", {})
        lines.append(("children", ", ".join(f"{count} {name}" for name, count in counts.items() if count)))
    if "ecsProperties" in job:
        lines += _of_task(job["ecsProperties"]["taskProperties"][0])
    else:
        lines += _of_container(job.get("container", {}))
    lines += [(f"attempt {each['number']}", _run(each)) for each in job["runs"]]
    lines += [(word, each[member]) for each in job["runs"][-1:] for word, member in _PLACES if each[member]]
    lines += [
        (f"log of {one['name']}", one["logFile"]) for each in job["runs"][-1:] for one in each.get("containers", ())
    ]
    lines += [
        (name, _plain(value))
        for name, value in job.items()
        if name not in _TOLD and value not in (None, {}, [], False, _ORDINARY.get(name))
    ]
    lines += [("notice", notice) for notice in job.get("notices", ())]
    width = max(len(word) for word, _ in lines) + 2
    return "\n".join(f"{word:<{width}}{text}" for word, text in lines)


def _of_container(container: dict[str, Any]) -> list[tuple[str, str]]:
    lines = []
    if container.get("command"):
        lines.append(("command", " ".join(json.dumps(part) if " " in part else part for part in container["command"])))
    asked = [f"{each['value']} {each['type']}" for each in container.get("resourceRequirements", ())]
    if asked:
        lines.append(("asks for", ", ".join(asked)))
    lines += [("variable", f"{each['name']}={each.get('value', '')}") for each in container.get("environment", ())]
    names = (("exit code", "exitCode"), ("why", "reason"), ("log stream", "logStreamName"))
    return lines + [(word, str(container[member])) for word, member in names if container.get(member) is not None]


def _of_task(task: dict[str, Any]) -> list[tuple[str, str]]:
    """Container after container, each with its name; then what they share."""
    lines = []
    for each in task["containers"]:
        essential = "" if each.get("essential", True) else " (not essential)"
        lines.append(("container", f"{each['name']}{essential}, image {each['image']}"))
        waits = [f"{on['containerName']} ({on['condition']})" for on in each.get("dependsOn", ())]
        lines += [("  waits for", ", ".join(waits))] if waits else []
        lines += [(f"  {word}", text) for word, text in _of_container(each)]
    shared = {name: value for name, value in task.items() if name not in ("containers", *_PLACED) and value}
    return lines + [(name, _plain(value)) for name, value in shared.items()]


def _run(run: dict[str, Any]) -> str:
    """One attempt in a line: how it ended, how long it took, what it used."""
    if run["stoppedAt"] is None:
        return "is running" if run["startedAt"] else "is being started"
    parts = ["no exit code" if run["exitCode"] is None else f"exit code {run['exitCode']}"]
    if run["startedAt"]:
        parts.append(f"took {render.duration(run['stoppedAt'] - run['startedAt'])}")
    if run["cpuSeconds"] is not None:
        parts.append(f"{run['cpuSeconds']:.2f}s CPU")
    if run["peakMemoryBytes"] is not None:
        parts.append(f"{run['peakMemoryBytes'] / 2**20:.0f} MiB at most")
    reason = run["reason"] or run["statusReason"]
    return ", ".join([*parts, reason] if reason and reason != follow.PLAIN_EXIT else parts)


def _last(arn: str) -> str:
    return arn.rpartition("/")[2]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
