"""Backups of a busy server: each one restores to a server where nothing acknowledged before it is missing or stuck."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from batchyard.store.audit import OK, audit
from tests.harness.site import Site

TERMINAL = ("SUCCEEDED", "FAILED")


def command(*arguments, **more) -> subprocess.CompletedProcess:
    typed = [sys.executable, "-P", "-m", "batchyard", *map(str, arguments)]
    return subprocess.run(typed, capture_output=True, text=True, timeout=120, **more)


def backed_up(site, file) -> None:
    done = command("admin", "backup", file, "--data", site.data)
    assert done.returncode == 0, done.stderr


def restored(file, data, *flags) -> Site:
    done = command("admin", "restore", file, "--data", data)
    assert done.returncode == 0, done.stderr
    assert all(finding.word == OK for finding in audit(data, rest=False))
    return Site(data, *flags).start()


class Submitting(threading.Thread):
    """Submits without a pause, single jobs and arrays; every fourth waits for the one before."""

    def __init__(self, site, jobs: int, definition: str = "quick"):
        super().__init__(daemon=True)
        self.batch, self.jobs, self.definition = site.client("batch"), jobs, definition
        self.acknowledged: list[str] = []
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            submitted = 0
            while submitted < self.jobs:
                more, size = {}, 1
                if submitted % 50 == 49:
                    more["arrayProperties"] = {"size": (size := 20)}
                elif submitted % 4 == 3:
                    more["dependsOn"] = [{"jobId": self.acknowledged[-1]}]
                job = self.batch.submit_job(jobName="j", jobQueue="q", jobDefinition=self.definition, **more)
                self.acknowledged.append(job["jobId"])
                submitted += size
        except BaseException as error:
            self.failure = error


def states(site, jobs: list[str]) -> dict[str, str]:
    batch = site.client("batch")
    found = {}
    for start in range(0, len(jobs), 100):
        for job in batch.describe_jobs(jobs=jobs[start : start + 100])["jobs"]:
            found[job["jobId"]] = job["status"]
    return found


def check_all_known_and_over(site, known: list[str], timeout_s: float) -> None:
    found = states(site, known)
    assert set(found) == set(known), f"{len(set(known) - set(found))} acknowledged jobs are unknown"
    site.wait_for(
        lambda: set(states(site, known).values()) <= set(TERMINAL), "all jobs of the backup are over", timeout_s
    )
    assert set(states(site, known).values()) == {"SUCCEEDED"}
    done = command("admin", "check", "--data", site.data)
    assert done.returncode == 0, done.stdout


@pytest.mark.long
def test_5000_jobs_are_submitted_and_run_while_backups_are_taken(tmp_path):
    site = Site(tmp_path / "data", "--vcpus", "8").start()
    backups = []
    try:
        site.queue()
        site.definition("quick", "true", memory=8, retryStrategy={"attempts": 3})  # RUNNING ones are lost by a restore
        submitting = Submitting(site, 5000)
        submitting.start()
        while submitting.is_alive():
            known = len(submitting.acknowledged)
            backed_up(site, tmp_path / f"{len(backups)}.tar")
            backups.append(known)
            assert command("admin", "check", "--data", site.data).returncode == 0
            time.sleep(0.5)
        assert submitting.failure is None, submitting.failure
        assert len(backups) >= 4, "the jobs were submitted too fast to tell"
    finally:
        site.destroy()
    chosen = sorted({1, len(backups) // 2, len(backups) - 1})
    for number in chosen:
        other = restored(tmp_path / f"{number}.tar", tmp_path / f"restored-{number}", "--vcpus", "8")
        try:
            check_all_known_and_over(other, submitting.acknowledged[: backups[number]], timeout_s=240)
        finally:
            other.destroy()
    for number in range(len(backups)):  # all of them are whole
        if number not in chosen:
            data = tmp_path / f"read-{number}"
            assert command("admin", "restore", tmp_path / f"{number}.tar", "--data", data).returncode == 0
            assert all(finding.word == OK for finding in audit(data, rest=False))


def test_a_backup_knows_what_waits_what_runs_and_what_is_over(tmp_path):
    """What ran when it was taken: the retry rules decide, as after the loss of a host."""
    site = Site(tmp_path / "data", "--vcpus", "2").start()
    try:
        site.queue()
        site.definition("quick", "echo", "hello")
        site.definition("slow", "sleep", "300")
        site.definition("patient", "sh", "-c", "sleep 300", retryStrategy={"attempts": 2})
        over = site.submit("q", "quick")
        site.finished(over)
        once, twice = site.submit("q", "slow"), site.submit("q", "patient")
        for job in (once, twice):
            site.wait_for(lambda job=job: site.describe(job)["status"] == "RUNNING", "it runs")
        waits = site.submit("q", "quick", dependsOn=[{"jobId": over}])
        backed_up(site, tmp_path / "b.tar")
        later = site.submit("q", "quick")
        key = site.key
    finally:
        site.destroy()
    other = restored(tmp_path / "b.tar", tmp_path / "data2", "--vcpus", "2")
    try:
        assert other.describe(over)["status"] == "SUCCEEDED"
        lost = other.finished(once)
        assert lost["status"] == "FAILED" and lost["statusReason"].startswith("Host EC2 (instance i-"), lost
        assert len(lost["attempts"]) == 1
        other.wait_for(lambda: other.describe(twice)["status"] == "RUNNING", "it is tried again")
        assert other.finished(waits)["status"] == "SUCCEEDED"
        assert not other.client("batch").describe_jobs(jobs=[later])["jobs"], "it came after the backup"
        assert other.key != key, "the key stays where it was"
    finally:
        other.destroy()


def test_check_beside_a_running_server_and_without_it(tmp_path):
    site = Site(tmp_path / "data", "--vcpus", "2").start()
    try:
        site.queue()
        site.definition("quick", "true")
        site.finished(site.submit("q", "quick", arrayProperties={"size": 5}))
        beside = command("admin", "check", "--data", site.data)
        site.stop()
        without = command("admin", "check", "--data", site.data)
        assert (beside.returncode, without.returncode) == (0, 0), beside.stdout
        assert beside.stdout == without.stdout
        assert beside.stdout.count("  ok  ") == len(beside.stdout.splitlines())
    finally:
        site.destroy()
