"""Watching jobs through the public API: their state, and their log lines as they come."""

from __future__ import annotations

import heapq
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from batchyard.cli.client import LOG_GROUP, Client, Problem, Refused

TERMINAL = ("SUCCEEDED", "FAILED")
PLAIN_EXIT = "Essential container in task exited"  # AWS's statusReason of every plain exit, good or bad: says nothing
POLL_FIRST_S, POLL_LAST_S, POLL_GROWTH = 0.02, 0.5, 1.4


class Interrupted(BaseException):
    """The user (or the system) asked this command to end; `signum` says how."""

    def __init__(self, signum: int):
        self.signum = signum


@contextmanager
def interruptible() -> Iterator[None]:
    """Within it SIGINT, SIGTERM and SIGHUP raise Interrupted in the main thread."""

    def raise_it(signum: int, _frame: Any) -> None:
        raise Interrupted(signum)

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(signum, raise_it) for signum in signals]
    try:
        yield
    finally:
        for signum, handler in zip(signals, before, strict=True):
            signal.signal(signum, handler)


@contextmanager
def deferred() -> Iterator[None]:
    """Within it those signals wait: for a step that must not be cut in half."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Pace:
    """How long to wait before asking again: short at first and after news, longer while nothing happens."""

    def __init__(self) -> None:
        self._wait_s = POLL_FIRST_S

    def wait(self, news: bool) -> None:
        self._wait_s = POLL_FIRST_S if news else min(POLL_LAST_S, self._wait_s * POLL_GROWTH)
        time.sleep(self._wait_s)


def describe(client: Client, job_id: str) -> dict[str, Any]:
    """The job as DescribeJobs tells it; Problem if there is none of that id."""
    found = client.call("DescribeJobs", jobs=[job_id])["jobs"]
    if not found:
        raise Problem(f"There is no job {job_id}.", "batchyard jobs lists those that there are.")
    return found[0]


def array_size(job: dict[str, Any]) -> int:
    """Number of children; 0 for a job that is not an array parent."""
    return job.get("arrayProperties", {}).get("size", 0)


def containers(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of the job, as it is described; only where there are several have they names that matter."""
    if "ecsProperties" in job:
        return job["ecsProperties"]["taskProperties"][0]["containers"]
    return [job["container"]] if "container" in job else []


class Place(NamedTuple):
    """Where a container logs; `container` is "" where there is only one."""

    group: str
    stream: str
    container: str = ""


def log_places(job: dict[str, Any], only: str | None = None) -> list[Place]:
    """Where the containers of the job's latest attempt log, or the one named `only`; Problem if there is none."""
    each_one = containers(job)
    names = [each.get("name", "default") for each in each_one]
    if only is not None and only not in names:
        raise Problem(f"Job {job['jobId']} has no container {only}.", f"It has {', '.join(names)}.")
    return [
        Place(_log_group(each), each["logStreamName"], name if len(names) > 1 else "")
        for name, each in zip(names, each_one, strict=True)
        if only in (None, name) and each.get("logStreamName")
    ]


def _log_group(container: dict[str, Any]) -> str:
    configured = container.get("logConfiguration", {})
    options = configured.get("options", {}) if configured.get("logDriver") == "awslogs" else {}
    return options.get("awslogs-group") or LOG_GROUP


class Said(NamedTuple):
    """One line of a job's log, when it was written, and by which of several containers."""

    timestamp: int  # epoch ms
    message: str
    container: str = ""


class LogReader:
    """Reads streams from their beginning, without repeating a line; lines of several come in the order of time."""

    def __init__(self, client: Client, places: list[Place]):
        self.places = places
        self._streams = [_StreamReader(client, place) for place in places]

    def lines(self) -> Iterator[Said]:
        """What has come since the last call; nothing while the streams do not exist yet."""
        return heapq.merge(*(stream.lines() for stream in self._streams), key=lambda line: line.timestamp)


class _StreamReader:
    """Reads one stream."""

    def __init__(self, client: Client, place: Place):
        self._client = client
        self._place = place
        self._token: str | None = None

    def lines(self) -> Iterator[Said]:
        group, stream, container = self._place
        while True:
            more = {"nextToken": self._token} if self._token else {}
            try:
                page = self._client.logs(
                    "GetLogEvents", logGroupName=group, logStreamName=stream, startFromHead=True, **more
                )
            except Refused as refused:
                if refused.code == "ResourceNotFoundException":
                    return
                raise
            for event in page["events"]:
                yield Said(event["timestamp"], event["message"], container)
            if page["nextForwardToken"] == self._token:
                return
            self._token = page["nextForwardToken"]


def follow(client: Client, job_id: str, only: str | None = None) -> Iterator[Said | dict[str, Any]]:
    """The log lines of a single job or child, or of the container named `only`, as they come, over all attempts from
    the present one on.

    Between them, at every look, the job as DescribeJobs tells it; the last item is the ended job.
    """
    reader: LogReader | None = None
    pace, known = Pace(), None
    while True:
        job = describe(client, job_id)
        news = job["status"] != known
        known = job["status"]
        places = log_places(job, only)
        if reader is not None and places != reader.places:
            yield from reader.lines()  # the rest of the attempt before
            reader = None
        if places and reader is None:
            reader = LogReader(client, places)
        if reader is not None:
            for line in reader.lines():
                news = True
                yield line
        yield job
        if known in TERMINAL:
            return
        pace.wait(news)


def watch_array(client: Client, job_id: str) -> Iterator[dict[str, Any]]:
    """The array parent each time that its summary has changed; the last item is the ended parent."""
    pace, known = Pace(), None
    while True:
        job = describe(client, job_id)
        summary = (job["status"], job["arrayProperties"].get("statusSummary"))
        if summary != known:
            yield job
        if job["status"] in TERMINAL:
            return
        pace.wait(summary != known)
        known = summary


def ended_children(job: dict[str, Any]) -> tuple[int, int]:
    """How many children of the parent have SUCCEEDED and how many have FAILED."""
    summary = job["arrayProperties"].get("statusSummary") or {}
    return summary.get("SUCCEEDED", 0), summary.get("FAILED", 0)


def failure(job: dict[str, Any]) -> str:
    """Why a job FAILED: its exit code, its reason, or both; not the sentence that every plain exit has."""
    container, said = _failed(job), job.get("statusReason") or ""
    exited = f"exit code {container['exitCode']}" if "exitCode" in container else ""
    reason = container.get("reason") or (said if said != PLAIN_EXIT else "")
    whose = f"container {container['name']}: " if len(containers(job)) > 1 and container else ""
    return whose + ", ".join(part for part in (exited, reason) if part)


def _failed(job: dict[str, Any]) -> dict[str, Any]:
    """The container that is to blame: of several the first essential one that failed."""
    each_one = [each for each in containers(job) if each.get("essential", True)]
    return next((each for each in each_one if each.get("exitCode") or each.get("reason")), {}) or (
        each_one[0] if len(containers(job)) == 1 else {}
    )


def pages(client: Client, operation: str, member: str, **params: Any) -> Iterator[dict[str, Any]]:
    """All items of a paged operation, page after page."""
    while True:
        page = client.call(operation, **params)
        yield from page[member]
        if not page.get("nextToken"):
            return
        params["nextToken"] = page["nextToken"]
