"""PutEvents, with botocore as the judge of what is sent; and what happens to events that an endpoint does not take."""

from __future__ import annotations

import datetime
import json
import threading

import botocore.session
import botocore.validate
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from batchyard.observe.follow import Failed
from batchyard.observe.sinks import event_bus
from batchyard.observe.sinks.event_bus import ENTRIES_MAX, REQUEST_MAX, EventBus
from batchyard.server.children import sign_for_event_bus

from .told import Receiver, change

GOING = threading.Event()
KEY_ID, SECRET = "AKIDEXAMPLE", "hunter2/secret"
PUT_EVENTS = botocore.session.get_session().get_service_model("events").operation_model("PutEvents")


class Bus:
    """An endpoint that takes what botocore's model allows; `refuse` picks the entries that it does not take."""

    def __init__(self):
        self.taken: list[dict] = []
        self.sizes: list[int] = []
        self.refuse = lambda entry: None  # else an error code
        self.receiver = Receiver(self.answer)
        self.url = f"http://127.0.0.1:{self.receiver.port}"

    def answer(self, body):
        asked = json.loads(body)
        report = botocore.validate.ParamValidator().validate(asked, PUT_EVENTS.input_shape)
        assert not report.has_errors(), report.generate_report()
        entries = asked["Entries"]
        assert 1 <= len(entries) <= ENTRIES_MAX
        self.sizes.append(len(entries))
        told = []
        for number, entry in enumerate(entries):
            code = self.refuse(entry)
            if code is None:
                self.taken.append(entry)
                told.append({"EventId": f"e-{number}"})
            else:
                told.append({"ErrorCode": code, "ErrorMessage": "no"})
        failed = sum("ErrorCode" in each for each in told)
        return 200, json.dumps({"FailedEntryCount": failed, "Entries": told}).encode(), {}

    def numbers(self):
        return [json.loads(entry["Detail"])["number"] for entry in self.taken]


@pytest.fixture
def bus(monkeypatch):
    monkeypatch.setattr(event_bus, "AGAIN_S", 0.001)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    for name in ("AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    opened = Bus()
    yield opened
    opened.receiver.close()


def place(bus, name="default", source="aws.batch"):
    return EventBus(bus.url, name, source, sign_for_event_bus)


def test_an_event_arrives_as_an_entry_with_our_id_in_its_detail(bus):
    place(bus, "arn:aws:events:us-east-1:123456789012:event-bus/mine", "my.batch").deliver([change(7, job=3)], GOING)
    (entry,) = bus.taken
    assert entry["Time"] == change(7).at_ms // 1000
    assert (entry["Source"], entry["DetailType"]) == ("my.batch", "Batch Job State Change")
    assert entry["EventBusName"].endswith("/mine")
    assert entry["Resources"] == change(7, job=3).arns
    assert json.loads(entry["Detail"]) == json.loads(change(7, job=3).detail) | {"batchyardEventId": "id-7"}


@pytest.mark.parametrize("token", [None, "a-session-token"])
@pytest.mark.parametrize("region", [None, "eu-central-1"])
def test_requests_are_signed_as_botocore_signs_them(bus, monkeypatch, token, region):
    if token:
        monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    if region:
        monkeypatch.setenv("AWS_REGION", region)
    bodies = []
    inner = bus.receiver.answers
    bus.receiver.answers = lambda body: (bodies.append(body), inner(body))[1]
    place(bus).deliver([change(1)], GOING)
    target, headers = bus.receiver.requests[0]
    assert (target, headers["X-Amz-Target"]) == ("/", "AWSEvents.PutEvents")
    assert headers["Content-Type"] == "application/x-amz-json-1.1"
    signed = headers["Authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    assert {"host", "x-amz-date", "x-amz-target"} <= set(signed)
    assert ("x-amz-security-token" in signed) == bool(token)
    assert headers["Authorization"] == botocores(headers, bodies[0], bus.url, region or "us-east-1", token, signed)


def botocores(headers, body, url, region, token, signed):
    """The Authorization header that botocore makes of the same request at the same time."""
    sent = {name: value for name, value in headers.items() if name.lower() in signed}
    request = AWSRequest("POST", url + "/", data=body, headers=sent)
    request.context["timestamp"] = headers["X-Amz-Date"]
    auth = SigV4Auth(Credentials(KEY_ID, SECRET, token), "events", region)
    canonical = auth.canonical_request(request)
    to_sign = auth.string_to_sign(request, canonical)
    assert datetime.datetime.strptime(headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
    auth._inject_signature_to_request(request, auth.signature(to_sign, request))
    return request.headers["Authorization"]


def test_without_credentials_it_says_which_variables_are_missing(bus, monkeypatch):
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(Failed, match="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not in the environment"):
        place(bus).deliver([change(1)], GOING)


def test_aws_own_endpoints_are_signed_for_their_region():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_REGION", "us-west-2")
        headers = {"Host": "events.ap-south-1.amazonaws.com"}
        assert "/ap-south-1/events/" in sign_for_event_bus("/", "", headers, b"")["Authorization"]
        assert "/us-west-2/events/" in sign_for_event_bus("/", "", {"Host": "localhost:1"}, b"")["Authorization"]


def test_many_events_share_requests_and_those_of_one_job_do_not(bus):
    place(bus).deliver([change(number, job=number) for number in range(25)], GOING)
    assert (bus.numbers(), bus.sizes) == (list(range(25)), [10, 10, 5])
    bus.sizes.clear()
    place(bus).deliver([change(number, job=number % 4) for number in range(8)], GOING)
    assert bus.sizes == [4, 4]


def test_requests_stay_within_the_bound_of_bytes(bus):
    events = [change(number, job=number, blob="x" * 100_000) for number in range(5)]
    place(bus).deliver(events, GOING)
    assert (bus.numbers(), bus.sizes) == (list(range(5)), [2, 2, 1])


def test_an_event_that_no_request_can_hold_is_sent_without_its_bulk(bus):
    place(bus).deliver([change(1, status="FAILED", parameters={"x": "y" * REQUEST_MAX})], GOING)
    shown = json.loads(bus.taken[0]["Detail"])
    assert shown == {
        "jobArn": change(1).arns[0],
        "jobId": "1",
        "status": "FAILED",
        "batchyardEventId": "id-1",
    }


def test_entries_that_are_not_taken_are_sent_again_and_others_are_not(bus):
    refused = []

    def refuse(entry):
        number = json.loads(entry["Detail"])["number"]
        if number in (3, 7) and refused.count(number) < 2:
            refused.append(number)
            return "InternalFailure"
        return None

    bus.refuse = refuse
    place(bus).deliver([change(number, job=number) for number in range(10)], GOING)
    assert sorted(bus.numbers()) == list(range(10))
    assert bus.sizes == [10, 2, 2]


def test_events_of_one_job_arrive_in_order_though_some_are_refused_at_first(bus):
    seen = set()

    def refuse(entry):
        number = json.loads(entry["Detail"])["number"]
        first = number not in seen
        seen.add(number)
        return "ThrottlingException" if first and number % 3 == 0 else None

    bus.refuse = refuse
    place(bus).deliver([change(number, job=number % 2) for number in range(20)], GOING)
    for job in (0, 1):
        mine = [number for number in bus.numbers() if number % 2 == job]
        assert mine == sorted(mine) and len(mine) == 10


def test_what_is_never_taken_fails_and_says_the_code(bus):
    bus.refuse = lambda entry: "NotAuthorizedForSourceException"
    with pytest.raises(Failed, match=r"^127.0.0.1 did not take 1 of 1 events \(NotAuthorizedForSourceException\)$"):
        place(bus).deliver([change(1)], GOING)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((400, b'{"__type":"com.amazon#ResourceNotFoundException"}', {}), "answers 400 (ResourceNotFoundException)"),
        ((403, b"<html>", {}), "answers 403"),
        ((200, b"<html>", {}), "answers something else than PutEvents does"),
        ((200, b"[]", {}), "answers something else than PutEvents does"),
        ((200, b'{"FailedEntryCount": 1, "Entries": []}', {}), "answers something else than PutEvents does"),
        ((200, b'{"FailedEntryCount": 1, "Entries": [3]}', {}), "answers something else than PutEvents does"),
        ((302, b"", {"Location": "http://127.0.0.1:1/"}), "answers 302"),
    ],
)
def test_what_an_endpoint_answers_instead_is_said(bus, answer, said):
    bus.receiver.answers = lambda body: answer
    with pytest.raises(Failed) as caught:
        place(bus).deliver([change(1)], GOING)
    assert str(caught.value) == f"127.0.0.1 {said}"
