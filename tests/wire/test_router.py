"""Every operation is found by its path; what is not an operation is named back to the caller."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchyard.errors import UnknownOperation
from batchyard.wire.router import route
from batchyard.wire.shapes import OPERATIONS

ARN = "arn:aws:batch:us-east-1:123456789012:job-queue/q"


@pytest.mark.parametrize("name", [name for name, about in OPERATIONS.items() if about.service == "batch"])
def test_batch_operations_are_found_by_method_and_path(name):
    about = OPERATIONS[name]
    found = route(about.method, about.path.replace("{resourceArn}", "x"), None)
    assert (found.service, found.operation) == ("batch", name)


@pytest.mark.parametrize("name", [name for name, about in OPERATIONS.items() if about.service == "logs"])
def test_logs_operations_are_found_by_target(name):
    assert route("POST", "/", f"Logs_20140328.{name}")[:2] == ("logs", name)


def test_sts_operations_are_found_by_the_action_of_the_form():
    assert route("POST", "/", None, "GetCallerIdentity") == ("sts", "GetCallerIdentity", {})
    with pytest.raises(UnknownOperation, match="AssumeRole. Actions served here: GetCallerIdentity"):
        route("POST", "/", None, "AssumeRole")


@pytest.mark.parametrize("path", ["arn%3Aaws%3Abatch%3Aus-east-1%3A123456789012%3Ajob-queue%2Fq", ARN])
@pytest.mark.parametrize(
    ("method", "name"), [("GET", "ListTagsForResource"), ("POST", "TagResource"), ("DELETE", "UntagResource")]
)
def test_the_arn_of_tag_operations_may_be_encoded_or_not(method, name, path):
    found = route(method, "/v1/tags/" + path, None)
    assert found.operation == name
    assert found.path_args == {"resourceArn": ARN}


def test_an_encoded_percent_sign_is_decoded_once():
    assert route("GET", "/v1/tags/a%252Fb", None).path_args == {"resourceArn": "a%2Fb"}


def test_our_own_paths_are_extra():
    assert route("GET", "/x/jobs/7", None) == ("extra", "/x/jobs/7", {})
    assert route("GET", "/metrics", None) == ("extra", "/metrics", {})


@pytest.mark.parametrize(
    ("method", "path", "target", "says"),
    [
        ("GET", "/v1/submitjob", None, "GET /v1/submitjob. Send it with POST"),
        ("PUT", "/v1/tags/x", None, "DELETE, GET, POST"),
        ("POST", "/v1/SubmitJob", None, "POST /v1/SubmitJob"),
        ("POST", "/", None, "POST /"),
        ("POST", "/", "Logs_20140328.PutLogEvents", "Logs_20140328.PutLogEvents"),
        ("GET", "/", "Logs_20140328.GetLogEvents", "GET /"),
        ("GET", "/metrics/x", None, "/metrics/x"),
        ("GET", "/" + "y" * 100_000, None, "..."),
    ],
)
def test_what_is_no_operation_is_named(method, path, target, says):
    with pytest.raises(UnknownOperation) as refused:
        route(method, path, target)
    assert says in refused.value.message
    assert len(refused.value.message) < 600


@settings(deadline=None, print_blob=True)
@given(st.text(max_size=10), st.text(max_size=60), st.none() | st.text(max_size=30))
def test_any_request_line_is_an_operation_or_an_unknown_one(method, path, target):
    try:
        route(method, path, target)
    except UnknownOperation:
        pass
