"""What a job sees mounted: volumes, tmpfs, shared memory of its size, a read-only root. And what the next one does."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from batchyard.executors import contract


def start(yard, script: str, user: str | None = None, **members) -> str:
    """A job whose order has these members as well, where volumes may lie below /tmp."""
    spec = yard.spec("sh", "-c", script, **({"user": user} if user else {}))
    yard.specs[spec.attempt] = spec
    order = contract.order(spec, yard.settings, {}) | {"host_paths": [tempfile.gettempdir()]} | members
    yard.executor._send(order)
    yard.executor.flush()
    return spec.attempt


def said(yard, script: str, **members) -> str:
    attempt = start(yard, script, **members)
    ending = yard.ended(attempt).ending
    assert ending.reason is None, ending.reason
    return yard.output(attempt)


def failure(yard, **members) -> str:
    """Why a job with such an order does not start."""
    ending = yard.ended(start(yard, "true", **members)).ending
    assert (ending.status_reason, ending.exit_code) == ("Task failed to start", None)
    return ending.reason.removeprefix("CannotStartContainerError: ")


def mount(source, path: str, read_only: bool = False, volume: str = "it") -> dict:
    return {"source": source and str(source), "volume": volume, "within": None, "path": path, "read_only": read_only}


@pytest.fixture
def store():
    """A directory of the machine, with a file in it."""
    with tempfile.TemporaryDirectory(prefix="batchyard-store-") as made:
        path = Path(os.path.realpath(made))
        path.chmod(0o755)
        (path / "input").write_text("from the store\n")
        yield path


def test_a_directory_of_the_machine(isolated, store):
    output = said(isolated, "cat /in/input; echo result >/in/output; pwd", mounts=[mount(store, "/in")])
    assert output.splitlines()[0] == "from the store"
    assert output.splitlines()[1].endswith(".1"), "still in its working directory"
    assert (store / "output").read_text() == "result\n"
    assert not os.path.exists("/in"), "the machine has no such directory afterwards, as before"


def test_read_only(isolated, store):
    output = said(
        isolated,
        "cat /in/deep/input; touch /in/deep/x 2>/dev/null || echo refused",
        mounts=[mount(store, "/in/deep", True)],
    )
    assert output.splitlines()[0] == "from the store" and output.endswith("refused\n")
    assert not (store / "x").exists()


def test_one_file(isolated, store):
    output = said(isolated, "cat /etc/batchyard-test.conf", mounts=[mount(store / "input", "/etc/batchyard-test.conf")])
    assert output == "from the store\n"
    assert not os.path.exists("/etc/batchyard-test.conf")


def test_the_neighbours_of_a_mount_point_stay_in_sight(isolated, store):
    output = said(
        isolated,
        "ls -d /usr/bin /etc/passwd /bin/sh /proc/self /dev/null >/dev/null && cat /etc/hostname && echo seen;"
        " touch /etc/batchyard-new 2>/dev/null || echo refused",
        mounts=[mount(store, "/etc/missing/here")],
    )
    assert output.endswith("seen\nrefused\n"), "what would be lost cannot be written"


def test_a_path_that_does_not_exist_is_made_by_us_kept_and_shared(isolated):
    said(isolated, "echo first >/cache/x", mounts=[mount("/srv/batchyard/cache", "/cache")])
    again = [mount("/srv/batchyard/cache", "/elsewhere", read_only=True)]
    assert said(isolated, "cat /elsewhere/x", mounts=again) == "first\n"
    (kept,) = (isolated.data / "volumes").iterdir()
    assert (kept / "x").read_text() == "first\n"
    assert not os.path.exists("/srv/batchyard")


def test_a_link_that_a_job_leaves_in_a_volume_leads_nowhere(isolated):
    said(isolated, "ln -s /etc /cache/way", mounts=[mount("/srv/batchyard", "/cache")])
    (isolated.data / "volumes" / "srv%2Fbatchyard%2Fstolen").symlink_to("/etc")  # as if a job could
    told = failure(isolated, mounts=[mount("/srv/batchyard/stolen", "/stolen")])
    assert told.startswith("volume it cannot be mounted at /stolen: ")
    assert said(isolated, "ls /in", mounts=[mount("/srv/batchyard/way", "/in")]) == "", "another volume, a fresh one"


def test_a_volume_of_its_own(isolated):
    mounts = [mount(None, "/a", volume="scratch"), mount(None, "/b", volume="scratch"), mount(None, "/c", volume="x")]
    assert said(isolated, "touch /a/f; ls /b; echo; ls /c", mounts=mounts) == "f\n\n"
    assert said(isolated, "ls /a", mounts=mounts) == "", "the next attempt has another one"


def test_volumes_in_volumes(isolated, store):
    mounts = [mount(store, "/in/below/it"), mount(None, "/in", volume="over")]
    assert said(isolated, "ls /in; cat /in/below/it/input", mounts=mounts) == "below\nfrom the store\n"


@pytest.fixture
def mounted(store):
    """A directory of the machine in which another file system is mounted."""
    (store / "way/below").mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "none", store / "way/below"], capture_output=True).returncode:
        pytest.skip("this user cannot mount anything")
    (store / "way/below/inner").write_text("from within\n")
    yield store / "way"
    subprocess.run(["umount", "-l", store / "way/below"], check=True)


def test_file_systems_in_a_volume_come_with_it(mounted, isolated):
    output = said(
        isolated, "cat /in/below/inner; touch /in/below/x || echo refused", mounts=[mount(mounted, "/in", True)]
    )
    assert output.splitlines()[0] == "from within" and output.endswith("refused\n")


def test_a_volume_covers_what_is_mounted_below_it(mounted, isolated, store):
    output = said(
        isolated, f"ls {mounted}; touch {mounted}/x || echo refused", mounts=[mount(store, str(mounted), True)]
    )
    assert output.splitlines()[:2] == ["input", "way"] and output.endswith("refused\n")


def test_no_set_user_id_program_and_no_device_comes_by_a_volume(isolated, store):
    (line,) = said(isolated, "grep ' /in ' /proc/self/mountinfo", mounts=[mount(store, "/in")]).splitlines()
    assert {"nosuid", "nodev"} <= set(line.split()[5].split(","))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/", "destination can't be /"),
        ("/proc/self", "destination can't be /proc/self"),
        ("/sys", "destination can't be /sys"),
        ("//", "destination can't be /"),
        ("/x/../dev", "destination can't be /dev"),
        ("relative", "must be an absolute path"),
        ("/etc/hostname", "a directory cannot be mounted on a file"),
        ("{data}", "would cover the data directory"),
        ("{data}/runner", "is in the data directory"),
    ],
)
def test_where_nothing_can_be_mounted(isolated, store, path, words):
    path = path.format(data=isolated.data)
    told = failure(isolated, mounts=[mount(store, path)])
    assert told.startswith(f"volume it cannot be mounted at {path}: ") and words in told


def test_what_policy_refuses(isolated, store):
    """All of it is in test_volumes.py: here, that it is asked."""
    told = failure(isolated, mounts=[mount("/etc", "/in")], host_paths=[str(store)])
    assert "/etc of this machine may not be mounted" in told and "host_paths" in told
    (store / "way").symlink_to("/etc")
    assert "(it is /etc)" in failure(isolated, mounts=[mount(store / "way", "/in")], host_paths=[str(store)])
    assert "cannot be mounted" in failure(isolated, mounts=[mount(isolated.data / "runner", "/in")])


def test_a_definition_has_it_all(make_yard, store):
    yard = make_yard(host_paths=str(store))
    if yard.executor.isolation == "session":
        pytest.skip("this machine refuses namespaces to this user")
    attempt = yard.sh(
        "cat /in/input; ulimit -n; df -k /s /dev/shm | awk '{print $2}'; touch /x 2>/dev/null || echo refused",
        volumes=[{"name": "in", "host": {"sourcePath": str(store)}}],
        mountPoints=[{"sourceVolume": "in", "containerPath": "/in", "readOnly": True}],
        ulimits=[{"name": "nofile", "softLimit": 99, "hardLimit": 99}],
        linuxParameters={"sharedMemorySize": 3, "tmpfs": [{"containerPath": "/s", "size": 2}]},
        readonlyRootFilesystem=True,
    )
    yard.ended(attempt)
    assert yard.output(attempt).splitlines() == ["from the store", "99", "1K-blocks", "2048", "3072", "refused"]


def test_tmpfs(isolated):
    tmpfs = [{"path": "/scratch/deep", "size_mib": 3, "options": ["mode=700", "noatime"]}]
    output = said(
        isolated,
        "df -k /scratch/deep | tail -1 | awk '{print $2}'; touch /scratch/deep/x && echo writes;"
        " stat -c %a /scratch/deep;"
        " cp /bin/true /scratch/deep/true; /scratch/deep/true 2>/dev/null || echo noexec",
        tmpfs=tmpfs,
    )
    assert output == "3072\nwrites\n700\nnoexec\n"
    tmpfs = [{"path": "/s", "size_mib": 1, "options": ["exec"]}]
    assert said(isolated, "cp /bin/true /s/true; /s/true && echo ran", tmpfs=tmpfs) == "ran\n"


def test_a_tmpfs_where_the_data_directory_is(isolated):
    """As at /tmp, if somebody tries the server there: the job still has its own directory, and none but that."""
    top = isolated.data.parent
    script = (
        f"pwd; touch here && ls; find {top} -mindepth 1 -not -path '{isolated.data}/work/*' | sort; echo x >{top}/y"
    )
    tmpfs = [{"path": str(top), "size_mib": 1, "options": []}]
    attempt = start(isolated, script, tmpfs=tmpfs)
    assert isolated.ended(attempt).ending.exit_code == 0
    work = isolated.work(attempt)
    assert isolated.output(attempt).splitlines() == [str(work), "here", "tmp", str(isolated.data), str(work.parent)]
    assert not (top / "y").exists() and (work / "here").exists()


def test_tmpfs_options_that_nobody_knows(isolated):
    tmpfs = [{"path": "/s", "size_mib": 1, "options": ["size=900g"]}]
    assert failure(isolated, tmpfs=tmpfs) == "invalid tmpfs option 'size=900g'"


def test_shared_memory_of_its_size(isolated):
    script = "df -k /dev/shm | tail -1 | awk '{print $2}'; touch /dev/shm/x && ls /dev/shm"
    assert said(isolated, script, shm_mib=7) == "7168\nx\n"


def test_a_root_that_is_read_only(isolated, store):
    output = said(
        isolated,
        "for path in / /etc /usr /var/tmp /tmp; do touch $path/batchyard-test 2>/dev/null && echo wrote $path; done;"
        ' for path in . "$TMPDIR" /dev/shm /out /scratch /tmp/own; do touch $path/x || echo cannot write $path; done;'
        " ls /in; touch /in/x 2>/dev/null && echo wrote /in; echo end",
        read_only=True,
        mounts=[mount(store, "/in", True), mount(store, "/out"), mount(None, "/tmp/own", volume="own")],
        tmpfs=[{"path": "/scratch", "size_mib": 1, "options": []}],
    )
    assert output == "input\nx\nend\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's jobs have no rights to keep")
def test_nor_does_root_make_it_writable_again(isolated):
    script = "(mount -o remount,rw /; umount -l /etc; touch /etc/batchyard-test) 2>/dev/null || echo refused"
    assert said(isolated, script, read_only=True) == "refused\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's jobs can be another user")
def test_for_another_user(isolated, store):
    (store / "open").mkdir()
    (store / "open").chmod(0o777)
    output = said(
        isolated,
        "id -u; cat /in/input; touch /in/open/x; touch /in/no 2>/dev/null || echo refused; touch /own/x && echo own",
        user="nobody",
        mounts=[mount(store, "/in"), mount(None, "/own", volume="own")],
    )
    assert output == "65534\nfrom the store\nrefused\nown\n"
    assert (store / "open" / "x").stat().st_uid == 65534


def test_twenty_jobs_leave_a_slot_as_they_found_it(isolated, store):
    """Consecutive jobs share a slot's mount namespace: all that is mounted for one is gone for the next."""
    everything = {
        "mounts": [mount(store, "/in/deep", True), mount("/srv/batchyard/kept", "/opt/kept")],
        "tmpfs": [{"path": "/scratch", "size_mib": 1, "options": []}],
        "shm_mib": 2,
        "read_only": True,
    }
    broken = {"mounts": [mount(store, "/in"), mount("/etc", "/other")]}
    isolated.run("true")
    (slot,) = isolated.slots()
    before = Path(f"/proc/{slot}/mountinfo").read_text().splitlines()
    for number in range(20):
        if number % 5 == 4:
            failure(isolated, **broken)
        else:
            said(isolated, "test -e /in/deep/input && exec sleep 0.01", **everything)
    assert isolated.slots() == [slot], "one slot served them all"
    after = Path(f"/proc/{slot}/mountinfo").read_text().splitlines()
    gone = [line for line in before if line not in after and os.path.exists(line.split()[4])]
    assert (after, gone) == ([line for line in before if line in after], []), "but for what the machine has removed"
    assert (
        said(isolated, "ls /in 2>/dev/null; touch /var/tmp/batchyard-test && rm /var/tmp/batchyard-test; echo end")
        == "end\n"
    )


def test_without_namespaces_a_job_does_not_start_without_its_data(weak, store):
    told = failure(weak, mounts=[mount(store, "/in")])
    assert told.startswith("volume it cannot be mounted at /in: jobs have no mount namespace of their own here")
    assert "no tmpfs at /s" in failure(weak, tmpfs=[{"path": "/s", "size_mib": 1, "options": []}])
    assert said(weak, "echo ran", read_only=True, shm_mib=5) == "ran\n", "only weaker: a notice says so"
