"""CloudWatch Logs of a running server by the aws command line and boto3: followed live, listed, kept apart."""

from __future__ import annotations

import threading
import time
from collections import defaultdict

import pytest

from tests.live.test_aws_cli import aws, refused

GROUP = "/aws/batch/job"


class Tail(threading.Thread):
    """What version 2 of the aws CLI does for `logs tail GROUP --follow`, call by call (version 1 has no tail); it waits
    five seconds between rounds, we do not."""

    def __init__(self, client, **given):
        super().__init__(daemon=True)
        self._client = client
        self._asked = {"logGroupName": GROUP, "interleaved": True, "startTime": int(time.time() * 1000) - 1000} | given
        self._known = defaultdict(set)
        self.lines: list[str] = []
        self.over = threading.Event()

    def run(self):
        while True:
            last = self.over.is_set()
            while not self._step():
                pass
            if last:
                return
            time.sleep(0.05)

    def _step(self) -> bool:
        answer = self._client.filter_log_events(**self._asked)
        for event in answer["events"]:
            if event["eventId"] not in self._known[event["timestamp"]]:
                self._known[event["timestamp"]].add(event["eventId"])
                self.lines.append(event["message"])
        newest = max((each for each, seen in self._known.items() if seen), default=None)
        self._known = defaultdict(set, {} if newest is None else {newest: self._known[newest]})
        if "nextToken" in answer:
            self._asked["nextToken"] = answer["nextToken"]
            return False
        self._asked.pop("nextToken", None)
        if newest is not None:
            self._asked["startTime"] = newest
        return True


def test_tail_follow_shows_every_line_of_every_job_once_while_they_run(fresh_site):
    site = fresh_site
    queue = site.queue("tail")
    says = "echo $AWS_BATCH_JOB_ARRAY_INDEX:$i; echo e$AWS_BATCH_JOB_ARRAY_INDEX:$i >&2"
    script = f"for i in 1 2 3 4 5; do {says}; sleep 0.07; done"
    site.definition("talk", "sh", "-c", script, vcpus=1)
    tail = Tail(site.client("logs"))  # begins before the first job
    tail.start()
    job = site.submit(queue, "talk", arrayProperties={"size": 24})
    site.wait_for(lambda: tail.lines, "the first line is seen", 30)
    assert site.describe(job)["status"] not in ("SUCCEEDED", "FAILED"), "it was to be seen live"
    assert site.finished(job)["status"] == "SUCCEEDED"
    tail.over.set()
    tail.join(30)
    wanted = [f"{e}{child}:{line}" for e in ("", "e") for child in range(24) for line in range(1, 6)]
    assert sorted(tail.lines) == sorted(wanted)


@pytest.fixture(scope="module")
def queue(site):
    return site.queue("logs")


def test_what_a_finished_job_said_is_there_at_once(site, queue):
    site.definition("say", "sh", "-c", "echo ERROR one; echo fine; printf 'no end'")
    for _ in range(5):
        job = site.finished(site.submit(queue, "say"))
        stream = job["container"]["logStreamName"]
        answer = site.client("logs").filter_log_events(logGroupName=GROUP, logStreamNames=[stream])
        assert [event["message"] for event in answer["events"]] == ["ERROR one", "fine", "no end"]
        assert all(
            job["startedAt"] - 1000 <= event["timestamp"] <= job["stoppedAt"] + 1000 for event in answer["events"]
        )


def test_the_command_line_filters_and_lists(site, queue):
    site.definition("say-more", "sh", "-c", "echo ERROR one; echo fine; echo ERROR two")
    job = site.finished(site.submit(queue, "say-more"))
    stream = job["container"]["logStreamName"]
    found = aws(site, "logs", "filter-log-events", "--log-group-name", GROUP, "--log-stream-name-prefix", "say-more/",
                "--filter-pattern", 'ERROR -"two"', "--start-time", str(job["createdAt"]))  # fmt: skip
    assert [(event["logStreamName"], event["message"]) for event in found["events"]] == [(stream, "ERROR one")]
    (shown,) = aws(site, "logs", "describe-log-streams", "--log-group-name", GROUP, "--log-stream-name-prefix",
                   "say-more/")["logStreams"]  # fmt: skip
    assert shown["logStreamName"] == stream
    assert shown["storedBytes"] == len("ERROR one\nfine\nERROR two\n")
    assert job["createdAt"] <= shown["firstEventTimestamp"] <= shown["lastEventTimestamp"] <= job["stoppedAt"] + 1000
    newest = aws(site, "logs", "describe-log-streams", "--log-group-name", GROUP, "--order-by", "LastEventTime",
                 "--descending", "--max-items", "1")["logStreams"]  # fmt: skip
    assert newest[0]["logStreamName"] == stream
    groups = aws(site, "logs", "describe-log-groups", "--log-group-name-prefix", "/aws/batch")["logGroups"]
    assert [group["logGroupName"] for group in groups] == [GROUP]
    said = refused(site, "logs", "filter-log-events", "--log-group-name", GROUP, "--filter-pattern", "{ $.a = 1 }")
    assert "InvalidParameterException" in said and "JSON patterns" in said
    said = refused(site, "logs", "describe-log-streams", "--log-group-name", "/none")
    assert "ResourceNotFoundException" in said


def test_a_definition_chooses_its_group_and_the_beginning_of_its_streams(site, queue):
    options = {"awslogs-group": "/team/jobs", "awslogs-stream-prefix": "nightly", "awslogs-region": "us-east-1"}
    site.client("batch").register_job_definition(
        jobDefinitionName="own-log",
        type="container",
        containerProperties={
            "image": "any",
            "command": ["echo", "in its own group"],
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}],
            "logConfiguration": {"logDriver": "awslogs", "options": options},
        },
    )
    job = site.finished(site.submit(queue, "own-log"))
    stream = job["container"]["logStreamName"]
    assert stream.startswith("nightly/default/")
    found = aws(site, "logs", "get-log-events", "--log-group-name", "/team/jobs", "--log-stream-name", stream)
    assert [event["message"] for event in found["events"]] == ["in its own group"]
    logs = site.client("logs")
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.get_log_events(logGroupName=GROUP, logStreamName=stream)
    elsewhere = site.client("logs", region="eu-west-1")
    with pytest.raises(elsewhere.exceptions.ResourceNotFoundException):
        elsewhere.get_log_events(logGroupName="/team/jobs", logStreamName=stream)
    groups = {group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]}
    assert "/team/jobs" in groups


def test_pages_of_logs_go_on_after_a_restart(fresh_site):
    site = fresh_site
    queue = site.queue("pages")
    site.definition("count", "sh", "-c", "for i in 1 2 3 4; do echo $AWS_BATCH_JOB_ARRAY_INDEX:$i; done")
    site.finished(site.submit(queue, "count", arrayProperties={"size": 3}))
    logs = site.client("logs")
    first = logs.filter_log_events(logGroupName=GROUP, limit=5)
    streams = logs.describe_log_streams(logGroupName=GROUP, limit=1)
    site.stop()
    site.start()
    logs = site.client("logs")
    rest = logs.filter_log_events(logGroupName=GROUP, nextToken=first["nextToken"])
    said = [event["message"] for event in first["events"] + rest["events"]]
    assert sorted(said) == [f"{child}:{line}" for child in range(3) for line in range(1, 5)]
    more = logs.describe_log_streams(logGroupName=GROUP, nextToken=streams["nextToken"])
    listed = [stream["logStreamName"] for stream in streams["logStreams"] + more["logStreams"]]
    assert len(set(listed)) == 3 and listed == sorted(listed)
