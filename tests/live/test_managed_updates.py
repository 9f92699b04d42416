"""Managed environments are updated and deleted by stock boto3 while real jobs run in them."""

from __future__ import annotations

import botocore.exceptions
import pytest

from tests.harness.site import Site
from tests.live.test_managed import environment, queue


@pytest.fixture(scope="module")
def changing_site(tmp_path_factory):
    site = Site(
        tmp_path_factory.mktemp("changing") / "data", "--vcpus", "8", "--memory", "16384", "--instance-idle-s", "1"
    )
    site.start()
    yield site
    site.destroy()


def test_bounds_change_while_jobs_wait(changing_site):
    site, batch = changing_site, changing_site.client("batch")
    name = environment(site, "growing", maxvCpus=1, instanceTypes=["optimal"])
    growing = queue(site, "growing", name)
    site.definition("waits2", "sleep", "600", vcpus=2)
    job = site.submit(growing, "waits2")
    batch.update_compute_environment(
        computeEnvironment=name, computeResources={"maxvCpus": 4, "scalingPolicy": {"minScaleDownDelayMinutes": 20}}
    )
    site.wait_for(lambda: site.describe(job)["status"] == "RUNNING", "the higher maximum lets it run")
    (found,) = batch.describe_compute_environments(computeEnvironments=[name])["computeEnvironments"]
    assert found["computeResources"]["maxvCpus"] == 4
    assert found["computeResources"]["scalingPolicy"] == {"minScaleDownDelayMinutes": 20}
    with pytest.raises(botocore.exceptions.ClientError, match="Manually scaling down compute environment"):
        batch.update_compute_environment(computeEnvironment=name, computeResources={"desiredvCpus": 0})
    batch.terminate_job(jobId=job, reason="enough")
    site.finished(job)


def status(site, name: str) -> tuple[str, str]:
    (found,) = site.client("batch").describe_compute_environments(computeEnvironments=[name])["computeEnvironments"]
    return found["status"], found["statusReason"]


def instance(site, job: str) -> str:
    """Of the attempt that runs."""
    site.wait_for(lambda: site.describe(job)["status"] == "RUNNING", "it runs")
    return site.describe(job)["container"]["containerInstanceArn"]


def progressive(site, name: str, kind: str) -> str:
    return queue(
        site, name, environment(site, name, maxvCpus=8, allocationStrategy="BEST_FIT_PROGRESSIVE", instanceTypes=[kind])
    )


def test_instances_of_the_old_kind_go_when_their_jobs_are_over(changing_site, tmp_path):
    site, batch = changing_site, changing_site.client("batch")
    line = progressive(site, "renewed", "c5.large")
    site.definition("until", "sh", "-c", f"until [ -e {tmp_path}/go ]; do sleep 0.05; done")
    old = site.submit(line, "until")
    before = instance(site, old)
    batch.update_compute_environment(
        computeEnvironment="renewed",
        computeResources={"instanceTypes": ["c6i.large"]},
        updatePolicy={"jobExecutionTimeoutMinutes": 5},
    )
    found, reason = status(site, "renewed")
    assert found == "UPDATING" and reason.startswith("ComputeEnvironment is being updated: ")
    new = site.submit(line, "until")
    assert instance(site, new) != before, "though the old one has room for it"
    assert status(site, "renewed")[0] == "UPDATING"
    (tmp_path / "go").touch()
    assert [site.finished(job)["status"] for job in (old, new)] == ["SUCCEEDED"] * 2
    site.wait_for(lambda: status(site, "renewed") == ("VALID", "ComputeEnvironment Healthy"), "the old one is gone")
    (shown,) = batch.describe_compute_environments(computeEnvironments=["renewed"])["computeEnvironments"]
    assert shown["computeResources"]["instanceTypes"] == ["c6i.large"]
    assert shown["updatePolicy"] == {"terminateJobsOnUpdate": False, "jobExecutionTimeoutMinutes": 5}


def test_jobs_that_an_update_terminates_are_tried_again_on_the_new_kind(changing_site, tmp_path):
    site = changing_site
    line = progressive(site, "hurried", "c5.large")
    site.definition("second", "sh", "-c", f"[ -e {tmp_path}/again ] || {{ touch {tmp_path}/again; exec sleep 600; }}")
    job = site.submit(line, "second", retryStrategy={"attempts": 2})
    before = instance(site, job)
    site.wait_for((tmp_path / "again").exists, "the first attempt is at work")
    site.client("batch").update_compute_environment(
        computeEnvironment="hurried",
        computeResources={"instanceTypes": ["c6i.large"]},
        updatePolicy={"terminateJobsOnUpdate": True},
    )
    end = site.finished(job)
    assert end["status"] == "SUCCEEDED"
    first, second = end["attempts"]
    assert (
        first["statusReason"].startswith("Host EC2 (instance i-")
        and first["container"]["containerInstanceArn"] == before
    )
    assert second["container"]["containerInstanceArn"] != before
    site.wait_for(lambda: status(site, "hurried")[0] == "VALID", "it is VALID again")


def test_an_environment_whose_types_are_all_too_large_says_so_and_is_repaired(changing_site):
    site, batch = changing_site, changing_site.client("batch")
    line = progressive(site, "huge", "c5.24xlarge")
    site.wait_for(lambda: status(site, "huge")[0] == "INVALID", "the engine knows the machine")
    reason = status(site, "huge")[1]
    assert reason.startswith(
        "CLIENT_ERROR - None of the instance types fits this machine, which has 8 vCPUs, 16384 MiB:"
    )
    site.definition("true", "true")
    job = site.submit(line, "true")
    batch.update_compute_environment(computeEnvironment="huge", computeResources={"instanceTypes": ["optimal"]})
    assert site.finished(job)["status"] == "SUCCEEDED"
    assert status(site, "huge")[0] == "VALID"


def test_a_managed_environment_is_deleted_with_its_instances(changing_site, tmp_path):
    site, batch = changing_site, changing_site.client("batch")
    old, other = environment(site, "leaving", minvCpus=2), environment(site, "staying")
    line = queue(site, "leaving", old)
    site.definition("until2", "sh", "-c", f"until [ -e {tmp_path}/go ]; do sleep 0.05; done")
    job = site.submit(line, "until2")
    instance(site, job)
    batch.update_compute_environment(computeEnvironment=old, state="DISABLED")
    assert status(site, old) == ("VALID", "ComputeEnvironment Healthy")
    with pytest.raises(botocore.exceptions.ClientError, match="found existing JobQueue relationship"):
        batch.delete_compute_environment(computeEnvironment=old)
    batch.update_job_queue(jobQueue=line, computeEnvironmentOrder=[{"order": 1, "computeEnvironment": other}])
    batch.delete_compute_environment(computeEnvironment=old)
    assert status(site, old)[0] == "DELETING"
    with pytest.raises(botocore.exceptions.ClientError, match="Cannot update, resource is being modified"):
        batch.update_compute_environment(computeEnvironment=old, computeResources={"maxvCpus": 3})
    (tmp_path / "go").touch()
    assert site.finished(job)["status"] == "SUCCEEDED"
    there = batch.describe_compute_environments
    site.wait_for(lambda: not there(computeEnvironments=[old])["computeEnvironments"], "it is gone")
    environment(site, old, maxvCpus=8)  # its name is free, and the room of its instances
    site.definition("wide", "true", vcpus=7, memory=15_000)
    assert site.finished(site.submit(queue(site, "after", old), "wide"))["status"] == "SUCCEEDED"
