"""What the body decoders take, what they refuse, and in which words."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchyard.errors import ClientError, InvalidParameter
from batchyard.wire import json11, rest_json
from batchyard.wire.shapes import (
    OPERATIONS,
    UNSET,
    GetLogEventsResponse,
    JobDetail,
    OutputLogEvent,
    SubmitJobRequest,
    SubmitJobResponse,
)


def submit(body: bytes):
    return rest_json.decode("SubmitJob", body, {}, "")


@pytest.mark.parametrize("body", [b"", b"{}", b" {} ", b"null", b'{"jobName": null}', b'{"somethingNew": {"a": [1]}}'])
def test_empty_null_and_unknown_are_all_nothing(body):
    assert submit(body) == SubmitJobRequest()


def test_nulls_vanish_at_every_depth():
    request = submit(b'{"arrayProperties": {"size": null}, "parameters": {"a": null, "b": "null"}, "tags": null}')
    assert request.arrayProperties.size is UNSET
    assert request.parameters == {"b": "null"}
    assert request.tags is UNSET


@pytest.mark.parametrize(("text", "size"), [(b"2", 2), (b"2.0", 2), (b"1e3", 1000), (b"-0.0", 0)])
def test_whole_numbers_may_be_written_as_floats(text, size):
    assert submit(b'{"arrayProperties": {"size": %s}}' % text).arrayProperties.size == size


def test_a_double_may_be_written_as_an_integer():
    body = b'{"name": "p", "fairsharePolicy": {"shareDistribution": [{"shareIdentifier": "a", "weightFactor": 1}]}}'
    share = rest_json.decode("CreateSchedulingPolicy", body, {}, "").fairsharePolicy.shareDistribution[0]
    assert share.weightFactor == 1.0


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"jobName": 3}', "jobName must be a string, got an integer."),
        (b'{"jobName": "a"', "the body is not JSON"),
        (b'{"jobName": "\xff"}', "the body is not JSON in UTF-8"),
        (b"[]", "the body must be an object, got a list."),
        (b"0", "the body must be an object, got an integer."),
        (b"false", "the body must be an object"),
        (b'{"arrayProperties": {"size": 2.5}}', "arrayProperties.size must be an integer, got a number."),
        (b'{"arrayProperties": {"size": true}}', "arrayProperties.size must be an integer, got true or false."),
        (b'{"arrayProperties": {"size": 2147483648}}', "arrayProperties.size must be an integer <= 2147483647."),
        (b'{"arrayProperties": {"size": -1e30}}', "arrayProperties.size must be an integer >= -2147483648."),
        (b'{"parameters": {"a": 1}}', "parameters.* must be a string, got an integer."),
        (
            b'{"containerOverrides": {"command": ["a", null]}}',
            "containerOverrides.command[1] must be a string, got null",
        ),
        (
            b'{"containerOverrides": {"environment": [{"name": "A", "value": 1}]}}',
            "containerOverrides.environment[0].value must be a string, got an integer.",
        ),
        (b'{"new": ' + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_malformed_bodies_are_refused_in_plain_words(body, says):
    with pytest.raises(ClientError) as refused:
        submit(body)
    assert refused.value.message.startswith("An error occurred during JSON parsing: ")
    assert says in refused.value.message
    with pytest.raises(InvalidParameter):
        json11.decode("GetLogEvents", body.replace(b"jobName", b"logStreamName").replace(b'"a"', b"1") + b"]")


@settings(deadline=None, print_blob=True)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_a_request_or_a_client_error(body):
    try:
        submit(body)
    except ClientError:
        pass


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, print_blob=True)
@given(st.dictionaries(st.sampled_from(SubmitJobRequest.__struct_fields__), JSON, max_size=4))
def test_any_json_under_known_names_is_a_request_or_a_client_error(members):
    try:
        request = submit(msgspec.json.encode(members))
    except ClientError:
        return
    assert msgspec.json.decode(msgspec.json.encode(request), type=SubmitJobRequest) == request


def test_path_and_query_fill_their_members():
    request = rest_json.decode(
        "UntagResource", b"", {"resourceArn": "arn:x"}, "tagKeys=a&tagKeys=b%20c&tagKeys=&other=1"
    )
    assert request.resourceArn == "arn:x"
    assert request.tagKeys == ["a", "b c", ""]


def test_the_path_counts_more_than_the_body():
    request = rest_json.decode("TagResource", b'{"tags": {"a": "b"}, "resourceArn": "y"}', {"resourceArn": "x"}, "")
    assert (request.resourceArn, request.tags) == ("x", {"a": "b"})


def test_absent_members_do_not_appear_in_answers():
    answer = SubmitJobResponse(jobId="1", jobName=None)
    assert rest_json.encode("SubmitJob", answer) == b'{"jobId":"1"}'
    assert rest_json.encode("CancelJob", None) == b"{}"


def test_none_vanishes_within_answers_and_text_stays_text():
    answer = GetLogEventsResponse(events=[OutputLogEvent(timestamp=1, message='{"a":null}', ingestionTime=None)])
    assert json11.encode("GetLogEvents", answer) == b'{"events":[{"timestamp":1,"message":"{\\"a\\":null}"}]}'


def test_an_answer_of_another_operation_is_our_mistake():
    with pytest.raises(TypeError, match="SubmitJob answers with SubmitJobResponse, not JobDetail"):
        rest_json.encode("SubmitJob", JobDetail())


def test_every_decoder_can_be_built():
    for name, about in OPERATIONS.items():
        assert rest_json.decode(name, b'{"no": 1}', {}, "") == about.request()
