"""Fair share through a running server: who starts, in which order, by the official client."""

from __future__ import annotations

from tests.live.test_pretend import environment


def fair_queue(site, name, place, **policy) -> str:
    batch = site.client("batch")
    arn = batch.create_scheduling_policy(name=name, fairsharePolicy=policy)["arn"]
    order = [{"order": 1, "computeEnvironment": place}]
    batch.create_job_queue(jobQueueName=name, priority=1, computeEnvironmentOrder=order, schedulingPolicyArn=arn)
    return arn


def test_starts_are_dealt_out_by_weight_and_by_a_new_policy_at_once(site):
    weights = [{"shareIdentifier": "half", "weightFactor": 0.5}, {"shareIdentifier": "one", "weightFactor": 1}]
    arn = fair_queue(site, "weighed", environment(site, "weighed-place", 3), shareDistribution=weights)
    site.definition("hold", "pretend", "run_ms=600000", vcpus=3, schedulingPriority=1)
    site.definition("stay", "pretend", "run_ms=600000", schedulingPriority=1)
    holder = site.submit("weighed", "hold", shareIdentifier="holder")
    site.wait_for(lambda: site.describe(holder)["status"] == "RUNNING", "all is taken")
    jobs = [site.submit("weighed", "stay", name=share, shareIdentifier=share) for share in ("one", "half") * 8]

    def running() -> list[str]:
        listed = site.client("batch").list_jobs(jobQueue="weighed", jobStatus="RUNNING")["jobSummaryList"]
        return sorted(each["shareIdentifier"] for each in listed)

    site.wait_for(lambda: site.describe(jobs[-1])["status"] == "RUNNABLE", "all wait")
    site.client("batch").terminate_job(jobId=holder, reason="begin")
    site.wait_for(lambda: running() == ["half", "half", "one"], "two of one share and one of the other run")
    site.client("batch").update_scheduling_policy(
        arn=arn, fairsharePolicy={"shareDistribution": [{"shareIdentifier": "half", "weightFactor": 100}]}
    )
    for job in site.client("batch").list_jobs(jobQueue="weighed", jobStatus="RUNNING")["jobSummaryList"]:
        site.client("batch").terminate_job(jobId=job["jobId"], reason="on")
    site.wait_for(lambda: running() == ["one", "one", "one"], "a hundred times the weight: the other is served")
    for job in jobs:
        site.client("batch").terminate_job(jobId=job, reason="enough")
    shown = site.finished(jobs[-1])
    assert (shown["shareIdentifier"], shown["schedulingPriority"]) == ("half", 1)


def test_shares_and_their_use_survive_a_kill_of_the_engine(site):
    fair_queue(site, "steady", environment(site, "steady-place", 1))
    site.definition("run", "pretend", "run_ms=600000", schedulingPriority=1)
    old = site.submit("steady", "run", shareIdentifier="old")
    site.wait_for(lambda: site.describe(old)["status"] == "RUNNING", "it runs")
    waits = [site.submit("steady", "run", shareIdentifier=share) for share in ("old", "old", "new")]
    site.wait_for(lambda: site.describe(waits[-1])["status"] == "RUNNABLE", "all wait")
    (engine,) = site.pids("engine")
    site.kill(engine)
    site.client("batch").terminate_job(jobId=old, reason="make room")
    site.wait_for(lambda: site.describe(waits[-1])["status"] == "RUNNING", "the newcomer has its turn first")
    assert [site.describe(job)["status"] for job in waits[:2]] == ["RUNNABLE"] * 2
    for job in waits:
        site.client("batch").terminate_job(jobId=job, reason="enough")
