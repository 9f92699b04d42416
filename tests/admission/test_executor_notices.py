"""Every member of a container works, is refused, or is named: tried one by one, as a container and as a process."""

from __future__ import annotations

import platform
import typing

import msgspec
import pytest

from batchyard import config
from batchyard.admission import executor_notices, notices
from batchyard.admission.executor_notices import Machine
from batchyard.executors import contract
from batchyard.executors.granting import Granting
from batchyard.model.ids import WHOLE
from batchyard.model.jobs import AttemptSpec
from batchyard.model.needs import Needs
from batchyard.wire import shapes

CONTAINERS, PODMAN, PROCESSES = Machine(engine="docker"), Machine(engine="podman"), Machine()
ENGINES = {name: contract.Engine(name, "24.0", "/run/e.sock", False) for name in ("docker", "podman")}
EFS = {"name": "v", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}
MOUNT = [{"sourceVolume": "v", "containerPath": "/v"}]
BASE = {"image": "i", "command": ["c"], "volumes": [{"name": "v"}], "mountPoints": MOUNT, "vcpus": 1, "memory": 64}
ARM = "X86_64" if platform.machine().lower() in ("aarch64", "arm64") else "ARM64"

# A value for each member that asks for something; those of nested shapes stand for their own members.
ASKED = {
    "image": "other",
    "vcpus": 2,
    "memory": 128,
    "command": ["d"],
    "jobRoleArn": "arn:r",
    "executionRoleArn": "arn:e",
    "volumes": [{"name": "v", "host": {"sourcePath": "/srv"}}],
    "environment": [{"name": "A", "value": "1"}],
    "mountPoints": [{"sourceVolume": "v", "containerPath": "/w"}],
    "readonlyRootFilesystem": True,
    "privileged": True,
    "ulimits": [{"name": "core", "softLimit": 0, "hardLimit": 0}],
    "user": "nobody",
    "instanceType": "m5.large",
    "resourceRequirements": [{"type": "VCPU", "value": "2"}],
    "linuxParameters": {"initProcessEnabled": True},
    "logConfiguration": {"logDriver": "syslog"},
    "secrets": [{"name": "S", "valueFrom": "arn"}],
    "networkConfiguration": {"assignPublicIp": "ENABLED"},
    "fargatePlatformConfiguration": {"platformVersion": "1.4.0"},
    "enableExecuteCommand": True,
    "ephemeralStorage": {"sizeInGiB": 30},
    "runtimePlatform": {"cpuArchitecture": ARM},
    "repositoryCredentials": {"credentialsParameter": "arn"},
    "linuxParameters.devices": [{"hostPath": "/dev/fuse"}],
    "linuxParameters.initProcessEnabled": True,
    "linuxParameters.sharedMemorySize": 64,
    "linuxParameters.tmpfs": [{"containerPath": "/t", "size": 8}],
    "linuxParameters.maxSwap": 64,
    "linuxParameters.swappiness": 10,
    "efs.fileSystemId": "fs-2",
    "efs.rootDirectory": "/a",
    "efs.transitEncryption": "ENABLED",
    "efs.transitEncryptionPort": 2049,
    "efs.authorizationConfig.accessPointId": "fsap-1",
    "efs.authorizationConfig.iam": "ENABLED",
}
BY_OTHERS = {
    ("process", "vcpus"): "the scheduler sets them aside; like a container's shares they bound nothing",
    ("process", "resourceRequirements"): "the same",
    ("process", "linuxParameters.initProcessEnabled"): "executors/runner/slot.py: a slot is the init of its jobs",
    ("process", "linuxParameters"): "the same: the sample asks for an init",
}


def members() -> list[str]:
    """All that the wire's types let a container say, so that a new member asks for a line of this test."""
    named = [field.name for field in msgspec.structs.fields(shapes.ContainerProperties)]
    named += [f"linuxParameters.{field.name}" for field in msgspec.structs.fields(shapes.LinuxParameters)]
    for field in msgspec.structs.fields(shapes.EFSVolumeConfiguration):
        if field.name == "authorizationConfig":
            inner = msgspec.structs.fields(shapes.EFSAuthorizationConfig)
            named += [f"efs.authorizationConfig.{each.name}" for each in inner]
        else:
            named.append(f"efs.{field.name}")
    return named


def with_member(path: str, value: typing.Any) -> dict:
    """The container that asks for it, in its smallest surroundings."""
    if path.startswith("efs."):
        inner = {name: value for name in path.split(".")[-1:]}
        given = {"authorizationConfig": inner} if "authorizationConfig" in path else inner
        return BASE | {"volumes": [{"name": "v", "efsVolumeConfiguration": {"fileSystemId": "fs-1"} | given}]}
    first, _, inner = path.partition(".")
    return BASE | {first: {inner: value} if inner else value}


def order(container: dict, engine: str, task: dict | None = None) -> dict:
    spec = AttemptSpec(
        attempt="a.1",
        job_id="a",
        job_name="j",
        index=WHOLE,
        size=0,
        number=1,
        region="us-east-1",
        queue_name="q",
        environment_name="e",
        definition_name="d",
        needs=Needs(2000, 128) if task else _needs(container),
        timeout_s=None,
        opened_ms=0,
        container=container,
        task=task,
    )
    settings = config.load({"data": "/D", "efs": "fs-1=/mnt/one", "sts_url": "http://127.0.0.1:1"}, {})
    return contract.order(spec, settings, {}, granting=Answering(settings, b"key", {}), engine=ENGINES.get(engine))


class Answering(Granting):
    """As of a server that answers."""

    def _own(self) -> str:
        return "http://127.0.0.1:2"


def _needs(container: dict) -> Needs:
    asked = {each["type"]: int(each["value"]) for each in container.get("resourceRequirements") or ()}
    return Needs(asked.get("VCPU", container["vcpus"]) * 1000, container["memory"])


def said(container: dict, machine: Machine) -> list[str]:
    task = executor_notices.of_job([("default", container)], None, machine)
    return notices.of_container(container, "us-east-1") + task


@pytest.mark.parametrize(
    ("executor", "machine"),
    [("docker", CONTAINERS), ("podman", PODMAN), ("process", PROCESSES)],
    ids=lambda each: each if isinstance(each, str) else "",
)
@pytest.mark.parametrize("member", members())
def test_every_member_works_or_is_refused_or_is_named(member, executor, machine):
    machine = machine._replace(mapped=frozenset({"fs-1"}))
    container = with_member(member, ASKED[member])
    usual = BASE if not member.startswith("efs.") else BASE | {"volumes": [EFS]}
    told, without = order(container, executor), order(usual, executor)
    named = [each for each in said(container, machine) if each not in said(usual, machine)]
    refused = "cannot_start" in told
    if refused:
        assert member.partition(".")[0] in ("runtimePlatform", "efs")
    if named:
        assert any(member.split(".")[-1] in each or member.partition(".")[0] in each for each in named), named
    by_others = (executor, member) in BY_OTHERS
    assert refused or named or by_others or told != without, f"{member} is silently ignored"


TASK = {"volumes": [{"name": "v"}], "containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "j"}]}
# What only a task or a container of one has; the rest is as in containerProperties.
ASKED_OF_TASK = {
    "containers": [{"name": "a", "image": "other"}, {"name": "b", "image": "j"}],
    "ephemeralStorage": {"sizeInGiB": 30},
    "executionRoleArn": "arn:e",
    "platformVersion": "1.4.0",
    "ipcMode": "host",
    "taskRoleArn": "arn:r",
    "pidMode": "task",
    "networkConfiguration": {"assignPublicIp": "ENABLED"},
    "runtimePlatform": {"cpuArchitecture": ARM},
    "volumes": [{"name": "v", "host": {"sourcePath": "/srv"}}],
    "enableExecuteCommand": True,
    "networkMode": "bridge",
}
ASKED_OF_ONE = {
    "dependsOn": [{"containerName": "b", "condition": "START"}],
    "essential": False,
    "firelensConfiguration": {"type": "fluentbit"},
    "name": "c",
    "startTimeout": 5,
    "stopTimeout": 6,
}


def task_members() -> list[str]:
    own = {field.name for field in msgspec.structs.fields(shapes.ContainerProperties)}
    named = [field.name for field in msgspec.structs.fields(shapes.EcsTaskProperties)]
    inner = [field.name for field in msgspec.structs.fields(shapes.TaskContainerProperties)]
    return named + [f"containers.{name}" for name in inner if name not in own]


@pytest.mark.parametrize(
    ("executor", "machine"),
    [("docker", CONTAINERS), ("podman", PODMAN), ("process", PROCESSES)],
    ids=lambda each: each if isinstance(each, str) else "",
)
@pytest.mark.parametrize("member", task_members())
def test_every_member_of_a_task_works_or_is_refused_or_is_named(member, executor, machine):
    """As a process a task is one container, so what is between several is not there."""
    name = member.removeprefix("containers.")
    count = 1 if executor == "process" else 2
    first = TASK["containers"][0] | {"mountPoints": MOUNT}
    usual = TASK | {"containers": [first, TASK["containers"][1]][:count]}
    task = usual | {name: ASKED_OF_TASK.get(name)}
    if member == "containers":
        task = usual | {"containers": ASKED_OF_TASK["containers"][:count]}
    elif member != name:
        task = usual | {"containers": [first | {name: ASKED_OF_ONE[name]}, *usual["containers"][1:]]}

    def heard(given: dict) -> list[str]:
        containers = [(each["name"], each) for each in given["containers"]]
        with_roles = machine._replace(roles=True)
        return notices.of_task(given, "us-east-1") + executor_notices.of_job(containers, given, with_roles)

    told, without = order({}, executor, task), order({}, executor, usual)
    named = [each for each in heard(task) if each not in heard(usual)]
    assert not named or any(name in each or each.startswith("image") for each in named), named
    between_several = executor == "process" and name in ("dependsOn", "essential", "startTimeout")
    assert "cannot_start" in told or named or told != without or between_several, f"{member} is silently ignored"


def test_a_plain_container_is_told_nothing_and_a_plain_process_that_it_has_no_image():
    plain = {"image": "busybox", "command": ["true"], "user": "", "volumes": [], "linuxParameters": {}}
    assert said(plain, CONTAINERS) == said(plain, PODMAN) == []
    assert [each.split()[0] for each in said(plain, PROCESSES)] == ["image"]
    assert any("command is empty" in each for each in said(plain | {"command": []}, PROCESSES))
    assert said(plain | {"command": []}, CONTAINERS) == []


@pytest.mark.parametrize(
    ("container", "machine", "word"),
    [
        ({"privileged": True}, CONTAINERS, "setting privileged"),
        ({"privileged": True}, PROCESSES, "the job is a process"),
        ({"jobRoleArn": "arn:r"}, CONTAINERS, "no STS is set"),
        ({"readonlyRootFilesystem": True}, PODMAN, "/var/tmp"),
        ({"readonlyRootFilesystem": True}, PROCESSES._replace(namespaces=False), "no mount namespace"),
        ({"linuxParameters": {"swappiness": 3}}, CONTAINERS, "without maxSwap"),
        ({"linuxParameters": {"maxSwap": 1, "swappiness": 3}}, CONTAINERS._replace(swappiness=False), "version 2"),
        ({"resourceRequirements": [{"type": "MEMORY", "value": "4"}]}, CONTAINERS, "6 MiB"),
        ({"logConfiguration": {"logDriver": "splunk"}}, CONTAINERS, "the engine gives the log to splunk"),
        ({"logConfiguration": {"logDriver": "splunk"}}, PODMAN, "Podman has no driver splunk"),
        ({"logConfiguration": {"logDriver": "splunk"}}, PROCESSES, "driver splunk is not used"),
    ],
)
def test_what_is_said_depends_on_the_executor_and_the_operators_settings(container, machine, word):
    assert any(word in each for each in said({"image": "i", "command": ["c"]} | container, machine))


def test_what_the_operator_has_set_needs_no_notice():
    allowed = CONTAINERS._replace(privileged=True, roles=True, mapped=frozenset({"fsap-1", "fs-1"}))
    point = {"fileSystemId": "fs-1", "authorizationConfig": {"accessPointId": "fsap-1"}}
    asked = {"privileged": True, "jobRoleArn": "arn", "volumes": [{"name": "v", "efsVolumeConfiguration": point}]}
    assert said({"image": "i", "command": ["c"], "readonlyRootFilesystem": True} | asked, allowed) == []


def test_containers_of_a_task_are_told_apart():
    containers = [("a", {"image": "i", "privileged": True}), ("b", {"image": "i"})]
    told = executor_notices.of_job(containers, {"taskRoleArn": "arn:r"}, CONTAINERS)
    assert [each.partition(" gives")[0] for each in told] == ["taskRoleArn arn:r", "container a: privileged"]
    assert executor_notices.executor_of(containers, PROCESSES) is None
    (told,) = executor_notices.of_job(containers, None, PROCESSES)
    assert "its attempts fail to start" in told


@pytest.mark.parametrize(
    ("hard", "words"),
    [
        (1024, None),
        (20_000, None),
        (20_001, "ulimits: nofile is at most 20000 here; hardLimit 20001 is asked, 20000 is given."),
        (-1, "ulimits: nofile is at most 20000 here; hardLimit -1 is asked, 20000 is given."),
    ],
)
def test_limits_above_those_of_the_machine(hard, words):
    container = BASE | {"ulimits": [{"name": "nofile", "softLimit": 10, "hardLimit": hard}]}
    machine = Machine(limits={"nofile": 20_000})
    assert [each for each in said(container, machine) if "ulimits" in each] == ([words] if words else [])
    assert not any("ulimits" in each for each in said(container, Machine()))


@pytest.mark.parametrize(
    ("machine", "task", "said_so"),
    [
        (CONTAINERS._replace(roles=True, network="bridge"), {}, True),
        (CONTAINERS._replace(roles=True), {"networkMode": "none"}, True),
        (CONTAINERS._replace(roles=True, network="bridge"), {"networkMode": "host"}, False),
        (CONTAINERS._replace(roles=True), {"networkMode": "awsvpc"}, False),
        (PROCESSES._replace(roles=True, network="bridge"), {}, False),
    ],
)
def test_a_role_is_out_of_reach_in_a_network_of_ones_own(machine, task, said_so):
    containers = [("main", {"image": "i", "command": ["c"]})]
    told = executor_notices.of_job(containers, {"taskRoleArn": "ROLE", "containers": [], **task}, machine)
    assert any(each.startswith("ROLE gives no credentials: they are served on") for each in told) is said_so


def test_shared_memory_that_is_not_the_containers_has_no_size_of_its_own():
    container = ("a", {"image": "i", "linuxParameters": {"sharedMemorySize": 8}})
    told = executor_notices.of_job([container], {"ipcMode": "host"}, CONTAINERS)
    assert told == [
        "linuxParameters.sharedMemorySize has no effect with ipcMode host: its shared memory is not the container's."
    ]
    assert executor_notices.of_job([container], {}, CONTAINERS) == []


def test_an_access_point_of_s3_files_that_stands_for_nothing_is_named():
    files = {"fileSystemArn": "arn:x:file-system/fs-1", "accessPointArn": "arn:x:access-point/fsap-2"}
    asked = {"image": "i", "volumes": [{"name": "v", "s3filesVolumeConfiguration": files}]}
    whole = CONTAINERS._replace(mapped=frozenset({"fs-1"}))
    [told] = said(asked, whole)
    assert "access point fsap-2 is not looked at" in told
    assert said(asked, whole._replace(mapped=frozenset({"fs-1", "fsap-2"}))) == []
