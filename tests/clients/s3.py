"""An S3 for clients and their jobs: moto's server in a process of its own, on a free port of this machine."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import boto3

from tests.harness.site import REGION


class S3:
    """What it keeps is gone with it; it takes any key."""

    def __init__(self, program: Path, log: Path):
        self._log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [program, "-H", "127.0.0.1", "-p", "0"], stdout=out, stderr=out, start_new_session=True
            )
        self.url = self._listening()

    def _listening(self) -> str:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            if found := re.search(r"Running on (http://127\.0\.0\.1:\d+)", self._log.read_text()):
                return found[1]
            time.sleep(0.05)
        self.stop()
        raise AssertionError(f"S3 did not start:\n{self._log.read_text()}")

    def client(self):
        return boto3.client(
            "s3", region_name=REGION, endpoint_url=self.url, aws_access_key_id="any", aws_secret_access_key="any"
        )

    def bucket(self, name: str) -> str:
        self.client().create_bucket(Bucket=name)
        return name

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(15)
