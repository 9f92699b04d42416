"""ecsProperties: what of a job of several containers is refused and why, and what becomes of one that is not."""

from __future__ import annotations

import pytest

from batchyard.errors import ClientError
from batchyard.model.needs import Needs

from .requests import ABSENT, NEEDS, body, compiled, register, submit, without_absent

ROLE = "arn:aws:iam::123456789012:role/r"


def container(name, **members):
    return without_absent({"name": name, "image": "busybox", "resourceRequirements": NEEDS} | members)


def on(name, condition="START"):
    return [{"containerName": name, "condition": condition}]


def ecs(*containers, **task):
    return {"container": ABSENT, "ecsProperties": {"taskProperties": [{"containers": list(containers)} | task]}}


def several(*containers, **task):
    return compiled(**ecs(*containers, **task))


MAIN, SIDE = container("main"), container("side", essential=False)

REFUSED = [
    (ecs(), "Number of containers must be between 1 and 10"),
    (ecs(*(container(f"c{number}") for number in range(11))), "Number of containers must be between 1 and 10"),
    (ecs(MAIN, ipcMode="private"), "ipcMode private is not valid. Valid values are: [host, task, none]"),
    (ecs(MAIN, pidMode="none"), "Capability none is not valid. Valid capabilities: [host, task]"),
    (ecs(MAIN, networkMode="mesh"), "networkMode mesh is not valid"),
    (ecs(MAIN, container("")), "Container 2 of 2 has no name. Name each container"),
    (ecs(MAIN, container("a/b")), "Container name 'a/b' is not valid."),
    (ecs(container("n" * 201)), "is not valid. Use 1 to 200 letters"),
    (ecs(MAIN, MAIN), "Container name main is used more than once."),
    (ecs(container("main", image="")), "ECS Container Image must be provided."),
    (ecs(container("main", resourceRequirements=NEEDS[:1])), "Memory is required."),
    (ecs(MAIN, container("b", resourceRequirements=NEEDS[1:])), "vCPU is required."),
    (ecs(container("main", resourceRequirements=NEEDS * 2)), "Cannot provide duplicates in resourceRequirements."),
    (ecs(container("main", environment=[{"value": "x"}])), "Environment variable name is required."),
    (ecs(container("main", secrets=[{"name": "A", "valueFrom": "b"}])), "executionRoleArn cannot be empty when using"),
    (ecs(container("main", mountPoints=[{"sourceVolume": "v"}])), "no volume is named 'v'"),
    (ecs(MAIN, volumes=[{"name": "v", "host": {}, "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}]), "only one"),
    (ecs(MAIN, platformVersion="1.4.0"), "platformVersion not applicable for EC2."),
    (ecs(MAIN, runtimePlatform={}), "runtimePlatform is not applicable for EC2."),
    (ecs(SIDE), "At least one container must be set as essential"),
    (ecs(container("main", dependsOn=on("main"))), "Container dependency can not be used in a single-container job."),
    (ecs(MAIN, container("b", dependsOn=on("c"))), "containerName c must reference a defined container."),
    (
        ecs(MAIN, container("b", dependsOn=on("main", "HEALTHY"))),
        "TaskContainer dependency HEALTHY is not valid. Valid values are: [START, COMPLETE, SUCCESS]",
    ),
    (
        ecs(MAIN, container("b", dependsOn=on("main", "SUCCESS"))),
        "The container target of a dependency can not have condition SUCCESS if the target is essential",
    ),
    (
        ecs(
            container("a", dependsOn=on("b")),
            container("b", dependsOn=on("a")),
            container("before"),
            container("after", dependsOn=on("a") + on("before")),
        ),
        "Containers a, b depend on each other in a cycle",
    ),
    (ecs(MAIN, container("b", dependsOn=on("b"))), "Containers b depend on each other in a cycle"),
    (ecs(container("main", startTimeout=0)), "startTimeout must be at least 1 seconds, got 0."),
    (ecs(container("main", stopTimeout=-1)), "stopTimeout must be at least 0 seconds, got -1."),
    (
        ecs(MAIN, container("log", firelensConfiguration={"type": "fluentbit"})),
        "at least one container has to be configured with the awsfirelens log driver",
    ),
    (
        ecs(
            container("main", logConfiguration={"logDriver": "awsfirelens"}),
            container("log", firelensConfiguration={"type": "fluentbit"}, user="nobody"),
        ),
        "at least one container has to run as root",
    ),
    (
        ecs(container("n" * 200, logConfiguration={
            "logDriver": "awslogs", "options": {"awslogs-stream-prefix": "p" * 300}})),
        "too long for the name of a log stream",
    ),
    ({"container": ABSENT, "ecsProperties": {"taskProperties": []}}, "must have exactly one element, got 0"),
    (ecs(MAIN) | {"container": {}}, "Cannot use both ECS containerProperties and ecsProperties"),
]  # fmt: skip

FARGATE = {"platformCapabilities": ["FARGATE"]}
QUARTER = [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "512"}]
LARGE = [{"type": "VCPU", "value": "0.75"}, {"type": "MEMORY", "value": "1536"}]
ODD = [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "100"}]

REFUSED_ON_FARGATE = [
    (
        ecs(container("a", resourceRequirements=QUARTER), container("b", resourceRequirements=ODD)),
        "Fargate resource requirements (0.50 vCPU, 612 MiB) not valid.",
    ),
    (ecs(container("a", resourceRequirements=QUARTER), executionRoleArn=""), "executionRoleArn is required"),
    (
        ecs(container("a", resourceRequirements=QUARTER, ulimits=[{"name": "nofile", "hardLimit": 1, "softLimit": 1}])),
        "ulimits is not applicable for Fargate.",
    ),
    (ecs(container("a", resourceRequirements=QUARTER, stopTimeout=121)), "stopTimeout can be at most 120 seconds on"),
    (
        ecs(container("a", resourceRequirements=QUARTER), volumes=[{"name": "v", "host": {"sourcePath": "/v"}}]),
        "host.sourcePath should not be set for volumes in Fargate.",
    ),
]


@pytest.mark.parametrize(("members", "text"), REFUSED)
def test_refused(members, text):
    with pytest.raises(ClientError) as raised:
        register(**members)
    assert text in raised.value.message


@pytest.mark.parametrize(("members", "text"), REFUSED_ON_FARGATE)
def test_refused_on_fargate(members, text):
    members["ecsProperties"]["taskProperties"][0].setdefault("executionRoleArn", ROLE)
    with pytest.raises(ClientError) as raised:
        register(**members, **FARGATE)
    assert text in raised.value.message


def test_what_was_given_is_stored_and_a_job_needs_what_its_containers_need_together():
    gpu = container(
        "gpu", resourceRequirements=[*NEEDS, {"type": "GPU", "value": "2"}], dependsOn=on("side", "SUCCESS")
    )
    members = ecs(MAIN, SIDE, gpu, volumes=[{"name": "shared", "host": {}}], taskRoleArn=ROLE, ipcMode="task")
    assert body(register(**members))["ecsProperties"] == members["ecsProperties"]
    job = submit(compiled(**members), at={"gpus": 4})
    assert job.needs == Needs(3000, 384, 2)
    assert body(job)["task"] == members["ecsProperties"]["taskProperties"][0] and "container" not in body(job)


def test_on_fargate_it_is_the_sum_that_must_be_a_size():
    halves = ecs(
        container("a", resourceRequirements=QUARTER), container("b", resourceRequirements=LARGE), executionRoleArn=ROLE
    )
    job = submit(compiled(**halves, **FARGATE), at={"queue_type": "ECS_FARGATE"})
    assert job.needs == Needs(1000, 2048, 0)
    override = [{"name": "a", "resourceRequirements": [{"type": "MEMORY", "value": "513"}]}]
    with pytest.raises(ClientError, match=r"Fargate resource requirements \(1.00 vCPU, 2049 MiB\) not valid"):
        submit(
            compiled(**halves, **FARGATE),
            at={"queue_type": "ECS_FARGATE"},
            ecsPropertiesOverride={"taskProperties": [{"containers": override}]},
        )


def changed(definition, *containers, **members):
    return submit(definition, ecsPropertiesOverride={"taskProperties": [{"containers": list(containers)}]}, **members)


def test_overrides_find_their_container_by_name():
    definition = several(
        container("main", command=["one"], environment=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]),
        container("side", command=["two"]),
    )
    job = changed(
        definition,
        {"name": "side", "command": ["three"], "resourceRequirements": [{"type": "MEMORY", "value": "1000"}]},
        {"name": "main", "command": [], "environment": [{"name": "B", "value": "x"}, {"name": "C", "value": "3"}]},
    )
    main, side = body(job)["task"]["containers"]
    assert main["command"] == ["one"]
    assert main["environment"] == [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "x"},
        {"name": "C", "value": "3"},
    ]
    assert side["command"] == ["three"] and job.needs == Needs(2000, 1128, 0)
    assert body(submit(definition))["task"]["containers"][1]["command"] == ["two"], "the definition was not touched"


def test_an_only_container_needs_no_name():
    definition = several(container(ABSENT, command=["one"]))
    (only,) = body(changed(definition, {"command": ["two"]}))["task"]["containers"]
    assert (only["name"], only["command"]) == ("default", ["two"])


@pytest.mark.parametrize(
    ("containers", "text"),
    [
        ([{"name": "other", "command": ["x"]}], "no container named 'other'. Name one of main, side."),
        ([{"command": ["x"]}], "no container named ''"),
        ([{"name": "main"}, {"name": "main"}], "container main is named more than once"),
        ([{"name": "main", "resourceRequirements": [{"type": "VCPU", "value": "0.5"}]}], "provide a numeric value"),
        ([{"name": "main", "environment": [{"name": "A=B"}]}], "holds a character that no process can be given"),
    ],
)
def test_overrides_refused(containers, text):
    with pytest.raises(ClientError) as raised:
        changed(several(MAIN, SIDE), *containers)
    assert text in raised.value.message


def test_overrides_of_another_kind_are_refused():
    with pytest.raises(ClientError, match="containerOverrides applies only to containerProperties job definitions"):
        submit(several(MAIN, SIDE), containerOverrides={"command": ["x"]})
    with pytest.raises(ClientError, match="ecsPropertiesOverride applies only to ecsProperties job definitions"):
        submit(ecsPropertiesOverride={"taskProperties": []})
    with pytest.raises(ClientError, match="taskProperties can have one element, got 2"):
        submit(several(MAIN), ecsPropertiesOverride={"taskProperties": [{}, {}]})


def test_parameters_are_put_into_the_command_of_every_container():
    definition = several(container("main", command=["run", "Ref::x"]), container("side", command=["--in=Ref::y"]))
    definition = definition._replace(parameters={"x": "1", "y": "2"})
    job = changed(definition, {"name": "side", "command": ["Ref::x", "Ref::y"]}, parameters={"y": "3"})
    assert [each["command"] for each in body(job)["task"]["containers"]] == [["run", "1"], ["1", "3"]]
    with pytest.raises(ClientError, match="No parameter found for reference z"):
        changed(definition, {"name": "side", "command": ["Ref::z"]})


def test_notices_name_the_container():
    routed = {"logConfiguration": {"logDriver": "awsfirelens"}, "firelensConfiguration": {"type": "fluentd"}}
    job = submit(several(container("main", command=["x"]), container("log", **routed)))
    said = body(job)["notices"]
    assert "container log: firelensConfiguration has no effect: no log router is run." in said
    assert all(each.startswith(("container main: ", "container log: ")) for each in said)
