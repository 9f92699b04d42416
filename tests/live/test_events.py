"""State-change events of a real server: they say what DescribeJobs says, and none is lost whoever fails or dies."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest

from batchyard.observe.follow import END_S
from tests.harness.events import all_lines, as_described, check_delivered, expected, lines
from tests.harness.site import Site
from tests.observe.told import Receiver, flaky


@pytest.fixture
def make_site(tmp_path):
    made = []

    def make(*flags):
        site = Site(tmp_path / "data", "--vcpus", "4", "--event-file", str(tmp_path / "events.jsonl"), *flags)
        made.append(site)
        return site

    yield make
    for site in made[-1:]:
        site.destroy()


class Watched:
    """A site whose jobs wait for files, so that each state can be looked at for as long as one likes."""

    def __init__(self, site, here):
        self.site = site
        self.here = here
        self.seen: set[tuple[str, str, int]] = set()

    def compare(self, job, status, attempts=0):
        """Once the job has entered the state: the latest event and DescribeJobs say the same."""
        told = []

        def entered():
            told[:] = [event for event in lines(self.here / "events.jsonl") if event["detail"]["jobId"] == job]
            return told and told[-1]["detail"]["status"] == status and len(told[-1]["detail"]["attempts"]) == attempts

        self.site.wait_for(entered, f"{job} is told to be {status} after {attempts} attempts")
        described = self.site.describe(job)
        event = as_described(told[-1])
        for shown in (described, event):  # counted at the end of an array, else when it is asked
            if described["status"] not in ("SUCCEEDED", "FAILED"):
                shown.get("arrayProperties", {}).pop("statusSummaryLastUpdatedAt", None)
        assert event == described
        assert told[-1]["detail"]["tags"]["resourceArn"] == told[-1]["resources"][0] == described["jobArn"]
        self.seen.add((job, status, attempts))

    def go(self, name):
        (self.here / name).write_text("")


def test_each_event_shows_the_job_as_describe_jobs_showed_it_then(make_site, tmp_path):
    site = make_site().start()
    watched = Watched(site, tmp_path)
    queue = site.queue()
    # Fails at its first attempt, succeeds at its second; each waits for a file.
    site.definition(
        "twice",
        "sh",
        "-c",
        f"until [ -e {tmp_path}/go-$AWS_BATCH_JOB_ATTEMPT ]; do sleep 0.02; done; [ $AWS_BATCH_JOB_ATTEMPT = 2 ]",
        vcpus=3,
        tags={"team": "blue"},
        propagateTags=True,
        retryStrategy={"attempts": 2},
        timeout={"attemptDurationSeconds": 600},
    )
    site.definition("all", "sh", "-c", f"until [ -e {tmp_path}/room ]; do sleep 0.02; done", vcpus=4)
    site.definition("quick", "true", vcpus=1)
    blocker = site.submit(queue, "all")
    watched.compare(blocker, "RUNNING")
    twice = site.submit(queue, "twice", tags={"own": "tag"}, parameters={"p": "q"})
    watched.compare(twice, "RUNNABLE")
    after = site.submit(queue, "quick", dependsOn=[{"jobId": twice}])
    watched.compare(after, "PENDING")
    array = site.submit(queue, "quick", arrayProperties={"size": 3}, dependsOn=[{"jobId": after}])
    for each in (array, f"{array}:0", f"{array}:2"):
        watched.compare(each, "PENDING")
    watched.go("room")
    watched.compare(twice, "RUNNING")
    watched.compare(blocker, "SUCCEEDED", 1)
    more = site.submit(queue, "all")  # takes no room before `twice` is over, and then before `after`
    watched.compare(more, "RUNNABLE")
    watched.go("go-1")
    watched.compare(twice, "RUNNING", 1)
    watched.go("go-2")
    watched.compare(twice, "SUCCEEDED", 2)
    watched.compare(after, "SUCCEEDED", 1)
    watched.compare(array, "SUCCEEDED")
    for index in range(3):
        watched.compare(f"{array}:{index}", "SUCCEEDED", 1)
    site.finished(more)
    everything = all_lines(site, tmp_path / "events.jsonl")
    check_delivered(everything, expected(site.data))
    told = [event["detail"]["status"] for event in everything if event["detail"]["jobId"] == twice]
    first, second = ["RUNNABLE", "STARTING", "RUNNING"], ["RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"]
    assert told == first + second


def test_jobs_that_are_stopped_tell_it_from_then_on(make_site, tmp_path):
    site = make_site().start()
    watched, batch = Watched(site, tmp_path), site.client("batch")
    queue = site.queue()
    site.definition("long", "sleep", "600", vcpus=4)
    site.definition("absent", "/no/such/program", vcpus=1)
    running = site.submit(queue, "long")
    watched.compare(running, "RUNNING")
    waiting, array = site.submit(queue, "long"), site.submit(queue, "long", arrayProperties={"size": 3})
    watched.compare(waiting, "RUNNABLE")
    batch.cancel_job(jobId=waiting, reason="not needed")
    watched.compare(waiting, "FAILED")
    batch.cancel_job(jobId=f"{array}:1", reason="this one")
    watched.compare(f"{array}:1", "FAILED")
    batch.terminate_job(jobId=array, reason="all of them")
    watched.compare(f"{array}:0", "FAILED")
    watched.compare(array, "FAILED")
    batch.terminate_job(jobId=running, reason="enough")
    watched.compare(running, "FAILED", 1)
    failing = site.submit(queue, "absent")
    watched.compare(failing, "FAILED", 1)
    everything = all_lines(site, tmp_path / "events.jsonl")
    told = [event["detail"] for event in everything if event["detail"]["jobId"] == running]
    assert [each["isTerminated"] for each in told] == [False, False, False, True]
    check_delivered(everything, expected(site.data))


def start_work(site, size=60):
    """An array and some single jobs that together last a few seconds; their ids."""
    queue = site.queue()
    site.definition("blink", "sleep", "0.05")
    site.definition("fail", "false", retryStrategy={"attempts": 2})
    jobs = [site.submit(queue, "blink", arrayProperties={"size": size})]
    return jobs + [site.submit(queue, "fail") for _ in range(5)]


def received(receiver):
    return [json.loads(body) for body in list(receiver.bodies)]


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 7))])
def test_kills_and_failing_receivers_lose_nothing(make_site, tmp_path, seed):
    print(f"seed {seed}")
    rng = random.Random(seed)
    receiver = Receiver(flaky(seed, 0.2))
    site = make_site("--event-webhooks", receiver.url).start()
    try:
        jobs = start_work(site)
        kills = 0
        while not all(site.describe(job)["status"] in ("SUCCEEDED", "FAILED") for job in jobs) or kills < 5:
            time.sleep(rng.uniform(0.05, 0.5))
            role = rng.choice(["observe", "observe", "observe", "engine", "serve"])
            for pid in site.pids(role):
                site.kill(pid)
                kills += 1
            if role == "serve":
                site.process.wait()
                site.start()
            site.wait_for(site.answers, "the server answers")
        wanted = expected(site.data)
        ids = {event["id"] for event in wanted}
        site.wait_for(lambda: ids <= {event["id"] for event in received(receiver)}, "the receiver has all", 60)
        site.wait_for(lambda: ids <= {event["id"] for event in lines(tmp_path / "events.jsonl")}, "the file has all")
        check_delivered(received(receiver), wanted)
        check_delivered(lines(tmp_path / "events.jsonl"), wanted)
        assert "hunter2" not in site.log.read_text()
    finally:
        receiver.close()


def test_a_receiver_that_hangs_delays_nobody_and_gets_everything_in_the_end(make_site, tmp_path):
    hanging, well = Receiver(lambda body: "hang"), Receiver()
    site = make_site("--event-webhooks", f"{hanging.url},{well.url}").start()
    try:
        jobs = start_work(site, size=20)
        for job in jobs:
            site.finished(job)
        wanted = expected(site.data)
        ids = {event["id"] for event in wanted}
        site.wait_for(lambda: ids <= {event["id"] for event in received(well)}, "the other receiver has all")
        site.wait_for(lambda: len(lines(tmp_path / "events.jsonl")) >= len(ids), "the file has all")
        assert hanging.bodies == []
        began = time.monotonic()
        site.stop()
        assert time.monotonic() - began < END_S + 10, "nor does it delay the end"
        hanging.answers = lambda body: 204
        site.start()
        site.wait_for(lambda: ids <= {event["id"] for event in received(hanging)}, "it has all", 60)
        for told in (received(hanging), received(well), lines(tmp_path / "events.jsonl")):
            check_delivered(told, wanted)
    finally:
        hanging.close()
        well.close()


def test_a_sink_that_is_set_later_begins_then_and_one_that_stays_goes_on(make_site, tmp_path):
    site = make_site().start()
    queue = site.queue()
    site.definition("true", "true")
    site.finished(site.submit(queue, "true"))
    site.stop()
    later = Receiver()
    try:
        site.flags = (*site.flags, "--event-webhooks", later.url)
        site.start()
        job = site.submit(queue, "true")
        site.finished(job)
        site.wait_for(lambda: len(received(later)) == 4, "the new one has the events of the new job")
        assert {event["detail"]["jobId"] for event in received(later)} == {job}
        site.wait_for(lambda: len(lines(tmp_path / "events.jsonl")) == 8, "the file has both")
        check_delivered(lines(tmp_path / "events.jsonl"), expected(site.data))
    finally:
        later.close()


def test_a_program_is_run_for_each_event_and_ends_with_the_server(make_site, tmp_path):
    script = tmp_path / "on_event.sh"
    script.write_text(f"#!/bin/sh\ncat >> {tmp_path}/out\ngrep -q SUCCEEDED {tmp_path}/out && exec sleep 600\nexit 0\n")
    script.chmod(0o755)
    site = make_site("--on-event", str(script)).start()
    site.queue()
    site.definition("true", "true")
    site.finished(site.submit("q", "true"))
    site.wait_for(lambda: len(lines(tmp_path / "out")) == 4, "it was given four events")
    assert [event["detail"]["status"] for event in lines(tmp_path / "out")][-1] == "SUCCEEDED"
    check_delivered(lines(tmp_path / "out"), expected(site.data))
    site.stop()
    assert not _sleeping(), "its program is gone with the server"


def _sleeping():
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")[:2] if entry.name.isdigit() else []
            if words == [b"sleep", b"600"] and b"BATCHYARD_ON_EVENT=" in (entry / "environ").read_bytes():
                found.append(entry.name)
        except OSError:
            continue
    return found
