"""`computeResources` of a managed environment: its rules, and the Capacity that decisions read.

Source: reference "Compute environments" (rules and texts) and "Allocation strategies and scaling". What only has a
meaning in AWS's network or images (subnets, security groups, roles, AMIs, launch templates, EC2 tags) is checked as
AWS checks it, shown again, and has no effect here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import UNSET

from batchyard.errors import ClientError
from batchyard.model import environments as env
from batchyard.model.environments import Capacity, InstanceType
from batchyard.model.needs import Needs
from batchyard.wire.shapes import ComputeResource, LaunchTemplateSpecification, LaunchTemplateSpecificationOverride

SERVICE_LINKED = "AWSServiceRoleForBatch"
VCPUS_MAX = 10**8
SUBNETS_MAX, GROUPS_MAX, OVERRIDES_MAX = 16, 5, 10
DELAY_MIN, DELAY_MAX = 20, 10_080  # minutes
IMAGE_TYPES = frozenset({"ECS_AL2", "ECS_AL2_NVIDIA", "ECS_AL2023", "ECS_AL2023_NVIDIA", "ECS_AL1"})
KEYWORD_DEFAULT = "default_x86_64"
CARVING = frozenset({"optimal", KEYWORD_DEFAULT})  # who leaves the choice to us gets what fits

_ON_DEMAND = (env.BEST_FIT, env.BEST_FIT_PROGRESSIVE, env.BEST_FIT_PROGRESSIVE_ORDERED)
STRATEGIES = {
    env.EC2: _ON_DEMAND,
    env.SPOT: (
        env.BEST_FIT,
        env.BEST_FIT_PROGRESSIVE,
        env.SPOT_CAPACITY_OPTIMIZED,
        env.SPOT_PRICE_CAPACITY_OPTIMIZED,
        env.SPOT_CAPACITY_OPTIMIZED_PRIORITIZED,
    ),
}
KINDS = (env.EC2, env.SPOT, env.FARGATE, env.FARGATE_SPOT)

_NOT_FOR_FARGATE = (
    "allocationStrategy", "bidPercentage", "desiredvCpus", "imageId", "instanceTypes", "ec2Configuration", "ec2KeyPair",
    "instanceRole", "launchTemplate", "minvCpus", "placementGroup", "spotIamFleetRole", "tags", "scalingPolicy",
)  # fmt: skip
_VERSION = re.compile(r"(?:|[0-9]+|\$Default|\$Latest)")


class Machines(Protocol):
    """The instance types there are (``catalogue.reader.Catalogue``)."""

    def resolve(self, names: Sequence[str]) -> tuple[InstanceType, ...]:
        """What the names stand for, in order; LookupError for one that is no type, family or keyword."""

    def is_arm(self, found: InstanceType) -> bool: ...

    def smallest_holding(self, needs: Needs) -> str | None:
        """The name of the smallest type on which jobs may hold so much; None if there is none."""


def of_managed_instances(kind: str) -> ClientError:
    return ClientError(
        f"managedInstancesProvider is for type ECS_MANAGED_INSTANCES, not for {kind}, and Batchyard lacks that type.",
        "Leave it out.",
    )


def is_service_linked(role: str) -> bool:
    return SERVICE_LINKED in role or "/aws-service-role/" in role


def admit(
    resources: ComputeResource, machines: Callable[[], Machines], types: tuple[InstanceType, ...] | None = None
) -> Capacity:
    """What the environment may hold, or ClientError. `types` are what its instanceTypes are known to stand for."""
    if resources.type not in KINDS:
        raise ClientError(
            f"computeResources.type {resources.type!r} is not supported by Batchyard.", f"Use {', '.join(KINDS)}."
        )
    if resources.managedInstancesProvider is not UNSET:
        raise of_managed_instances(resources.type)
    if resources.maxvCpus is UNSET:
        raise ClientError("Resource maxvCpus is required.")
    if not 1 <= resources.maxvCpus <= VCPUS_MAX:
        raise ClientError(f"maxvCpus must be between 1 and {VCPUS_MAX}, got {resources.maxvCpus}.", "Give whole vCPUs.")
    if resources.type in env.FARGATES:
        _check_fargate(resources)
        return Capacity(resources.type, resources.maxvCpus * 1000, strategy="")
    _check_instances(resources)
    least = resources.minvCpus
    desired = least if resources.desiredvCpus is UNSET else resources.desiredvCpus
    names = resources.instanceTypes or [KEYWORD_DEFAULT]
    return Capacity(
        kind=resources.type,
        max_cpu_milli=resources.maxvCpus * 1000,
        min_cpu_milli=least * 1000,
        desired_cpu_milli=desired * 1000,
        strategy=resources.allocationStrategy or env.BEST_FIT,
        bid_percent=100 if resources.bidPercentage is UNSET else resources.bidPercentage,
        types=_types(names, machines()) if types is None else types,
        carves=not CARVING.isdisjoint(names),
        linger_ms=_linger_ms(resources),
    )


def _check_fargate(resources: ComputeResource) -> None:
    for member in _NOT_FOR_FARGATE:
        if getattr(resources, member) is not UNSET:
            raise ClientError(f"{member} is not applicable for Fargate.")
    if len(resources.subnets or ()) > SUBNETS_MAX:
        raise ClientError(f"Fargate supports a maximum of {SUBNETS_MAX} subnets.")
    if not resources.securityGroupIds:
        raise ClientError("Security group ids are required.")
    if len(resources.securityGroupIds) > GROUPS_MAX:
        raise ClientError(f"Fargate supports a maximum of {GROUPS_MAX} security groups.")


def _check_instances(resources: ComputeResource) -> None:
    if resources.minvCpus is UNSET:
        raise ClientError("Resource minvCpus is required.")
    if resources.minvCpus < 0:
        raise ClientError("minvCpus should be greater than or equal to 0.")
    if resources.minvCpus > resources.maxvCpus:
        raise ClientError(
            f"minvCpus {resources.minvCpus} is more than maxvCpus {resources.maxvCpus}.",
            "Raise maxvCpus or give less.",
        )
    desired = resources.desiredvCpus
    if desired is not UNSET and not resources.minvCpus <= desired <= resources.maxvCpus:
        raise ClientError("desiredvCpus should be between minvCpus and maxvCpus.")
    strategy = resources.allocationStrategy or env.BEST_FIT
    if strategy not in STRATEGIES[resources.type]:
        raise ClientError(f"Invalid compute resource allocation strategy {strategy} for type {resources.type}")
    if resources.bidPercentage is not UNSET and not 0 <= resources.bidPercentage <= 100:
        raise ClientError("Bid percentage must be between 0 to 100.")
    if resources.type == env.SPOT and strategy == env.BEST_FIT and not resources.spotIamFleetRole:
        raise ClientError("compute resource spotIamFleetRole is required.")
    if not resources.instanceRole:
        raise ClientError("Instance role is required.")
    if not resources.securityGroupIds and resources.launchTemplate is UNSET:
        raise ClientError("Security group ids are required.")
    _check_images(resources)
    if resources.launchTemplate is not UNSET:
        _check_template(resources.launchTemplate, resources.instanceTypes or [])


def _check_images(resources: ComputeResource) -> None:
    entries = resources.ec2Configuration or []
    if len(entries) > 2:
        raise ClientError(f"ec2Configuration can hold at most 2 entries, got {len(entries)}.", "Leave some out.")
    for entry in entries:
        if entry.imageType not in IMAGE_TYPES:
            raise ClientError("Invalid imageType in ComputeResources.ec2Configuration")


def _check_template(template: LaunchTemplateSpecification, types: list[str]) -> None:
    overrides = template.overrides or []
    if not template.launchTemplateId and not template.launchTemplateName and not overrides:
        raise ClientError(
            "One of LaunchTemplateId and LaunchTemplateName or LaunchTemplate.overrides should be provided"
        )
    if not _VERSION.fullmatch(template.version or ""):
        raise ClientError("LaunchTemplateVersion must be either empty or a number or $Default or $Latest")
    if len(overrides) > OVERRIDES_MAX:
        raise ClientError(f"LaunchTemplate.overrides size cannot be greater than {OVERRIDES_MAX}")
    seen: set[str] = set()
    for override in overrides:
        _check_override(override, types, seen)


def _check_override(override: LaunchTemplateSpecificationOverride, types: list[str], seen: set[str]) -> None:
    targets = override.targetInstanceTypes or []
    if not targets:
        raise ClientError("LaunchTemplate.overrides.targetInstanceTypes[] is required")
    if bool(override.launchTemplateId) == bool(override.launchTemplateName):
        raise ClientError("LaunchTemplate.overrides should have either LaunchTemplateId or LaunchTemplateName")
    if not _VERSION.fullmatch(override.version or ""):
        raise ClientError("LaunchTemplateVersion must be either empty or a number or $Default or $Latest")
    if len(set(targets)) < len(targets) or not seen.isdisjoint(targets):
        raise ClientError("LaunchTemplate.overrides have duplicate targetInstanceTypes")
    if not set(targets) <= set(types):
        raise ClientError("LaunchTemplate.overrides have targetInstanceTypes that do not match")
    seen.update(targets)


def _types(names: list[str], machines: Machines) -> tuple[InstanceType, ...]:
    try:
        found = machines.resolve(names)
    except LookupError as error:
        raise ClientError(
            f"instanceTypes names {error.args[0]!r}, which is no instance type or family of this server's catalogue.",
            "Use types such as c5.large, families such as c5, or optimal.",
        ) from None
    if len({machines.is_arm(each) for each in found}) > 1:
        raise ClientError("arm-based instance type cannot be used with other instance types")
    return found


def _linger_ms(resources: ComputeResource) -> int | None:
    policy = resources.scalingPolicy
    if policy is UNSET or not policy.minScaleDownDelayMinutes:
        return None
    minutes = policy.minScaleDownDelayMinutes
    if not DELAY_MIN <= minutes <= DELAY_MAX:
        raise ClientError(
            f"minScaleDownDelayMinutes must be between {DELAY_MIN} and {DELAY_MAX}, got {minutes}.",
            "Give 0 to have the server's own delay.",
        )
    return minutes * 60_000
