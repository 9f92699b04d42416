"""Where a client works: someone has typed its page of docs/start, and goes on from there.

So each test uses the server and the settings that the page tells people to use. All of it is on loopback.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from pathlib import Path

import pytest

from tests.clients import environments
from tests.clients.s3 import S3
from tests.docs import pages
from tests.docs.reader import Reader

ROOT = pages.ROOT
TEXT = ROOT / "LICENSE"  # what every client counts
PROGRAMS = Path(__file__).parent / "programs"
EVERY_STATUS = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")
KEY = {"ACCESS_KEY_ID": "BYAKEXAMPLE", "SECRET_ACCESS_KEY": "of/the+S3"}
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Some clients ask 169.254.169.254 what cloud they are in. With a proxy that refuses, whatever is not loopback fails at
# once and leaves no trace outside.
NO_OUTSIDE = {
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "no_proxy": "127.0.0.1,localhost",
}


def environment(name: str) -> Path:
    """The client's environment. Without one the test is skipped, where CI is set it fails."""
    try:
        return environments.directory(name)
    except environments.Unavailable as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


class Place(Reader):
    """A reader of docs/start/NAME.md who has the client NAME and an S3, and `more` variables; `with` types the page."""

    def __init__(self, name: str, s3: S3, examples: Path, **more: str):
        self.s3, self.bucket = s3, s3.bucket(f"{name}-{time.time_ns()}")
        home = environment(name)
        files = {
            name: home,
            "examples": examples,
            "programs": PROGRAMS,
            "LICENSE": TEXT,
            "wheels": home / "wheels",
        }
        variables = {
            **NO_OUTSIDE,
            **{f"AWS_{part}": value for part, value in KEY.items()},
            "BATCHYARD_VCPUS": "4",
            "BUCKET": self.bucket,
            "PATH": f"{home / 'bin'}:{Path(sys.executable).parent}:{SYSTEM_PATH}",
            "S3": s3.url,
            "USER": "reader",
            **more,
        }
        super().__init__(pages.read(ROOT / "docs" / "start" / f"{name}.md"), variables, files)

    def __enter__(self) -> Place:
        super().__enter__()
        if self.others:  # the page has started its own server, for a client that uses the S3
            self.site.serve_environ |= {f"BATCHYARD_{part}": value for part, value in KEY.items()}
            assert self.type("echo $AWS_ACCESS_KEY_ID") == KEY["ACCESS_KEY_ID"] + "\n", "no key of the S3's any more"
        return self

    def type_behind(self, command: str) -> int:
        """The process id of a command that goes on in the background, and `said_behind` tells what it says."""
        self.behind = self.scripts / "behind"
        # Unbuffered: on a terminal Python shows each line at once, into a file it would not.
        how = "env --default-signal=INT PYTHONUNBUFFERED=1"
        return int(self.type(f"{how} {command} >{self.behind} 2>&1 &\necho $!\n"))

    def said_behind(self) -> str:
        return self.behind.read_text(errors="replace") if self.behind.exists() else ""  # its shell has yet to make it

    def jobs(self, *statuses: str) -> list[dict]:
        """Jobs of all queues in full, newest first."""
        batch = self.site.client("batch")
        ids = [
            job["jobId"]
            for queue in batch.describe_job_queues()["jobQueues"]
            for status in statuses or EVERY_STATUS
            for page in batch.get_paginator("list_jobs").paginate(jobQueue=queue["jobQueueName"], jobStatus=status)
            for job in page["jobSummaryList"]
        ]
        found = [job for at in range(0, len(ids), 100) for job in batch.describe_jobs(jobs=ids[at : at + 100])["jobs"]]
        return sorted(found, key=lambda job: -job["createdAt"])

    def running(self) -> dict:
        """The one job that runs, once there is one."""
        self.site.wait_for(lambda: self.jobs("RUNNING"), "a job runs", 60)
        (job,) = self.jobs("RUNNING")
        return job

    def notices(self, job: str) -> str:
        """What the job asked for and did not get."""
        return "\n".join(json.loads(self.type(f"batchyard jobs {job} --json"))["notices"])


def examples(directory: Path) -> Path:
    """A copy of the examples: clients write beside their workflows."""
    return Path(shutil.copytree(ROOT / "examples", directory / "examples"))


def counts(text: str) -> dict[str, int]:
    """What every example counts: how often each word stands in a text."""
    found: dict[str, int] = {}
    for word in re.findall("[a-z]+", text.lower()):
        found[word] = found.get(word, 0) + 1
    return found
