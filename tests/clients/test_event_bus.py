"""PutEvents judged by an event bus that is not ours: moto's EventBridge archives what it was put and matches rules on
it; a rule's target is a group of logs, from which the events are read back."""

from __future__ import annotations

import json

import boto3
import pytest

from tests.clients.place import environment
from tests.clients.s3 import S3
from tests.harness.events import check_delivered, expected
from tests.harness.site import REGION, Site

ACCOUNT = "123456789012"


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    server = S3(environment("moto") / "bin" / "moto_server", tmp_path_factory.mktemp("moto") / "log")
    yield server
    server.stop()


class Bus:
    """An event bus with rules, and what they passed on."""

    def __init__(self, url: str):
        keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
        self.events, self.logs = (
            boto3.client(service, region_name=REGION, endpoint_url=url, **keys) for service in ("events", "logs")
        )
        self.arn = self.events.create_event_bus(Name="jobs")["EventBusArn"]
        self.events.create_archive(ArchiveName="all", EventSourceArn=self.arn)

    def rule(self, name: str, **pattern) -> None:
        self.logs.create_log_group(logGroupName=name)
        self.events.put_rule(Name=name, EventBusName="jobs", EventPattern=json.dumps(pattern))
        group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}"
        put = self.events.put_targets(Rule=name, EventBusName="jobs", Targets=[{"Id": "1", "Arn": group}])
        assert put["FailedEntryCount"] == 0

    def archived(self) -> int:
        return self.events.describe_archive(ArchiveName="all")["EventCount"]

    def passed(self, rule: str) -> list[dict]:
        """In the order of their coming."""
        pages = self.logs.get_paginator("filter_log_events").paginate(logGroupName=rule)
        found = [event for page in pages for event in page["events"]]
        found.sort(key=lambda event: event["ingestionTime"])
        return [json.loads(event["message"]) for event in found]


@pytest.mark.long
def test_rules_of_an_event_bus_match_what_it_is_told_of_jobs(moto, tmp_path):
    bus = Bus(moto.url)
    bus.rule("changes", source=["aws.batch"], **{"detail-type": ["Batch Job State Change"]})
    bus.rule(
        "failures",
        source=["aws.batch"],
        detail={"status": ["FAILED"], "container": {"exitCode": [{"numeric": [">", 0]}]}},
    )
    bus.rule("others", source=["aws.ec2"])
    keys = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
    site = Site(
        tmp_path / "data", "--vcpus", "4", "--eventbridge-url", moto.url, "--eventbridge-bus", bus.arn, environ=keys
    ).start()
    try:
        queue = site.queue()
        site.definition("fine", "true")
        site.definition("broken", "sh", "-c", "exit 3", tags={"team": "blue"}, propagateTags=True)
        jobs = [site.submit(queue, "fine", arrayProperties={"size": 5}), site.submit(queue, "fine")]
        failed = site.submit(queue, "broken", retryStrategy={"attempts": 2})
        for job in (*jobs, failed):
            site.finished(job)
        wanted = expected(site.data)
        site.wait_for(lambda: bus.archived() >= len(wanted), "the bus has all events")
        told = [_as_ours(event) for event in bus.passed("changes")]
        assert len(told) == bus.archived() == len(wanted), "none came twice: nothing failed"
        check_delivered(
            [event for event, _ in told], [event | {"account": ACCOUNT, "region": REGION} for event in wanted]
        )
        (failure,) = bus.passed("failures")
        assert (failure["detail"]["jobId"], failure["detail"]["container"]["exitCode"]) == (failed, 3)
        assert bus.passed("others") == []
    finally:
        site.destroy()


def _as_ours(event: dict) -> tuple[dict, str]:
    """As the other sinks tell it: the bus gives ids of its own, and ours is in the detail."""
    own = event["id"]
    detail = dict(event["detail"])
    return event | {"id": detail.pop("batchyardEventId"), "detail": detail, "account": ACCOUNT}, own
