"""CreateComputeEnvironment and CreateJobQueue: refusals in AWS's words, and what is stored."""

from __future__ import annotations

import msgspec
import pytest

from batchyard.admission import environments, queues
from batchyard.catalogue.reader import built_in
from batchyard.errors import ClientError
from batchyard.wire import shapes
from tests.admission.requests import ABSENT, without_absent

PRETEND = {"batchyard:provider": "pretend"}
ROLE = "arn:aws:iam::123456789012:role/batch"
FOUND = {
    name: queues.FoundEnvironment(number, name, kind)
    for number, (name, kind) in enumerate([("a", "EC2"), ("b", "SPOT"), ("c", "EC2"), ("f", "FARGATE")], 1)
} | {"arn:a": queues.FoundEnvironment(1, "a", "EC2")}

POLICIES = {"arn:aws:batch:us-east-1:1:scheduling-policy/fair": 8}


def environment(**members):
    given = {"computeEnvironmentName": "ce", "type": "UNMANAGED", "serviceRole": ROLE} | members
    request = msgspec.convert(without_absent(given), shapes.CreateComputeEnvironmentRequest)
    return environments.admit(request, "us-east-1", "uuid", 5, built_in)


def queue(*names, **members):
    order = [{"order": number, "computeEnvironment": name} for number, name in enumerate(names, 1)]
    given = {"jobQueueName": "q", "priority": 1, "computeEnvironmentOrder": order} | members
    request = msgspec.convert(without_absent(given), shapes.CreateJobQueueRequest)
    return queues.admit(request, FOUND.get, POLICIES.get, "us-east-1", 5)


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"computeEnvironmentName": "a b"}, "Compute Environment name 'a b' should match a valid pattern."),
        ({"computeEnvironmentName": ""}, "should match a valid pattern"),
        ({"state": "DISABLED"}, "Compute Environment must be created in ENABLED state."),
        ({"serviceRole": ABSENT}, "ServiceRole is required."),
        ({"serviceRole": ""}, "ServiceRole is required."),
        (
            {"serviceRole": "arn:aws:iam::1:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"},
            "Service Linked Role cannot be used with UNMANAGED Compute Environment",
        ),
        (
            {"type": "MANAGED", "unmanagedvCpus": 4},
            "unmanagedvCpus is not applicable for managed Compute Environments",
        ),
        ({"type": "MANAGED"}, "computeResources is required for a MANAGED compute environment. Give type, minvCpus"),
        ({"eksConfiguration": {"eksClusterArn": "x", "kubernetesNamespace": "y"}}, "(eksConfiguration) yet"),
        (
            {"tags": {"batchyard:provider": "moon"}},
            "names 'moon', which is no provider of this server. Use one of: local, pretend;",
        ),
        ({"tags": PRETEND}, "A pretend compute environment is as large as it says, but ce does not."),
        ({"tags": PRETEND, "unmanagedvCpus": -1}, "Give computeResources.maxvCpus, 0 or more."),
        (
            {"tags": PRETEND | {"batchyard:memory": "4 GB"}, "unmanagedvCpus": 1},
            "batchyard:memory has the value '4 GB'",
        ),
    ],
)
def test_environments_refused(members, text):
    with pytest.raises(ClientError) as raised:
        environment(**members)
    assert text in raised.value.message


def test_an_environment_keeps_what_was_given():
    resources = {"type": "EC2", "maxvCpus": 8, "subnets": ["s"], "minvCpus": 0}
    new = environment(computeResources=resources, unmanagedvCpus=3, tags={"batchyard:provider": "local"})
    assert (new.kind, new.provider, new.enabled, new.uuid, new.created_ms) == ("UNMANAGED", "local", True, "uuid", 5)
    stored = msgspec.json.decode(new.body)
    assert stored["computeResources"] == resources and stored["unmanagedvCpus"] == 3 and stored["serviceRole"] == ROLE
    assert environment().provider == "local"


def test_a_pretend_environment_is_a_provider_of_its_own_and_as_large_as_it_says():
    resources = {"type": "EC2", "maxvCpus": 8, "subnets": ["s"]}
    new = environment(computeResources=resources, tags=PRETEND | {"batchyard:memory": "100"})
    assert new.provider == "pretend/uuid"
    assert msgspec.json.decode(new.body)["room"][:2] == [8000, 100]
    wide = msgspec.json.decode(environment(unmanagedvCpus=2, tags=PRETEND).body)["room"]
    assert wide[0] == 2000 and wide[1] > 10**9, "memory is unlimited unless it is tagged"
    assert "room" not in msgspec.json.decode(environment(unmanagedvCpus=2).body)


LIMIT = {"reason": "r", "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "CANCEL"}
SERVICE = {"computeEnvironmentOrder": ABSENT, "serviceEnvironmentOrder": [{"order": 1, "serviceEnvironment": "s"}]}


@pytest.mark.parametrize(
    ("names", "members", "text"),
    [
        ("a", {"jobQueueName": "a/b"}, "Job Queue name should match a valid pattern."),
        ("a", {"computeEnvironmentOrder": ABSENT}, "computeEnvironmentOrder is required."),
        ("", {}, "computeEnvironmentOrder is required."),
        ("abcf", {}, "Only 3 environments are allowed in job queue request."),
        (
            "",
            {"computeEnvironmentOrder": [{"order": 1, "computeEnvironment": name} for name in "ab"]},
            "Duplicate ComputeEnvironment order values.",
        ),
        ("aa", {}, "Duplicate ComputeEnvironments within order list."),
        (("a", "arn:a"), {}, "Duplicate ComputeEnvironments within order list."),
        ("af", {}, "Fargate and EC2 compute environments can not be mixed."),
        ("x", {}, "Compute Environments must be created and valid before attaching them to a job queue"),
        ("a", {"schedulingPolicyArn": "fair"}, "Only scheduling policy Arn can be allowed."),
        (
            "a",
            {"schedulingPolicyArn": "arn:aws:batch:r:1:scheduling-policy/p"},
            "SchedulingPolicy arn:aws:batch:r:1:scheduling-policy/p not found.",
        ),
        ("a", {"jobQueueType": "EKS"}, "its compute environments make it ECS"),
        (
            "a",
            {"jobQueueType": "SAGEMAKER_TRAINING"},
            "Job queues of type SAGEMAKER_TRAINING must have serviceEnvironmentOrder.",
        ),
        ("", SERVICE, "Service environments must be created and valid before attaching them to a job queue."),
        (
            "",
            SERVICE | {"serviceEnvironmentOrder": SERVICE["serviceEnvironmentOrder"] * 2},
            "Job queue can only have 1 service environment.",
        ),
        (
            "",
            SERVICE | {"jobQueueType": "ECS"},
            "The jobQueueType provided is ECS, which is incompatible with the provided serviceEnvironmentOrder.",
        ),
        (
            "a",
            {"jobStateTimeLimitActions": [LIMIT]},
            "jobStateTimeLimitActions[0].reason is 'r', which is none of the reasons",
        ),
    ],
)  # fmt: skip
def test_queues_refused(names, members, text):
    with pytest.raises(ClientError) as raised:
        queue(*names, **members)
    assert text in raised.value.message


def test_a_queue_tries_its_environments_by_their_order_values():
    order = [{"order": 10, "computeEnvironment": "a"}, {"order": -1, "computeEnvironment": "b"}]
    new = queue(computeEnvironmentOrder=order, state="DISABLED", priority=-5)
    assert (new.environments, new.enabled, new.priority) == ((2, 1), False, -5)
    stored = msgspec.json.decode(new.body)
    assert [entry["computeEnvironment"] for entry in stored["computeEnvironmentOrder"]] == ["b", "a"]
    assert stored["jobQueueType"] == "ECS"


def test_the_type_of_a_queue_says_what_it_can_run():
    fargate = msgspec.json.decode(queue("f").body)["jobQueueType"]
    assert fargate == "ECS_FARGATE" and queues.capability(fargate) == "FARGATE"
    assert queues.capability("ECS") == "EC2"
