"""Spot on a real site, by stock boto3 and the command: interrupted jobs are really dead, and rules retry them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.site import Site
from tests.live.test_managed import environment, queue

TRAPS = "trap 'echo told; exit 0' TERM; echo $$; while :; do sleep 0.1; done"


@pytest.fixture(scope="module")
def spot_site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("spot") / "data", "--vcpus", "2", "--memory", "4096", "--spot-warning-s", "2")
    site.start()
    yield site
    site.destroy()


def batchyard(site, *words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "batchyard", *words, "--data", str(site.data)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | site.environ(), check=True)


def cheap(site, name: str) -> str:
    return queue(site, name, environment(site, name, "SPOT", maxvCpus=2, allocationStrategy="SPOT_CAPACITY_OPTIMIZED"))


def running(site, job: str) -> dict:
    site.wait_for(lambda: site.describe(job)["status"] == "RUNNING", "it runs")
    return site.describe(job)


def processes(mark: str) -> list[int]:
    """Those that have the word in their environment, wherever they are."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_the_command_interrupts_an_instance_and_the_rule_of_the_guide_retries_its_job(spot_site):
    site = spot_site
    site.definition("stubborn", "sh", "-c", f"[ $AWS_BATCH_JOB_ATTEMPT = 2 ] && exit 0; {TRAPS}")
    again = {
        "attempts": 3,
        "evaluateOnExit": [
            {"onStatusReason": "Host EC2*", "action": "RETRY"},
            {"onReason": "*", "action": "EXIT"},
        ],
    }
    job = site.submit(cheap(site, "cheap"), "stubborn", retryStrategy=again)
    running(site, job)
    (row,) = json.loads(batchyard(site, "admin", "instances", "--json").stdout)
    assert (row["state"], row["jobs"], row["type"]) == ("READY", [job], "SPOT")
    assert processes(f"AWS_BATCH_JOB_ID={job}")
    said = batchyard(site, "admin", "interrupt", row["instance"]).stdout
    assert row["instance"] in said and job in said
    site.wait_for(lambda: "LEAVING" in batchyard(site, "admin", "instances").stdout, "it says that it goes")
    ended = site.finished(job)
    assert not processes(f"AWS_BATCH_JOB_ID={job}"), "nothing of it is alive"
    first, second = ended["attempts"]
    assert first["statusReason"] == f"Host EC2 (instance {row['instance']}) terminated."
    assert "exitCode" not in first["container"]
    assert first["stoppedAt"] - first["startedAt"] >= 2000, "it had its warning"
    assert (ended["status"], second["container"]["exitCode"]) == ("SUCCEEDED", 0)
    assert first["container"]["containerInstanceArn"] != second["container"]["containerInstanceArn"]


def test_on_demand_work_gets_the_room_of_spot(spot_site):
    site = spot_site
    site.definition("wide", "sleep", "60", vcpus=2)
    site.definition("done", "true", vcpus=2)
    victim = site.submit(cheap(site, "victims"), "wide")
    running(site, victim)
    dear = site.submit(queue(site, "dear", environment(site, "dear", maxvCpus=2)), "done")
    assert site.finished(dear)["status"] == "SUCCEEDED"
    ended = site.finished(victim)
    assert (ended["status"], ended["statusReason"][:9]) == ("FAILED", "Host EC2 ")


def test_a_task_on_fargate_spot_is_asked_to_end(spot_site):
    site = spot_site
    environment(site, "slices", "FARGATE_SPOT", maxvCpus=1, subnets=["subnet-1"], securityGroupIds=["sg-1"])
    site.client("batch").register_job_definition(
        jobDefinitionName="task",
        type="container",
        platformCapabilities=["FARGATE"],
        containerProperties={
            "image": "busybox",
            "executionRoleArn": "arn:aws:iam::123456789012:role/any",
            "command": ["sh", "-c", TRAPS.replace("exit 0", "exit 9")],
            "resourceRequirements": [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "512"}],
        },
    )
    job = site.submit(queue(site, "slices", "slices"), "task")
    running(site, job)
    site.wait_for(lambda: site.output(site.describe(job)), "it has set its trap")
    batchyard(site, "admin", "interrupt", job)
    ended = site.finished(job)
    assert ended["statusReason"] == "Your Spot Task was interrupted."
    assert ended["container"]["exitCode"] == 9
    assert "told" in site.output(ended)
