"""What a container's members come to, as seen from inside of a real container of each engine."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from batchyard.model.ids import NODES
from batchyard.model.jobs import NodeGroup, Nodes
from batchyard.model.needs import Needs


def seen(dock, script: str, **more) -> str:
    """What the script says in a container that exits with 0."""
    attempt = dock.sh(script, **more)
    ending = dock.ended(attempt).ending
    said = dock.output(attempt)
    assert ending.exit_code == 0, (ending, said)
    return said


def refused(dock, **more) -> str:
    ending = dock.run("true", **more).ending
    assert ending.status_reason == "Task failed to start" and ending.exit_code is None
    return ending.reason


def test_the_processor_is_a_share_and_on_fargate_a_bound(dock):
    if not Path("/sys/fs/cgroup/cpu").exists():
        pytest.skip("control groups of version 2 count shares otherwise")
    shares = "cat /sys/fs/cgroup/cpu/cpu.shares /sys/fs/cgroup/cpu/cpu.cfs_quota_us"
    assert seen(dock, shares, needs=Needs(2000, 64)).split() == ["2048", "-1"]
    assert seen(dock, shares, needs=Needs(250, 64), fargate=True).split() == ["256", "25000"]


def test_memory_and_swap_are_bounded(dock):
    if not Path("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes").exists():
        pytest.skip("this kernel does not count swap")
    limits = "cd /sys/fs/cgroup/memory; cat memory.limit_in_bytes memory.memsw.limit_in_bytes memory.swappiness"
    assert seen(dock, limits).split()[:2] == [str(512 << 20), str(1024 << 20)]
    swap = {"maxSwap": 16, "swappiness": 7}
    assert seen(dock, limits, linuxParameters=swap).split() == [str(512 << 20), str(528 << 20), "7"]


def test_limits_users_and_devices(dock):
    limits = [{"name": "nofile", "softLimit": 90, "hardLimit": 95}, {"name": "core", "softLimit": 0, "hardLimit": 0}]
    assert seen(dock, "ulimit -Sn; ulimit -Hn; ulimit -c", ulimits=limits).split() == ["90", "95", "0"]
    assert seen(dock, "id -u; id -g", user="65534").split()[0] == "65534"
    devices = [{"hostPath": "/dev/full", "containerPath": "/dev/filled", "permissions": ["READ", "WRITE"]}]
    said = seen(dock, "echo x >/dev/filled || echo full", linuxParameters={"devices": devices})
    assert "full\n" in said


def test_a_root_that_nobody_writes_to_and_memory_to_write_to(dock):
    linux = {
        "tmpfs": [{"containerPath": "/scratch", "size": 3, "mountOptions": ["defaults", "noexec", "mode=700"]}],
        "sharedMemorySize": 5,
    }
    script = """
touch /here 2>/dev/null || echo no
touch /scratch/here && echo yes
stat -c %a /scratch
df -m /scratch /dev/shm | awk 'NR>1 {print $2}'
"""
    assert seen(dock, script, readonlyRootFilesystem=True, linuxParameters=linux).split() == [
        "no",
        "yes",
        "700",
        "3",
        "5",
    ]


def test_an_init_where_the_engine_has_one(dock):
    ending = dock.ended(attempt := dock.sh("ps", linuxParameters={"initProcessEnabled": True})).ending
    if ending.exit_code is None:
        assert "init binary not found" in ending.reason, ending
        pytest.skip("this Podman has no init: apt install catatonit")
    assert "init" in next(line for line in dock.output(attempt).splitlines() if line.split()[0] == "1")


def test_privileged_is_for_those_whom_the_operator_lets(make_dock):
    count = "grep CapEff /proc/self/status; mkdir /m; mount -t tmpfs x /m 2>/dev/null && echo mounted; true"
    assert "mounted" not in seen(make_dock(), count, privileged=True)
    allowed = seen(make_dock(privileged=True), count, privileged=True)
    assert "mounted" in allowed
    held = int(allowed.split()[1], 16)
    bounding = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapBnd"))
    assert held & ~int(bounding.split()[1], 16) == 0, "nobody has more than the machine"


def test_networks(make_dock):
    inside = "readlink /proc/self/ns/net"
    ours = os.readlink("/proc/self/ns/net")
    assert seen(make_dock(), inside).strip() == ours
    alone = make_dock(container_network="none")
    assert seen(alone, inside).strip() != ours
    nodes = Nodes(0, (NodeGroup(0, 2, Needs(1000, 64)),))
    told = seen(alone, f"{inside}; echo $AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS", nodes=nodes, index=NODES + 1)
    assert told.split() == [ours, "127.0.0.1"], "nodes find each other on the machine's own network"


def test_another_platform_is_refused(dock):
    windows = {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE", "cpuArchitecture": "X86_64"}
    assert "runtimePlatform asks for WINDOWS_SERVER_2022_CORE on X86_64" in refused(dock, runtimePlatform=windows)


# -- volumes -------------------------------------------------------------------------------------------------------


@pytest.fixture
def land():
    """Directories of the machine: `in` is allowed below, `efs` stands for a file system, `other` is nobody's."""
    top = Path(tempfile.mkdtemp(prefix="batchyard-land-"))
    for name in ("allowed/in", "efs/one", "other"):
        (top / name).mkdir(parents=True)
        (top / name / "file").write_text(f"{name}\n")
    yield top
    shutil.rmtree(top)


def volume(name: str, **source) -> dict:
    return {"volumes": [{"name": name, **source}], "mountPoints": [{"sourceVolume": name, "containerPath": "/v"}]}


def host(path: Path | str) -> dict:
    return volume("h", host={"sourcePath": str(path)})


def efs(root: str | None = None) -> dict:
    given = {"fileSystemId": "fs-1", "transitEncryption": "ENABLED"} | ({"rootDirectory": root} if root else {})
    return volume("e", efsVolumeConfiguration=given)


def test_volumes_of_the_machine_are_those_that_the_operator_allows(make_dock, land):
    dock = make_dock(host_paths=str(land / "allowed"))
    assert seen(dock, "cat /v/file; echo out >/v/made", **host(land / "allowed/in")) == "allowed/in\n"
    assert (land / "allowed/in/made").read_text() == "out\n"
    reading = host(land / "allowed/in")
    reading["mountPoints"][0]["readOnly"] = True
    assert seen(dock, "touch /v/more 2>/dev/null || echo no", **reading) == "no\n"
    assert "setting host_paths" in refused(dock, **host(land / "other"))
    for path in ("/", dock.data, dock.data / "work", "/run", dock.engine.socket):
        assert "cannot be mounted" in refused(dock, **host(path)), path


def test_a_path_that_does_not_exist_is_kept_and_shared_by_its_name(dock):
    absent = host("/there/is/no/such/path")
    assert seen(dock, "echo kept >/v/file", **absent) == ""
    assert seen(dock, "cat /v/file", **absent) == "kept\n"
    assert not Path("/there").exists() and (dock.data / "volumes/there%2Fis%2Fno%2Fsuch%2Fpath/file").exists()


def test_file_systems_are_the_directories_that_stand_for_them(make_dock, land):
    dock = make_dock(efs=f"fs-1={land / 'efs'}")
    assert seen(dock, "cat /v/one/file", **efs()) == seen(dock, "cat /v/file", **efs("/one")) == "efs/one\n"
    assert "no directory" in refused(dock, **efs("/two"))
    assert "leads out of" in refused(dock, **efs("/../other"))
    unmapped = volume("e", efsVolumeConfiguration={"fileSystemId": "fs-2"})
    assert "the setting efs names them" in refused(dock, **unmapped)


def test_a_volume_of_the_attempts_own_goes_with_it(dock):
    def kept() -> set[str]:
        with dock.engine.client() as client:
            return {each.name for each in client.volumes.list()}

    before = kept()
    two = volume("mine")
    two["mountPoints"].append({"sourceVolume": "mine", "containerPath": "/w"})
    assert seen(dock, "echo x >/v/file; cat /w/file", **two) == "x\n", "one volume, seen at two places"
    assert seen(dock, "ls /v", **two) == seen(dock, "echo x >/v/file", **volume("mine")) == ""
    dock.has_none_left()
    dock.until(lambda: kept() == before, "the volumes are removed, too")
