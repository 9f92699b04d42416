"""How the server and the key are found, what is signed, and what is said when something is missing."""

from __future__ import annotations

import os
import re
import socket

import pytest

from batchyard.cli.client import Client, Place, Problem, Refused, Unreachable, locate
from tests.cli.conftest import KEY_ID, SECRET, Refusal


@pytest.fixture
def served(tmp_path):
    """A data directory as a running server leaves it."""
    (tmp_path / "endpoint").write_text("http://127.0.0.1:4321\n")
    key = tmp_path / "access-key"
    key.write_text("ID1:SECRET1\n")
    key.chmod(0o600)
    return tmp_path


def test_endpoint_and_key_come_from_the_data_directory(served):
    assert locate(str(served), environ={}) == Place("http://127.0.0.1:4321", "ID1", "SECRET1")


def test_the_environment_wins_over_the_data_directory_and_the_flag_over_both(served):
    environ = {
        "BATCHYARD_ENDPOINT": "http://127.0.0.1:1/",
        "BATCHYARD_ACCESS_KEY_ID": "ID2",
        "BATCHYARD_SECRET_ACCESS_KEY": "SECRET2",
    }
    assert locate(str(served), environ=environ) == Place("http://127.0.0.1:1", "ID2", "SECRET2")
    assert locate(str(served), "http://127.0.0.1:2", environ).endpoint == "http://127.0.0.1:2"


def test_a_key_file_named_in_the_settings_is_used(served, tmp_path):
    other = tmp_path / "other-key"
    other.write_text("ID3:SECRET3")
    other.chmod(0o600)
    assert locate(str(served), environ={"BATCHYARD_ACCESS_KEY_FILE": str(other)}).key_id == "ID3"


def test_without_a_server_the_words_say_how_to_start_one(tmp_path):
    with pytest.raises(Unreachable) as caught:
        locate(str(tmp_path), environ={})
    assert str(tmp_path) in caught.value.message
    assert caught.value.next_step == f"Start one: batchyard serve --data {tmp_path}"


def test_a_key_that_others_can_read_is_refused_with_the_reason(served):
    (served / "access-key").chmod(0o644)
    with pytest.raises(Problem, match=r"access-key.*chmod 600"):
        locate(str(served), environ={})


def test_half_a_key_in_the_environment_is_no_key(served):
    with pytest.raises(Problem, match="BATCHYARD_SECRET_ACCESS_KEY"):
        locate(str(served), environ={"BATCHYARD_ACCESS_KEY_ID": "ID"})


def test_an_endpoint_that_is_none_is_named(served):
    with pytest.raises(Problem, match="'localhost:22824' is no endpoint"):
        locate(str(served), "localhost:22824", {})


@pytest.fixture
def client(api):
    return Client(lambda: Place(api.url, KEY_ID, SECRET))


def test_requests_are_signed_for_their_service_and_region(api, client):
    api.on["describejobs"] = lambda _: {"jobs": []}
    api.on["GetLogEvents"] = lambda _: {"events": []}
    client.call("DescribeJobs", jobs=["x"])
    client.logs("GetLogEvents", logStreamName="s")
    assert api.calls == [("describejobs", {"jobs": ["x"]}), ("GetLogEvents", {"logStreamName": "s"})]
    scopes = [re.search(r"Credential=(\w+)/\d{8}/([\w/-]+),", each["authorization"]).groups() for each in api.headers]
    assert scopes == [(KEY_ID, "us-east-1/batch/aws4_request"), (KEY_ID, "us-east-1/logs/aws4_request")]
    assert api.headers[1]["content-type"] == "application/x-amz-json-1.1"


def test_each_call_has_an_invocation_id_of_its_own(api, client):
    api.on["submitjob"] = lambda _: {"jobId": "j"}
    client.call("SubmitJob")
    client.call("SubmitJob")
    first, second = (each["amz-sdk-invocation-id"] for each in api.headers)
    assert first and second and first != second


def test_a_refusal_carries_the_code_and_the_server_s_own_words(api, client):
    def refuse(_):
        raise Refusal("ClientException", "JobQueue nope not found.")

    api.on["submitjob"] = refuse
    with pytest.raises(Refused) as caught:
        client.call("SubmitJob")
    assert (caught.value.code, caught.value.message, caught.value.status) == (
        "ClientException",
        "JobQueue nope not found.",
        400,
    )


@pytest.mark.parametrize("answer", [b"<html>", b"[1]", b'"ok"'])
def test_an_answer_that_is_no_json_object_is_a_problem_not_a_traceback(api, client, answer):
    api.on["describejobs"] = lambda _: answer
    with pytest.raises(Problem, match="no JSON object"):
        client.call("DescribeJobs")


def test_nothing_listening_is_unreachable_and_names_the_endpoint():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(Unreachable) as caught:
        Client(lambda: Place(url, KEY_ID, SECRET)).call("DescribeJobs")
    assert url in caught.value.message
    assert "batchyard serve" in caught.value.next_step


def test_patience_asks_again_where_the_server_then_is_with_the_same_invocation(api):
    """The server was restarted on another port: the second place is asked, and the submission is the same one."""
    api.on["submitjob"] = lambda _: {"jobId": "j"}
    places = iter([Place("http://127.0.0.1:1", KEY_ID, SECRET)])
    client = Client(lambda: next(places, Place(api.url, KEY_ID, SECRET)), patience_s=10)
    assert client.call("SubmitJob") == {"jobId": "j"}
    assert client.endpoint == api.url


def test_the_problem_is_shown_in_two_lines_on_standard_error(batchyard, environ):
    environ.delenv("BATCHYARD_ENDPOINT")
    data = os.getcwd()
    result = batchyard("jobs", "--data", data)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == (
        f"batchyard: No server runs on the data directory {data}.\n  Start one: batchyard serve --data {data}\n"
    )
