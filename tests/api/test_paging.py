"""Pages of Describe calls through stock boto3, and tokens that fit one listing of one caller alone."""

from __future__ import annotations

import base64
import itertools

import pytest
from botocore.exceptions import ClientError

from tests.api.caller import client
from tests.api.conftest import Server
from tests.api.test_batch import ARN, refusal

KINDS = {
    # operation: (its list of names, the member that names one of a result, names that there are, ARNs begin with)
    "describe_compute_environments": ("computeEnvironments", "computeEnvironmentName", "compute-environment/"),
    "describe_job_queues": ("jobQueues", "jobQueueName", "job-queue/"),
    "describe_job_definitions": ("jobDefinitions", "jobDefinitionName", "job-definition/"),
}
NAMES = [f"n{number}" for number in range(7)]


@pytest.fixture
def many(server) -> Server:
    """Seven of each kind; seven revisions in all."""
    for name in NAMES:
        server.batch.create_compute_environment(computeEnvironmentName=name, type="UNMANAGED", serviceRole="r")
        order = [{"order": 1, "computeEnvironment": name}]
        server.batch.create_job_queue(jobQueueName=name, priority=1, computeEnvironmentOrder=order)
        server.define(name)
    return server


def described(server, operation, **members) -> list[str]:
    member, name, _ = KINDS[operation]
    return [each[name] for each in getattr(server.batch, operation)(**members)[member]]


@pytest.mark.parametrize("operation", KINDS)
@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 8])
def test_pages_of_any_size_make_the_whole_without_gaps(many, operation, size):
    member, name, _ = KINDS[operation]
    pages = list(many.batch.get_paginator(operation).paginate(PaginationConfig={"PageSize": size}))
    assert [each[name] for page in pages for each in page[member]] == NAMES
    assert all(len(page[member]) == size for page in pages[:-1])
    assert "nextToken" not in pages[-1]


@pytest.mark.parametrize("operation", KINDS)
def test_names_and_arns_bring_what_there_is_and_leave_out_the_rest(many, operation):
    member, _, kind = KINDS[operation]
    suffix = ":1" if operation == "describe_job_definitions" else ""
    given = ["n3" + suffix, f"{ARN}{kind}n1{suffix}", "nope" + suffix, f"{ARN}{kind}nope{suffix}", "n3" + suffix]
    assert described(many, operation, **{member: given}) == ["n3", "n1"]
    elsewhere = f"{ARN}{kind}n1{suffix}".replace("us-east-1", "eu-west-1")
    assert described(many, operation, **{member: [elsewhere]}) == []
    assert described(many, operation, **{member: []}) == NAMES


@pytest.mark.parametrize("operation", KINDS)
def test_names_exclude_paging(many, operation):
    member, _, _ = KINDS[operation]
    call = getattr(many.batch, operation)
    title = member[0].upper() + member[1:]
    assert refusal(call, **{member: ["n1"]}, maxResults=5) == f"{title} and MaxResults cannot both be set"
    assert refusal(call, **{member: ["n1"]}, nextToken="x") == f"{title} and NextToken cannot both be set"
    assert "at most 100 entries, got 101" in refusal(call, **{member: [f"x{n}" for n in range(101)]})
    for size in (0, 101, -1):
        assert f"maxResults must be between 1 and 100, got {size}." in refusal(call, maxResults=size)


def test_revisions_are_listed_newest_first_by_name_and_status(many):
    for _ in range(3):
        many.define("n1")
    rows = many.batch.describe_job_definitions(jobDefinitionName="n1", maxResults=3)
    assert [row["revision"] for row in rows["jobDefinitions"]] == [4, 3, 2]
    rest = many.batch.describe_job_definitions(jobDefinitionName="n1", maxResults=3, nextToken=rows["nextToken"])
    assert [row["revision"] for row in rest["jobDefinitions"]] == [1]
    assert many.batch.describe_job_definitions(jobDefinitionName="n1", status="INACTIVE")["jobDefinitions"] == []
    assert described(many, "describe_job_definitions", jobDefinitionName="n1", status="ACTIVE") == ["n1"] * 4
    assert "Use ACTIVE or INACTIVE" in refusal(many.batch.describe_job_definitions, status="DEAD")


def token_of(server, **members) -> str:
    return server.batch.describe_job_queues(maxResults=2, **members)["nextToken"]


def test_a_token_of_which_anything_was_changed_is_refused(many):
    token = token_of(many)
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    assert described(many, "describe_job_queues", nextToken=token, maxResults=2) == ["n2", "n3"]
    changed = [raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :] for place in range(len(raw))]
    tokens = [base64.urlsafe_b64encode(each).decode().rstrip("=") for each in changed]
    tokens += [token + "A", token[:-1], token + "=", "x", "é", "AAAA", " " + token, token + "\n", token.upper()]
    for tampered in tokens:
        text = refusal(many.batch.describe_job_queues, nextToken=tampered, maxResults=2)
        assert text.startswith("nextToken is not valid for this DescribeJobQueues request.")


def test_a_token_fits_no_other_operation_region_or_server(many, tmp_path):
    token = token_of(many)
    assert "not valid for this DescribeComputeEnvironments" in refusal(
        many.batch.describe_compute_environments, nextToken=token
    )
    elsewhere = client(many.app, "batch", "eu-west-1")
    assert "nextToken is not valid" in refusal(elsewhere.describe_job_queues, nextToken=token)


def test_a_token_of_another_key_is_refused(many, monkeypatch):
    token = token_of(many)
    monkeypatch.setattr("tests.api.caller.SECRET", "another-secret")
    stranger = client(many.app, "batch")
    with pytest.raises(ClientError, match="nextToken is not valid"):
        stranger.describe_job_queues(nextToken=token)


def test_a_page_may_have_another_size_than_the_one_before(many):
    seen, token = [], None
    for size in itertools.cycle((1, 3, 2)):
        page = many.batch.describe_job_queues(maxResults=size, **({"nextToken": token} if token else {}))
        seen += [queue["jobQueueName"] for queue in page["jobQueues"]]
        token = page.get("nextToken")
        if token is None:
            break
    assert seen == NAMES
