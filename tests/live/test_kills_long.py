"""A hundred `kill -9`s of whatever belongs to Batchyard, at random moments, while two thousand real jobs run.

At the end the lines that the jobs wrote, the rows and the logs agree exactly: nothing is lost, nothing ran twice.
Killing a slot is losing a host, so jobs have attempts to spare; every attempt still writes its line at most once.
"""

from __future__ import annotations

import collections
import os
import random
import threading
import time

import botocore.exceptions
import pytest

KILLS = 100
ARRAYS, SIZE, SINGLES = 20, 80, 400
ROLES = ["serve", "api", "engine", "runner", "slot"]


def same_call(name):
    """Our own second try of a submission carries the same invocation id, as boto3's retries of one call do."""

    def set_invocation(request, **_):
        request.headers["amz-sdk-invocation-id"] = f"id-{name}".encode()

    return set_invocation


class Caller(threading.Thread):
    """Submits everything through boto3, whose retries meet dead servers; an error is tried again until it works."""

    def __init__(self, site, rng):
        super().__init__(daemon=True)
        self.site, self.rng = site, rng
        self.jobs: dict[str, int] = {}
        self.failed: BaseException | None = None

    def run(self):
        try:
            wanted = [SIZE] * ARRAYS + [0] * SINGLES
            self.rng.shuffle(wanted)
            for number, size in enumerate(wanted):
                self.jobs[self._submit(f"job{number}", size)] = size
                time.sleep(0.02)
        except BaseException as error:
            self.failed = error

    def _submit(self, name, size):
        more = {"arrayProperties": {"size": size}} if size else {}
        while True:
            try:
                client = self.site.client("batch", retries=10)
                client.meta.events.register("before-send.batch.SubmitJob", same_call(name))
                return client.submit_job(jobName=name, jobQueue="kills", jobDefinition="line", **more)["jobId"]
            except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, OSError):
                time.sleep(0.05)


def kill_something(site, rng) -> str:
    role = rng.choice(ROLES)
    pids = site.pids(role)
    if not pids:
        return "nobody"
    site.kill(rng.choice(pids))
    if role == "serve":
        site.process.wait()
        site.start()
    return role


def all_details(site, ids):
    batch = site.client("batch")
    for start in range(0, len(ids), 100):
        yield from batch.describe_jobs(jobs=ids[start : start + 100])["jobs"]


@pytest.mark.long
def test_a_hundred_kills_during_two_thousand_jobs(fresh_site, tmp_path):
    seed = int(os.environ.get("KILLS_SEED", random.randrange(10**6)))
    print(f"repeat with KILLS_SEED={seed}")
    rng, site, out = random.Random(seed), fresh_site, tmp_path / "lines"
    site.queue("kills")
    script = (
        f'echo begin $AWS_BATCH_JOB_ID; echo "$AWS_BATCH_JOB_ID.$AWS_BATCH_JOB_ATTEMPT" >> {out}; sleep 0.03; echo end'
    )
    site.definition("line", "sh", "-c", script, retryStrategy={"attempts": 10})
    caller = Caller(site, rng)
    caller.start()
    killed = collections.Counter()
    while sum(killed.values()) < KILLS:
        time.sleep(rng.uniform(0.02, 0.5))
        killed[kill_something(site, rng)] += 1
    caller.join(120)
    assert caller.failed is None, f"seed {seed}: {caller.failed!r}"
    assert len(caller.jobs) == ARRAYS + SINGLES, f"seed {seed}: {len(caller.jobs)} submissions, {killed}"
    site.wait_for(site.answers, "the server answers after the last kill")
    parents = list(caller.jobs)
    site.wait_for(
        lambda: all(job["status"] in ("SUCCEEDED", "FAILED") for job in all_details(site, parents)),
        f"all jobs end (seed {seed}, {killed})",
        timeout_s=300,
    )
    check(site, caller.jobs, out, f"seed {seed}, killed {dict(killed)}")


def check(site, jobs, out, where):
    lines = collections.Counter(out.read_text().split())
    twice = {line: count for line, count in lines.items() if count > 1}
    assert not twice, f"{where}: attempts that ran twice: {twice}"
    units = [f"{job}:{index}" for job, size in jobs.items() for index in range(size)]
    units += [job for job, size in jobs.items() if not size]
    known = set()
    for detail in all_details(site, units):
        attempts = len(detail["attempts"])
        last = f"{detail['jobId']}.{attempts}"
        assert detail["status"] == "SUCCEEDED", f"{where}: {detail['jobId']} {detail.get('statusReason')}"
        assert lines[last] == 1, f"{where}: {last} SUCCEEDED and wrote {lines[last]} lines"
        for number, attempt in enumerate(detail["attempts"][:-1], 1):
            assert attempt["statusReason"].startswith("Host EC2 (instance i-"), f"{where}: {detail['jobId']}.{number}"
        known |= {f"{detail['jobId']}.{number}" for number in range(1, attempts + 1)}
        assert site.output(detail) == f"begin {detail['jobId']}\nend\n", f"{where}: log of {last}"
    assert set(lines) <= known, f"{where}: lines of attempts that rows do not know: {set(lines) - known}"
    assert len(units) == ARRAYS * SIZE + SINGLES
