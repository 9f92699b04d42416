"""Metrics of a real server: every number is what rows say, whatever is killed meanwhile, and scrapers can read them."""

from __future__ import annotations

import os
import random
import shutil
import stat
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from tests.harness.site import Site
from tests.harness.truth import counted, differences, parsed


def scrape(site, token=None):
    """The page as a program reads it that knows the file with the token."""
    token = token or (site.data / "metrics-token").read_text().strip()
    asked = urllib.request.Request(f"{site.url}/metrics", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        return parsed(answer.read().decode())


def settled(site):
    """The page once it says what rows say; nothing may happen meanwhile."""
    found = {}

    def right():
        found.clear()
        if not (site.data / "metrics.prom").exists():
            return False
        found.update(differences(scrape(site), site.data))
        return not found

    try:
        site.wait_for(right, "the metrics are what rows say", 15)
    except AssertionError as error:
        raise AssertionError(f"{error}\nstill different: {found}") from None
    return scrape(site)


def mixed(site, queue, size=20):
    """Jobs that end in every way but by a timeout, which takes a minute; their ids."""
    batch = site.client("batch")
    site.definition("yes", "true")
    site.definition("no", "false")
    site.definition("odd", "sh", "-c", "test $((AWS_BATCH_JOB_ARRAY_INDEX % 2)) = 0")
    site.definition("nowhere", "no-such-program")
    site.definition("long", "sleep", "300")
    jobs = [site.submit(queue, "yes") for _ in range(5)]
    jobs += [site.submit(queue, "no", retryStrategy={"attempts": 3}) for _ in range(3)]
    jobs += [site.submit(queue, "nowhere")]
    array = site.submit(queue, "odd", arrayProperties={"size": size}, retryStrategy={"attempts": 2})
    after = {"dependsOn": [{"jobId": array, "type": "N_TO_N"}], "arrayProperties": {"size": size}}
    jobs += [array, site.submit(queue, "yes", **after), site.submit(queue, "yes", dependsOn=[{"jobId": jobs[5]}])]
    chain = {"arrayProperties": {"size": 5}, "dependsOn": [{"type": "SEQUENTIAL"}]}
    jobs += [site.submit(queue, "yes", **chain), site.submit(queue, "no", **chain)]
    running = site.submit(queue, "long")
    site.wait_for(lambda: site.describe(running)["status"] == "RUNNING", "it runs")
    waiting = site.submit(queue, "long", containerOverrides={"resourceRequirements": [{"type": "VCPU", "value": "4"}]})
    batch.cancel_job(jobId=waiting, reason="changed my mind")
    batch.terminate_job(jobId=running, reason="enough")
    stopped = site.submit(queue, "long", arrayProperties={"size": size})
    site.wait_for(lambda: site.describe(f"{stopped}:0")["status"] == "RUNNING", "its first child runs")
    batch.terminate_job(jobId=stopped, reason="all of it")
    return [*jobs, running, waiting, stopped]


def of(page, name, **labels):
    return page[name, frozenset({"region": "us-east-1", **labels}.items())]


def turns(page):
    return page["batchyard_engine_turn_seconds_count", frozenset()]


def test_after_a_mixed_run_every_number_is_what_rows_say(fresh_site):
    site = fresh_site
    queue = site.queue("work")
    for job in mixed(site, queue):
        site.finished(job)
    page = settled(site)
    ended = {
        ending: of(page, "batchyard_attempts_ended_total", queue=queue, ending=ending)
        for ending in ("succeeded", "failed", "terminated", "not_started")
    }
    assert ended["not_started"] == 1 and ended["terminated"] >= 2
    assert ended["failed"] == 3 * 3 + 10 * 2 + 1, "three tries of three jobs, two of ten children, one of the chain"
    assert ended["succeeded"] == 5 + 10 + 10 + 5
    assert of(page, "batchyard_retries_total", queue=queue) == 3 * 2 + 10
    assert of(page, "batchyard_submissions_total", queue=queue) == 17
    assert of(page, "batchyard_jobs_submitted_total", queue=queue) == 12 + 3 * 20 + 2 * 5
    assert of(page, "batchyard_environment_capacity_vcpus", environment="machine", provider="local") == 4
    site.wait_for(lambda: turns(scrape(site)) > 20, "the engine has told how long its last turns took")
    page = scrape(site)
    assert turns(page) >= page["batchyard_engine_commit_seconds_count", frozenset()] > 20
    assert page["batchyard_requests_waiting", frozenset()] == 0


def test_instances_are_what_a_managed_environment_has_and_attempts_what_is_used_of_it(fresh_site):
    site, batch = fresh_site, fresh_site.client("batch")
    resources = {"type": "EC2", "minvCpus": 0, "maxvCpus": 4, "instanceTypes": ["optimal"], "subnets": ["any"]}
    batch.create_compute_environment(
        computeEnvironmentName="elastic",
        type="MANAGED",
        computeResources=resources | {"securityGroupIds": ["any"], "instanceRole": "any"},
    )
    order = [{"order": 1, "computeEnvironment": "elastic"}]
    batch.create_job_queue(jobQueueName="elastic", priority=1, computeEnvironmentOrder=order)
    here = {"environment": "elastic", "provider": "local"}
    page = settled(site)
    assert of(page, "batchyard_environment_instances", **here) == 0
    assert of(page, "batchyard_environment_max_vcpus", **here) == 4
    site.definition("hold", "sleep", "600", vcpus=1, memory=64)
    job = site.submit("elastic", "hold")
    site.wait_for(lambda: site.describe(job)["status"] == "RUNNING", "it runs")
    page = settled(site)
    (shown,) = batch.describe_compute_environments(computeEnvironments=["elastic"])["computeEnvironments"]
    vcpus = shown["computeResources"]["desiredvCpus"]
    assert vcpus > 1 and of(page, "batchyard_environment_instances_vcpus", **here) == vcpus
    assert of(page, "batchyard_environment_instances", **here) == 1
    assert of(page, "batchyard_environment_used_vcpus", **here) == 1
    usable = of(page, "batchyard_environment_instances_memory_bytes", **here)
    assert 64 << 20 < usable < of(page, "batchyard_environment_capacity_memory_bytes", **here)
    batch.terminate_job(jobId=job, reason="enough")
    site.finished(job)
    page = settled(site)
    assert of(page, "batchyard_environment_used_vcpus", **here) == 0
    assert of(page, "batchyard_environment_instances", **here) == 1, "idle, and still there"


def test_live_states_and_room_are_told_while_jobs_run_and_wait(fresh_site):
    site = fresh_site
    queue = site.queue("work")
    site.definition("hold", "sleep", "600", vcpus=2, memory=64)
    array = site.submit(queue, "hold", arrayProperties={"size": 7})
    site.submit(queue, "hold", dependsOn=[{"jobId": array}])
    site.wait_for(lambda: site.describe(f"{array}:1")["status"] == "RUNNING", "two run")
    page = settled(site)
    states = {s: of(page, "batchyard_jobs", queue=queue, state=s) for s in ("PENDING", "RUNNABLE", "RUNNING")}
    assert states == {"PENDING": 1, "RUNNABLE": 5, "RUNNING": 2}
    assert of(page, "batchyard_arrays", queue=queue) == 1
    here = {"environment": "machine", "provider": "local"}
    assert of(page, "batchyard_environment_attempts", **here) == 2
    assert of(page, "batchyard_environment_used_vcpus", **here) == 4
    assert of(page, "batchyard_environment_used_memory_bytes", **here) == 2 * 64 << 20
    created = site.describe(array)["createdAt"] / 1000
    assert created <= of(page, "batchyard_oldest_runnable_timestamp_seconds", queue=queue) <= created + 30


def test_what_the_engine_has_not_seen_is_submitted_and_waits(fresh_site):
    site = fresh_site
    queue = site.queue("work")
    site.definition("yes", "true")
    site.finished(site.submit(queue, "yes"))
    (engine,) = site.pids("engine")
    os.kill(engine, 19)  # SIGSTOP: it is there and does nothing
    try:
        jobs = [site.submit(queue, "yes", arrayProperties={"size": 10}), site.submit(queue, "yes")]
        page = settled(site)
        assert of(page, "batchyard_jobs", queue=queue, state="SUBMITTED") == 11
        assert page["batchyard_requests_waiting", frozenset()] == 2
    finally:
        os.kill(engine, 18)  # SIGCONT
    for job in jobs:
        site.finished(job)
    page = settled(site)
    assert of(page, "batchyard_jobs", queue=queue, state="SUBMITTED") == 0
    assert page["batchyard_requests_waiting", frozenset()] == 0


def kill_observe_until(site, over, seed, least_s=0.1, most_s=1.0):
    """Again and again, at moments that the seed chooses: before its first commit, or after some. How often."""
    dice, kills = random.Random(seed), 0
    while not over():
        for pid in site.pids("observe"):
            site.kill(pid)
            kills += 1
        time.sleep(dice.uniform(least_s, most_s))
    return kills


def over(site, jobs):
    return lambda: all(site.describe(job)["status"] in ("SUCCEEDED", "FAILED") for job in jobs)


def test_observe_is_killed_again_and_again_and_counts_nothing_twice_or_never(fresh_site):
    site = fresh_site
    queue = site.queue("work")
    seed = random.randrange(10**6)
    site.definition("brief", "sh", "-c", "sleep 0.03; exit $((AWS_BATCH_JOB_ARRAY_INDEX % 3))")
    array = site.submit(queue, "brief", arrayProperties={"size": 150}, retryStrategy={"attempts": 2})
    assert kill_observe_until(site, over(site, [array]), seed) > 1
    page = settled(site)
    assert of(page, "batchyard_attempts_started_total", queue=queue) == 250, f"seed {seed}"
    assert page["batchyard_journal_entries_missed_total", frozenset()] == 0


@pytest.mark.long
def test_a_long_mixed_run_with_timeouts_in_which_everything_is_killed(fresh_site):
    site = fresh_site
    queue, other = site.queue("work"), site.queue("other", priority=5)
    seed = random.randrange(10**6)
    dice = random.Random(seed)
    site.definition("slow", "sleep", "600")
    timed_out = [site.submit(queue, "slow", timeout={"attemptDurationSeconds": 60}) for _ in range(2)]
    site.wait_for(lambda: all(site.describe(job)["status"] == "RUNNING" for job in timed_out), "they run")
    jobs = timed_out
    for round_ in range(3):
        jobs += mixed(site, dice.choice([queue, other]), size=100)
        victim = dice.choice(["api", "engine", "runner"])
        for pid in site.pids(victim):
            site.kill(pid)
        site.wait_for(site.answers, "the server answers again")
        kill_observe_until(site, over(site, jobs[-3:]), seed + round_)
    kill_observe_until(site, over(site, jobs), seed, 1, 10)
    page = settled(site)
    told = [of(page, "batchyard_attempts_ended_total", queue=queue, ending=each) for each in ("timed_out", "lost")]
    assert sum(told) >= 2, f"seed {seed}: {told}"


def test_short_retention_waits_until_everything_is_counted(tmp_path):
    site = Site(tmp_path / "data", "--vcpus", "4", "--jobs-keep-days", "0", "--jobs-keep-most", "0").start()
    try:
        queue = site.queue("work")
        site.definition("yes", "true")
        for pid in site.pids("observe"):
            os.kill(pid, 19)  # SIGSTOP: retention would be faster
        array = site.submit(queue, "yes", arrayProperties={"size": 50})
        site.finished(array)
        site.submit(queue, "yes")
        site.wait_for(lambda: not site.describe(array)["arrayProperties"]["statusSummary"].get("RUNNING"), "all ended")
        for pid in site.pids("observe"):
            os.kill(pid, 18)

        def gone():
            return not site.client("batch").describe_jobs(jobs=[array])["jobs"]

        site.wait_for(gone, "the array is gone")

        def both():
            return of(scrape(site), "batchyard_jobs_submitted_total", queue=queue) == 51

        site.wait_for(both, "both submissions are counted")
        page = scrape(site)
        assert of(page, "batchyard_jobs_finished_total", queue=queue, outcome="succeeded") >= 50
        assert page["batchyard_journal_entries_missed_total", frozenset()] == 0
    finally:
        site.destroy()


def test_who_may_read_them(fresh_site, tmp_path):
    site = fresh_site
    site.wait_for((site.data / "metrics.prom").exists, "the first page is written")
    assert stat.S_IMODE((site.data / "metrics-token").stat().st_mode) == 0o600
    assert counted(scrape(site)) == {}, "there is no queue yet"
    with pytest.raises(urllib.error.HTTPError, match="403"):
        scrape(site, "wrong-token-but-long-enough")
    if shutil.which("curl"):
        (tmp_path / "h").write_text(f"Authorization: Bearer {(site.data / 'metrics-token').read_text()}")
        asked = subprocess.run(
            ["curl", "-sS", "--fail", "-H", f"@{tmp_path}/h", f"{site.url}/metrics"], capture_output=True
        )
        assert asked.returncode == 0 and b"batchyard_build_info" in asked.stdout


def test_a_second_place_for_collectors_of_text_files(tmp_path):
    place = tmp_path / "collector" / "batchyard.prom"
    place.parent.mkdir()
    site = Site(tmp_path / "data", "--metrics-file", str(place)).start()
    try:
        site.wait_for(place.exists, "it is written")
        assert stat.S_IMODE(place.stat().st_mode) == 0o644
        page = parsed(place.read_text())
        now = page["batchyard_metrics_timestamp_seconds", frozenset()]
        site.wait_for(
            lambda: parsed(place.read_text())["batchyard_metrics_timestamp_seconds", frozenset()] > now, "it is renewed"
        )
        assert set(os.listdir(place.parent)) - {".batchyard.prom.draft"} == {"batchyard.prom"}
    finally:
        site.destroy()
