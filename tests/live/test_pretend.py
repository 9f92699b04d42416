"""Environments that only pretend: any size, several in order, a thousand jobs; the server around them is real."""

from __future__ import annotations

import os
from collections import Counter

import pytest

ROLE = "arn:aws:iam::123456789012:role/batch"


def environment(site, name, vcpus, **tags):
    site.client("batch").create_compute_environment(
        computeEnvironmentName=name,
        type="UNMANAGED",
        serviceRole=ROLE,
        computeResources={"type": "EC2", "minvCpus": 0, "maxvCpus": vcpus, "subnets": ["subnet-1"]},
        tags={"batchyard:provider": "pretend"} | {f"batchyard:{key}": value for key, value in tags.items()},
    )
    return name


def queue(site, name, *environments):
    order = [{"order": number, "computeEnvironment": each} for number, each in enumerate(environments, 1)]
    site.client("batch").create_job_queue(jobQueueName=name, priority=1, computeEnvironmentOrder=order)
    return name


def where(site, job):
    """The instance of the running attempt, which is one for each environment."""
    return site.describe(job)["container"]["containerInstanceArn"]


def test_a_full_environment_spills_to_the_next(site):
    first, second = environment(site, "first", 2), environment(site, "second", 3, memory="128")
    spilling = queue(site, "spilling", first, second)
    site.definition("linger", "pretend", "run_ms=600000")
    jobs = [site.submit(spilling, "linger") for _ in range(5)]
    site.wait_for(lambda: all(site.describe(job)["status"] == "RUNNING" for job in jobs[:4]), "four run")
    places = Counter(where(site, job) for job in jobs[:4])
    assert sorted(places.values()) == [2, 2], "two by vCPUs in the first, two by memory in the second"
    assert where(site, jobs[0]) == where(site, jobs[1]) != where(site, jobs[2])
    assert site.describe(jobs[4])["status"] == "RUNNABLE", "both are full"
    site.client("batch").terminate_job(jobId=jobs[0], reason="make room")
    assert site.finished(jobs[0])["container"]["exitCode"] == 143
    site.wait_for(lambda: site.describe(jobs[4])["status"] == "RUNNING", "the last has the room")
    assert where(site, jobs[4]) == where(site, jobs[1])
    for job in jobs[1:]:
        site.client("batch").terminate_job(jobId=job, reason="enough")
        assert site.finished(job)["statusReason"] == "enough"


def test_a_thousand_jobs(site):
    wide = queue(site, "wide", environment(site, "wide-1", 100), environment(site, "wide-2", 1000))
    site.definition("brief", "pretend", "run_ms=50", "exit=0", "log=hello", "log=again")
    parent = site.finished(site.submit(wide, "brief", arrayProperties={"size": 1000}), 120)
    assert parent["status"] == "SUCCEEDED"
    assert parent["arrayProperties"]["statusSummary"]["SUCCEEDED"] == 1000
    child = site.describe(f"{parent['jobId']}:999")
    assert site.output(child) == "hello\nagain\n"
    assert child["stoppedAt"] - child["startedAt"] >= 50
    site.wait_for(lambda: not os.listdir(site.data / "pretend"), "every record is released")


def test_an_engine_killed_in_the_middle_changes_nothing(fresh_site):
    site = fresh_site
    place = queue(site, "place", environment(site, "only", 10))
    site.definition("steady", "pretend", "run_ms=1500", "exit=7", "log=once")
    running = [site.submit(place, "steady", name=f"j{number}") for number in range(15)]
    site.wait_for(lambda: site.describe(running[9])["status"] == "RUNNING", "ten run")
    started = [site.describe(job)["startedAt"] for job in running[:10]]
    (engine,) = site.pids("engine")
    site.kill(engine)
    ended = [site.finished(job) for job in running]
    assert [(job["container"]["exitCode"], len(job["attempts"])) for job in ended] == [(7, 1)] * 15
    assert [job["startedAt"] for job in ended[:10]] == started
    assert all(site.output(job) == "once\n" for job in ended)


@pytest.mark.parametrize("command", [["sh", "-c", "exit 0"], ["/bin/true"]])
def test_nothing_but_pretend_is_found(site, command):
    place = f"strange-{len(command)}"
    queue(site, place, environment(site, f"{place}-1", 1))
    site.definition("strange", *command)
    job = site.finished(site.submit(place, "strange"))
    assert (job["status"], job["container"]["exitCode"]) == ("FAILED", 127)
    assert job["container"]["reason"].startswith("CannotStartContainerError: exec:")
