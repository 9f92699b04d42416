"""RegisterJobDefinition: what is refused, in which words (reference "Error message catalogue"), and what is not."""

from __future__ import annotations

import msgspec
import pytest

from batchyard.admission import job_definitions
from batchyard.errors import ClientError
from batchyard.wire import shapes
from tests.admission.requests import ABSENT, CONTAINER, register


def needs(*pairs: tuple[str, str]) -> dict:
    return {"resourceRequirements": [{"type": kind, "value": value} for kind, value in pairs]}


MEMORY = ("MEMORY", "128")
ROLE = "arn:aws:iam::123456789012:role/x"
EFS = {"fileSystemId": "fs-0123"}


def volume(**kinds) -> dict:
    return {"volumes": [{"name": "v"} | kinds]}


def efs(**members) -> dict:
    return volume(efsVolumeConfiguration=EFS | members)


REFUSED_CONTAINERS = [
    ({"image": ABSENT}, "ECS Container Image must be provided."),
    ({"image": ""}, "ECS Container Image must be provided."),
    ({"image": "i" * 256}, "image can be at most 255 characters long, got 256."),
    (
        {"image": "zip:ftp://host/a.zip"},
        "image 'zip:ftp://host/a.zip' is no address of a zipped application: its scheme is none of s3, https",
    ),
    ({"resourceRequirements": ABSENT}, "vCPU is required."),
    (needs(("VCPU", "1")), "Memory is required."),
    (needs(MEMORY), "vCPU is required."),
    (needs(("VCPU", "0"), MEMORY), "vCPU must be at least 1, got 0."),
    (needs(("VCPU", "-2"), MEMORY), "vCPU must be at least 1, got -2."),
    (needs(("VCPU", "1"), ("MEMORY", "3")), "Memory must be at least 4 Mib, got 3 Mib."),
    (
        needs(("VCPU", "1.0"), MEMORY),
        "Value 1.0 for type VCPU in resourceRequirement is not valid. Please provide a numeric value.",
    ),
    (
        needs(("VCPU", "0.5"), MEMORY),
        "Value 0.5 for type VCPU in resourceRequirement is not valid. Please provide a numeric value.",
    ),
    (
        needs(("VCPU", "1"), ("MEMORY", "lots")),
        "Value lots for type MEMORY in resourceRequirement is not valid. Please provide a numeric value.",
    ),
    (needs(("VCPU", "\u0663"), MEMORY), "Please provide a numeric value."),  # a digit, but not one of ours
    (needs(("VCPU", "9" * 30), MEMORY), "Please provide a numeric value."),
    (needs(("VCPU", "1"), MEMORY, ("GPU", "0")), "GPU must be at least 1, got 0."),
    (needs(("VCPU", "1"), ("VCPU", "2"), MEMORY), "Cannot provide duplicates in resourceRequirements."),
    (
        {"memory": 128},
        "Cannot use both ECS containerProperties memory and resourceRequirement MEMORY.",
    ),
    ({"vcpus": 1}, "Cannot use both ECS containerProperties vcpus and resourceRequirement VCPU."),
    ({"resourceRequirements": [], "vcpus": 0, "memory": 4}, "vCPU must be at least 1, got 0."),
    ({"environment": [{"value": "x"}]}, "Environment variable name is required."),
    ({"environment": [{"name": "", "value": "x"}]}, "Environment variable name is required."),
    ({"environment": [{"name": "A=B", "value": "x"}]}, "Environment variable 'A=B' holds a character"),
    ({"environment": [{"name": "A", "value": "\0"}]}, "holds a character that no process can be given"),
    ({"command": ["a", "b\0"]}, "Element 1 of command holds a NUL character."),
    (
        {"secrets": [{"name": "S", "valueFrom": "arn"}]},
        "executionRoleArn cannot be empty when using secrets or secretOptions",
    ),
    (
        {"logConfiguration": {"logDriver": "splunk", "secretOptions": [{"name": "S", "valueFrom": "arn"}]}},
        "executionRoleArn cannot be empty when using secrets or secretOptions",
    ),
    ({"user": "1000:1000"}, "User '1000:1000' does not match regex ^([a-z0-9_][a-z0-9_-]{0,30})$"),
    (
        volume(host={}, efsVolumeConfiguration=EFS),
        "When the volume parameter is specified, only one volume configuration type should be used.",
    ),
    (volume(name="a b"), "Volume name 'a b' is not valid."),
    (efs(fileSystemId="nope"), "EFS configuration fileSystemId is not valid: nope."),
    (efs(transitEncryptionPort=70000), "TransitEncryptionPort must be a valid port number."),
    (
        efs(authorizationConfig={"iam": "ENABLED"}),
        "EFS IAM authorization requires TransitEncryption to be enabled.",
    ),
    (
        efs(authorizationConfig={"accessPointId": "fsap-1"}),
        "EFS IAM access point requires TransitEncryption to be enabled.",
    ),
    (
        efs(authorizationConfig={"accessPointId": "p"}, transitEncryption="ENABLED", rootDirectory="/x"),
        'When using an EFS access point, the root directory must either be set to "/" or omitted',
    ),
    (
        volume(s3filesVolumeConfiguration={"fileSystemArn": "arn"}),
        "A jobRoleArn/taskRoleArn is required when using s3filesVolumeConfiguration.",
    ),
    ({"mountPoints": [{"containerPath": "/a", "sourceVolume": "w"}]} | volume(), "no volume is named 'w'"),
    (
        {"logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "my group"}}},
        "logConfiguration.options awslogs-group 'my group' cannot be the name of a log group.",
    ),
    (
        {"logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-stream-prefix": "a:b"}}},
        "logConfiguration.options awslogs-stream-prefix 'a:b' cannot begin the name of a log stream.",
    ),
    (
        {"logConfiguration": {"logDriver": "awslogs", "options": {"x": "y"}}},
        "Log driver awslogs disallows options: x",
    ),
    (
        {"linuxParameters": {"tmpfs": [{"containerPath": "/t", "size": 0}]}},
        "Size of a tmpfs is invalid. The size is required and must be a positive integer.",
    ),
    ({"linuxParameters": {"swappiness": 101}}, "Invalid swappiness: 101, must be between 0 and 100."),
    (
        {"linuxParameters": {"maxSwap": -1, "swappiness": 1}},
        "Invalid swap memory size: -1, must be non-negative.",
    ),
    (
        {"linuxParameters": {"maxSwap": 1}},
        "When container specified swap memory, swappiness value is required.",
    ),
    ({"networkConfiguration": {}}, "networkConfiguration not applicable for EC2."),
    ({"fargatePlatformConfiguration": {}}, "fargatePlatformConfiguration not applicable for EC2."),
    ({"runtimePlatform": {}}, "runtimePlatform is not applicable for EC2."),
    ({"ephemeralStorage": {"sizeInGiB": 50}}, "ephemeralStorage is not applicable for EC2."),
]


@pytest.mark.parametrize(("container", "text"), REFUSED_CONTAINERS)
def test_containers_refused(container, text):
    with pytest.raises(ClientError) as raised:
        register(container)
    assert text in raised.value.message


RULE = {"action": "RETRY", "onExitCode": "1"}


def retry(*rules, attempts=2) -> dict:
    return {"retryStrategy": {"attempts": attempts, "evaluateOnExit": list(rules)}}


def consumables(*names) -> dict:
    listed = [{"consumableResource": name, "quantity": 1} for name in names]
    return {"consumableResourceProperties": {"consumableResourceList": listed}}


REFUSED_DEFINITIONS = [
    ({"jobDefinitionName": "a.b"}, "Provided name a.b is not supported pattern[a-zA-Z_0-9-]{1,128}"),
    ({"jobDefinitionName": "a" * 129}, "is not supported pattern"),
    ({"jobDefinitionName": "a\n"}, "is not supported pattern"),
    ({"ecsProperties": {"taskProperties": []}}, "Cannot use both ECS containerProperties and ecsProperties"),
    ({"eksProperties": {}}, "Cannot use both ECS containerProperties and eksProperties"),
    (
        {"container": ABSENT, "eksProperties": {}, "ecsProperties": {"taskProperties": []}},
        "Cannot use both ecsProperties and eksProperties",
    ),
    ({"container": ABSENT, "eksProperties": {}}, "does not support jobs on Kubernetes (eksProperties) yet"),
    (
        {"container": ABSENT, "ecsProperties": {"taskProperties": []}},
        "must have exactly one element, got 0",
    ),
    ({"type": "multinode"}, "Node properties of multinode job is required."),
    (
        {
            "type": "multinode",
            "container": ABSENT,
            "nodeProperties": {"numNodes": 1, "mainNode": 0, "nodeRangeProperties": []},
        },
        "nodeProperties of 1 nodes has no nodeRangeProperties.",
    ),
    ({"nodeProperties": {"numNodes": 1, "mainNode": 0, "nodeRangeProperties": []}}, "of type multinode"),
    ({"container": ABSENT}, "containerProperties is required"),
    ({"schedulingPriority": 10_000}, "Scheduling priority must be between 0 and 9999."),
    ({"schedulingPriority": -1}, "Scheduling priority must be between 0 and 9999."),
    ({"platformCapabilities": ["EC2", "FARGATE"]}, "Exactly 1 capability must be provided."),
    (
        {"platformCapabilities": ["X"]},
        "Capability X is not valid. Valid capabilities: [FARGATE, EC2, MANAGED_INSTANCES]",
    ),
    ({"retryStrategy": {}}, "RetryAttempts must be provided with retry strategy"),
    ({"retryStrategy": {"evaluateOnExit": [RULE]}}, "RetryAttempts must be provided with retry strategy"),
    (retry(attempts=0), "RetryAttempts must be between 1 and 10, got 0."),
    (retry(attempts=11), "RetryAttempts must be between 1 and 10, got 11."),
    (retry(*[RULE] * 6), "at most 5 evaluateOnExit entries, got 6."),
    (
        retry({"action": "EXIT"}),
        "EvaluateOnExit should contain at least one of onExitCode, onReason or onStatusReason",
    ),
    (retry({"action": "STOP", "onReason": "*"}), "evaluateOnExit action 'STOP' is not valid."),
    (retry(RULE | {"onReason": "a" * 513}), "Evaluate on exit condition cannot exceed 512 characters."),
    (retry(RULE | {"onReason": "Host (x)"}), "Evaluate on exit condition contains restricted characters."),
    (retry(RULE | {"onStatusReason": "a*b"}), "Evaluate on exit condition contains restricted characters."),
    (retry(RULE | {"onExitCode": "1?"}), "Evaluate on exit condition contains restricted characters."),
    ({"timeout": {"attemptDurationSeconds": 59}}, "Job timeout must be at least 60 seconds, got 59."),
    (
        consumables(*"abcdef"),
        "Each ConsumableResourceProperty can have at most 5 consumableResources",
    ),
    (
        consumables("a", "a"),
        "Cannot have duplicate consumableResource in consumableResourceProperties",
    ),
    ({"tags": {str(number): "" for number in range(51)}}, "at most 50 tags, got 51"),
]  # fmt: skip


@pytest.mark.parametrize(("members", "text"), REFUSED_DEFINITIONS)
def test_definitions_refused(members, text):
    with pytest.raises(ClientError) as raised:
        register(**members)
    assert text in raised.value.message


FARGATE_NEEDS = needs(("VCPU", "0.25"), ("MEMORY", "512"))
REFUSED_FARGATE = [
    (
        {
            "fargatePlatformConfiguration": {"platformVersion": "1.3.0"},
            "volumes": [{"name": "efs", "efsVolumeConfiguration": {"fileSystemId": "fs-0123"}}],
        },
        "EFS is supported for Fargate platform versions 1.4.0 or later, provided 1.3.0",
    ),
    ({"runtimePlatform": {"operatingSystemFamily": "BEOS"}}, "RuntimePlatform supports only one from ["),
    (
        {"runtimePlatform": {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE", "cpuArchitecture": "ARM64"}},
        "Windows supported only by X86_64 cpuArchitecture",
    ),
    (
        {"runtimePlatform": {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}},
        "vCPU must be at least 1 for Windows Job definition, got 0.25.",
    ),
    ({"executionRoleArn": ABSENT}, "executionRoleArn is required for Fargate jobs."),
    (needs(("VCPU", "1"), MEMORY, ("GPU", "1")), "GPU is not applicable for Fargate."),
    ({"ulimits": [{"name": "core", "hardLimit": 0, "softLimit": 0}]}, "ulimits is not applicable for Fargate."),
    ({"privileged": True}, "privileged is not applicable for Fargate."),
    ({"linuxParameters": {"sharedMemorySize": 64}}, "linuxParameter.sharedMemorySize is not allowed for Fargate."),
    (volume(host={"sourcePath": "/x"}), "host.sourcePath should not be set for volumes in Fargate."),
    ({"logConfiguration": {"logDriver": "syslog"}}, "Log driver for Fargate is not valid: syslog"),
    (
        {"ephemeralStorage": {"sizeInGiB": 20}},
        "Ephemeral storage for Fargate tasks can be only between range 21 GiB to 200 GiB",
    ),
    (needs(("VCPU", "0"), MEMORY), "Value 0 for type VCPU"),
    (needs(("VCPU", "x"), MEMORY), "Value x for type VCPU"),
]


@pytest.mark.parametrize(("container", "text"), REFUSED_FARGATE)
def test_fargate_refused(container, text):
    base = {"executionRoleArn": ROLE} | FARGATE_NEEDS
    register(base, platformCapabilities=["FARGATE"])
    with pytest.raises(ClientError) as raised:
        register(base | container, platformCapabilities=["FARGATE"])
    assert text in raised.value.message


@pytest.mark.parametrize(
    "members",
    [
        {"platformCapabilities": ["EC2"], "timeout": {}, "tags": {}},
        {"retryStrategy": {"attempts": 10, "evaluateOnExit": [{"action": "eXit", "onReason": "*", "onExitCode": ""}]}},
        {"retryStrategy": {"attempts": 1, "evaluateOnExit": [{"action": "RETRY", "onStatusReason": "Host EC2*"}]}},
        {"container": {"environment": [{"name": "A"}], "linuxParameters": {}, "privileged": True, "command": []}},
        {"container": {"resourceRequirements": ABSENT, "vcpus": 1, "memory": 4}},
        {"container": volume() | {"mountPoints": [{"containerPath": "/v", "sourceVolume": "v"}], "user": ""}},
        {"container": efs(authorizationConfig={"accessPointId": "fsap-1"}, transitEncryption="ENABLED")},
        {"jobDefinitionName": "-"},
    ],
)
def test_what_real_clients_send_is_accepted(members):
    assert register(**members).created_ms


def test_size_is_bounded():
    request = msgspec.convert(
        {"jobDefinitionName": "d", "type": "container", "containerProperties": CONTAINER},
        shapes.RegisterJobDefinitionRequest,
    )
    with pytest.raises(ClientError, match="less than 24 KiB, got 25 KiB"):
        job_definitions.admit(request, "r", "123456789012", 1, payload_bytes=24 * 1024 + 1)


def test_only_what_was_given_is_stored():
    stored = msgspec.json.decode(register({"privileged": False, "volumes": []}, parameters={}).body)
    assert stored == {
        "type": "container",
        "parameters": {},
        "containerProperties": CONTAINER | {"privileged": False, "volumes": []},
    }
