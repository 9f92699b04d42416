"""UpdateComputeEnvironment and UpdateJobQueue: refusals in AWS's words, and what is to be changed."""

from __future__ import annotations

import msgspec
import pytest

from batchyard.admission import environments, queues
from batchyard.catalogue.reader import built_in
from batchyard.errors import ClientError
from batchyard.model.jobs import EnvironmentChange, QueueChange
from batchyard.model.needs import Needs
from batchyard.ports import EnvironmentRow, QueueRow
from batchyard.wire import shapes
from tests.admission.test_environments_and_queues import FOUND, POLICIES, ROLE

LINKED = "arn:aws:iam::1:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"
HERE = EnvironmentRow(1, "us-east-1", "ce", "uuid", "UNMANAGED", "local", True, {"serviceRole": ROLE})
QUEUE = QueueRow(9, "us-east-1", "q", 1, True, (1,), {"jobQueueType": "ECS"})
(FAIR,) = POLICIES
LIMIT = {
    "reason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
    "state": "RUNNABLE",
    "maxTimeSeconds": 600,
    "action": "CANCEL",
}


def environment(current=HERE, **members):
    request = msgspec.convert({"computeEnvironment": "ce"} | members, shapes.UpdateComputeEnvironmentRequest)
    return environments.admit_change(request, current, 5, b"key", built_in, lambda: 0)


def queue(*names, current=QUEUE, **members):
    if names:
        order = [{"order": number, "computeEnvironment": name} for number, name in enumerate(names, 1)]
        members["computeEnvironmentOrder"] = order
    request = msgspec.convert({"jobQueue": "q"} | members, shapes.UpdateJobQueueRequest)
    return queues.admit_change(request, FOUND.get, POLICIES.get, current, 5, b"key")


ONE_OF = "One of [state | compute-resources | service-role | unmanaged-vcpus] is required."


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({}, ONE_OF),
        ({"context": "x"}, ONE_OF),
        ({"updatePolicy": {"terminateJobsOnUpdate": True}}, ONE_OF),
        ({"computeResources": {}}, ONE_OF),
        ({"state": "DISABLED", "updatePolicy": {}}, "updatePolicy cannot be changed of ce, an UNMANAGED"),
        ({"computeResources": {"maxvCpus": 3}}, "computeResources cannot be changed of ce, an UNMANAGED"),
        ({"eksConfiguration": {}}, "changing eksConfiguration"),
        ({"ecsSettings": {}}, "changing ecsSettings"),
        ({"serviceRole": ""}, "ServiceRole is required."),
        ({"serviceRole": LINKED}, "Service Linked Role cannot be used with UNMANAGED Compute Environment"),
        ({"unmanagedvCpus": -1}, "unmanagedvCpus must be 0 or more, got -1."),
    ],
)
def test_changes_of_environments_refused(members, text):
    with pytest.raises(ClientError) as raised:
        environment(**members)
    assert text in raised.value.message


def test_unmanaged_vcpus_are_not_for_managed_environments():
    with pytest.raises(ClientError, match="unmanagedvCpus is not applicable for managed Compute Environments"):
        environment(HERE._replace(kind="MANAGED"), unmanagedvCpus=4)


def test_a_change_of_an_environment_names_what_was_given_and_nothing_else():
    off = EnvironmentChange("us-east-1", "ce", 5, b"key", False, {})
    assert environment(state="DISABLED") == off
    given = environment(state="ENABLED", serviceRole="new", unmanagedvCpus=4, context="mine")
    assert given == off._replace(enabled=True, members={"serviceRole": "new", "unmanagedvCpus": 4, "context": "mine"})
    assert environment(unmanagedvCpus=0).enabled is None


def test_a_pretend_environment_that_has_its_size_from_unmanaged_vcpus_changes_it():
    body = {"room": [2000, 64, 10], "unmanagedvCpus": 2}
    pretend = HERE._replace(provider="pretend/uuid", body=body)
    assert environment(pretend, unmanagedvCpus=5).members["room"] == Needs(5000, 64, 10)
    sized = pretend._replace(body=body | {"computeResources": {"maxvCpus": 2}})
    assert environment(sized, unmanagedvCpus=5).members == {"unmanagedvCpus": 5}


@pytest.mark.parametrize(
    ("names", "members", "text"),
    [
        ((), {}, "UpdateJobQueue names nothing to change of job queue q. Give one of state, priority"),
        ((), {"computeEnvironmentOrder": []}, "computeEnvironmentOrder is required."),
        (("a", "b", "c", "a"), {}, "Only 3 environments are allowed in job queue request."),
        (("a", "arn:a"), {}, "Duplicate ComputeEnvironments within order list."),
        (("a", "x"), {}, "Compute Environments must be created and valid before attaching them to a job queue"),
        (("a", "f"), {}, "Fargate and EC2 compute environments can not be mixed."),
        (("f",), {}, "Job queue q is of type ECS, and these compute environments would make it ECS_FARGATE."),
        ((), {"schedulingPolicyArn": "fair"}, "Only scheduling policy Arn can be allowed."),
        ((), {"schedulingPolicyArn": ""}, "Only scheduling policy Arn can be allowed."),
        ((), {"schedulingPolicyArn": FAIR}, "Job queue q has no scheduling policy, and a queue cannot be given one"),
        ((), {"serviceEnvironmentOrder": [{"order": 1, "serviceEnvironment": "s"}]}, "can have no service environment"),
        (
            (),
            {"serviceEnvironmentOrder": [{"order": n, "serviceEnvironment": "s"} for n in (1, 2)]},
            "Job queue can only have 1 service environment.",
        ),
        ((), {"priority": 3, "jobStateTimeLimitActions": [LIMIT, LIMIT]}, "Duplicate job state limit actions are not"),
    ],
)
def test_changes_of_queues_refused(names, members, text):
    with pytest.raises(ClientError) as raised:
        queue(*names, **members)
    assert text in raised.value.message


def test_a_queue_with_a_scheduling_policy_may_go_by_another_one():
    with_one = QUEUE._replace(policy="old")
    assert queue(current=with_one, schedulingPolicyArn=FAIR).policy == POLICIES[FAIR]
    assert queue(current=with_one, priority=3).policy is None, "it keeps what it has"


def test_equal_orders_are_refused():
    order = [{"order": 1, "computeEnvironment": name} for name in ("a", "b")]
    with pytest.raises(ClientError, match="Duplicate ComputeEnvironment order values."):
        queue(computeEnvironmentOrder=order)


def test_a_change_of_a_queue_names_what_was_given_and_nothing_else():
    plain = QueueChange("us-east-1", "q", 5, b"key")
    assert queue(priority=0) == plain._replace(priority=0)
    assert queue(state="DISABLED") == plain._replace(enabled=False)
    assert queue(jobStateTimeLimitActions=[]) == plain._replace(members={"jobStateTimeLimitActions": []})
    assert queue(jobStateTimeLimitActions=[LIMIT]) == plain._replace(members={"jobStateTimeLimitActions": [LIMIT]})
    moved = queue("b", "a", state="ENABLED")
    order = [{"order": 1, "computeEnvironment": "b"}, {"order": 2, "computeEnvironment": "a"}]
    assert moved == plain._replace(enabled=True, environments=(2, 1), members={"computeEnvironmentOrder": order})
