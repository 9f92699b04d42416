"""Why a job waits, asked of a real server by the command and by stock clients; what it names is done, and it starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.site import Site

RESOURCES = {
    "type": "EC2",
    "allocationStrategy": "BEST_FIT_PROGRESSIVE",
    "minvCpus": 0,
    "maxvCpus": 4,
    "instanceTypes": ["c5.large", "c5.xlarge"],
    "subnets": ["subnet-1"],
    "securityGroupIds": ["sg-1"],
    "instanceRole": "ecsInstanceRole",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("explain") / "data", "--vcpus", "8", "--memory", "65536").start()
    yield site
    site.destroy()


def typed(site, *words: str, shell: str | None = None) -> str:
    """What a command prints, in the environment that `batchyard env` makes."""
    tools = Path(sys.executable).parent
    environ = os.environ | {
        "BATCHYARD_DATA": str(site.data),
        "PATH": f"{tools}:{os.environ['PATH']}",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    command = f'eval "$(batchyard env)"; {shell}' if shell else None
    done = subprocess.run(
        ["bash", "-c", command] if command else [str(tools / "batchyard"), *words],
        env=environ, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def managed(site, name: str, **resources) -> str:
    """A queue of the name, on a managed environment of the same name."""
    batch = site.client("batch")
    batch.create_compute_environment(
        computeEnvironmentName=name, type="MANAGED", state="ENABLED", computeResources=RESOURCES | resources
    )
    batch.create_job_queue(
        jobQueueName=name, priority=1, computeEnvironmentOrder=[{"order": 1, "computeEnvironment": name}]
    )
    return name


def told(site, job_id: str, begins: str) -> dict:
    """The explanation, as soon as it begins so."""
    found: dict = {}

    def asked() -> bool:
        found.clear()
        found.update(json.loads(typed(site, "explain", "--json", job_id)))
        return found["sentence"].startswith(begins)

    site.wait_for(asked, f"it is told: {begins}")
    return found


def test_the_command_that_is_named_starts_the_job(site):
    name = managed(site, "low")
    site.definition("eight", "true", vcpus=8, memory=64)
    job_id = site.submit(name, "eight")
    found = told(site, job_id, "It cannot start: ")
    kinds = [each["kind"] for each in found["computeEnvironments"][0]["obstacles"]]
    assert kinds == ["MAXIMUM_BELOW", "NO_TYPE"] and found["standing"]
    assert "or raise maxvCpus of low to 8" in found["nextStep"] and "such as c" in found["nextStep"]
    site.client("batch").update_compute_environment(
        computeEnvironment=name, computeResources={"instanceTypes": ["c5.large", "c5.2xlarge"]}
    )
    found = told(
        site, job_id, "It cannot start: it asks for 8 vCPUs, and low may never hold more than 4 vCPUs: ask for"
    )
    (command,) = found["commands"]
    typed(site, shell=command)
    assert site.finished(job_id)["status"] == "SUCCEEDED"


def test_the_head_is_named_to_those_behind_it(site):
    name = managed(site, "line")
    site.definition("wide", "true", vcpus=1, memory=30_000)
    site.definition("small", "true", vcpus=1, memory=64)
    head, behind = site.submit(name, "wide"), site.submit(name, "small")
    found = told(site, behind, f"It waits behind 1 job in queue line, and {head}, which goes first, cannot start: ")
    assert found["ahead"] == 1 and found["head"]["kind"] == "NO_TYPE"
    (line,) = [line for line in typed(site, "jobs", behind).splitlines() if line.startswith("waits ")]
    assert "which goes first, cannot start" in line
    typed(site, shell=found["commands"][0])
    assert site.finished(behind)["status"] == "SUCCEEDED"
    assert typed(site, "explain", behind).startswith("It succeeded")
    assert typed(site, "explain", head).startswith("It failed: ")


def test_whoever_depends_is_told_on_whom(site):
    name = managed(site, "chain")
    site.definition("slow", "sleep", "60", vcpus=1, memory=64)
    site.definition("quick", "true", vcpus=1, memory=64)
    first = site.submit(name, "slow")
    site.wait_for(lambda: site.describe(first)["status"] == "RUNNING", "it runs")
    second = site.submit(name, "quick", dependsOn=[{"jobId": first}])
    third = site.submit(name, "quick", dependsOn=[{"jobId": second}])
    found = told(site, third, f"It waits for {second} ")
    assert found["waitsFor"][0]["sentence"].startswith(f"It waits for {first} ")
    assert typed(site, "explain", first).startswith("It runs in chain on i-")
    site.client("batch").terminate_job(jobId=first, reason="enough")
    assert site.finished(third)["statusReason"] == "Dependent Job failed"


def test_who_asks_for_more_of_a_consumable_resource_than_there_is_is_told_what_to_add(site):
    batch = site.client("batch")
    name = managed(site, "licensed")
    batch.create_consumable_resource(consumableResourceName="licences", totalQuantity=2, resourceType="REPLENISHABLE")
    asked = {"consumableResourceList": [{"consumableResource": "licences", "quantity": 3}]}
    site.definition("licensed", "true", vcpus=1, memory=64)
    job_id = site.submit(name, "licensed", consumableResourcePropertiesOverride=asked)
    found = told(site, job_id, "It cannot start: it asks for 3 of consumable resource licences, and there are 2 in all")
    assert found["everywhere"] == [
        {
            "kind": "SUPPLY_BELOW",
            "standing": True,
            "short": [{"dimension": "QUANTITY", "asked": 3, "has": 2}],
            "consumableResource": "licences",
        }
    ]
    typed(site, shell=found["commands"][0])
    assert site.finished(job_id)["status"] == "SUCCEEDED"


def test_in_a_queue_with_shares_its_own_share_is_counted_and_has_a_place(site):
    batch = site.client("batch")
    policy = batch.create_scheduling_policy(name="fair", fairsharePolicy={})["arn"]
    batch.create_compute_environment(
        computeEnvironmentName="fair", type="MANAGED", state="ENABLED", computeResources=RESOURCES
    )
    order = [{"order": 1, "computeEnvironment": "fair"}]
    batch.create_job_queue(jobQueueName="fair", priority=1, schedulingPolicyArn=policy, computeEnvironmentOrder=order)
    site.definition("holds", "sleep", "60", vcpus=4, memory=64)

    def submit(share: str, priority: int) -> str:
        return site.submit("fair", "holds", shareIdentifier=share, schedulingPriorityOverride=priority)

    holder = submit("a", 1)
    site.wait_for(lambda: site.describe(holder)["status"] == "RUNNING", "it runs")
    low, high, other = submit("a", 1), submit("a", 9), submit("b", 1)
    found = told(site, low, "It waits its turn, 1 job of share a in queue fair ahead of it; share a is number 2 of 2: ")
    assert found["share"] == {"shareIdentifier": "a", "place": 2, "of": 2} and found["head"]["jobId"] == other
    assert told(site, high, "It waits its turn, no job of share a in queue fair ahead")["ahead"] == 0
    assert told(site, other, "It goes next")["share"]["place"] == 1
    for job_id in (low, high, other, holder):
        batch.terminate_job(jobId=job_id, reason="enough")
