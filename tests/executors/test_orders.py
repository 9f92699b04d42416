"""Which executor an attempt gets, and what its order says, without running anything."""

from __future__ import annotations

import pytest

from batchyard import config
from batchyard.executors import contract
from batchyard.executors.contract import Engine
from batchyard.executors.gpus import Gpu
from batchyard.model.ids import NODES, WHOLE
from batchyard.model.jobs import AttemptSpec, NodeGroup, Nodes
from batchyard.model.needs import Needs

DOCKER = Engine("docker", "20.10.24", "/run/docker.sock", False)
UUID = "0b7f2c52-6f0e-4f7e-9b5e-2d1f6a4c8e10"


def spec(**container) -> AttemptSpec:
    return AttemptSpec(
        attempt=f"{UUID}.1",
        job_id=UUID,
        job_name="job",
        index=WHOLE,
        size=0,
        number=1,
        region="eu-west-1",
        queue_name="q",
        environment_name="e",
        definition_name="d",
        needs=Needs(2000, 512),
        timeout_s=None,
        opened_ms=0,
        container={"image": "busybox", "command": ["true"]} | container,
    )


def order(of: AttemptSpec, engine: Engine | None = DOCKER, gpus: tuple[Gpu, ...] = (), **settings) -> dict:
    environ = {"PROXY": "here", "HIDDEN": "x"}
    return contract.order(of, config.load({"data": "/D", **settings}, {}), environ, gpus, engine=engine)


@pytest.mark.parametrize(
    ("executor", "engine", "image", "how"),
    [
        ("auto", DOCKER, "busybox", "container"),
        ("auto", None, "busybox", "process"),
        ("auto", DOCKER, "host", "process"),
        ("process", DOCKER, "busybox", "process"),
        ("container", DOCKER, "busybox", "container"),
        ("container", DOCKER, "host", "process"),
    ],
)
def test_setting_engine_and_image_choose_the_executor(executor, engine, image, how):
    told = order(spec(image=image), engine, executor=executor)
    assert (told["how"], told.get("cannot_start")) == (how, None)


def test_without_an_engine_what_needs_one_fails_to_start_and_says_why():
    told = order(spec(), None, executor="container")
    assert "no container engine passed its trial" in told["cannot_start"] and "batchyard doctor" in told["cannot_start"]
    task = {"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "x"}]}
    several = order(spec()._replace(container={}, task=task), None)
    assert several["cannot_start"].startswith("a job of several containers needs a container engine")


def test_the_container_of_a_plain_definition():
    asked = spec(environment=[{"name": "A", "value": "1"}], user="nobody")
    [told] = order(asked, process_pass_env="PROXY")["containers"]
    assert (told["name"], told["image"], told["command"], told["user"]) == ("default", "busybox", ["true"], "nobody")
    assert (told["cpu_milli"], told["cpu_hard"], told["memory_mib"]) == (2000, False, 512)
    assert told["env"]["A"] == "1" and told["env"]["PROXY"] == "here" and told["env"]["AWS_REGION"] == "eu-west-1"
    assert not {"PATH", "HOME", "TMPDIR", "HIDDEN"} & set(told["env"]), "the image's own hold"
    empty = [name for name, value in told.items() if value in (None, [], False)]
    assert set(empty) >= {"ulimits", "mounts", "tmpfs", "linux_devices", "log", "init", "read_only", "privileged"}


def test_on_fargate_the_processor_is_bounded():
    [told] = order(spec()._replace(fargate=True, needs=Needs(250, 512)))["containers"]
    assert (told["cpu_milli"], told["cpu_hard"]) == (250, True)


def test_linux_parameters_in_the_words_of_the_order():
    linux = {
        "devices": [
            {"hostPath": "/dev/fuse"},
            {"hostPath": "/dev/a", "containerPath": "/dev/b", "permissions": ["READ"]},
        ],
        "initProcessEnabled": True,
        "sharedMemorySize": 128,
        "tmpfs": [{"containerPath": "/t", "size": 8, "mountOptions": ["noexec"]}],
        "maxSwap": 64,
        "swappiness": 10,
    }
    asked = {"ulimits": [{"name": "nofile", "softLimit": 10, "hardLimit": 20}], "readonlyRootFilesystem": True}
    [told] = order(spec(linuxParameters=linux, **asked))["containers"]
    assert told["linux_devices"] == [
        {"host": "/dev/fuse", "path": "/dev/fuse", "permissions": "rwm"},
        {"host": "/dev/a", "path": "/dev/b", "permissions": "r"},
    ]
    assert told["tmpfs"] == [{"path": "/t", "size_mib": 8, "options": ["noexec"]}]
    assert (told["init"], told["shm_mib"], told["max_swap_mib"], told["swappiness"]) == (True, 128, 64, 10)
    assert told["ulimits"] == [{"name": "nofile", "soft": 10, "hard": 20}] and told["read_only"]


def test_privileged_only_where_the_operator_allows_it():
    [told] = order(spec(privileged=True))["containers"]
    [allowed] = order(spec(privileged=True), privileged=True)["containers"]
    assert (told["privileged"], allowed["privileged"]) == (False, True)


VOLUMES = [
    {"name": "host", "host": {"sourcePath": "/srv/in"}},
    {"name": "mine"},
    {"name": "efs", "efsVolumeConfiguration": {"fileSystemId": "fs-1", "rootDirectory": "/a/b"}},
    {
        "name": "point",
        "efsVolumeConfiguration": {"fileSystemId": "fs-1", "authorizationConfig": {"accessPointId": "fsap-9"}},
    },
    {
        "name": "s3",
        "s3filesVolumeConfiguration": {"fileSystemArn": "arn:aws:s3files:us-east-1:123456789012:file-system/fs-2"},
    },
]


def test_volumes_are_told_by_where_their_files_lie():
    points = [{"sourceVolume": each["name"], "containerPath": f"/{each['name']}"} for each in VOLUMES]
    efs = "fs-1=/mnt/one,fsap-9=/mnt/point,fs-2=/mnt/two"
    asked = {"volumes": VOLUMES, "mountPoints": [points[0] | {"readOnly": True}, *points[1:]]}
    [told] = order(spec(**asked), efs=efs)["containers"]
    assert [(each["source"], each["within"], each["read_only"]) for each in told["mounts"]] == [
        ("/srv/in", None, True),
        (None, None, False),
        ("/mnt/one/a/b", "/mnt/one", False),
        ("/mnt/point", "/mnt/point", False),
        ("/mnt/two", "/mnt/two", False),
    ]


def test_a_file_system_that_is_mapped_nowhere_names_the_setting():
    asked = {"volumes": VOLUMES, "mountPoints": [{"sourceVolume": "efs", "containerPath": "/efs"}]}
    why = order(spec(**asked))["cannot_start"]
    assert "volume efs" in why and "fs-1" in why and "setting efs" in why


def test_gpus_are_shared_out_to_the_containers_that_ask_for_them():
    known = tuple(Gpu(f"GPU-0000000{number}-0000-0000-0000-000000000000", None) for number in range(3))
    one = {"type": "GPU", "value": "1"}
    names = ("a", "b", "c")
    task = {"containers": [{"name": each, "image": "x", "resourceRequirements": []} for each in names]}
    task["containers"][0]["resourceRequirements"] = task["containers"][2]["resourceRequirements"] = [one]
    told = order(spec()._replace(container={}, task=task, devices=(2, 0)), gpus=known)["containers"]
    assert [each["devices"] for each in told] == [[known[2].uuid], [], [known[0].uuid]]
    shown = [each["env"]["NVIDIA_VISIBLE_DEVICES"] for each in told]
    assert shown == [known[2].uuid, "void", known[0].uuid]


def test_nodes_share_the_network_of_the_machine():
    nodes = Nodes(0, (NodeGroup(0, 2, Needs(1000, 64)),))
    told = order(spec()._replace(nodes=nodes, index=NODES + 1), container_network="none")
    assert told["network"] == "host"
    assert told["containers"][0]["env"]["AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS"] == "127.0.0.1"
    assert order(spec(), container_network="none")["network"] == "none"


@pytest.mark.parametrize(
    ("asked", "starts"),
    [
        ({}, True),
        ({"operatingSystemFamily": "LINUX"}, True),
        ({"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE", "cpuArchitecture": "X86_64"}, False),
        ({"cpuArchitecture": "S390"}, False),
    ],
)
def test_another_system_or_processor_cannot_be_had(asked, starts):
    told = order(spec(runtimePlatform=asked))
    assert ("cannot_start" not in told) == starts
    assert starts or "this machine has LINUX on" in told["cannot_start"]


def test_an_order_that_cannot_start_is_told_as_a_failure_to_start(yard):
    job = yard.spec("true")
    told = yard.ended(yard.start(job._replace(container={"image": "host", **job.container})))
    assert told.ending.exit_code == 0
    task = {"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "x"}]}
    told = yard.ended(yard.start(yard.spec("true")._replace(container={}, task=task)))
    assert (told.ending.exit_code, told.ending.status_reason) == (None, "Task failed to start")
    assert told.ending.reason.startswith("CannotStartContainerError: a job of several containers needs")


@pytest.mark.parametrize("engine", [DOCKER, None], ids=["container", "process"])
def test_an_image_that_is_a_zipped_application(engine):
    zipped = spec(image="zip:s3://bucket/apps/a.zip", command=["run"])
    told = order(zipped, engine, zip_from="s3://bucket/apps/,file:///srv", zip_max_mib="7", zip_image="base:1")
    only = told["containers"][0] if engine else told
    assert only["zip"] == {
        "address": "s3://bucket/apps/a.zip", "from": ["s3://bucket/apps/", "file:///srv"], "max_mib": 7,
    }  # fmt: skip
    assert only["image"] == "base:1" if engine else only["argv"] == ["run"]
    assert order(spec(image="zip:latest"), None)["zip"] is None
