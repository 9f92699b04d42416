"""Errors as they leave; that botocore reads each of them is shown in tests/parity/test_codec.py."""

import json
from xml.etree import ElementTree

import pytest

from batchyard.errors import ClientError, ResourceNotFound, UnknownKey
from batchyard.wire import rest_json
from batchyard.wire.faults import render


def test_batch_errors_have_the_type_in_the_header_only():
    status, headers, body = render(ClientError("JobQueue nope not found."), "batch", "r-1")
    assert status == 400
    assert dict(headers) == {
        b"content-type": b"application/json",
        b"x-amzn-errortype": b"ClientException",
        b"x-amzn-requestid": b"r-1",
    }
    assert json.loads(body) == {"message": "JobQueue nope not found."}


def test_logs_errors_have_it_in_the_body_too():
    status, headers, body = render(ResourceNotFound("The specified log stream does not exist."), "logs", "r-1")
    assert status == 400
    assert dict(headers)[b"content-type"] == b"application/x-amz-json-1.1"
    assert dict(headers)[b"x-amzn-errortype"] == b"ResourceNotFoundException"
    assert json.loads(body) == {
        "__type": "ResourceNotFoundException",
        "message": "The specified log stream does not exist.",
    }


def test_sts_errors_are_xml_under_the_names_that_its_clients_know():
    status, headers, body = render(UnknownKey("No <key> & no \x00 way."), "sts", "r-1")
    assert status == 403
    assert dict(headers)[b"content-type"] == b"text/xml"
    told = ElementTree.fromstring(body)
    place = {"sts": "https://sts.amazonaws.com/doc/2011-06-15/"}
    assert told.findtext("sts:Error/sts:Code", namespaces=place) == "InvalidClientTokenId"
    assert told.findtext("sts:Error/sts:Message", namespaces=place) == "No <key> & no ? way."
    assert told.findtext("sts:Error/sts:Type", namespaces=place) == "Sender"
    assert told.findtext("sts:RequestId", namespaces=place) == "r-1"


def test_malformed_bodies_get_the_type_in_the_body():
    with pytest.raises(ClientError) as refused:
        rest_json.decode("SubmitJob", b"{", {}, "")
    assert json.loads(render(refused.value, "batch", "r-1")[2])["__type"] == "ClientException"


@pytest.mark.parametrize("service", ["batch", "logs", "extra"])
@pytest.mark.parametrize("error", [KeyError("/secret/path"), ValueError("/secret/path"), Exception("/secret/path")])
def test_our_own_failures_show_nothing_of_the_inside(error, service):
    status, headers, body = render(error, service, "r-1")
    assert status == 500
    assert dict(headers)[b"x-amzn-errortype"] == b"ServerException"
    assert b"secret" not in body
    assert "r-1" in json.loads(body)["message"]


def test_text_that_is_not_unicode_can_still_be_answered():
    assert json.loads(render(ClientError("bad \udcff"), "batch", "r-1")[2]) == {"message": "bad ?"}
