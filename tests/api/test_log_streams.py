"""DescribeLogGroups, DescribeLogStreams and GetLogEvents in groups that definitions chose, through stock boto3."""

from __future__ import annotations

import pytest

from tests.api import caller
from tests.api.test_filter_log_events import GROUP, Yard

OWN = {"logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/own/group"}}}
PREFIX = {"logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-stream-prefix": "team/a"}}}
ARN = "arn:aws:logs:us-east-1:123456789012:log-group:"


@pytest.fixture
def yard(tmp_path):
    return Yard(tmp_path)


def names(yard, **given):
    found = yard.client.describe_log_streams(**({"logGroupName": GROUP} | given))["logStreams"]
    return [stream["logStreamName"] for stream in found]


def test_a_stream_tells_its_times_and_its_size(yard):
    began = yard.now
    attempt = yard.begin()
    yard.now += 1000
    attempt.say("one")
    yard.now += 1000
    attempt.say("two")
    silent = yard.begin("silent")
    first, second = yard.client.describe_log_streams(logGroupName=GROUP)["logStreams"]
    assert first == {
        "logStreamName": attempt.stream,
        "creationTime": began,
        "firstEventTimestamp": began + 1000,
        "lastEventTimestamp": began + 2000,
        "lastIngestionTime": began + 2000,
        "arn": f"{ARN}{GROUP}:log-stream:{attempt.stream}",
        "storedBytes": 8,
    }
    assert second["logStreamName"] == silent.stream and second["storedBytes"] == 0
    assert "firstEventTimestamp" not in second and "lastEventTimestamp" not in second


def test_by_name_by_prefix_and_backwards(yard):
    made = sorted(yard.begin(name).stream for name in ("b", "a", "a", "ab", "c"))
    assert names(yard) == made
    assert names(yard, descending=True) == made[::-1]
    assert names(yard, logStreamNamePrefix="a/") == [name for name in made if name.startswith("a/")]
    assert names(yard, logStreamNamePrefix=made[1]) == [made[1]]
    assert names(yard, logStreamNamePrefix="x") == []


def test_by_the_last_event_the_newest_first(yard):
    ended = [yard.begin().say("x") for _ in range(3)]
    for attempt in (ended[1], ended[0], ended[2]):
        yard.now += 10
        attempt.end()
    going = yard.begin().say("x")
    order = [ended[1], ended[0], ended[2], going]
    by_time = {"orderBy": "LastEventTime"}
    assert names(yard, **by_time) == [attempt.stream for attempt in order]
    assert names(yard, descending=True, limit=2, **by_time) == [going.stream, ended[2].stream]
    with pytest.raises(yard.client.exceptions.InvalidParameterException, match="Cannot order by LastEventTime with a"):
        names(yard, logStreamNamePrefix="h", **by_time)


@pytest.mark.parametrize(
    "given", [{}, {"descending": True}, {"orderBy": "LastEventTime"}, {"logStreamNamePrefix": "h"}]
)
def test_pages_make_the_whole(yard, given):
    made = [yard.begin(name).stream for name in ("hello", "help", "hello", "hi", "hello")]
    pages = yard.client.get_paginator("describe_log_streams").paginate(
        logGroupName=GROUP, PaginationConfig={"PageSize": 2}, **given
    )
    pages = [[stream["logStreamName"] for stream in page["logStreams"]] for page in pages]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert sorted(sum(pages, [])) == sorted(made)
    assert len(names(yard)) == 5
    with pytest.raises(yard.client.exceptions.InvalidParameterException):
        names(yard, limit=51)


def test_a_definition_may_choose_group_and_prefix(yard):
    own, prefixed, plain = yard.begin(container=OWN), yard.begin(container=PREFIX), yard.begin()
    for attempt in (own, prefixed, plain):
        attempt.say(attempt.stream)
    assert names(yard, logGroupName="/own/group") == [own.stream]
    assert prefixed.stream.startswith("team/a/default/")
    assert sorted(names(yard)) == sorted([prefixed.stream, plain.stream])
    for group, attempt in (("/own/group", own), (GROUP, prefixed)):
        found = yard.client.get_log_events(logGroupName=group, logStreamName=attempt.stream)["events"]
        assert [event["message"] for event in found] == [attempt.stream]
    with pytest.raises(yard.client.exceptions.ResourceNotFoundException, match="log stream does not exist"):
        yard.client.get_log_events(logGroupName=GROUP, logStreamName=own.stream)


def test_groups_are_listed_from_their_first_attempt_on(yard):
    assert yard.client.describe_log_groups()["logGroups"] == []
    yard.begin(container=OWN)
    yard.begin()
    first, second = yard.client.describe_log_groups()["logGroups"]
    assert first == {
        "logGroupName": GROUP,
        "creationTime": 7,
        "metricFilterCount": 0,
        "arn": f"{ARN}{GROUP}:*",
        "logGroupArn": ARN + GROUP,
        "logGroupClass": "STANDARD",
    }
    assert second["logGroupName"] == "/own/group"

    def listed(**given):
        return [group["logGroupName"] for group in yard.client.describe_log_groups(**given)["logGroups"]]

    assert listed(logGroupNamePrefix="/aws") == [GROUP]
    assert listed(logGroupNamePattern="group") == ["/own/group"]
    assert listed(logGroupNamePattern="GROUP") == []
    assert listed(logGroupIdentifiers=[ARN + "/own/group", "/nope", ARN.replace("us-east", "eu-west") + GROUP]) == [
        "/own/group"
    ]
    assert listed(logGroupClass="STANDARD") == [GROUP, "/own/group"]
    assert listed(logGroupClass="INFREQUENT_ACCESS") == []
    pages = yard.client.get_paginator("describe_log_groups").paginate(PaginationConfig={"PageSize": 1})
    assert [[group["logGroupName"] for group in page["logGroups"]] for page in pages] == [[GROUP], ["/own/group"]]
    with pytest.raises(yard.client.exceptions.InvalidParameterException, match="mutually exclusive"):
        yard.client.describe_log_groups(logGroupNamePrefix="a", logGroupNamePattern="b")


def test_another_regions_streams_are_not_seen(yard, server):
    there = yard.begin(region="eu-west-1").say("there")
    assert names(yard) == []
    with pytest.raises(yard.client.exceptions.ResourceNotFoundException, match="log stream does not exist"):
        yard.client.get_log_events(logGroupName=GROUP, logStreamName=there.stream)
    elsewhere = caller.client(yard.app, "logs", "eu-west-1")
    found = elsewhere.get_log_events(logGroupName=GROUP, logStreamName=there.stream)["events"]
    assert [event["message"] for event in found] == ["there"]
