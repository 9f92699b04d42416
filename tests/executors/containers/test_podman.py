"""Containers that Podman is asked for in its own words: those with GPUs, which here are devices of any kind."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from batchyard.executors.runner.containers import podman
from batchyard.model.needs import Needs
from tests.executors.containers.test_members import seen, volume
from tests.executors.containers.test_options import PODMAN, body, mount

CDI = Path("/run/cdi/batchyard-test.json")  # where Podman looks for devices; no setting names another place


def test_all_that_is_asked_in_dockers_words_is_asked_in_podmans():
    mounts = [mount("in", "/in", "/srv/in", True), mount("own", "/own")]
    tmpfs = [{"path": "/t", "size_mib": 8, "options": ["noexec"]}]
    devices = [{"host": "/dev/a", "path": "/dev/b", "permissions": "r"}]
    limits = [{"name": "nofile", "soft": 1, "hard": 2}]
    asked = body(
        PODMAN._replace(capabilities=frozenset()), devices=["0", "1"], command=["a"], env={"A": "b=c"}, user="u",
        mounts=mounts, tmpfs=tmpfs, linux_devices=devices, ulimits=limits, shm_mib=4, read_only=True, init=True,
        max_swap_mib=0, swappiness=9, cpu_hard=True, privileged=True,
    )  # fmt: skip
    assert podman.needed(asked) and not podman.needed(body(PODMAN))
    told = podman.specification(asked, "n")
    assert (told["name"], told["image"], told["command"], told["env"]) == ("n", "busybox", ["a"], {"A": "b=c"})
    assert told["devices"] == [
        {"path": "nvidia.com/gpu=0"}, {"path": "nvidia.com/gpu=1"}, {"path": "/dev/a:/dev/b:r"},
    ]  # fmt: skip
    assert told["resource_limits"]["memory"] == {"limit": 64 << 20, "swap": 64 << 20, "swappiness": 9}
    assert told["resource_limits"]["cpu"] == {"shares": 1024, "quota": 100_000, "period": 100_000}
    assert {each["type"] for each in told["r_limits"]} == {"nofile", "nproc"}
    assert [(each["destination"], each["options"]) for each in told["mounts"]] == [
        ("/t", ["size=8m", "noexec"]), ("/in", ["rbind", "ro"]),
    ]  # fmt: skip
    assert told["volumes"] == [{"Name": "", "Dest": "/own", "Options": []}]
    assert (told["user"], told["shm_size"], told["init"], told["read_only_filesystem"]) == ("u", 4 << 20, True, True)
    assert told["netns"] == {"nsmode": "host"} and told["cap_add"] == ["ALL"]
    shared = podman.specification(body(PODMAN, "held", {"ipc": "task", "network": "none"}, devices=["0"]), "n")
    assert shared["ipcns"] == shared["netns"] == {"nsmode": "container", "value": "held"}
    assert set(asked["HostConfig"]) - podman.READ == set(), "nothing of it is passed over"


@pytest.fixture
def gpus():
    """Two devices that Podman takes for GPUs."""
    if os.geteuid() != 0 or CDI.exists():
        pytest.skip("devices of the machine are for root to name")
    made = not CDI.parent.exists()
    CDI.parent.mkdir(exist_ok=True)
    nodes = [("0", "/dev/null"), ("1", "/dev/zero")]
    edits = [
        {"name": name, "containerEdits": {"deviceNodes": [{"path": f"/dev/gpu{name}", "hostPath": path}]}}
        for name, path in nodes
    ]
    CDI.write_text(json.dumps({"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": edits}))
    yield
    CDI.unlink()
    if made:
        CDI.parent.rmdir()


def test_a_job_sees_the_gpus_that_it_holds_and_no_others(gpus, make_dock):
    dock = make_dock()
    if dock.engine.name != "podman":
        pytest.skip("Docker asks NVIDIA's runtime")
    own = volume("mine")
    said = seen(
        dock, "ls /dev | grep gpu; echo x >/v/a; cat /v/a; exit 0", needs=Needs(1000, 64, 1), devices=(1,), **own
    )
    assert said.split() == ["gpu1", "x"]
    assert dock.ended(dock.sh("exit 3", needs=Needs(1000, 64, 2), devices=(0, 1))).ending.exit_code == 3


def test_a_gpu_that_podman_does_not_know_is_a_reason(make_dock):
    dock = make_dock()
    if dock.engine.name != "podman":
        pytest.skip("Docker asks NVIDIA's runtime")
    ending = dock.run("true", needs=Needs(1000, 64, 1), devices=(7,)).ending
    assert ending.status_reason == "Task failed to start" and "nvidia.com/gpu=7" in ending.reason
