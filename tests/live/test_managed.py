"""Managed environments by stock boto3 on a real site: instances come, run real jobs, and go."""

from __future__ import annotations

import pytest

from tests.harness.site import Site

RESOURCES = {
    "minvCpus": 0,
    "maxvCpus": 4,
    "instanceTypes": ["optimal"],
    "subnets": ["subnet-1"],
    "securityGroupIds": ["sg-1"],
    "instanceRole": "ecsInstanceRole",
}


@pytest.fixture(scope="module")
def managed_site(tmp_path_factory):
    site = Site(
        tmp_path_factory.mktemp("managed") / "data", "--vcpus", "4", "--memory", "8192", "--instance-idle-s", "1"
    )
    site.start()
    yield site
    site.destroy()


def environment(site, name: str, kind: str = "EC2", **resources) -> str:
    given = {"type": kind} | (RESOURCES | resources if kind in ("EC2", "SPOT") else resources)
    site.client("batch").create_compute_environment(
        computeEnvironmentName=name, type="MANAGED", state="ENABLED", computeResources=given
    )
    return name


def queue(site, name: str, *environments: str) -> str:
    order = [{"order": number, "computeEnvironment": each} for number, each in enumerate(environments)]
    site.client("batch").create_job_queue(jobQueueName=name, priority=1, computeEnvironmentOrder=order)
    return name


def desired(site, name: str) -> int:
    (found,) = site.client("batch").describe_compute_environments(computeEnvironments=[name])["computeEnvironments"]
    assert (found["type"], found["status"]) == ("MANAGED", "VALID")
    assert found["serviceRole"].endswith("AWSServiceRoleForBatch")
    return found["computeResources"]["desiredvCpus"]


def test_an_instance_comes_for_a_job_serves_the_next_and_goes(managed_site):
    site = managed_site
    name = environment(site, "elastic")
    elastic = queue(site, "elastic", name)
    site.definition("two", "sh", "-c", "echo $AWS_BATCH_CE_NAME $AWS_EXECUTION_ENV")
    assert desired(site, name) == 0
    jobs = [site.finished(site.submit(elastic, "two")) for _ in range(2)]
    assert [site.output(job) for job in jobs] == ["elastic AWS_ECS_EC2\n"] * 2
    arns = {job["container"]["containerInstanceArn"] for job in jobs}
    assert len(arns) == 1, "the second job ran on the instance of the first"
    site.wait_for(lambda: desired(site, name) == 0, "the idle instance is gone")
    later = site.finished(site.submit(elastic, "two"))
    assert later["container"]["containerInstanceArn"] not in arns


def test_a_job_that_no_type_holds_runs_on_an_instance_of_its_own_measure(managed_site):
    site = managed_site
    fits = queue(site, "fits", environment(site, "fits"))
    site.definition("wide", "true", vcpus=3, memory=7000)
    job = site.finished(site.submit(fits, "wide"))
    assert job["status"] == "SUCCEEDED"
    (run,) = [run for run in [job["container"]] if run["containerInstanceArn"]]
    assert run["exitCode"] == 0


def test_fargate_runs_jobs_on_no_instance(managed_site):
    site = managed_site
    environment(site, "slices", "FARGATE", maxvCpus=1, subnets=["subnet-1"], securityGroupIds=["sg-1"])
    slices = queue(site, "slices", "slices")
    site.client("batch").register_job_definition(
        jobDefinitionName="slice",
        type="container",
        platformCapabilities=["FARGATE"],
        containerProperties={
            "image": "busybox",
            "executionRoleArn": "arn:aws:iam::123456789012:role/any",
            "command": ["sh", "-c", "echo $AWS_EXECUTION_ENV"],
            "resourceRequirements": [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "512"}],
        },
    )
    job = site.finished(site.submit(slices, "slice"))
    assert site.output(job) == "AWS_ECS_FARGATE\n"
    assert "containerInstanceArn" not in job["container"]
    array = site.finished(site.submit(slices, "slice", arrayProperties={"size": 8}))
    assert array["arrayProperties"]["statusSummary"]["SUCCEEDED"] == 8


def test_instances_and_their_jobs_survive_the_engine(managed_site, tmp_path):
    """kill -9 of the engine while a job runs: the instance is the same afterwards, and so is the job."""
    site = managed_site
    kept = queue(site, "kept", environment(site, "kept", minvCpus=2))
    site.wait_for(lambda: desired(site, "kept") == 2, "the minimum is there before any job")
    site.definition("waits", "sh", "-c", f"until [ -e {tmp_path}/go ]; do sleep 0.05; done")
    job = site.submit(kept, "waits")
    site.wait_for(lambda: site.describe(job)["status"] == "RUNNING", "it runs")
    (engine,) = site.pids("engine")
    site.kill(engine)
    site.wait_for(lambda: site.pids("engine") not in ([], [engine]), "another engine")
    (tmp_path / "go").touch()
    ended = site.finished(job)
    assert ended["status"] == "SUCCEEDED"
    assert len(ended["attempts"]) == 1
    assert desired(site, "kept") == 2
