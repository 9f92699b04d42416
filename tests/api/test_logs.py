"""GetLogEvents through stock boto3: tokens, times and the ends of a stream."""

from __future__ import annotations

import pytest

from batchyard.model.logplaces import log_place
from batchyard.ports import StreamRow
from tests.api.caller import signed

GROUP = "/aws/batch/job"


@pytest.fixture
def stream(server) -> str:
    """A stream of ten lines, at 1000, 1010 ... 1090 ms."""
    attempt = "1e3d0a52-8f0b-4a3d-9d3a-2f4a7f7f0f11.1"
    place = log_place("us-east-1", "hello", {})
    server.store.streams.append((place, StreamRow(attempt, place.stream(attempt), 900, None)))
    server.logs.lines[attempt] = [(1000 + 10 * number, f"line é {number}") for number in range(10)]
    server.attempt = attempt
    return place.stream(attempt)


def read(server, stream, **members):
    answer = server.log_client.get_log_events(logGroupName=GROUP, logStreamName=stream, **members)
    numbers = [int(event["message"].removeprefix("line é ")) for event in answer["events"]]
    return numbers, answer["nextForwardToken"], answer["nextBackwardToken"]


def test_forward_page_by_page_until_the_token_repeats(server, stream):
    numbers, token, _ = read(server, stream, startFromHead=True, limit=4)
    assert numbers == [0, 1, 2, 3]
    numbers, token, back = read(server, stream, nextToken=token, limit=4, startFromHead=True)
    assert numbers == [4, 5, 6, 7]
    assert read(server, stream, nextToken=back, limit=3)[0] == [1, 2, 3]
    numbers, token, _ = read(server, stream, nextToken=token, limit=4)
    assert numbers == [8, 9]
    assert read(server, stream, nextToken=token)[:2] == ([], token)
    server.logs.lines[server.attempt].append((2000, "line é 10"))
    numbers, later, _ = read(server, stream, nextToken=token)
    assert numbers == [10] and later != token


def test_backward_until_empty_and_the_token_repeats(server, stream):
    numbers, forward, back = read(server, stream, startFromHead=False, limit=6)
    assert numbers == [4, 5, 6, 7, 8, 9]  # the newest, oldest first
    assert read(server, stream, nextToken=forward)[0] == []
    numbers, _, back = read(server, stream, nextToken=back)
    assert numbers == [0, 1, 2, 3]
    assert read(server, stream, nextToken=back) == ([], back.replace("b/", "f/"), back)


def test_events_hold_text_and_times(server, stream):
    event = server.log_client.get_log_events(logGroupName=GROUP, logStreamName=stream, limit=1)["events"][0]
    assert event == {"timestamp": 1090, "message": "line é 9", "ingestionTime": 1090}


def test_a_line_that_is_still_written_is_not_lost(server, stream):
    lines = server.logs.lines[server.attempt]
    server.logs.unfinished[server.attempt] = "line é 1"
    _, token, _ = read(server, stream)
    server.logs.unfinished.clear()
    lines.append((3000, "line é 12"))
    assert read(server, stream, nextToken=token)[0] == [12]
    server.logs.lines[server.attempt] = []
    server.logs.unfinished[server.attempt] = "line é 7"
    _, token, back = read(server, stream)
    assert (token, back) == ("f/0", "b/0")


def test_times_bound_a_page_start_included_end_not(server, stream):
    assert read(server, stream, startTime=1020, endTime=1050)[0] == [2, 3, 4]
    assert read(server, stream, startTime=1020, endTime=1050, startFromHead=True)[0] == [2, 3, 4]
    numbers, token, _ = read(server, stream, startTime=1070, startFromHead=True, limit=2)  # seeks past empty pages
    assert numbers == [7, 8]
    assert read(server, stream, startTime=1070, nextToken=token, limit=2)[0] == [9]
    numbers, _, token = read(server, stream, endTime=1030, limit=2)
    assert numbers == [1, 2]
    assert read(server, stream, endTime=1030, nextToken=token, limit=2)[0] == [0]
    assert read(server, stream, startTime=9000)[0] == []


def test_group_and_stream_by_other_names(server, stream):
    for identifier in (GROUP, f"arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}", GROUP):
        answer = server.log_client.get_log_events(logGroupIdentifier=identifier, logStreamName=stream)
        assert len(answer["events"]) == 10


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"logGroupName": "/other"}, "The specified log group does not exist."),
        ({"logStreamName": "hello/default/" + "0" * 32}, "The specified log stream does not exist."),
        ({"logStreamName": "nonsense"}, "The specified log stream does not exist."),
    ],
)
def test_what_is_not_there_is_not_found(server, stream, members, text):
    logs = server.log_client
    with pytest.raises(logs.exceptions.ResourceNotFoundException) as raised:
        logs.get_log_events(**({"logGroupName": GROUP, "logStreamName": stream} | members))
    assert raised.value.response["Error"]["Message"] == text


def test_a_stream_is_found_by_its_whole_name_only(server, stream):
    logs = server.log_client
    for name in (stream.replace("hello", "other"), stream.rpartition("/")[2], "x/" + stream):
        with pytest.raises(logs.exceptions.ResourceNotFoundException):
            logs.get_log_events(logGroupName=GROUP, logStreamName=name)


def test_a_log_that_was_not_begun_is_no_stream(server, stream):
    server.logs.lines.clear()
    with pytest.raises(server.log_client.exceptions.ResourceNotFoundException):
        read(server, stream)


@pytest.mark.parametrize(
    "members", [{"nextToken": "f/"}, {"nextToken": "g/1"}, {"nextToken": "f/-1"}, {"limit": 10_001}]
)
def test_parameters_out_of_range_are_invalid(server, stream, members):
    with pytest.raises(server.log_client.exceptions.InvalidParameterException):
        read(server, stream, **members)


def test_a_token_beyond_the_end_is_the_end(server, stream):
    assert read(server, stream, nextToken="f/" + "9" * 18)[0] == []


def test_other_operations_of_logs_say_so(server):
    answer = signed(server.app, "POST", "/", b"{}", service="logs", x_amz_target="Logs_20140328.PutLogEvents")
    assert answer.status == 404 and b"There is no operation Logs_20140328.PutLogEvents." in answer.body
    assert b"__type" in answer.body and answer.headers["content-type"] == "application/x-amz-json-1.1"
