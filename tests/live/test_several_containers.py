"""Jobs of several containers by stock boto3 on a real server: played by the pretend executor, so that every order of
things is seen wherever tests run. What they do in real containers is in ``test_several_real_containers.py``."""

from __future__ import annotations

import pytest

from tests.harness.events import as_described, lines
from tests.harness.site import Site
from tests.live.test_pretend import environment, queue

NEEDS = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    here = tmp_path_factory.mktemp("several")
    site = Site(here / "data", "--vcpus", "4", "--event-file", str(here / "events.jsonl")).start()
    queue(site, "pretended", environment(site, "pretended", 64))
    yield site
    site.destroy()


def one(name, *words, on=(), **members):
    waits = [{"containerName": target, "condition": condition} for target, condition in on]
    given = {"name": name, "image": "host", "command": ["pretend", *words], "resourceRequirements": NEEDS}
    return given | ({"dependsOn": waits} if waits else {}) | members


def define(site, name, *containers, **members):
    site.client("batch").register_job_definition(
        jobDefinitionName=name,
        type="container",
        ecsProperties={"taskProperties": [{"containers": list(containers)}]},
        **members,
    )
    return name


def task_of(job):
    return job["ecsProperties"]["taskProperties"][0]


def said(site, job):
    """What each container of the latest attempt wrote."""
    logs = site.client("logs")
    found = {}
    for each in task_of(job)["containers"]:
        page = logs.get_log_events(
            logGroupName="/aws/batch/job", logStreamName=each["logStreamName"], startFromHead=True
        )
        found[each["name"]] = [event["message"] for event in page["events"]]
    return found


PREPARED = (
    one("first", "run_ms=400", "log=prepared Ref::what", essential=False),
    one("main", "run_ms=300", "log=worked", on=[("first", "SUCCESS"), ("side", "START")]),
    one("side", "run_ms=600000", "log=at hand", essential=False),
)


def test_containers_wait_for_each_other_and_each_has_its_log_and_its_ending(site):
    define(site, "prepared", *PREPARED, parameters={"what": "it"})
    job = site.finished(site.submit("pretended", "prepared"))
    assert (job["status"], job["statusReason"]) == ("SUCCEEDED", "Essential container in task exited")
    assert [(each["name"], each["exitCode"]) for each in task_of(job)["containers"]] == [
        ("first", 0), ("main", 0), ("side", 143),
    ]  # fmt: skip
    assert job["startedAt"] - job["createdAt"] >= 400, "it is STARTING while an essential container waits"
    assert said(site, job) == {"first": ["prepared it"], "main": ["worked"], "side": ["at hand"]}
    (attempt,) = job["attempts"]
    assert attempt["container"] == {} and "container" not in job
    assert attempt["taskProperties"][0]["taskArn"] == task_of(job)["taskArn"]
    logs = site.client("logs")
    task = task_of(job)["taskArn"].rpartition("/")[2]
    streams = logs.describe_log_streams(logGroupName="/aws/batch/job", logStreamNamePrefix="prepared/")["logStreams"]
    assert [each["logStreamName"] for each in streams] == [
        f"prepared/{name}/{task}" for name in ("first", "main", "side")
    ]
    events = logs.filter_log_events(logGroupName="/aws/batch/job", logStreamNamePrefix="prepared/")["events"]
    assert sorted(event["message"] for event in events) == ["at hand", "prepared it", "worked"]


def test_an_event_tells_the_same_as_describe_jobs(site):
    define(site, "told", one("main", "exit=3"), one("side", "run_ms=600000", essential=False))
    job = site.finished(site.submit("pretended", "told"))

    def ended():
        told = [event for event in lines(site.data.parent / "events.jsonl") if event["detail"]["jobId"] == job["jobId"]]
        return [as_described(event) for event in told if event["detail"]["status"] == "FAILED"]

    site.wait_for(ended, "its end is told")
    assert ended() == [site.describe(job["jobId"])]


def test_retries_see_the_essential_container_that_failed(site):
    rules = [{"action": "RETRY", "onExitCode": "9"}, {"action": "EXIT", "onReason": "*"}]
    containers = [
        one("main", "run_ms=600000"),
        one("other", "run_ms=50", "exit=9"),
        one("no", "exit=1", essential=False),
    ]
    define(site, "tried", *containers, retryStrategy={"attempts": 2, "evaluateOnExit": rules})
    job = site.finished(site.submit("pretended", "tried"))
    endings = [[each.get("exitCode") for each in one["taskProperties"][0]["containers"]] for one in job["attempts"]]
    assert endings == [[143, 9, 1]] * 2
    (listed,) = [
        each
        for each in site.client("batch").list_jobs(jobQueue="pretended", jobStatus="FAILED")["jobSummaryList"]
        if each["jobId"] == job["jobId"]
    ]
    assert listed["container"]["exitCode"] == 9


def test_children_of_an_array_and_overrides_by_name(site):
    define(site, "array", one("main", "log=plain"), one("side", "log=plain", essential=False))
    override = {"taskProperties": [{"containers": [{"name": "side", "command": ["pretend", "log=changed"]}]}]}
    parent = site.submit("pretended", "array", arrayProperties={"size": 2}, ecsPropertiesOverride=override)
    assert site.finished(parent)["status"] == "SUCCEEDED"
    assert said(site, site.describe(f"{parent}:1")) == {"main": ["plain"], "side": ["changed"]}


def test_terminated_while_an_essential_container_still_waits(site):
    define(site, "waiting", one("first", "run_ms=600000", essential=False), one("main", on=[("first", "SUCCESS")]))
    job = site.submit("pretended", "waiting")
    site.wait_for(lambda: site.describe(job)["status"] == "STARTING", "it is being started")
    site.client("batch").terminate_job(jobId=job, reason="enough")
    ended = site.finished(job)
    assert (ended["status"], ended["statusReason"], "startedAt" in ended) == ("FAILED", "enough", False)
    assert [each.get("exitCode") for each in task_of(ended)["containers"]] == [143, None]


def test_without_an_engine_they_fail_to_start_and_it_was_said_before(site):
    site.queue("machine")
    define(site, "nowhere", one("main"), one("side"))
    job = site.submit("machine", "nowhere")
    ended = site.finished(job)
    assert (ended["status"], ended["statusReason"]) == ("FAILED", "Task failed to start")
    assert "container engine" in task_of(ended)["containers"][0]["reason"]
