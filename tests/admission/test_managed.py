"""computeResources of managed environments: what becomes of them, and every text with which they are refused."""

from __future__ import annotations

import msgspec
import pytest

from batchyard.admission import environments
from batchyard.catalogue.reader import built_in
from batchyard.errors import ClientError
from batchyard.model.environments import Capacity
from batchyard.store.columns import environment_body
from batchyard.wire.shapes import CreateComputeEnvironmentRequest

EC2 = {
    "type": "EC2",
    "minvCpus": 0,
    "maxvCpus": 16,
    "instanceTypes": ["c5"],
    "subnets": ["subnet-1"],
    "securityGroupIds": ["sg-1"],
    "instanceRole": "ecsInstanceRole",
}
FARGATE = {"type": "FARGATE", "maxvCpus": 8, "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"]}
SPOT = EC2 | {"type": "SPOT", "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED"}


def admitted(resources: dict, **members):
    values = {"computeEnvironmentName": "ce", "type": "MANAGED", "computeResources": resources} | members
    request = msgspec.convert(values, CreateComputeEnvironmentRequest)
    return environments.admit(request, "us-east-1", "uuid", 5, built_in)


def capacity(resources: dict, **members) -> Capacity:
    return environment_body(admitted(resources, **members).body).capacity


def test_what_the_scheduler_is_told_of_an_environment_of_instances():
    found = capacity(EC2 | {"minvCpus": 2, "desiredvCpus": 4, "scalingPolicy": {"minScaleDownDelayMinutes": 30}})
    assert (found.kind, found.min_cpu_milli, found.desired_cpu_milli, found.max_cpu_milli) == (
        "EC2",
        2000,
        4000,
        16_000,
    )
    assert (found.strategy, found.bid_percent, found.carves, found.linger_ms) == ("BEST_FIT", 100, False, 1_800_000)
    assert [each.name for each in found.types][:2] == ["c5.large", "c5.xlarge"]


def test_who_leaves_the_choice_of_types_to_us_gets_what_fits():
    assert capacity({name: EC2[name] for name in EC2 if name != "instanceTypes"}).carves
    assert capacity(EC2 | {"instanceTypes": ["optimal"]}).carves
    assert capacity(EC2 | {"instanceTypes": ["optimal", "g5.xlarge"]}).types[-1].name == "g5.xlarge"


def test_fargate_is_bounded_by_its_vcpus_alone():
    assert capacity(FARGATE) == Capacity("FARGATE", 8000, strategy="")
    assert capacity(FARGATE | {"type": "FARGATE_SPOT"}).kind == "FARGATE_SPOT"


def test_what_was_asked_for_is_kept_as_it_was_given():
    assert msgspec.json.decode(admitted(EC2).body)["computeResources"] == EC2


def test_a_managed_environment_that_pretends_is_as_large_as_it_may_get():
    new = admitted(EC2, tags={"batchyard:provider": "pretend"})
    assert new.provider == "pretend/uuid"
    assert environment_body(new.body).room == (10**11, 10**11, 10**11)


@pytest.mark.parametrize(
    ("resources", "text"),
    [
        ({**EC2, "type": "MOON"}, "computeResources.type 'MOON' is not supported by Batchyard. Use EC2, SPOT, FARGATE"),
        ({**EC2, "maxvCpus": 0}, "maxvCpus must be between 1 and 100000000, got 0."),
        ({**EC2, "minvCpus": -1}, "minvCpus should be greater than or equal to 0."),
        ({**EC2, "minvCpus": 17}, "minvCpus 17 is more than maxvCpus 16."),
        ({n: EC2[n] for n in EC2 if n != "minvCpus"}, "Resource minvCpus is required."),
        ({**EC2, "desiredvCpus": 17}, "desiredvCpus should be between minvCpus and maxvCpus."),
        (
            {**EC2, "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED"},
            "Invalid compute resource allocation strategy SPOT_CAPACITY_OPTIMIZED for type EC2",
        ),
        (
            {**SPOT, "allocationStrategy": "BEST_FIT_PROGRESSIVE_ORDERED"},
            "Invalid compute resource allocation strategy BEST_FIT_PROGRESSIVE_ORDERED for type SPOT",
        ),
        ({**SPOT, "bidPercentage": 101}, "Bid percentage must be between 0 to 100."),
        ({**EC2, "type": "SPOT"}, "compute resource spotIamFleetRole is required."),
        ({n: EC2[n] for n in EC2 if n != "instanceRole"}, "Instance role is required."),
        ({**EC2, "securityGroupIds": []}, "Security group ids are required."),
        ({**EC2, "instanceTypes": ["c5", "m6g.large"]}, "arm-based instance type cannot be used with other instance"),
        ({**EC2, "instanceTypes": ["c99"]}, "instanceTypes names 'c99', which is no instance type or family of this"),
        (
            {**EC2, "ec2Configuration": [{"imageType": "BEOS"}]},
            "Invalid imageType in ComputeResources.ec2Configuration",
        ),
        ({**EC2, "scalingPolicy": {"minScaleDownDelayMinutes": 5}}, "must be between 20 and 10080, got 5."),
        ({**EC2, "launchTemplate": {}}, "One of LaunchTemplateId and LaunchTemplateName or LaunchTemplate.overrides"),
        (
            {**EC2, "launchTemplate": {"launchTemplateId": "lt-1", "version": "new"}},
            "LaunchTemplateVersion must be either empty or a number or $Default or $Latest",
        ),
        (
            {**EC2, "launchTemplate": {"launchTemplateId": "lt-1", "overrides": [{}] * 11}},
            "LaunchTemplate.overrides size cannot be greater than 10",
        ),
        (
            {**EC2, "launchTemplate": {"launchTemplateId": "lt-1", "overrides": [{"launchTemplateId": "lt-2"}]}},
            "LaunchTemplate.overrides.targetInstanceTypes[] is required",
        ),
        (
            {**EC2, "launchTemplate": {"overrides": [{"targetInstanceTypes": ["c5"]}]}},
            "LaunchTemplate.overrides should have either LaunchTemplateId or LaunchTemplateName",
        ),
        (
            {
                **EC2,
                "launchTemplate": {"overrides": [{"launchTemplateId": "lt-2", "targetInstanceTypes": ["c5"]}] * 2},
            },
            "LaunchTemplate.overrides have duplicate targetInstanceTypes",
        ),
        (
            {**EC2, "launchTemplate": {"overrides": [{"launchTemplateId": "lt-2", "targetInstanceTypes": ["m5"]}]}},
            "LaunchTemplate.overrides have targetInstanceTypes that do not match",
        ),
        ({**FARGATE, "minvCpus": 0}, "minvCpus is not applicable for Fargate."),
        ({**FARGATE, "instanceTypes": ["c5"]}, "instanceTypes is not applicable for Fargate."),
        ({**FARGATE, "allocationStrategy": "BEST_FIT"}, "allocationStrategy is not applicable for Fargate."),
        ({**FARGATE, "tags": {"a": "b"}}, "tags is not applicable for Fargate."),
        ({**FARGATE, "subnets": ["s"] * 17}, "Fargate supports a maximum of 16 subnets."),
        ({**FARGATE, "securityGroupIds": ["s"] * 6}, "Fargate supports a maximum of 5 security groups."),
    ],
)
def test_resources_refused(resources, text):
    with pytest.raises(ClientError) as raised:
        capacity(resources)
    assert text in raised.value.message


def test_members_of_the_other_kind_of_environment_are_refused():
    with pytest.raises(ClientError, match="unmanagedvCpus is not applicable for managed Compute Environments"):
        capacity(EC2, unmanagedvCpus=4)
