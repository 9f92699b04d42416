"""The disk fills up and is emptied again: submissions are refused meanwhile, and every acknowledged job runs once."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import botocore.exceptions
import pytest

from tests.harness.site import Site

MIB = 1 << 20
RECORDS = 8192  # two exit records


@pytest.fixture
def disk(tmp_path):
    """A small file system of its own to hold a data directory."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small tmpfs takes root and the mount command")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", disk], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


class Ballast:
    """A file that takes what is left of the disk, but for so many bytes."""

    def __init__(self, disk):
        self._disk = disk
        self._path = disk / "ballast"

    def fill(self, leave: int) -> None:
        with self._path.open("ab") as file:
            while (free := self._free()) > leave:
                try:
                    file.write(b"x" * min(MIB, free - leave))
                    file.flush()
                except OSError:  # somebody else was quicker
                    return

    def _free(self) -> int:
        disk = os.statvfs(self._disk)
        return disk.f_bavail * disk.f_frsize

    def remove(self) -> None:
        self._path.unlink()


class Caller:
    """Submits jobs that each write their id and place, and remembers which were acknowledged and which refused."""

    def __init__(self, site, out):
        self.site, self.out = site, out
        self.queue = site.queue("full")
        site.definition("line", "sh", "-c", f"echo $AWS_BATCH_JOB_ID >> {out}")
        site.definition("slow", "sh", "-c", f"sleep 3; echo $AWS_BATCH_JOB_ID >> {out}")
        self.batch = site.client("batch", retries=0)
        self.acknowledged: list[str] = []
        self.refusals: list[dict] = []

    def submit(self, definition="line", **more) -> bool:
        try:
            answer = self.batch.submit_job(jobName="job", jobQueue=self.queue, jobDefinition=definition, **more)
        except botocore.exceptions.ClientError as error:
            self.refusals.append(error.response)
            return False
        self.acknowledged.append(answer["jobId"])
        return True

    def ran(self) -> list[str]:
        return self.out.read_text().split() if self.out.exists() else []

    def check_refusals(self) -> None:
        assert self.refusals
        for refusal in self.refusals:
            assert refusal["ResponseMetadata"]["HTTPStatusCode"] == 503, refusal
            assert refusal["Error"]["Code"] == "ServiceUnavailableException", refusal
            assert "try again" in refusal["Error"]["Message"], refusal

    def check_all_ran_once(self) -> None:
        for job in self.acknowledged:
            detail = self.site.finished(job, timeout_s=60)
            assert detail["status"] == "SUCCEEDED", (detail["statusReason"], detail["container"].get("reason"))
            assert len(detail["attempts"]) == 1
        assert sorted(self.ran()) == sorted(self.acknowledged)


def roles(site):
    return {role: site.pids(role) for role in ("api", "engine", "runner")}


def test_a_full_disk_refuses_work_and_everything_goes_on_when_there_is_room(disk, tmp_path):
    """With a reserve nothing ever fails for want of room: who comes waits, who runs ends."""
    site = Site(disk / "data", "--vcpus", "4", "--disk-reserve-mib", "4").start()
    ballast = Ballast(disk)
    try:
        caller = Caller(site, tmp_path / "ran")
        for _ in range(10):
            assert caller.submit()
        running = [caller.submit("slow") and caller.acknowledged[-1] for _ in range(2)]
        for job in running:
            site.wait_for(lambda job=job: site.describe(job)["status"] == "RUNNING", "the slow jobs run")
        before = roles(site)
        ballast.fill(leave=2 * MIB)
        assert not any(caller.submit() for _ in range(20))
        with pytest.raises(botocore.exceptions.ClientError, match="ServiceUnavailableException"):
            caller.batch.terminate_job(jobId=running[0], reason="too big")
        site.wait_for(lambda: set(running) <= set(caller.ran()), "what was running has ended")
        assert site.describe(running[0])["status"] in ("RUNNING", "SUCCEEDED")
        caller.check_refusals()
        ballast.remove()
        site.wait_for(caller.submit, "submissions are taken again")
        caller.check_all_ran_once()
        assert roles(site) == before, "nothing had to be started anew"
    finally:
        site.destroy()


def test_a_disk_without_any_room_loses_nothing(disk, tmp_path):
    """Without a reserve writes fail: the engine dies of it, comes back at a bounded pace and finds everything."""
    site = Site(disk / "data", "--vcpus", "2", "--disk-reserve-mib", "0").start()
    ballast = Ballast(disk)
    try:
        caller = Caller(site, tmp_path / "ran")
        running = [caller.submit("slow") and caller.acknowledged[-1] for _ in range(2)]
        for job in running:
            site.wait_for(lambda job=job: site.describe(job)["status"] == "RUNNING", "the slow jobs run")
        for _ in range(30):  # they wait behind the slow ones
            assert caller.submit()
        ballast.fill(leave=RECORDS)  # the engine hears of an end, and cannot record it
        site.wait_for(lambda: set(running) <= set(caller.ran()), "what was running has ended")
        # what comes first, the decision or the views that are rewritten each second, finds it
        no_room = ("state.db cannot be written", "views were not written")
        site.wait_for(lambda: any(said in site.log.read_text() for said in no_room), "the engine found no room")
        ballast.fill(leave=0)
        deaths = _deaths(site)
        for _ in range(10):
            caller.submit()
            time.sleep(0.5)
        assert _deaths(site) - deaths <= 6, "the engine spins"
        caller.check_refusals()
        ballast.remove()
        site.wait_for(caller.submit, "submissions are taken again")
        caller.check_all_ran_once()
    finally:
        site.destroy()


def _deaths(site):
    return site.log.read_text().count("engine ended")
