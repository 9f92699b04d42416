"""The requests that the trials (``trials.py``) start from, and values of members where the model's types do not lead to
a sensible one."""

from __future__ import annotations

from typing import Any

REGION, UUID, NOW_MS = "us-east-1", "0b7f2c52-6f0e-4f7e-9b5e-2d1f6a4c8e10", 1_763_673_500_000
ACCOUNT = "123456789012"
POLICY = f"arn:aws:batch:{REGION}:{ACCOUNT}:scheduling-policy/p"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/any"

NEEDS = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}]
DEFINITION: dict[str, Any] = {
    "jobDefinitionName": "base",
    "type": "container",
    "parameters": {"x": "1"},
    "containerProperties": {"image": "busybox", "command": ["echo", "Ref::x"], "resourceRequirements": NEEDS},
}
NODES: dict[str, Any] = {
    "type": "multinode",
    "nodeProperties": {
        "numNodes": 2,
        "mainNode": 0,
        "nodeRangeProperties": [
            {"targetNodes": "0:", "container": {"image": "busybox", "command": ["date"], "resourceRequirements": NEEDS}}
        ],
    },
}
TASK: dict[str, Any] = {
    "ecsProperties": {
        "taskProperties": [
            {"containers": [{"name": "c", "image": "host", "command": ["date"], "resourceRequirements": NEEDS}]}
        ]
    }
}
SUBMISSION: dict[str, Any] = {"jobName": "base", "jobQueue": "base", "jobDefinition": "base"}
ENVIRONMENT: dict[str, Any] = {"computeEnvironmentName": "base", "type": "UNMANAGED", "serviceRole": ROLE}
MANAGED: dict[str, Any] = {
    "computeEnvironmentName": "base",
    "type": "MANAGED",
    "computeResources": {
        "type": "SPOT",
        "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED",
        "minvCpus": 0,
        "maxvCpus": 16,
        "instanceTypes": ["c5"],
        "subnets": ["subnet-1"],
        "securityGroupIds": ["sg-1"],
        "instanceRole": "any",
    },
}
QUEUE: dict[str, Any] = {
    "jobQueueName": "base",
    "priority": 1,
    "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "one"}],
}

# Values to try where the model's types do not lead to a sensible one: what to merge into the base, by member.
VOLUME = {"name": "v", "host": {"sourcePath": "/srv"}}
QUOTA = {"fairsharePolicy": None, "quotaSharePolicy": {"idleResourceAssignmentStrategy": "FIFO"}}
TIMEOUT = {"attemptDurationSeconds": 600}
LIMITS = {
    "jobStateTimeLimitActions": [
        {
            "reason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
            "state": "RUNNABLE",
            "maxTimeSeconds": 600,
            "action": "CANCEL",
        }
    ]
}
SAMPLES: dict[str, tuple[dict[str, Any], ...]] = {
    "RegisterJobDefinition.parameters": ({"parameters": {"x": "2"}},),
    "RegisterJobDefinition.platformCapabilities": tuple(
        {"platformCapabilities": [each], "containerProperties": {"executionRoleArn": ROLE}}
        for each in ("EC2", "FARGATE", "MANAGED_INSTANCES")
    ),
    "RegisterJobDefinition.containerProperties": (
        {"containerProperties": {"image": "busybox", "command": ["date"], "resourceRequirements": NEEDS}},
    ),
    "RegisterJobDefinition.containerProperties.vcpus": (
        {"containerProperties": {"vcpus": 2, "resourceRequirements": NEEDS[1:]}},
    ),
    "RegisterJobDefinition.containerProperties.memory": (
        {"containerProperties": {"memory": 64, "resourceRequirements": NEEDS[:1]}},
    ),
    "RegisterJobDefinition.containerProperties.resourceRequirements": (
        {"containerProperties": {"resourceRequirements": [*NEEDS[1:], {"type": "VCPU", "value": "2"}]}},
        {"containerProperties": {"resourceRequirements": [*NEEDS, {"type": "GPU", "value": "1"}]}},
    ),
    "RegisterJobDefinition.containerProperties.volumes": (
        {
            "containerProperties": {
                "volumes": [VOLUME],
                "mountPoints": [{"sourceVolume": "v", "containerPath": "/srv"}],
            }
        },
    ),
    "RegisterJobDefinition.containerProperties.mountPoints": (
        {
            "containerProperties": {
                "volumes": [VOLUME],
                "mountPoints": [{"sourceVolume": "v", "containerPath": "/srv"}],
            }
        },
    ),
    "RegisterJobDefinition.containerProperties.secrets": (
        {"containerProperties": {"secrets": [{"name": "S", "valueFrom": "arn:x"}], "executionRoleArn": ROLE}},
    ),
    "RegisterJobDefinition.containerProperties.linuxParameters": (
        {"containerProperties": {"linuxParameters": {"initProcessEnabled": True}}},
    ),
    "RegisterJobDefinition.containerProperties.logConfiguration": (
        {"containerProperties": {"logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/mine"}}}},
    ),
    "RegisterJobDefinition.containerProperties.environment": (
        {"containerProperties": {"environment": [{"name": "A", "value": "1"}]}},
    ),
    "RegisterJobDefinition.retryStrategy": ({"retryStrategy": {"attempts": 3}},),
    "RegisterJobDefinition.retryStrategy.attempts": ({"retryStrategy": {"attempts": 3}},),
    "RegisterJobDefinition.retryStrategy.evaluateOnExit": (
        {"retryStrategy": {"attempts": 1, "evaluateOnExit": [{"action": "EXIT", "onReason": "*"}]}},
    ),
    "RegisterJobDefinition.timeout": ({"timeout": TIMEOUT},),
    "RegisterJobDefinition.timeout.attemptDurationSeconds": ({"timeout": TIMEOUT},),
    "RegisterJobDefinition.consumableResourceProperties": (
        {"consumableResourceProperties": {"consumableResourceList": [{"consumableResource": "c", "quantity": 1}]}},
    ),
    "RegisterJobDefinition.ecsProperties": (TASK | {"containerProperties": None},),
    "RegisterJobDefinition.eksProperties": (
        {"containerProperties": None, "eksProperties": {"podProperties": {"containers": [{"image": "i"}]}}},
    ),
    "RegisterJobDefinition.nodeProperties": (NODES | {"containerProperties": None},),
    "RegisterJobDefinition.type": (
        {"type": "container"},
        NODES | {"containerProperties": None},
    ),
    "SubmitJob.ecsPropertiesOverride": (
        {"ecsPropertiesOverride": {"taskProperties": [{"containers": [{"name": "c", "command": ["true"]}]}]}},
    ),
    "SubmitJob.nodeOverrides": ({"nodeOverrides": {"numNodes": 3}},),
    "SubmitJob.dependsOn": ({"dependsOn": [{"jobId": UUID.replace("0", "1")}]},),
    "SubmitJob.parameters": ({"parameters": {"x": "2"}},),
    "SubmitJob.retryStrategy": ({"retryStrategy": {"attempts": 3}},),
    "SubmitJob.retryStrategy.attempts": ({"retryStrategy": {"attempts": 3}},),
    "SubmitJob.retryStrategy.evaluateOnExit": (
        {"retryStrategy": {"attempts": 1, "evaluateOnExit": [{"action": "EXIT", "onReason": "*"}]}},
    ),
    "SubmitJob.shareIdentifier": ({"shareIdentifier": "team", "schedulingPriorityOverride": 1},),
    "SubmitJob.schedulingPriorityOverride": (
        {"shareIdentifier": "team", "schedulingPriorityOverride": 1},
        {"schedulingPriorityOverride": 1},
    ),
    "SubmitJob.timeout": ({"timeout": TIMEOUT},),
    "SubmitJob.timeout.attemptDurationSeconds": ({"timeout": TIMEOUT},),
    "SubmitJob.arrayProperties": ({"arrayProperties": {"size": 2}},),
    "SubmitJob.arrayProperties.size": ({"arrayProperties": {"size": 2}},),
    "SubmitJob.containerOverrides": ({"containerOverrides": {"command": ["date"]}},),
    "SubmitJob.containerOverrides.resourceRequirements": (
        {"containerOverrides": {"resourceRequirements": [{"type": "VCPU", "value": "2"}]}},
    ),
    "SubmitJob.containerOverrides.environment": (
        {"containerOverrides": {"environment": [{"name": "A", "value": "1"}]}},
    ),
    "SubmitJob.consumableResourcePropertiesOverride": (
        {
            "consumableResourcePropertiesOverride": {
                "consumableResourceList": [{"consumableResource": "c", "quantity": 1}]
            }
        },
    ),
    "CreateComputeEnvironment.type": ({"type": "MANAGED"}, ENVIRONMENT | {"computeResources": None}),
    "CreateComputeEnvironment.unmanagedvCpus": (ENVIRONMENT | {"computeResources": None, "unmanagedvCpus": 2},),
    "CreateComputeEnvironment.computeResources": ({"computeResources": {"maxvCpus": 4}},),
    "CreateComputeEnvironment.computeResources.type": tuple(
        {"computeResources": {"type": each, "allocationStrategy": "BEST_FIT_PROGRESSIVE"}} for each in ("EC2", "SPOT")
    )
    + ({"computeResources": {"type": "ECS_MANAGED_INSTANCES"}},),
    "CreateComputeEnvironment.computeResources.spotIamFleetRole": ({"computeResources": {"spotIamFleetRole": ROLE}},),
    **{
        f"{operation}.computeResources.{member}": ({"computeResources": {member: value}},)
        for operation in ("CreateComputeEnvironment", "UpdateComputeEnvironment")
        for member, value in (
            ("instanceTypes", ["m5"]),
            ("ec2Configuration", [{"imageType": "ECS_AL2023"}]),
            ("scalingPolicy", {"minScaleDownDelayMinutes": 30}),
        )
    },
    "CreateComputeEnvironment.eksConfiguration": (
        {
            "eksConfiguration": {
                "eksClusterArn": "arn:aws:eks:us-east-1:123456789012:cluster/c",
                "kubernetesNamespace": "n",
            }
        },
    ),
    "CreateComputeEnvironment.tags": ({"tags": {"team": "a"}},),
    "CreateConsumableResource.totalQuantity": ({"totalQuantity": 2},),
    "CreateConsumableResource.resourceType": (
        {"resourceType": "REPLENISHABLE"},
        {"resourceType": "NON_REPLENISHABLE"},
    ),
    "CreateConsumableResource.tags": ({"tags": {"team": "a"}},),
    "UpdateConsumableResource.operation": tuple({"operation": each} for each in ("SET", "ADD", "REMOVE")),
    "UpdateConsumableResource.quantity": ({"quantity": 2},),
    "UpdateConsumableResource.clientToken": ({"clientToken": UUID},),
    "CreateJobQueue.schedulingPolicyArn": ({"schedulingPolicyArn": POLICY},),
    "UpdateJobQueue.schedulingPolicyArn": ({"schedulingPolicyArn": POLICY},),
    "CreateSchedulingPolicy.quotaSharePolicy": (QUOTA,),
    "UpdateSchedulingPolicy.quotaSharePolicy": (QUOTA,),
    "CreateSchedulingPolicy.tags": ({"tags": {"team": "a"}},),
    **{
        f"{operation}.fairsharePolicy.{member}": ({"fairsharePolicy": {member: value}},)
        for operation in ("CreateSchedulingPolicy", "UpdateSchedulingPolicy")
        for member, value in (
            ("shareDecaySeconds", 3600),
            ("computeReservation", 50),
            ("shareDistribution", [{"shareIdentifier": "a*", "weightFactor": 0.5}]),
        )
    },
    "CreateJobQueue.computeEnvironmentOrder": (
        {"computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "two"}]},
    ),
    "CreateJobQueue.priority": ({"priority": 2},),
    "CreateJobQueue.serviceEnvironmentOrder": (
        {"computeEnvironmentOrder": None, "serviceEnvironmentOrder": [{"order": 1, "serviceEnvironment": "s"}]},
    ),
    "CreateJobQueue.jobStateTimeLimitActions": (LIMITS,),
    "UpdateComputeEnvironment.computeResources": ({"computeResources": {"maxvCpus": 4}},),
    "UpdateComputeEnvironment.ecsSettings": ({"ecsSettings": {}},),
    "UpdateComputeEnvironment.eksConfiguration": ({"eksConfiguration": {}},),
    "UpdateComputeEnvironment.computeResources.type": (
        {"computeResources": {"type": "EC2", "allocationStrategy": "BEST_FIT_PROGRESSIVE"}},
        {"computeResources": {"type": "FARGATE"}},
    ),
    **{
        f"UpdateComputeEnvironment.{member}": ({"updatePolicy": value, "computeResources": {"maxvCpus": 8}},)
        for member, value in (
            ("updatePolicy", {"terminateJobsOnUpdate": True}),
            ("updatePolicy.terminateJobsOnUpdate", {"terminateJobsOnUpdate": True}),
            ("updatePolicy.jobExecutionTimeoutMinutes", {"jobExecutionTimeoutMinutes": 5}),
        )
    },
    "UpdateJobQueue.computeEnvironmentOrder": (
        {"computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "two"}]},
    ),
    "UpdateJobQueue.serviceEnvironmentOrder": ({"serviceEnvironmentOrder": [{"order": 1, "serviceEnvironment": "s"}]},),
    "UpdateJobQueue.jobStateTimeLimitActions": (LIMITS,),
}
