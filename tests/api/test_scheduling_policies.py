"""Scheduling policies, and shares of jobs, through a stock client: what is answered, and what is refused and how."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

ARN = "arn:aws:batch:us-east-1:123456789012:scheduling-policy/"
ROLE = "arn:aws:iam::123456789012:role/batch"
NEEDS = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}]
FAIR = {"shareDecaySeconds": 3600, "computeReservation": 20, "shareDistribution": [{"shareIdentifier": "a*"}]}


def refused(call, **members) -> str:
    with pytest.raises(ClientError) as caught:
        call(**members)
    assert caught.value.response["Error"]["Code"] == "ClientException"
    return caught.value.response["Error"]["Message"]


def queue(batch, name="q", **members) -> str:
    places = batch.describe_compute_environments()["computeEnvironments"]
    if not places:
        batch.create_compute_environment(computeEnvironmentName="ce", type="UNMANAGED", serviceRole=ROLE)
    order = [{"order": 1, "computeEnvironment": "ce"}]
    batch.create_job_queue(jobQueueName=name, priority=1, computeEnvironmentOrder=order, **members)
    return name


def define(batch, name="d", **members) -> str:
    container = {"image": "busybox", "command": ["true"], "resourceRequirements": NEEDS}
    batch.register_job_definition(jobDefinitionName=name, type="container", containerProperties=container, **members)
    return name


def test_a_policy_is_described_as_it_was_created(server):
    batch = server.batch
    created = batch.create_scheduling_policy(name="fair", fairsharePolicy=FAIR, tags={"team": "a"})
    assert (created["name"], created["arn"]) == ("fair", ARN + "fair")
    plain = batch.create_scheduling_policy(name="plain")["arn"]
    found = batch.describe_scheduling_policies(arns=[ARN + "fair", ARN + "nobody", plain, plain])["schedulingPolicies"]
    assert [each["arn"] for each in found] == [ARN + "fair", plain], "unknown ones are left out"
    assert found[0]["fairsharePolicy"] == FAIR and found[0]["tags"] == {"team": "a"}
    defaults = {"shareDecaySeconds": 0, "computeReservation": 0, "shareDistribution": []}
    assert found[1]["fairsharePolicy"] == defaults and "quotaSharePolicy" not in found[1]


def test_an_update_replaces_the_policy_and_keeps_its_tags(server):
    batch = server.batch
    arn = batch.create_scheduling_policy(name="fair", fairsharePolicy=FAIR, tags={"team": "a"})["arn"]
    batch.update_scheduling_policy(arn=arn, fairsharePolicy={"computeReservation": 5})
    (found,) = batch.describe_scheduling_policies(arns=[arn])["schedulingPolicies"]
    assert found["fairsharePolicy"]["computeReservation"] == 5
    assert found["fairsharePolicy"]["shareDistribution"] == []
    assert found["tags"] == {"team": "a"}


def test_policies_are_listed_page_by_page_with_their_arns_alone(server):
    batch = server.batch
    made = [batch.create_scheduling_policy(name=f"p{number}")["arn"] for number in range(5)]
    pages = list(batch.get_paginator("list_scheduling_policies").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(page["schedulingPolicies"]) for page in pages] == [2, 2, 1]
    assert [each for page in pages for each in page["schedulingPolicies"]] == [{"arn": arn} for arn in made]
    assert "maxResults must be between 1 and 100" in refused(batch.list_scheduling_policies, maxResults=101)
    assert "nextToken is not valid" in refused(batch.list_scheduling_policies, nextToken="x")


@pytest.mark.parametrize("operation", ["update", "delete"])
def test_a_policy_is_named_by_its_arn_alone(server, operation):
    call = getattr(server.batch, f"{operation}_scheduling_policy")
    more = {"fairsharePolicy": {}} if operation == "update" else {}
    assert refused(call, arn="fair", **more) == "Only scheduling policy Arn can be allowed."
    assert refused(call, arn=ARN + "nobody", **more) == f"{ARN}nobody does not exist"
    elsewhere = "arn:aws:batch:eu-west-1:123456789012:scheduling-policy/fair"
    assert refused(call, arn=elsewhere, **more) == f"{elsewhere} does not exist"


def test_what_describe_refuses(server):
    describe = server.batch.describe_scheduling_policies
    assert refused(describe, arns=["fair"]) == "Only scheduling policy Arn can be allowed."
    assert "arns must have 1 to 100 entries, got 0" in refused(describe, arns=[])
    assert "1 to 100 entries, got 101" in refused(describe, arns=[f"{ARN}{n}" for n in range(101)])


def test_a_policy_in_use_stays(server):
    batch = server.batch
    arn = batch.create_scheduling_policy(name="fair")["arn"]
    assert refused(batch.create_scheduling_policy, name="fair") == "Object already exists"
    queue(batch, schedulingPolicyArn=arn)
    assert "existing JobQueue relationship" in refused(batch.delete_scheduling_policy, arn=arn)
    other = batch.create_scheduling_policy(name="other")["arn"]
    batch.update_job_queue(jobQueue="q", schedulingPolicyArn=other)
    assert batch.describe_job_queues(jobQueues=["q"])["jobQueues"][0]["schedulingPolicyArn"] == other
    batch.delete_scheduling_policy(arn=arn)
    assert batch.describe_scheduling_policies(arns=[arn])["schedulingPolicies"] == []


def test_a_queue_keeps_its_kind(server):
    batch = server.batch
    arn = batch.create_scheduling_policy(name="fair")["arn"]
    queue(batch)
    text = refused(batch.update_job_queue, jobQueue="q", schedulingPolicyArn=arn)
    assert "cannot be given one later" in text
    assert "schedulingPolicyArn" not in batch.describe_job_queues(jobQueues=["q"])["jobQueues"][0]
    queue(batch, "f", schedulingPolicyArn=arn)
    assert refused(batch.update_job_queue, jobQueue="f", schedulingPolicyArn="") == (
        "Only scheduling policy Arn can be allowed."
    )
    order = [{"order": 1, "computeEnvironment": "ce"}]
    given = {"jobQueueName": "g", "priority": 1, "computeEnvironmentOrder": order, "schedulingPolicyArn": ARN + "none"}
    assert refused(batch.create_job_queue, **given) == f"SchedulingPolicy {ARN}none not found."


def test_policies_bear_tags(server):
    batch = server.batch
    arn = batch.create_scheduling_policy(name="fair", tags={"a": "1"})["arn"]
    batch.tag_resource(resourceArn=arn, tags={"b": "2"})
    batch.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert batch.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2"}
    assert batch.describe_scheduling_policies(arns=[arn])["schedulingPolicies"][0]["tags"] == {"b": "2"}
    assert "does not exist" in refused(batch.list_tags_for_resource, resourceArn=ARN + "nobody")


def test_share_and_priority_are_shown_wherever_the_job_is(server):
    batch = server.batch
    queue(batch, "f", schedulingPolicyArn=batch.create_scheduling_policy(name="fair")["arn"])
    queue(batch, "q")
    define(batch, schedulingPriority=3)
    given = {"jobName": "j", "jobDefinition": "d"}
    fair = batch.submit_job(jobQueue="f", shareIdentifier="team-a", schedulingPriorityOverride=9, **given)["jobId"]
    array = batch.submit_job(jobQueue="f", shareIdentifier="team-b", arrayProperties={"size": 2}, **given)["jobId"]
    fifo = batch.submit_job(jobQueue="q", **given)["jobId"]
    shown = {each["jobId"]: each for each in batch.describe_jobs(jobs=[fair, array + ":1", fifo])["jobs"]}
    assert (shown[fair]["shareIdentifier"], shown[fair]["schedulingPriority"]) == ("team-a", 9)
    assert (shown[array + ":1"]["shareIdentifier"], shown[array + ":1"]["schedulingPriority"]) == ("team-b", 3)
    assert "shareIdentifier" not in shown[fifo]
    listed = batch.list_jobs(jobQueue="f", jobStatus="SUBMITTED")["jobSummaryList"]
    assert [each["shareIdentifier"] for each in listed] == ["team-b", "team-a"]


def test_jobs_are_listed_by_share_in_all_states_or_in_one(server):
    batch = server.batch
    queue(batch, "f", schedulingPolicyArn=batch.create_scheduling_policy(name="fair")["arn"])
    define(batch, schedulingPriority=0)
    for share in ("a", "ab", "b"):
        batch.submit_job(jobName=share, jobQueue="f", jobDefinition="d", shareIdentifier=share)

    def listed(value, **members):
        filters = [{"name": "SHARE_IDENTIFIER", "values": [value]}]
        return [each["jobName"] for each in batch.list_jobs(jobQueue="f", filters=filters, **members)["jobSummaryList"]]

    assert listed("a") == ["a"]
    assert listed("a*") == ["ab", "a"]
    assert listed("a", jobStatus="SUBMITTED") == ["a"]
    assert listed("a", jobStatus="RUNNING") == []


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({}, "shareIdentifier must be specified."),
        (
            {"shareIdentifier": "a"},
            "Either schedulingPriority in job definition or schedulingPriorityOverride should be specified.",
        ),
        ({"shareIdentifier": "a b", "schedulingPriorityOverride": 1}, "ShareIdentifier name should match"),
    ],
)
def test_what_a_fair_share_queue_refuses(server, members, text):
    batch = server.batch
    queue(batch, "f", schedulingPolicyArn=batch.create_scheduling_policy(name="fair")["arn"])
    define(batch)
    assert refused(batch.submit_job, jobName="j", jobQueue="f", jobDefinition="d", **members).startswith(text)
