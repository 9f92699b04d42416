"""What happens to every request before an operation sees it, and that nothing malformed is ever our fault."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import batchyard
from batchyard.api.batch import OPERATIONS
from batchyard.wire.shapes import OPERATIONS as SHAPES
from tests.api.caller import ENDPOINT, call, signed

HOST = ("host", "127.0.0.1:22824")


def code(answer) -> str:
    """The error's code, after its form was checked."""
    assert answer.headers["x-amzn-requestid"]
    assert isinstance(json.loads(answer.body)["message"], str)
    return answer.headers["x-amzn-errortype"]


def test_health_needs_no_signature_and_nothing_else_goes_without(server):
    answer = call(server.app, "GET", ENDPOINT + "/x/health", [HOST])
    assert (answer.status, json.loads(answer.body)) == (200, {"status": "ok", "version": batchyard.__version__})
    for method, path in (("POST", "/v1/describejobqueues"), ("GET", "/x/jobs/1"), ("POST", "/x/health"), ("POST", "/")):
        answer = call(server.app, method, ENDPOINT + path, [HOST, ("x-amz-target", "Logs_20140328.GetLogEvents")])
        assert (answer.status, code(answer)) == (403, "MissingAuthenticationTokenException")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:22824", "[::1]:9", "[::1]"])
def test_this_machine_may_be_called_by_its_own_names(server, host):
    assert call(server.app, "GET", ENDPOINT + "/x/health", [("host", host)]).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        [HOST, ("origin", "http://127.0.0.1:22824")],
        [HOST, ("origin", "null")],
        [("host", "evil.example")],
        [("host", "127.0.0.1.evil.example")],
        [("host", "localhost:22824@evil.example")],
        [("host", "127.0.0.1\n")],
        [HOST, ("host", "evil.example")],
        [],
    ],
)
def test_web_pages_and_foreign_names_are_refused_before_anything_else(server, headers):
    for path in ("/x/health", "/v1/submitjob"):
        answer = call(server.app, "GET", ENDPOINT + path, headers)
        assert (answer.status, code(answer)) == (403, "AccessDeniedException")


def test_a_wrong_secret_key_or_scope_is_refused(server):
    body = b'{"computeEnvironments":[]}'
    good = signed(server.app, "POST", "/v1/describecomputeenvironments", body)
    assert (good.status, good.headers["content-type"]) == (200, "application/json")
    assert good.headers["x-amzn-requestid"] and json.loads(good.body) == {"computeEnvironments": []}
    for service in ("logs", "s3"):
        answer = signed(server.app, "POST", "/v1/describecomputeenvironments", body, service=service)
        assert (answer.status, code(answer)) == (403, "InvalidSignatureException")


def test_unknown_paths_are_404(server):
    for path in ("/", "/v1/", "/v1/submitJob", "/v2/submitjob", "/etc/passwd", "//v1/submitjob"):
        answer = signed(server.app, "POST", path, b"{}")
        assert (answer.status, code(answer)) == (404, "UnknownOperationException")
    assert signed(server.app, "GET", "/x/nothing").status == 404
    assert signed(server.app, "POST", "/x/jobs/1").status == 404


def test_a_body_over_a_mebibyte_is_not_read(server):
    whole = b"x" * (1 << 20)
    url = ENDPOINT + "/v1/submitjob"
    announced = call(server.app, "POST", url, [HOST, ("content-length", str(len(whole) + 1))], b"")
    chunked = call(server.app, "POST", url, [HOST], [whole, b"y", b"never read"])
    for answer in (announced, chunked):
        assert (answer.status, code(answer)) == (413, "RequestEntityTooLargeException")
        assert answer.headers["connection"] == "close"
    assert call(server.app, "POST", url, [HOST, ("content-length", str(len(whole)))], whole).status == 403


def test_a_body_in_chunks_is_one_body(server):
    parts = [b'{"compute', b"", b'Environments":[]}']
    whole = signed(server.app, "POST", "/v1/describecomputeenvironments", b"".join(parts))
    assert whole.status == 200
    with pytest.raises(ConnectionError):  # a client that leaves is not answered
        call(server.app, "POST", ENDPOINT + "/v1/submitjob", [HOST], [])


JOB = b'{"jobName": "j", "jobQueue": "q", "jobDefinition": "d"}'


@pytest.mark.parametrize(
    ("operation", "body", "text"),
    [
        ("submitjob", b"{", "JSON parsing"),
        ("submitjob", b"[]", "JSON parsing"),
        ("submitjob", b"[" * 100_000, "JSON parsing"),
        ("submitjob", b'"\\ud800"', "JSON parsing"),
        ("submitjob", b"\xff\xfe", "JSON parsing"),
        ("submitjob", b'{"jobName": 1, "jobQueue": "q", "jobDefinition": "d"}', "jobName"),
        ("submitjob", b'{"jobName": "j", "jobQueue": "q"}', "jobDefinition is required."),
        ("submitjob", JOB[:-1] + b', "timeout": {"attemptDurationSeconds": 1e99}}', "attemptDurationSeconds"),
        ("createjobqueue", b'{"jobQueueName": "q", "priority": 99999999999999999999}', "priority"),
        ("registerjobdefinition", b'{"jobDefinitionName": "d", "type": "kubernetes"}', "type"),
        ("terminatejob", b"{}", "jobId is required."),
    ],
)  # fmt: skip
def test_malformed_requests_are_the_callers_fault_and_change_nothing(server, operation, body, text):
    answer = signed(server.app, "POST", f"/v1/{operation}", body)
    assert (answer.status, code(answer)) == (400, "ClientException")
    assert text in json.loads(answer.body)["message"]
    store = server.store
    assert not (store.new_jobs or store.new_queues or store.new_definitions or store.wishes)


def test_null_is_absent(server):
    assert signed(server.app, "POST", "/v1/describejobqueues", b'{"jobQueues": null, "maxResults": null}').status == 200


def test_our_own_failure_is_logged_without_the_body_and_answered_without_its_text(server, caplog, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("the inner reason")

    monkeypatch.setattr(server.store, "queues", fail)
    body = b'{"nextToken": "", "secret": "in the body"}'
    with caplog.at_level(logging.ERROR):
        answer = signed(server.app, "POST", "/v1/describejobqueues", body)
    assert (answer.status, code(answer)) == (500, "ServerException")
    assert b"inner reason" not in answer.body
    assert "inner reason" in caplog.text and answer.headers["x-amzn-requestid"] in caplog.text
    assert "in the body" not in caplog.text and "Credential" not in caplog.text


def test_lifespan_and_websockets(server):
    import asyncio

    async def exchange(scope, messages):
        sent = []
        incoming = iter(messages)

        async def receive():
            return next(incoming)

        async def send(message):
            sent.append(message["type"])

        await server.app(scope, receive, send)
        return sent

    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = asyncio.run(exchange({"type": "lifespan"}, messages))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert asyncio.run(exchange({"type": "websocket"}, [])) == ["websocket.close"]


ARN = "arn:aws:batch:us-east-1:123456789012:job-queue/q"
POSTED = [SHAPES[name].path for name in OPERATIONS if SHAPES[name].method == "POST"]
PATHS = [path.replace("{resourceArn}", ARN) for path in POSTED]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["q", "ce", "hello", "hello:1", "arn:aws:batch:us-east-1:123456789012:job-queue/q", "", "x" * 300]
)
TEXTS = NAMES | st.text(max_size=6)
NUMBERS = st.integers(-3, 70) | st.sampled_from([2**31 - 1, -(2**31), 10_000, 10_001])
PAIRS = st.lists(st.fixed_dictionaries({"name": TEXTS, "value": TEXTS}), max_size=2)
NEEDS = st.lists(
    st.fixed_dictionaries({"type": st.sampled_from(["VCPU", "MEMORY", "GPU", "X"]), "value": TEXTS | st.just("1")}),
    max_size=3,
)
CONTAINER = st.fixed_dictionaries(
    {},
    optional={
        "image": TEXTS, "command": st.lists(TEXTS | st.just("Ref::a")), "environment": PAIRS,
        "resourceRequirements": NEEDS | st.just([{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "9"}]),
        "vcpus": NUMBERS, "memory": NUMBERS, "user": TEXTS, "privileged": st.booleans(),
        "linuxParameters": st.fixed_dictionaries({}, optional={"maxSwap": NUMBERS, "swappiness": NUMBERS}),
        "mountPoints": st.lists(st.fixed_dictionaries({}, optional={"sourceVolume": TEXTS}), max_size=2),
        "volumes": st.lists(st.fixed_dictionaries({}, optional={"name": TEXTS, "host": st.just({})}), max_size=2),
    },
)  # fmt: skip
MEMBERS = st.fixed_dictionaries(
    {"jobName": TEXTS, "jobQueue": NAMES, "jobDefinition": NAMES, "jobQueueName": TEXTS, "priority": NUMBERS},
    optional={
        "jobDefinitionName": TEXTS, "type": st.sampled_from(["container", "multinode", "UNMANAGED", "MANAGED"]),
        "computeEnvironmentName": TEXTS, "serviceRole": TEXTS, "jobs": st.lists(TEXTS), "nextToken": TEXTS,
        "computeEnvironmentOrder": st.lists(st.fixed_dictionaries({"order": NUMBERS, "computeEnvironment": NAMES})),
        "containerProperties": CONTAINER, "containerOverrides": CONTAINER, "parameters": st.dictionaries(TEXTS, TEXTS),
        "retryStrategy": st.fixed_dictionaries({}, optional={"attempts": NUMBERS}),
        "timeout": st.fixed_dictionaries({}, optional={"attemptDurationSeconds": NUMBERS}),
        "arrayProperties": st.fixed_dictionaries({}, optional={"size": NUMBERS}), "maxResults": NUMBERS,
        "dependsOn": st.lists(st.fixed_dictionaries({}, optional={"jobId": TEXTS, "type": st.just("N_TO_N")})),
        "jobId": TEXTS, "reason": TEXTS, "jobStatus": st.sampled_from(["RUNNING", "FAILED", "x"]), "arrayJobId": TEXTS,
        "jobDefinitions": st.lists(NAMES), "jobQueues": st.lists(NAMES), "status": TEXTS,
    },
)  # fmt: skip
HEADERS = st.sampled_from(["authorization", "x-amz-date", "x-amz-target", "host", "content-length"])
BODIES = (
    st.binary(max_size=64)
    | JSON.map(lambda value: json.dumps(value).encode())
    | MEMBERS.map(lambda value: json.dumps(value).encode())
)


@settings(max_examples=300, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(PATHS), body=BODIES)
def test_no_body_whatever_is_our_fault(furnished, path, body):
    answer = signed(furnished.app, "POST", path, body)
    assert answer.status in (200, 400), answer
    json.loads(answer.body)
    if answer.status == 400:
        assert code(answer) == "ClientException"


@settings(max_examples=100, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "OPTIONS", "x"]),
    path=st.text(st.characters(codec="ascii", exclude_characters="?#\t\r\n", min_codepoint=33), max_size=20),
    headers=st.lists(st.tuples(HEADERS, st.text(st.characters(max_codepoint=255), max_size=30)), max_size=4),
)
def test_no_request_whatever_is_our_fault(server, method, path, headers):
    answer = call(server.app, method, ENDPOINT + "/" + path, headers, b"{}")
    assert 400 <= answer.status < 500 or path == "x/health"
