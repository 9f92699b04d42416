"""What an order gives a task to ask the server with."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from batchyard import config
from batchyard.executors.contract import order
from batchyard.executors.granting import Granting
from batchyard.model import endpoints, tasktokens
from batchyard.model.jobs import AttemptSpec
from batchyard.model.needs import Needs

UUID = "0a1b2c3d-0000-4000-8000-000000000000"
URL = "http://127.0.0.1:22824"
KEY = bytes(32)
ROLE = {"jobRoleArn": "arn:aws:iam::123456789012:role/reader"}
STS = {"AWS_ENDPOINT_URL_STS": "http://127.0.0.1:5000"}


def spec(attempt: str = f"{UUID}.1", **container) -> AttemptSpec:
    return AttemptSpec(
        attempt, UUID, "job", -1, 0, 1, "us-east-1", "q", "ce", "d", Needs(1000, 64, 0), None, 0,
        {"command": ["true"]} | container,
    )  # fmt: skip


@pytest.fixture
def granting(tmp_path):
    """What a server gives that has these settings and this environment."""
    (tmp_path / "endpoint").write_text(f"{URL}\n")

    def make(environ=(), **settings) -> Granting:
        return Granting(config.load({"data": str(tmp_path)} | settings, environ={}), KEY, dict(environ))

    return make


@pytest.fixture
def ordered(granting):
    """The order of a job by its container, under settings and an environment of the server."""

    def make(container=(), environ=(), attempt=f"{UUID}.1", **settings):
        given = granting(environ, **settings)
        return order(spec(attempt, **dict(container)), given.settings, dict(environ), granting=given)

    return make


def test_a_job_with_a_role_is_told_where_its_credentials_are(ordered):
    env = ordered(ROLE, STS)["env"]
    assert env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == f"{URL}/x/tasks/{UUID}.1/credentials"
    assert env["AWS_CONTAINER_AUTHORIZATION_TOKEN"] == tasktokens.token(KEY, "credentials", f"{UUID}.1")


@pytest.mark.parametrize(
    ("container", "environ"),
    [({}, STS), (ROLE, {}), (ROLE, {"AWS_ENDPOINT_URL_STS": "http://localhost:22824"})],
    ids=["no role", "nowhere to assume it", "our own sts, which assumes nothing"],
)
def test_without_role_or_place_to_assume_it_no_credentials_are_promised(ordered, container, environ):
    assert not [name for name in ordered(container, environ)["env"] if name.startswith("AWS_CONTAINER")]


def test_each_door_has_a_token_of_its_own():
    doors = [("start", ""), ("credentials", ""), ("v4", "a"), ("v4", "b")]
    tokens = {tasktokens.token(KEY, door, "A.1", name) for door, name in doors}
    tokens |= {tasktokens.token(KEY, "start", "A.2"), tasktokens.token(bytes([1] * 32), "start", "A.1")}
    assert len(tokens) == 6


def test_metadata_is_at_an_address_that_needs_no_header(ordered):
    address = ordered(attempt=f"{UUID}#3.2")["env"]["ECS_CONTAINER_METADATA_URI_V4"]
    assert re.fullmatch(rf"{URL}/x/tasks/{UUID}%233\.2/v4/default/[0-9a-f]{{64}}", address)
    assert urlsplit(address).fragment == ""


ZIPPED = {"image": "zip:s3://bucket/app.zip"}
NEEDS_SECRETS = {"secrets": [{"name": "A", "valueFrom": "b"}]}
ONLY_IN_CONTAINERS = [
    {"repositoryCredentials": {"credentialsParameter": "registry"}},
    {"logConfiguration": {"logDriver": "splunk", "secretOptions": [{"name": "splunk-token", "valueFrom": "t"}]}},
]


@pytest.mark.parametrize("container", [NEEDS_SECRETS, ZIPPED, *ONLY_IN_CONTAINERS])
def test_who_needs_what_no_order_may_hold_is_told_where_to_ask(granting, container):
    assert granting().ask(spec(), {"default": container}) == {
        "url": f"{URL}/x/tasks/{UUID}.1/start",
        "token": tasktokens.token(KEY, "start", f"{UUID}.1"),
    }


def test_a_process_needs_no_registry_and_no_log_driver(granting):
    assert granting().ask(spec(), {"default": NEEDS_SECRETS}, in_containers=False)["url"].endswith("/start?process")
    assert [granting().ask(spec(), {"default": each}, in_containers=False) for each in ONLY_IN_CONTAINERS] == [None] * 2


@pytest.mark.parametrize("container", [{}, {"secrets": []}, {"image": "zip:file:///srv/app.zip"}, {"image": "bb:2"}])
def test_others_need_not_ask(ordered, container):
    assert ordered(container)["ask"] is None


def test_endpoints_of_the_server_are_passed_on_but_not_its_own(ordered):
    environ = {
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9000",
        "AWS_ENDPOINT_URL_BATCH": "http://localhost:22824/",
        "AWS_ENDPOINT_URL": "",
        "AWS_SECRET_ACCESS_KEY": "no",
    }
    env = ordered((), environ)["env"]
    assert {name: value for name, value in env.items() if name.startswith("AWS_ENDPOINT")} == {
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9000"
    }
    assert "AWS_SECRET_ACCESS_KEY" not in env


def test_endpoints_that_are_set_are_the_ones(ordered):
    env = ordered(
        (),
        {"AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:1"},
        job_endpoints=f"http://127.0.0.1:5000/?a=b,cloudwatch-logs={URL}",
    )["env"]
    assert {name: value for name, value in env.items() if name.startswith("AWS_ENDPOINT")} == {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:5000/?a=b",
        "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": URL,
    }


def test_what_the_job_says_of_endpoints_wins_and_what_it_says_of_ecs_does_not(ordered):
    said = {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1", "ECS_CONTAINER_METADATA_URI_V4": "mine"}
    container = {"environment": [{"name": name, "value": value} for name, value in said.items()]}
    env = ordered(container, {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9000"})["env"]
    assert env["AWS_ENDPOINT_URL_S3"] == "http://127.0.0.1:1"
    assert env["ECS_CONTAINER_METADATA_URI_V4"].startswith(URL)


@pytest.mark.parametrize("value", ["s3=ftp://x", "a b=http://x", "nothing"])
def test_endpoints_that_are_none_are_refused(value):
    with pytest.raises(config.SettingError, match="job_endpoints"):
        config.load({"job_endpoints": value}, environ={})


@pytest.mark.parametrize(
    ("url", "own", "ours"),
    [
        ("http://localhost:22824", URL, True),
        ("http://[::1]:22824/x", URL, True),
        ("http://127.0.0.1:22825", URL, False),
        ("http://example.test:22824", URL, False),
        ("https://sts.amazonaws.com", "http://localhost:443", False),
        ("http://[", URL, False),
        (URL, "", False),
    ],
)
def test_our_own_address_is_known_under_its_other_names(url, own, ours):
    assert endpoints.leads_to(url, own) is ours
