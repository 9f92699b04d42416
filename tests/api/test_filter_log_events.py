"""FilterLogEvents through stock boto3, and following as the aws CLI does it, over real log files."""

from __future__ import annotations

import random
import time
import uuid as uuids
from collections import defaultdict

import pytest

from batchyard import config
from batchyard.api.app import build_app
from batchyard.api.context import Context
from batchyard.api.logs import filtering
from batchyard.catalogue.keeper import Keeper
from batchyard.catalogue.reader import built_in
from batchyard.model.logplaces import log_place
from batchyard.observe.joblogs import FileLogs
from batchyard.ports import StreamRow
from tests.api import caller
from tests.api.conftest import Directory
from tests.api.memory import MemoryStore

GROUP = "/aws/batch/job"


class Yard:
    """A server over real log files, and attempts that write them; its clock is the test's."""

    def __init__(self, data):
        self.now = int(time.time() * 1000)
        self.data, self.store = data, MemoryStore()
        self.logs = FileLogs(data)
        context = Context(
            settings=config.load({"data": str(data), "vcpus": 4}, environ={}),
            intake=self.store,
            reader=self.store,
            past=self.store,
            logs=self.logs,
            directory=Directory(),
            clock=self,
            wall_s=lambda: self.now / 1000,
            mint=lambda: str(uuids.uuid4()),
            upkeep=None,
            metrics_token="",
            task_key=b"",
            grants=None,
            machines=built_in,
            catalogue=Keeper(data),
        )
        self.app = build_app(context)
        self.client = caller.client(self.app, "logs")
        self.attempts = []

    def now_ms(self) -> int:
        return self.now

    def begin(self, name="hello", container=None, region="us-east-1"):
        attempt = Attempt(self, log_place(region, name, container or {}), f"{uuids.uuid4()}.1")
        self.attempts.append(attempt)
        return attempt

    def filter(self, **given):
        return self.client.filter_log_events(**({"logGroupName": GROUP} | given))

    def messages(self, **given):
        """Those of all pages."""
        pages = self.client.get_paginator("filter_log_events").paginate(**({"logGroupName": GROUP} | given))
        return [event["message"] for page in pages for event in page["events"]]


class Attempt:
    """Writes its log as a slot does: bytes at once, their time a little later."""

    def __init__(self, yard, place, attempt):
        self.yard, self.attempt = yard, attempt
        self.opened_ms = yard.now
        self.stream = place.stream(attempt)
        self.place = len(yard.store.streams)
        yard.store.streams.append((place, StreamRow(attempt, self.stream, self.opened_ms, None)))
        self.path = yard.logs.path(attempt, self.opened_ms)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()
        self.size = self.timed = 0

    def write(self, text: str):
        with self.path.open("ab") as log:
            self.size += log.write(text.encode())

    def sample(self):
        if self.size > self.timed:
            with self.path.with_suffix(".idx").open("a") as index:
                index.write(f"{self.opened_ms} 0\n" if not self.timed else "")
                index.write(f"{self.yard.now} {self.size}\n")
            self.timed = self.size

    def say(self, *lines: str):
        """Whole lines, timed now."""
        self.write("".join(line + "\n" for line in lines))
        self.sample()
        return self

    def end(self):
        self.sample()
        place, row = self.yard.store.streams[self.place]
        self.yard.store.streams[self.place] = place, row._replace(stopped_ms=self.yard.now)
        return self


@pytest.fixture
def yard(tmp_path):
    return Yard(tmp_path)


def test_events_of_all_streams_in_order_of_time(yard):
    one, two = yard.begin(), yard.begin("other")
    for number in range(6):
        (one if number % 3 else two).say(f"line {number}")
        yard.now += 1000
    two.end()
    answer = yard.filter()
    assert [event["message"] for event in answer["events"]] == [f"line {number}" for number in range(6)]
    first = answer["events"][0]
    assert first["logStreamName"] == two.stream
    assert first["timestamp"] == first["ingestionTime"] == two.opened_ms
    assert len({event["eventId"] for event in answer["events"]}) == 6
    assert all(event["eventId"].isdigit() and len(event["eventId"]) == 56 for event in answer["events"])
    assert answer["searchedLogStreams"] == [] and "nextToken" not in answer


def test_streams_are_chosen_by_name_or_by_the_beginning_of_it(yard):
    one, two, three = yard.begin().say("1"), yard.begin().say("2"), yard.begin("help").say("3")
    assert yard.messages(logStreamNames=[two.stream]) == ["2"]
    assert sorted(yard.messages(logStreamNames=[one.stream, three.stream, one.stream])) == ["1", "3"]
    assert yard.messages(logStreamNamePrefix="help/") == ["3"]
    assert sorted(yard.messages(logStreamNamePrefix="hel")) == ["1", "2", "3"]
    assert yard.messages(logStreamNamePrefix=one.stream[:-1]) == ["1"]
    assert yard.messages(logStreamNamePrefix="nothing") == []


def test_start_and_end_both_belong_to_the_range(yard):
    attempt, began = yard.begin(), yard.now
    for number in range(5):
        yard.now = began + number * 1000
        attempt.say(f"{number}")
    assert yard.messages(startTime=began + 1000, endTime=began + 3000) == ["1", "2", "3"]
    assert yard.messages(startTime=began + 1001) == ["2", "3", "4"]
    assert yard.messages(endTime=began) == ["0"]
    assert yard.messages(endTime=began - 1) == []


def test_a_pattern_picks_lines(yard):
    yard.begin().say("ERROR one", "fine", "WARN two", "ERROR three").end()
    assert yard.messages(filterPattern="ERROR") == ["ERROR one", "ERROR three"]
    assert yard.messages(filterPattern="?WARN ?fine") == ["fine", "WARN two"]
    with pytest.raises(yard.client.exceptions.InvalidParameterException, match="JSON patterns"):
        yard.filter(filterPattern="{ $.a = 1 }")


def test_groups_and_regions_are_kept_apart(yard):
    own = {"logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/own"}}}
    yard.begin().say("default")
    yard.begin(container=own).say("own")
    yard.begin(region="eu-west-1").say("elsewhere")
    assert yard.messages() == ["default"]
    assert yard.messages(logGroupName="/own") == ["own"]
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/own"
    answer = yard.client.filter_log_events(logGroupIdentifier=arn)
    assert [event["message"] for event in answer["events"]] == ["own"]
    foreign = (arn.replace("us-east-1", "eu-west-1"), arn.replace("1234", "9999"), "/nope")
    for identifier in foreign:
        with pytest.raises(yard.client.exceptions.ResourceNotFoundException, match="log group does not exist"):
            yard.client.filter_log_events(logGroupIdentifier=identifier)


def test_the_default_group_may_be_followed_before_the_first_job(yard):
    assert yard.filter()["events"] == []
    with pytest.raises(yard.client.exceptions.ResourceNotFoundException, match="log stream does not exist"):
        yard.filter(logStreamNames=["hello/default/" + "0" * 32])


def test_what_excludes_each_other_is_refused(yard):
    invalid = yard.client.exceptions.InvalidParameterException
    with pytest.raises(invalid, match="logStreamNames and logStreamNamePrefix cannot both be given"):
        yard.filter(logStreamNames=["a"], logStreamNamePrefix="b")
    with pytest.raises(invalid, match="got neither"):
        yard.client.filter_log_events()
    with pytest.raises(invalid, match="got both"):
        yard.filter(logGroupIdentifier=GROUP)
    with pytest.raises(invalid, match="startFromHead false is not supported"):
        yard.filter(startFromHead=False)


def test_a_token_fits_its_own_listing_only(yard):
    yard.begin().say("1", "2", "3")
    token = yard.filter(limit=1)["nextToken"]
    assert [event["message"] for event in yard.filter(limit=5, nextToken=token)["events"]] == ["2", "3"]
    invalid = yard.client.exceptions.InvalidParameterException
    for given in ({"filterPattern": "x"}, {"startTime": 1}, {"logStreamNamePrefix": "h"}):
        with pytest.raises(invalid, match="The specified nextToken is invalid."):
            yard.filter(nextToken=token, **given)
    with pytest.raises(invalid, match="The specified nextToken is invalid."):
        yard.filter(nextToken=token[:-1])
    with pytest.raises(invalid, match="The specified nextToken is invalid."):
        yard.client.describe_log_streams(logGroupName=GROUP, nextToken=token)


def test_a_line_is_told_once_its_time_is_final(yard):
    attempt = yard.begin().say("timed")
    attempt.write("whole but not timed yet\nnot even whole")
    assert yard.messages() == ["timed"]
    attempt.sample()
    assert yard.messages() == ["timed", "whole but not timed yet"]
    attempt.end()
    assert yard.messages() == ["timed", "whole but not timed yet", "not even whole"]


def test_nothing_is_told_while_something_older_may_come(yard):
    slow, quick = yard.begin(), yard.begin()
    slow.write("said first, timed last\n")
    yard.now += 50
    quick.say("said and timed")
    assert yard.messages() == []
    yard.now += 50
    slow.sample()
    assert yard.messages() == ["said and timed", "said first, timed last"]


def test_a_stream_that_hangs_holds_the_others_up_for_a_moment_only(yard):
    yard.begin().write("never timed\n")
    yard.now += 1000
    yard.begin().say("another")
    assert yard.messages() == []
    yard.now += filtering.WAITED_MS
    assert yard.messages() == ["another"]


@pytest.mark.parametrize("seed", range(6))
def test_pages_of_any_size_make_the_whole(yard, monkeypatch, seed):
    print("seed", seed)
    chance = random.Random(seed)
    monkeypatch.setattr(filtering, "EXAMINED", chance.choice((1, 7, 1000)))
    monkeypatch.setattr(filtering, "BLOCK", chance.choice((10, 1 << 14)))
    yard.store.window = chance.choice((1, 3, 500))
    monkeypatch.setattr(filtering, "BYTES_MAX", chance.choice((30, 1 << 20)))
    going, every = [], []
    for number in range(200):
        yard.now += chance.choice((0, 0, 1, 30))
        if not going or chance.random() < 0.1:
            going.append(yard.begin(chance.choice(("a", "b"))))
        one = chance.choice(going)
        lines = [f"{number}.{part}" for part in range(chance.choice((1, 1, 5)))]
        one.say(*lines)
        every += lines
        if chance.random() < 0.08:
            going.remove(one.end())
    for one in going:
        one.end()
    yard.now += 1000
    limit = chance.choice((1, 3, 50, 10_000))
    pages = list(
        yard.client.get_paginator("filter_log_events").paginate(
            logGroupName=GROUP, PaginationConfig={"PageSize": limit}
        )
    )
    assert all(len(page["events"]) <= limit for page in pages)
    found = [event["message"] for page in pages for event in page["events"]]
    assert sorted(found) == sorted(every)
    assert len({event["eventId"] for page in pages for event in page["events"]}) == len(every)
    times = [event["timestamp"] for page in pages for event in page["events"]]
    assert times == sorted(times)
    assert yard.messages(filterPattern="7") == [message for message in found if "7" in message]


class Follower:
    """`aws logs tail --follow`, call by call: after the last page it asks again from the newest time on, and knows the
    ids of the events of that time."""

    def __init__(self, yard, **given):
        self.yard, self.asked = yard, {"logGroupName": GROUP, "interleaved": True} | given
        self.known = defaultdict(set)
        self.seen = []

    def step(self) -> bool:
        """One call; whether it was the last of a round."""
        answer = self.yard.client.filter_log_events(**self.asked)
        for event in answer["events"]:
            if event["eventId"] not in self.known[event["timestamp"]]:
                self.known[event["timestamp"]].add(event["eventId"])
                self.seen.append(event["message"])
        self.known = defaultdict(set, {newest: self.known[newest] for newest in [max(self.known, default=0)] if newest})
        if "nextToken" in answer:
            self.asked["nextToken"] = answer["nextToken"]
            return False
        self.asked.pop("nextToken", None)
        if self.known:
            self.asked["startTime"] = max(self.known)
        return True


@pytest.mark.parametrize("seed", range(12))
def test_who_follows_sees_every_line_once(yard, monkeypatch, seed):
    """Attempts begin, write, are timed late, and end between any two calls."""
    print("seed", seed)
    chance = random.Random(seed)
    monkeypatch.setattr(filtering, "EXAMINED", chance.choice((3, 1000)))
    yard.store.window = chance.choice((1, 3, 500))
    follower = Follower(yard, startTime=yard.now - 1000, limit=chance.choice((2, 10_000)))
    going, every, last_sample = [], [], {}
    for number in range(300):
        yard.now += chance.choice((0, 1, 20, 40))
        if len(going) < chance.choice((1, 4, 7)):
            going.append(yard.begin(chance.choice(("a", "b", "c"))))
            last_sample[going[-1].attempt] = yard.now
        one = chance.choice(going)
        text = f"line {number}"
        every.append(text)
        half = chance.randrange(len(text))
        one.write(text[:half])
        if chance.random() < 0.3:
            one.sample()
        one.write(text[half:] + "\n")
        for each in going:  # a slot samples ten times a second
            if yard.now - last_sample[each.attempt] >= 100:
                each.sample()
                last_sample[each.attempt] = yard.now
        if chance.random() < 0.1:
            going.remove(one.end())
        if chance.random() < 0.4:
            follower.step()
    for one in going:
        one.end()
    yard.now += 5000
    for _ in range(3):
        while not follower.step():
            pass
    assert sorted(follower.seen) == sorted(every)


def test_streams_of_long_ago_are_not_read(yard, monkeypatch):
    for _ in range(20):
        yard.begin().say("old").end()
    yard.now += 600_000
    yard.begin().say("new")
    opened = []
    read = yard.logs.read_forward
    monkeypatch.setattr(yard.logs, "read_forward", lambda *given: opened.append(given[0]) or read(*given))
    assert yard.messages(startTime=yard.now - 60_000) == ["new"]
    assert set(opened) == {yard.attempts[-1].attempt}
