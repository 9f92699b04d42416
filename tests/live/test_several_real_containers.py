"""Jobs of several containers in containers of real engines: they share files, wait on each other, and end together."""

from __future__ import annotations

import pytest

from tests.harness.site import Site
from tests.live.test_managed import environment, queue
from tests.live.test_several_containers import NEEDS, said, task_of


@pytest.fixture(scope="module")
def site(container_engine, tmp_path_factory):
    flags = ["--executor", "container", "--engine-socket", str(container_engine.socket), "--stop-grace-s", "1"]
    site = Site(tmp_path_factory.mktemp("site") / "data", "--vcpus", "8", *flags).start()
    site.queue()
    yield site
    site.destroy()


@pytest.fixture
def sh(container_engine):
    def sh(name, script, on=(), **members):
        """A container that runs a script; the volume `shared` is at /shared in all of them."""
        waits = [{"containerName": target, "condition": condition} for target, condition in on]
        given = {"name": name, "image": container_engine.image("busybox"), "command": ["sh", "-c", script]}
        given |= {"mountPoints": [{"sourceVolume": "shared", "containerPath": "/shared"}]}
        return given | {"resourceRequirements": NEEDS, "dependsOn": waits} | members

    return sh


def run(site, name, *containers, **task):
    site.client("batch").register_job_definition(
        jobDefinitionName=name,
        type="container",
        ecsProperties={"taskProperties": [{"containers": list(containers), "volumes": [{"name": "shared"}]} | task]},
    )
    return site.finished(site.submit("q", name), 120)


def codes(job):
    return {each["name"]: each.get("exitCode") for each in task_of(job)["containers"]}


def test_one_prepares_what_another_works_on_and_a_third_stands_by(site, sh):
    job = run(
        site,
        "pipeline",
        sh("prepare", "sleep 1; echo 6 7 > /shared/numbers; echo prepared", essential=False),
        sh("stand-by", "trap 'echo leaving; exit 5' TERM; while :; do sleep 0.1; done", essential=False),
        sh(
            "work",
            "read a b < /shared/numbers; echo $((a * b)) of $AWS_BATCH_JOB_ID",
            on=[("prepare", "SUCCESS"), ("stand-by", "START")],
        ),
    )
    assert (job["status"], codes(job)) == ("SUCCEEDED", {"prepare": 0, "stand-by": 5, "work": 0})
    assert said(site, job) == {
        "prepare": ["prepared"],
        "stand-by": ["leaving"],
        "work": [f"42 of {job['jobId']}"],
    }


def test_the_first_essential_one_that_fails_ends_all(site, sh):
    job = run(site, "failing", sh("a", "sleep 60"), sh("b", "sleep 1; exit 7"), sh("c", "sleep 60", essential=False))
    assert (job["status"], job["statusReason"]) == ("FAILED", "Essential container in task exited")
    assert codes(job)["b"] == 7 and all(codes(job)[name] in (137, 143) for name in ("a", "c"))
    (listed,) = [
        each
        for each in site.client("batch").list_jobs(jobQueue="q", jobStatus="FAILED")["jobSummaryList"]
        if each["jobId"] == job["jobId"]
    ]
    assert listed["container"]["exitCode"] == 7


def test_a_success_that_does_not_come_is_a_failure_to_start(site, sh):
    job = run(site, "hopeless", sh("first", "exit 3", essential=False), sh("main", "true", on=[("first", "SUCCESS")]))
    assert (job["status"], job["statusReason"], "startedAt" in job) == ("FAILED", "Task failed to start", False)
    first, main = task_of(job)["containers"]
    assert (first["exitCode"], main.get("exitCode")) == (3, None)
    assert "depends on container first (SUCCESS), which ended with exit code 3" in main["reason"]


def test_they_share_processes_and_memory_where_the_task_says_so(site, sh):
    job = run(
        site,
        "together",
        sh("seen", "while [ ! -e /shared/done ]; do sleep 0.1; done", essential=False),
        sh(
            "seeing",
            "until ps | grep -q 'sh -c while'; do sleep 0.1; done; echo seen; touch /shared/done",
            on=[("seen", "START")],
        ),
        pidMode="task",
    )
    assert (job["status"], said(site, job)["seeing"]) == ("SUCCEEDED", ["seen"])


def test_a_container_whose_image_is_nowhere_keeps_the_task_from_starting(site, sh):
    job = run(site, "nowhere", sh("main", "sleep 60"), sh("other", "true", image="127.0.0.1:9/no/such:1"))
    assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
    other = task_of(job)["containers"][1]
    assert other["reason"].startswith("CannotPullContainerError: ") and other.get("exitCode") is None


def test_an_only_container_of_any_name(site, sh):
    job = run(site, "lonely", sh("lonely", "echo alone; exit 4"))
    assert (codes(job), said(site, job)) == ({"lonely": 4}, {"lonely": ["alone"]})


def test_nodes_of_several_containers_each(site, sh):
    environment(site, "nodes", maxvCpus=8)
    queue(site, "nodes", "nodes")
    told = "echo $HOSTNAME: $AWS_BATCH_JOB_NODE_INDEX > /shared/told"
    task = {
        "containers": [
            sh("first", told, essential=False),
            sh("main", "cut -d' ' -f2 /shared/told; sleep 1", on=[("first", "SUCCESS")]),
        ],
        "volumes": [{"name": "shared"}],
    }
    ranges = [{"targetNodes": ":", "ecsProperties": {"taskProperties": [task]}}]
    nodes = {"numNodes": 2, "mainNode": 0, "nodeRangeProperties": ranges}
    site.client("batch").register_job_definition(jobDefinitionName="nodes", type="multinode", nodeProperties=nodes)
    job = site.finished(site.submit("nodes", "nodes"), 120)
    assert (job["status"], "container" in job, "ecsProperties" in job) == ("SUCCEEDED", False, False)
    main = site.describe(f"{job['jobId']}#0")
    assert said(site, main) == {"first": [], "main": ["0"]}
    assert main["attempts"][0]["taskProperties"] == job["attempts"][0]["taskProperties"]
    other = site.describe(f"{job['jobId']}#1")
    assert task_of(other)["taskArn"] != task_of(main)["taskArn"]
