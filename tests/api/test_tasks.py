"""What tasks ask while they run: who may, what they get, and what nobody else sees of it."""

from __future__ import annotations

import json
import logging

import msgspec
import pytest

from batchyard.model import states, tasktokens
from batchyard.model.jobs import TERMINATE
from batchyard.ports import AttemptRow
from tests.api import caller
from tests.api.memory import Progress

ROLE = "arn:aws:iam::123456789012:role/reader"
ENVIRONMENT = 1
HOST = [("host", "127.0.0.1:22824")]


def attempt(number: int = 1, started_ms: int | None = 2000, stopped_ms: int | None = None, **more) -> AttemptRow:
    return AttemptRow(number, ENVIRONMENT, "i-0", 1000, started_ms, stopped_ms, None, None, None, None, None)._replace(
        **more
    )


@pytest.fixture
def run(server):
    """Submits a job of this container and opens an attempt of it; returns the attempt's id."""

    def run(container: dict | None = None, *attempts: AttemptRow, **submit) -> str:
        server.furnish(container=container or {}, retryStrategy={"attempts": 3})
        job = server.submit(**submit)
        index = 0 if "arrayProperties" in submit else -1
        server.store.states[job, index] = Progress(states.RUNNING, attempts=list(attempts) or [attempt()])
        return f"{job}.1" if index < 0 else f"{job}:{index}.1"

    return run


def ask(
    server, named: str, door: str, *more: str, shown: str | None = None, container: str = "", query: str = ""
) -> tuple:
    """Status and body; the token is right unless another is `shown`."""
    token = tasktokens.token(caller.TASK_KEY, door, named, container) if shown is None else shown
    path = tasktokens.path(named, door)
    if door == "v4":
        path += f"/{container}/{token}{''.join(more)}"
        shown_in = []
    else:
        shown_in = [("authorization", f"Bearer {token}" if door == "start" else token)]
    answer = caller.call(server.app, "GET", caller.ENDPOINT + path + query, [*HOST, *shown_in])
    return answer.status, json.loads(answer.body)


# -- start ------------------------------------------------------------------------------------------------------------


def test_the_slot_gets_what_its_containers_need(server, run):
    server.grants.secrets = {("db", "us-east-1"): "pass", ("splunk", "us-east-1"): "tok"}
    server.grants.registries["reg"] = {"username": "u", "password": "p"}
    named = run(
        {
            "image": "zip:s3://apps/a.zip",
            "jobRoleArn": ROLE,
            "executionRoleArn": ROLE,
            "secrets": [{"name": "DB", "valueFrom": "db"}],
            "repositoryCredentials": {"credentialsParameter": "reg"},
            "logConfiguration": {
                "logDriver": "splunk",
                "secretOptions": [{"name": "splunk-token", "valueFrom": "splunk"}],
            },
        }
    )
    assert ask(server, named, "start") == (
        200,
        {
            "secrets": {"default": {"DB": "pass"}},
            "auth": {"default": {"username": "u", "password": "p"}},
            "log": {"default": {"splunk-token": "tok"}},
            "zip": {"default": {"url": "https://fetch/s3://apps/a.zip", "headers": {"X-Role": ROLE}}},
            "error": None,
        },
    )


def test_a_secret_that_is_missing_is_named_with_its_variable_and_others_are_kept_back(server, run):
    server.grants.secrets = {("there", "us-east-1"): "pass"}
    secrets = [{"name": "A", "valueFrom": "there"}, {"name": "B", "valueFrom": "gone"}]
    status, told = ask(server, run({"executionRoleArn": ROLE, "secrets": secrets}), "start")
    assert status == 200
    assert told["error"] == "ResourceInitializationError: unable to pull secrets or registry auth: B: gone is nowhere"
    assert told["secrets"] == {}


def test_a_process_is_not_kept_from_starting_by_what_only_containers_need(server, run):
    container = {
        "executionRoleArn": ROLE,
        "repositoryCredentials": {"credentialsParameter": "gone"},
        "logConfiguration": {"logDriver": "splunk", "secretOptions": [{"name": "splunk-token", "valueFrom": "gone"}]},
    }
    named = run(container)
    assert "gone is nowhere" in ask(server, named, "start")[1]["error"]
    assert ask(server, named, "start", query="?process")[1]["error"] is None


def test_a_child_of_an_array_asks_for_itself(server, run):
    named = run(None, arrayProperties={"size": 2})
    assert ask(server, named, "start")[0] == 200
    assert ask(server, named.replace(":0.", ":1."), "start")[0] == 403, "it has no attempt"


# -- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shown", ["", "x", "Bearer ", "0" * 64, "é"])
@pytest.mark.parametrize("door", ["start", "credentials"])
def test_another_token_opens_nothing(server, run, door, shown):
    status, told = ask(server, run({"jobRoleArn": ROLE}), door, shown=shown)
    assert (status, told["message"].split(".")[0]) == (403, "The token is not that of this task")


def test_a_token_opens_its_own_door_only(server, run):
    named = run({"jobRoleArn": ROLE})
    of_credentials = tasktokens.token(caller.TASK_KEY, "credentials", named)
    assert ask(server, named, "start", shown=of_credentials)[0] == 403
    assert ask(server, named, "v4", container="default", shown=of_credentials)[0] == 403
    of_default = tasktokens.token(caller.TASK_KEY, "v4", named, "default")
    assert ask(server, named, "v4", container="other", shown=of_default)[0] == 403


def test_without_a_token_or_with_several_nothing_is_told(server, run):
    path = caller.ENDPOINT + tasktokens.path(run(), "start")
    assert caller.call(server.app, "GET", path, HOST).status == 403
    two = [("authorization", "Bearer a"), ("authorization", "Bearer b")]
    assert caller.call(server.app, "GET", path, [*HOST, *two]).status == 403


@pytest.mark.parametrize(
    "attempts", [[attempt(stopped_ms=3000)], [attempt(number=2)], []], ids=["over", "another", "none"]
)
def test_an_attempt_that_is_not_open_gets_nothing(server, run, attempts):
    named = run({"jobRoleArn": ROLE}, attempt())
    job = named.removesuffix(".1")
    server.store.states[job, -1].attempts[:] = attempts
    for door in ("start", "credentials"):
        status, told = ask(server, named, door)
        assert (status, told["message"].split(".")[0]) == (403, f"Attempt {job}")


@pytest.mark.parametrize("named", ["x.1", "0a1b2c3d-0000-4000-8000-000000000000.1", "%00", "..", "a b"])
def test_attempts_that_nobody_knows_are_refused(server, named):
    path = f"/x/tasks/{named}/start".replace(" ", "%20")
    token = tasktokens.token(caller.TASK_KEY, "start", named.replace("%00", "\0"))
    answer = caller.call(server.app, "GET", caller.ENDPOINT + path, [*HOST, ("authorization", f"Bearer {token}")])
    assert answer.status == 403


@pytest.mark.parametrize("headers", [[("host", "evil.example")], [*HOST, ("origin", "http://evil.example")]])
def test_web_pages_and_foreign_hosts_are_refused_as_everywhere(server, run, headers):
    named = run()
    shown = ("authorization", f"Bearer {tasktokens.token(caller.TASK_KEY, 'start', named)}")
    path = caller.ENDPOINT + tasktokens.path(named, "start")
    assert caller.call(server.app, "GET", path, [*headers, shown]).status == 403


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "start"), ("GET", "v4"), ("GET", "start/a/b"), ("GET", "secrets"), ("GET", "")]
)
def test_other_paths_there_are_none(server, run, method, path):
    url = f"{caller.ENDPOINT}/x/tasks/{run()}/{path}"
    assert caller.call(server.app, method, url, [*HOST, ("authorization", "x")]).status == 404


# -- credentials ------------------------------------------------------------------------------------------------------


def test_credentials_are_worded_as_ecs_does(server, run):
    server.grants.roles = {ROLE}
    named = run({"jobRoleArn": "reader"})
    status, told = ask(server, named, "credentials")
    assert status == 200
    session = told.pop("Token")
    assert told == {
        "RoleArn": ROLE,
        "AccessKeyId": "ASIA1",
        "SecretAccessKey": "s3cret",
        "Expiration": "2026-11-28T13:00:00Z",
    }
    assert (
        session == f"{server.describe(named.removesuffix('.1'))['container']['taskArn'].rpartition('/')[2]}@us-east-1"
    )


def test_why_there_are_no_credentials_is_told(server, run):
    named = run({"jobRoleArn": ROLE})
    status, told = ask(server, named, "credentials")
    assert status == 400
    assert told["message"].startswith(f"There are no credentials: role {ROLE} cannot be assumed.")


def test_a_job_without_a_role_has_none(server, run):
    status, told = ask(server, run(), "credentials")
    assert (status, told["message"].endswith("has no role. Give one in jobRoleArn or taskRoleArn.")) == (400, True)


# -- metadata ---------------------------------------------------------------------------------------------------------


def test_a_container_is_described_as_ecs_does(server, run):
    named = run()
    status, told = ask(server, named, "v4", container="default")
    shown = server.describe(named.removesuffix(".1"))["container"]
    assert status == 200
    assert (told["Name"], told["Image"], told["Type"]) == ("default", "busybox", "NORMAL")
    assert told["Limits"] == {"CPU": 1024, "Memory": 128}
    assert (told["DesiredStatus"], told["KnownStatus"]) == ("RUNNING", "RUNNING")
    assert (told["CreatedAt"], told["StartedAt"]) == ("1970-01-01T00:00:01.000Z", "1970-01-01T00:00:02.000Z")
    assert len(told["DockerId"]) == 64
    cluster = shown["taskArn"].split("/")[1]
    assert told["Labels"] == {
        "com.amazonaws.ecs.cluster": cluster,
        "com.amazonaws.ecs.container-name": "default",
        "com.amazonaws.ecs.task-arn": shown["taskArn"],
        "com.amazonaws.ecs.task-definition-family": "hello",
        "com.amazonaws.ecs.task-definition-version": "1",
    }
    assert told["LogOptions"] == {
        "awslogs-group": "/aws/batch/job",
        "awslogs-region": "us-east-1",
        "awslogs-stream": shown["logStreamName"],
    }


def test_a_task_is_described_with_its_containers(server, run):
    named = run()
    _, container = ask(server, named, "v4", container="default")
    status, told = ask(server, named, "v4", "/task", container="default")
    assert status == 200
    assert told["Containers"] == [container]
    assert (told["Family"], told["Revision"], told["LaunchType"]) == ("hello", "1", "EC2")
    assert told["TaskARN"] == container["Labels"]["com.amazonaws.ecs.task-arn"]
    assert "Limits" not in told


def test_a_task_that_has_not_started_or_is_to_stop_is_described_so(server, run):
    named = run(None, attempt(started_ms=None, instance=""))
    server.store.states[named.removesuffix(".1"), -1].stop_kind = TERMINATE
    _, told = ask(server, named, "v4", "/task", container="default")
    assert (told["DesiredStatus"], told["KnownStatus"], told["LaunchType"]) == ("STOPPED", "CREATED", "FARGATE")
    assert told["Limits"] == {"CPU": 1.0, "Memory": 128}
    assert told["Cluster"].startswith("arn:aws:ecs:us-east-1:123456789012:cluster/AWSBatch-ce-")
    assert "StartedAt" not in told["Containers"][0]


def test_tags_of_the_task_are_told_where_they_are_asked_for(server, run):
    named = run(None, tags={"team": "blue"}, propagateTags=True)
    assert "TaskTags" not in ask(server, named, "v4", "/task", container="default")[1]
    assert ask(server, named, "v4", "/taskWithTags", container="default")[1]["TaskTags"]["team"] == "blue"


@pytest.mark.parametrize("below", ["/stats", "/task/stats", "/nothing"])
def test_what_is_not_told_is_said(server, run, below):
    assert ask(server, run(), "v4", below, container="default")[0] == 404


# -- what others see --------------------------------------------------------------------------------------------------


def test_no_log_line_holds_a_token_or_a_secret(server, run, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    server.grants.secrets = {("db", "us-east-1"): "pass-phrase"}
    named = run({"executionRoleArn": ROLE, "secrets": [{"name": "DB", "valueFrom": "db"}]})
    assert ask(server, named, "start")[1]["secrets"] == {"default": {"DB": "pass-phrase"}}
    assert ask(server, named, "v4", container="default")[0] == 200
    monkeypatch.setattr(server.store, "region_of", lambda uuid: 1 / 0)
    assert ask(server, named, "v4", "/task", container="default")[0] == 500
    said = caplog.text
    assert f"/x/tasks/{named}/start" in said
    assert f"/x/tasks/{named}/v4" in said
    tokens = {tasktokens.token(caller.TASK_KEY, *of) for of in [("start", named), ("v4", named, "default")]}
    assert not [secret for secret in ("pass-phrase", *tokens) if secret in said]


def test_a_secret_is_not_in_what_describes_the_job(server, run):
    server.grants.secrets = {("db", "us-east-1"): "pass-phrase"}
    named = run({"executionRoleArn": ROLE, "secrets": [{"name": "DB", "valueFrom": "db"}]})
    ask(server, named, "start")
    job = named.removesuffix(".1")
    shown = caller.signed(server.app, "GET", f"/x/jobs/{job}").body + msgspec.json.encode(server.describe(job))
    assert b'"valueFrom":"db"' in shown
    assert b"pass-phrase" not in shown
