"""UpdateComputeEnvironment of managed environments: what is merged, what is refused, and in which words."""

from __future__ import annotations

import msgspec
import pytest

from batchyard.admission import environments
from batchyard.catalogue.reader import built_in
from batchyard.errors import ClientError
from batchyard.model.environments import Capacity
from batchyard.ports import EnvironmentRow
from batchyard.wire.shapes import UpdateComputeEnvironmentRequest
from tests.admission.test_managed import EC2, FARGATE, SPOT, admitted

PROGRESSIVE = EC2 | {"allocationStrategy": "BEST_FIT_PROGRESSIVE"}
LINKED = "arn:aws:iam::1:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"


def row(resources: dict, enabled: bool = True, **members) -> EnvironmentRow:
    body = msgspec.json.decode(admitted(resources, **members).body)
    return EnvironmentRow(1, "us-east-1", "ce", "uuid", "MANAGED", "local", enabled, body)


def update(current: EnvironmentRow, resources: dict, held: int = 0, **members):
    """The new members, and the capacity that the scheduler is told."""
    values = {"computeEnvironment": "ce", "computeResources": resources} | members
    request = msgspec.convert(values, UpdateComputeEnvironmentRequest)
    change = environments.admit_change(request, current, 5, b"key", built_in, lambda: held)
    return change.members, change.members["capacity"]


def refused(current: EnvironmentRow, resources: dict, text: str, held: int = 0, **members) -> None:
    with pytest.raises(ClientError) as raised:
        update(current, resources, held, **members)
    assert text in raised.value.message


def test_bounds_change_and_everything_else_stays():
    current = row(EC2 | {"scalingPolicy": {"minScaleDownDelayMinutes": 30}})
    before = msgspec.convert(current.body["capacity"], Capacity)
    members, capacity = update(current, {"minvCpus": 2, "maxvCpus": 32, "desiredvCpus": 4})
    assert capacity == before._replace(min_cpu_milli=2000, max_cpu_milli=32_000, desired_cpu_milli=4000)
    assert members["computeResources"] == current.body["computeResources"] | {"minvCpus": 2, "maxvCpus": 32}


def test_a_delay_of_zero_minutes_takes_the_scaling_policy_away():
    current = row(EC2 | {"scalingPolicy": {"minScaleDownDelayMinutes": 30}})
    members, capacity = update(current, {"scalingPolicy": {"minScaleDownDelayMinutes": 0}})
    assert "scalingPolicy" not in members["computeResources"] and capacity.linger_ms is None
    members, capacity = update(current, {"scalingPolicy": {"minScaleDownDelayMinutes": 20}})
    assert capacity.linger_ms == 1_200_000


def test_what_was_desired_at_the_creation_is_not_desired_again():
    current = row(EC2 | {"desiredvCpus": 8})
    members, capacity = update(current, {"maxvCpus": 4})
    assert capacity.desired_cpu_milli == 0 and "desiredvCpus" not in members["computeResources"]


@pytest.mark.parametrize(
    ("resources", "text"),
    [
        ({"minvCpus": -1}, "minvCpus should be greater than or equal to 0."),
        ({"minvCpus": 17}, "minvCpus 17 is more than maxvCpus 16."),
        ({"maxvCpus": 0}, "maxvCpus must be between 1 and"),
        ({"desiredvCpus": 17}, "desiredvCpus should be between minvCpus and maxvCpus."),
        ({"desiredvCpus": 3}, "Manually scaling down compute environment is not supported. Disconnecting job queues"),
        ({"scalingPolicy": {"minScaleDownDelayMinutes": 19}}, "between 20 and 10080, got 19."),
        ({"type": "FARGATE"}, "type cannot be changed from EC2 to FARGATE."),
        ({"managedInstancesProvider": {}}, "managedInstancesProvider is for type ECS_MANAGED_INSTANCES"),
    ],
)
def test_bounds_are_refused_as_at_the_creation(resources, text):
    refused(row(PROGRESSIVE), resources, text, held=4)


def test_a_disabled_environment_launches_nothing_so_nothing_can_be_desired():
    refused(row(EC2, enabled=False), {"desiredvCpus": 4}, "cannot be raised while compute environment ce is DISABLED")
    _, capacity = update(row(EC2, enabled=False), {"desiredvCpus": 4}, state="ENABLED")
    assert capacity.desired_cpu_milli == 4000


@pytest.mark.parametrize("resources", [{"instanceTypes": ["m5"]}, {"bidPercentage": 50}, {"subnets": ["subnet-2"]}])
def test_infrastructure_changes_only_with_a_strategy_that_finds_other_types(resources):
    (member,) = resources
    refused(row(EC2), resources, f"{member} cannot be changed where allocationStrategy is BEST_FIT. Create another")


def test_infrastructure_changes_only_with_the_service_linked_role():
    current = row(PROGRESSIVE, serviceRole="arn:aws:iam::1:role/mine")
    refused(current, {"instanceTypes": ["m5"], "maxvCpus": 3}, "instanceTypes can only be changed where serviceRole is")
    _, capacity = update(current, {"maxvCpus": 3})
    assert capacity.max_cpu_milli == 3000, "bounds change with any role"
    update(row(PROGRESSIVE, serviceRole=LINKED), {"instanceTypes": ["m5"]})


def test_other_types_and_another_strategy():
    members, capacity = update(
        row(PROGRESSIVE), {"instanceTypes": ["m5.large", "c5"], "allocationStrategy": "BEST_FIT_PROGRESSIVE_ORDERED"}
    )
    assert (capacity.strategy, capacity.types[0].name) == ("BEST_FIT_PROGRESSIVE_ORDERED", "m5.large")
    assert members["computeResources"]["instanceTypes"] == ["m5.large", "c5"]
    _, capacity = update(row(PROGRESSIVE), {"instanceTypes": ["optimal"]})
    assert capacity.carves
    refused(row(PROGRESSIVE), {"instanceTypes": ["c5", "c6g"]}, "arm-based instance type cannot be used with other")
    refused(row(PROGRESSIVE), {"instanceTypes": ["none.large"]}, "instanceTypes names 'none.large'")


def test_on_demand_becomes_spot_with_a_strategy_of_spot():
    _, capacity = update(row(PROGRESSIVE), {"type": "SPOT", "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED"})
    assert (capacity.kind, capacity.strategy) == ("SPOT", "SPOT_CAPACITY_OPTIMIZED")
    refused(row(SPOT), {"type": "EC2"}, "Invalid compute resource allocation strategy SPOT_CAPACITY_OPTIMIZED for type")


def test_what_is_given_empty_is_gone():
    current = row(PROGRESSIVE | {"ec2KeyPair": "key", "imageId": "ami-1", "launchTemplate": {"launchTemplateId": "lt"}})
    resources = update(current, {"ec2KeyPair": "", "launchTemplate": {"launchTemplateId": ""}})[0]["computeResources"]
    assert "ec2KeyPair" not in resources and "launchTemplate" not in resources and resources["imageId"] == "ami-1"
    refused(current, {"securityGroupIds": [], "launchTemplate": {"launchTemplateId": ""}}, "Security group ids are")
    resources = update(current, {"imageId": "", "updateToLatestImageVersion": True})[0]["computeResources"]
    assert "imageId" not in resources and "updateToLatestImageVersion" not in resources, "it falls back to false"


def test_fargate_changes_its_bound_and_its_networks_and_nothing_else():
    members, capacity = update(row(FARGATE), {"maxvCpus": 4, "subnets": ["subnet-2"], "securityGroupIds": []})
    assert capacity.max_cpu_milli == 4000
    assert members["computeResources"]["subnets"] == ["subnet-2"]
    assert members["computeResources"]["securityGroupIds"] == ["sg-1"], "an empty list is ignored"
    for resources in ({"minvCpus": 1}, {"desiredvCpus": 1}, {"instanceTypes": ["c5"]}, {"scalingPolicy": {}}):
        refused(row(FARGATE), resources, f"{next(iter(resources))} is not applicable for Fargate.")
    refused(row(FARGATE), {"type": "FARGATE_SPOT"}, "type cannot be changed from FARGATE to FARGATE_SPOT.")
    update(row(FARGATE, serviceRole="arn:aws:iam::1:role/mine"), {"subnets": ["subnet-2"]})


def test_the_update_policy_is_kept_and_says_how_long_jobs_go_on():
    members, capacity = update(row(PROGRESSIVE), {"instanceTypes": ["m5"]})
    assert capacity.update_ms == 1_800_000 and "updatePolicy" not in members
    policy = {"jobExecutionTimeoutMinutes": 5}
    members, capacity = update(row(PROGRESSIVE), {"instanceTypes": ["m5"]}, updatePolicy=policy)
    assert members["updatePolicy"] == {"terminateJobsOnUpdate": False, "jobExecutionTimeoutMinutes": 5}
    assert capacity.update_ms == 300_000
    later = row(PROGRESSIVE)
    later.body["updatePolicy"] = members["updatePolicy"]
    assert update(later, {"instanceTypes": ["m5"]})[1].update_ms == 300_000
    _, capacity = update(later, {"instanceTypes": ["m5"]}, updatePolicy={"terminateJobsOnUpdate": True})
    assert capacity.update_ms == 0
    for minutes in (0, 361):
        text = f"jobExecutionTimeoutMinutes must be between 1 and 360, got {minutes}."
        refused(later, {"maxvCpus": 3}, text, updatePolicy={"jobExecutionTimeoutMinutes": minutes})


def test_what_the_change_was_made_of_goes_with_it():
    current = row(PROGRESSIVE)
    request = {"computeEnvironment": "ce", "computeResources": {"maxvCpus": 3}}
    change = environments.admit_change(
        msgspec.convert(request, UpdateComputeEnvironmentRequest), current, 5, b"key", built_in, lambda: 0
    )
    assert change.seen == {"computeResources": current.body["computeResources"], "updatePolicy": None}
