"""Credentials of roles: assumed once, renewed in time; and what S3 requests are signed with."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from urllib.parse import parse_qs

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from batchyard import config
from batchyard.grants.desk import Desk
from batchyard.grants.remembered import Remembered
from batchyard.ports.grants import NotGranted
from tests.grants.conftest import KEYS, NOW_S

ROLE = "arn:aws:iam::123456789012:role/reader"
SESSION = "0" * 32


def assumed(key_id: str, expires_s: float = NOW_S + 3600) -> tuple[int, bytes]:
    at = datetime.fromtimestamp(expires_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.123Z")
    return 200, (
        '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
        f"<AccessKeyId>{key_id}</AccessKeyId><SecretAccessKey>sec</SecretAccessKey><SessionToken>tok</SessionToken>"
        f"<Expiration>{at}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
    ).encode()


def test_a_role_is_assumed_in_the_session_of_the_task(desk, elsewhere):
    elsewhere.answers = [assumed("ASIA1")]
    given = desk(KEYS, sts_url=elsewhere.url).credentials(ROLE, SESSION, "eu-west-1")
    assert given == ("ASIA1", "sec", "tok", "2026-09-21T15:13:20Z")
    assert "sec" not in repr(given)
    (asked,) = elsewhere.asked
    form = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
    assert form == {
        "Action": "AssumeRole",
        "Version": "2011-06-15",
        "RoleArn": ROLE,
        "RoleSessionName": SESSION,
        "DurationSeconds": "3600",
    }
    assert "/eu-west-1/sts/aws4_request" in asked.headers["authorization"]


def test_the_same_are_given_until_five_minutes_before_they_expire(elsewhere, tmp_path):
    elsewhere.answers = [assumed("ASIA1"), assumed("ASIA2", NOW_S + 7200)]
    now = [0.0]
    known: Remembered = Remembered(lambda: now[0])
    desk = _desk(tmp_path, elsewhere, known)
    first = desk.credentials(ROLE, SESSION, "us-east-1")
    now[0] = 3600 - 301
    assert desk.credentials(ROLE, SESSION, "us-east-1") == first
    now[0] = 3600 - 299
    assert desk.credentials(ROLE, SESSION, "us-east-1").key_id == "ASIA2"
    assert desk.credentials(ROLE, "f" * 32, "us-east-1").key_id == "ASIA2", "another task is asked for"
    assert len(elsewhere.asked) == 3


def _desk(tmp_path, elsewhere, roles: Remembered) -> Desk:
    settings = config.load({"data": str(tmp_path), "sts_url": elsewhere.url}, environ={})
    desk = Desk(settings, KEYS, str, lambda: NOW_S)
    desk._roles = roles
    return desk


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            (403, b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"),
            "AccessDenied: no",
        ),
        ((200, b"<a/>"), "answered without credentials"),
        ((200, b"nonsense"), "something else than XML"),
        ((200, b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'), "something else than XML"),
    ],
)
def test_why_a_role_cannot_be_assumed_is_told(desk, elsewhere, answer, said):
    elsewhere.answers = [answer]
    with pytest.raises(NotGranted, match=ROLE) as refused:
        desk(KEYS, sts_url=elsewhere.url).credentials(ROLE, SESSION, "us-east-1")
    assert said in str(refused.value)


def test_without_a_place_to_assume_it_the_setting_is_named(desk):
    with pytest.raises(NotGranted, match="sts_url"):
        desk(KEYS).credentials(ROLE, SESSION, "us-east-1")


# -- archives ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["app.zip", "a b/ü+%2F~/app.zip", "a//b/../c.zip"])
def test_an_object_is_asked_for_as_botocore_would(desk, elsewhere, key):
    found = desk(KEYS, job_endpoints=f"s3={elsewhere.url}").download(f"s3://apps/{key}", None, SESSION, "eu-west-1")
    assert found.url.startswith(f"{elsewhere.url}/apps/")
    at = found.headers["X-Amz-Date"]
    assert at == time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(NOW_S))
    request = AWSRequest("GET", found.url, headers={"X-Amz-Content-Sha256": found.headers["X-Amz-Content-Sha256"]})
    request.context["timestamp"] = at
    auth = botocore.auth.S3SigV4Auth(Credentials(*KEYS.values()), "s3", "eu-west-1")
    request.headers["X-Amz-Date"] = at
    request.headers["Host"] = found.url.split("/")[2]
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    assert found.headers["Authorization"].endswith(f"Signature={signature}")


def test_a_jobs_role_fetches_its_application(desk, elsewhere):
    elsewhere.answers = [assumed("ASIA1")]
    found = desk(KEYS, sts_url=elsewhere.url).download("s3://apps/a.zip", ROLE, SESSION, "us-east-1")
    assert found.url == "https://apps.s3.us-east-1.amazonaws.com/a.zip"
    assert "Credential=ASIA1/" in found.headers["Authorization"]
    assert found.headers["X-Amz-Security-Token"] == "tok"


def test_without_any_credentials_it_is_asked_for_as_anybody_may(desk):
    assert desk().download("s3://my.apps/a.zip", ROLE, SESSION, "us-east-1") == (
        "https://s3.us-east-1.amazonaws.com/my.apps/a.zip",
        {},
    )


def test_other_addresses_are_fetched_as_they_are(desk):
    assert desk(KEYS).download("https://x.test/a.zip", None, SESSION, "us-east-1") == ("https://x.test/a.zip", {})


@pytest.mark.parametrize("address", ["s3://", "s3://apps", "s3://apps/"])
def test_an_address_of_no_object_is_refused(desk, address):
    with pytest.raises(NotGranted, match="must be s3://BUCKET/KEY"):
        desk(KEYS).download(address, None, SESSION, "us-east-1")
