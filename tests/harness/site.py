"""A real Batchyard in a data directory of its own: started, spoken to with stock clients, killed piece by piece."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import boto3
import botocore.config

REGION = "us-east-1"
PROCESSES = {"BATCHYARD_EXECUTOR": "process"}  # whatever engine the machine has, unless a test says otherwise


class Site:
    def __init__(self, data: Path, *flags: str, environ: dict[str, str] | None = None):
        self.data = data
        self.flags = flags
        self.serve_environ = os.environ | PROCESSES | (environ or {})
        self.process: subprocess.Popen | None = None
        self.log = data.parent / f"{data.name}.serve.log"

    # -- the server's life ----------------------------------------------------------------------------------------

    def start(self) -> Site:
        (self.data / "endpoint").unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "batchyard", "serve", "--data", str(self.data), "--port", "0", *self.flags],
                stdout=log,
                stderr=log,
                env=self.serve_environ,
                start_new_session=True,
            )
        self.wait_for(self.answers, "the server answers")
        return self

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"serve ended with {self.process.returncode}:\n{self.log.read_text()}"
        try:
            self.client("batch", retries=0).describe_job_queues()
        except (OSError, botocore.exceptions.BotoCoreError):
            return False
        return True

    def stop(self) -> None:
        """SIGTERM to serve, then nothing of this site may be left but the runner, which is told to go as well."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(15)
        for pid in self.pids("runner") + self.pids("slot"):
            self.kill(pid)

    def destroy(self) -> None:
        self.stop()
        self.wait_for(lambda: not self.pids(), "no process of the site is left")
        shutil.rmtree(self.data, ignore_errors=True)

    def pids(self, role: str = "") -> list[int]:
        """Processes of this site by role: serve, api, engine, runner, slot. Told by their title and open files.

        A job's process has its slot's title and files until it executes the job's program: it is no slot, and whoever
        kills it kills the job, not its host.
        """
        title = f"batchyard {role}".rstrip()
        entries = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        found = {int(entry.name) for entry in entries if self._title(entry).startswith(title) and self._ours(entry)}
        return sorted(pid for pid in found if not role or self._parent(pid) not in found)

    @staticmethod
    def _parent(pid: int) -> int:
        try:
            return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return 0

    @staticmethod
    def _title(entry: Path) -> str:
        try:
            return (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            return ""

    def _ours(self, entry: Path) -> bool:
        data = str(self.data)
        try:
            for descriptor in (entry / "fd").iterdir():
                try:
                    if os.readlink(descriptor).startswith(data):
                        return True
                except OSError:
                    continue
        except OSError:
            pass
        return False

    def kill(self, pid: int) -> None:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    # -- talking to it --------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return (self.data / "endpoint").read_text().strip()

    @property
    def key(self) -> tuple[str, str]:
        if "BATCHYARD_ACCESS_KEY_ID" in self.serve_environ:
            return self.serve_environ["BATCHYARD_ACCESS_KEY_ID"], self.serve_environ["BATCHYARD_SECRET_ACCESS_KEY"]
        key_id, _, secret = (self.data / "access-key").read_text().strip().partition(":")
        return key_id, secret

    def client(self, service: str, region: str = REGION, retries: int = 4):
        """An unmodified boto3 client."""
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=self.key[0],
            aws_secret_access_key=self.key[1],
            config=botocore.config.Config(retries={"max_attempts": retries, "mode": "standard"}),
        )

    def environ(self) -> dict[str, str]:
        """For the aws CLI and other programs."""
        return os.environ | {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.key[0],
            "AWS_SECRET_ACCESS_KEY": self.key[1],
            "AWS_DEFAULT_REGION": REGION,
            "AWS_PAGER": "",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }

    def queue(self, name: str = "q", priority: int = 1) -> str:
        """A queue on the whole machine; made if it does not exist."""
        batch = self.client("batch")
        if not batch.describe_compute_environments(computeEnvironments=["machine"])["computeEnvironments"]:
            batch.create_compute_environment(
                computeEnvironmentName="machine", type="UNMANAGED", serviceRole="arn:aws:iam::123456789012:role/batch"
            )
        batch.create_job_queue(
            jobQueueName=name,
            priority=priority,
            computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "machine"}],
        )
        return name

    def definition(self, name: str, *command: str, vcpus: int = 1, memory: int = 64, **more) -> str:
        self.client("batch").register_job_definition(
            jobDefinitionName=name,
            type="container",
            containerProperties={
                "image": "busybox",
                "command": list(command),
                "resourceRequirements": [
                    {"type": "VCPU", "value": str(vcpus)},
                    {"type": "MEMORY", "value": str(memory)},
                ],
            },
            **more,
        )
        return name

    def submit(self, queue: str, definition: str, name: str = "job", **more) -> str:
        answer = self.client("batch").submit_job(jobName=name, jobQueue=queue, jobDefinition=definition, **more)
        return answer["jobId"]

    def describe(self, job: str) -> dict:
        return self.client("batch").describe_jobs(jobs=[job])["jobs"][0]

    def finished(self, job: str, timeout_s: float = 60) -> dict:
        """The job once it is SUCCEEDED or FAILED."""
        self.wait_for(lambda: self.describe(job)["status"] in ("SUCCEEDED", "FAILED"), f"{job} ends", timeout_s)
        return self.describe(job)

    def output(self, job: dict) -> str:
        """The log of the job's latest attempt, line by line, through CloudWatch Logs."""
        logs = self.client("logs")
        lines, token = [], None
        while True:
            more = {"nextToken": token} if token else {}
            page = logs.get_log_events(
                logGroupName="/aws/batch/job",
                logStreamName=job["container"]["logStreamName"],
                startFromHead=True,
                **more,
            )
            lines += [event["message"] + "\n" for event in page["events"]]
            if page["nextForwardToken"] == token:
                return "".join(lines)
            token = page["nextForwardToken"]

    def wait_for(self, condition, what: str, timeout_s: float = 30) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                said = self.log.read_text()[-3000:] if self.log.exists() else ""
                raise AssertionError(f"waited {timeout_s} s in vain until {what}; the server said:\n{said}")
            time.sleep(0.02)
