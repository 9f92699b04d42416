"""STS through stock boto3: who one is, and errors in the Query protocol's XML."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from tests.api.caller import KEY_ID, client, signed

FORM = {"content_type": "application/x-www-form-urlencoded; charset=utf-8"}


def test_the_caller_is_the_user_of_its_key_in_the_account_of_the_settings(server):
    who = client(server.app, "sts").get_caller_identity()
    assert who["Account"] == "123456789012"
    assert who["Arn"] == f"arn:aws:iam::123456789012:user/{KEY_ID}"
    assert who["UserId"] == KEY_ID


def test_other_operations_are_refused_by_name(server):
    with pytest.raises(ClientError) as refused:
        client(server.app, "sts").assume_role(RoleArn="arn:aws:iam::123456789012:role/r", RoleSessionName="session")
    error = refused.value.response["Error"]
    assert error["Code"] == "InvalidAction"
    assert error["Message"] == "There is no operation AssumeRole. Actions served here: GetCallerIdentity."


def test_a_signature_for_another_service_is_refused(server):
    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    answer = signed(server.app, "POST", "/", body, service="batch", **FORM)
    assert answer.status == 403
    assert b"<Code>SignatureDoesNotMatch</Code>" in answer.body
    assert b"Credential should be scoped to correct service: sts, not batch." in answer.body


def test_a_form_anywhere_else_is_no_call_of_sts(server):
    answer = signed(server.app, "POST", "/v1/nope", b"Action=GetCallerIdentity", **FORM)
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (404, "UnknownOperationException")
    assert answer.headers["content-type"] == "application/json"
