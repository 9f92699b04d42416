"""What an engine is asked to create, member by member, without an engine."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchyard.executors.runner.containers.options import CAPABILITIES, Host, create_body, shared_volumes


class About(NamedTuple):
    name: str = "docker"
    version: str = "24.0.7"
    rootless: bool = False
    cgroups: int = 1


ALL = frozenset(CAPABILITIES)
DOCKER = Host(About(), ALL, {"nofile": 1024, "nproc": 512})
PODMAN = DOCKER._replace(engine=About("podman", "4.3.1"))
LOG = {"Type": "json-file", "Config": {"max-size": "1048576"}}
PLAIN: dict[str, Any] = {
    "name": "default",
    "image": "busybox",
    "command": [],
    "env": {},
    "user": None,
    "cpu_milli": 1000,
    "cpu_hard": False,
    "memory_mib": 64,
    "devices": [],
    "read_only": False,
    "privileged": False,
    "ulimits": [],
    "init": False,
    "shm_mib": None,
    "tmpfs": [],
    "max_swap_mib": None,
    "swappiness": None,
    "linux_devices": [],
    "mounts": [],
    "log": None,
}


def mount(volume: str, path: str, source: str | None = None, read_only: bool = False) -> dict[str, Any]:
    return {"source": source, "within": None, "volume": volume, "path": path, "read_only": read_only}


def body(host: Host = DOCKER, holder: str | None = None, task: dict | None = None, **asked) -> dict[str, Any]:
    container = PLAIN | asked
    order = {"network": "host", "ipc": None, "pid": None, "containers": [container]} | (task or {})
    sources = [each["source"] for each in container["mounts"]]
    return create_body(order, container, host, sources, LOG, "batchyard-1-", holder)


def asked_of_host(host: Host = DOCKER, **asked) -> dict[str, Any]:
    return body(host, **asked)["HostConfig"]


def test_the_images_own_command_and_user_hold_unless_others_are_named():
    plain, told = body(), body(command=["a", "b"], user="nobody", env={"A": "x=y"})
    assert plain["Image"] == "busybox" and not {"Cmd", "User", "Entrypoint"} & set(plain)
    assert (told["Cmd"], told["User"], told["Env"]) == (["a", "b"], "nobody", ["A=x=y"])
    assert "Entrypoint" not in told, "an override replaces CMD, never ENTRYPOINT"


def test_a_vcpu_is_a_share_and_on_fargate_a_bound():
    assert asked_of_host(cpu_milli=2000)["CpuShares"] == 2048 and "CpuQuota" not in asked_of_host(cpu_milli=2000)
    bound = asked_of_host(cpu_milli=250, cpu_hard=True)
    assert (bound["CpuShares"], bound["CpuQuota"] / bound["CpuPeriod"]) == (256, 0.25)


def test_memory_is_a_bound_and_swap_is_beside_it():
    assert asked_of_host()["Memory"] == 64 << 20
    assert asked_of_host(memory_mib=4)["Memory"] == 6 << 20, "engines allow no less"
    assert "MemorySwap" not in asked_of_host(swappiness=10), "engines' default: as much swap as memory"
    assert "MemorySwappiness" not in asked_of_host(swappiness=10), "ignored without maxSwap"
    none = asked_of_host(max_swap_mib=0, swappiness=0)
    assert (none["MemorySwap"], none["MemorySwappiness"]) == (64 << 20, 0)
    some = asked_of_host(DOCKER._replace(engine=About(cgroups=2)), max_swap_mib=16, swappiness=10)
    assert some["MemorySwap"] == 80 << 20 and "MemorySwappiness" not in some


def test_linux_parameters():
    devices = [{"host": "/dev/a", "path": "/dev/b", "permissions": "rw"}]
    tmpfs = [{"path": "/t", "size_mib": 8, "options": ["defaults", "noexec", "mode=700"]}]
    told = asked_of_host(linux_devices=devices, tmpfs=tmpfs, init=True, shm_mib=128, read_only=True)
    assert told["Devices"] == [{"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "rw"}]
    assert told["Tmpfs"] == {"/t": "size=8m,noexec,mode=700"}
    assert (told["Init"], told["ShmSize"], told["ReadonlyRootfs"]) == (True, 128 << 20, True)


def test_podman_that_is_asked_for_a_limit_is_told_those_it_would_forget():
    limit = {"name": "nofile", "soft": 10, "hard": 20}
    assert asked_of_host(ulimits=[limit])["Ulimits"] == [{"Name": "nofile", "Soft": 10, "Hard": 20}]
    told = asked_of_host(PODMAN, ulimits=[limit])["Ulimits"]
    assert told == [{"Name": "nofile", "Soft": 10, "Hard": 20}, {"Name": "nproc", "Soft": 512, "Hard": 512}]
    assert asked_of_host(PODMAN)["Ulimits"] == [], "it knows them itself while none is asked for"


def test_limits_are_those_that_the_engine_tells_of_its_own_accord():
    told = Host.of(About(), [{"Name": "RLIMIT_NOFILE", "Soft": 7, "Hard": 7}])
    assert told.limits["nofile"] == 7 and "nproc" in told.limits
    assert "CHOWN" in Host.of(About()).capabilities or not Host.of(About()).capabilities


@pytest.mark.parametrize(
    ("host", "rights"),
    [
        (DOCKER, {"Privileged": True}),
        (DOCKER._replace(capabilities=frozenset(), engine=About(rootless=True)), {"Privileged": True}),
        (PODMAN._replace(capabilities=ALL - {"SYS_RESOURCE"}), {"CapAdd": ["ALL"], "CapDrop": ["SYS_RESOURCE"]}),
        (
            DOCKER._replace(capabilities=ALL - {"SYS_RESOURCE", "BPF"}),
            {"CapAdd": ["ALL"], "CapDrop": ["SYS_RESOURCE", "BPF"]},
        ),
        (
            DOCKER._replace(capabilities=ALL - {"SYS_RESOURCE", "BPF"}, engine=About(version="20.10.24+dfsg1")),
            {"CapAdd": ["ALL"], "CapDrop": ["SYS_RESOURCE"]},
        ),
    ],
)
def test_privileged_is_all_that_the_machine_can_give(host, rights):
    told = asked_of_host(host, privileged=True)
    assert {key: told[key] for key in ("Privileged", "CapAdd", "CapDrop") if key in told} == rights
    assert ("SecurityOpt" in told) == ("CapAdd" in rights)


def test_gpus_are_asked_for_by_name():
    assert asked_of_host(devices=["GPU-1", "GPU-2"])["DeviceRequests"] == [
        {"DeviceIDs": ["GPU-1", "GPU-2"], "Capabilities": [["gpu"]]}
    ]
    assert "DeviceRequests" not in asked_of_host()


def test_log_drivers_of_their_own_are_asked_for_where_the_engine_has_them():
    syslog, journald = ({"driver": each, "options": {"tag": "t"}} for each in ("syslog", "journald"))
    assert asked_of_host()["LogConfig"] == LOG
    assert asked_of_host(log=syslog)["LogConfig"] == {"Type": "syslog", "Config": {"tag": "t"}}
    assert asked_of_host(PODMAN, log=syslog)["LogConfig"] == LOG
    assert asked_of_host(PODMAN, log=journald)["LogConfig"]["Type"] == "journald"


def test_namespaces():
    told = [
        ({}, None, {"NetworkMode": "host"}),
        ({"network": "none"}, None, {"NetworkMode": "none"}),
        ({"network": "bridge"}, "pause", {"NetworkMode": "container:pause"}),
        ({"ipc": "host", "pid": "host"}, None, {"NetworkMode": "host", "IpcMode": "host", "PidMode": "host"}),
        (
            {"ipc": "task", "pid": "task"},
            "pause",
            {"NetworkMode": "host", "IpcMode": "container:pause", "PidMode": "container:pause"},
        ),
    ]
    for task, holder, expected in told:
        found = body(task=task, holder=holder)["HostConfig"]
        assert {key: found[key] for key in ("NetworkMode", "IpcMode", "PidMode") if key in found} == expected


def test_volumes_are_bound_and_those_of_the_attempt_are_the_engines():
    mounts = [mount("in", "/in", "/srv/in", True), mount("one", "/one"), mount("two", "/a"), mount("two", "/b")]
    assert asked_of_host(mounts=mounts)["Mounts"] == [
        {"Target": "/in", "ReadOnly": True, "Type": "bind", "Source": "/srv/in"},
        {"Target": "/one", "ReadOnly": False, "Type": "volume"},
        {"Target": "/a", "ReadOnly": False, "Type": "volume", "Source": "batchyard-1-two"},
        {"Target": "/b", "ReadOnly": False, "Type": "volume", "Source": "batchyard-1-two"},
    ]
    several = {"containers": [PLAIN | {"mounts": mounts[1:2]}, PLAIN | {"mounts": mounts[1:3]}]}
    assert shared_volumes(several) == ["one"]


words = st.text("abc/=-_ 0", max_size=6)
naturals = st.integers(0, 1 << 20)
containers = st.fixed_dictionaries(
    {
        **{name: st.just(value) for name, value in PLAIN.items()},
        "command": st.lists(words, max_size=2),
        "env": st.dictionaries(words, words, max_size=2),
        "cpu_milli": st.integers(1, 256_000),
        "cpu_hard": st.booleans(),
        "memory_mib": st.integers(1, 1 << 22),
        "devices": st.lists(words, max_size=2),
        "read_only": st.booleans(),
        "privileged": st.booleans(),
        "shm_mib": st.none() | naturals,
        "max_swap_mib": st.none() | naturals,
        "swappiness": st.none() | st.integers(0, 100),
        "mounts": st.lists(st.builds(mount, words, words, st.none() | words, st.booleans()), max_size=3),
    }
)
hosts = st.builds(
    Host,
    st.builds(
        About, st.sampled_from(["docker", "podman"]), st.sampled_from(["20.10.24", "5.0", "?"]), st.booleans(),
        st.sampled_from([1, 2]),
    ),
    st.frozensets(st.sampled_from(CAPABILITIES)),
    st.just({"nofile": 10}),
)  # fmt: skip


@given(containers, hosts, st.sampled_from(["host", "none", "bridge"]))
def test_properties_of_any_container(container, host, network):
    """It is JSON; nobody gets capabilities unasked, nor more than the machine has; all that is mounted is asked for."""
    order = {"network": network, "ipc": None, "pid": None, "containers": [container]}
    told = create_body(order, container, host, [each["source"] for each in container["mounts"]], LOG)
    assert json.loads(json.dumps(told)) == told
    asked = told["HostConfig"]
    assert asked["Memory"] >= 6 << 20 and asked["CpuShares"] >= 2
    assert asked.get("MemorySwap", asked["Memory"]) >= asked["Memory"]
    if not container["privileged"]:
        assert not {"Privileged", "CapAdd", "SecurityOpt", "DeviceCgroupRules"} & set(asked)
    elif not host.engine.rootless:
        assert asked.get("Privileged") is None or host.capabilities == ALL
    assert [each["Target"] for each in asked["Mounts"]] == [each["path"] for each in container["mounts"]]
    assert asked["NetworkMode"] == network
