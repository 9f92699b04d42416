"""A real ``batchyard serve`` on a data directory and a free port of its own, and a small signed client for it."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from batchyard.access import keys, sigv4

REGION = "us-east-1"
QUEUE, DEFINITION = "bench", "bench"
PATIENCE_S = 60.0
REUSE_S = 2.0
SUBMIT = "/v1/submitjob"


def signed(
    site_url: str, key: keys.Key, path: str, body: bytes, invocation: bool = False, target: str = ""
) -> dict[str, str]:
    """The headers of a request as SDKs send it, of Logs with a `target`; valid for a quarter of an hour."""
    headers = {"Host": urlsplit(site_url).netloc, "Content-Type": "application/json"}
    if invocation:
        headers["amz-sdk-invocation-id"] = str(uuid.uuid4())
    if target:
        headers["X-Amz-Target"] = target
    service = "logs" if target else "batch"
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    return headers | sigv4.sign("POST", path, "", headers, body, *key, REGION, service, now)


class Site:
    """Used in a ``with``; nothing is left of it afterwards. `flags` are more of ``serve``'s."""

    def __init__(self, vcpus: int, *flags: str):
        self._base = Path(tempfile.mkdtemp(prefix="batchyard-bench-"))
        self._base.chmod(0o711)
        self.data = self._base / "data"
        self._vcpus = vcpus
        self._flags = flags
        self._connection: http.client.HTTPConnection | None = None
        self._used_s = 0.0

    def __enter__(self) -> Site:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("BATCHYARD_")}
        flags = ["--config", os.devnull, "--data", str(self.data), "--port", "0", "--vcpus", str(self._vcpus)]
        flags += ["--memory", "1000000", "--stop-grace-s", "1", "--executor", "process", "--quit-runner", *self._flags]
        self.log = self._base / "serve.log"
        with self.log.open("wb") as log:
            self._serve = subprocess.Popen(
                [sys.executable, "-P", "-m", "batchyard", "serve", *flags],
                stdout=log,
                stderr=log,
                env=environ,
                start_new_session=True,
            )
        self.wait(lambda: (self.data / "endpoint").exists() and self._answers(), "the server answers")
        self.url = (self.data / "endpoint").read_text().strip()
        self.key = keys.read(self.data / "access-key")
        self._furnish()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            print(f"the server said:\n{self.log.read_text()[-3000:]}", file=sys.stderr)
        if self._connection is not None:
            self._connection.close()
        self.stop()
        shutil.rmtree(self._base, ignore_errors=True)

    def stop(self) -> None:
        """End the server; what it stored can still be read."""
        self._serve.terminate()
        self._serve.wait(30)

    def _answers(self) -> bool:
        if self._serve.poll() is not None:
            raise RuntimeError(f"serve ended with {self._serve.returncode}:\n{self.log.read_text()[-3000:]}")
        address = urlsplit((self.data / "endpoint").read_text().strip())
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=1)
        try:
            connection.request("GET", "/x/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def _furnish(self) -> None:
        """An environment on the whole machine, a queue, and a definition of one vCPU and 64 MiB that runs `true`."""
        self.call(
            "createcomputeenvironment",
            computeEnvironmentName="machine",
            type="UNMANAGED",
            serviceRole="arn:aws:iam::123456789012:role/batch",
        )
        self.queue(QUEUE)
        needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]
        self.call(
            "registerjobdefinition",
            jobDefinitionName=DEFINITION,
            type="container",
            containerProperties={"image": "busybox", "command": ["true"], "resourceRequirements": needs},
        )

    def queue(self, name: str) -> None:
        """A queue on the whole machine."""
        order = [{"order": 1, "computeEnvironment": "machine"}]
        self.call("createjobqueue", jobQueueName=name, priority=1, computeEnvironmentOrder=order)

    # -- calls ----------------------------------------------------------------------------------------------------

    def send(self, path: str, body: bytes, headers: dict[str, str]) -> dict:
        """A request that is signed already, on the one connection that is kept."""
        if self._connection is not None and time.monotonic() - self._used_s > REUSE_S:
            self._connection.close()  # the server is about to close it, or has done so; opened again by itself
        self._used_s = time.monotonic()
        if self._connection is None:
            address = urlsplit(self.url)
            self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=PATIENCE_S)
        self._connection.request("POST", path, body, headers)
        answer = self._connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path} was answered with {answer.status}: {said.decode(errors='replace')}")
        return json.loads(said)

    def call(self, operation: str, **members: object) -> dict:
        """An operation by its path's name, such as ``describejobs``."""
        path, body = f"/v1/{operation}", json.dumps(members).encode()
        return self.send(path, body, signed(self.url, self.key, path, body))

    def submit(self, *command: str, size: int = 0, vcpus: int = 1, memory_mib: int = 0) -> str:
        """Submit a job, or an array of `size`; its id."""
        path, body = SUBMIT, submission(*command, size=size, vcpus=vcpus, memory_mib=memory_mib)
        return self.send(path, body, signed(self.url, self.key, path, body, invocation=True))["jobId"]

    def describe(self, job: str) -> dict:
        return self.call("describejobs", jobs=[job])["jobs"][0]

    def children(self, job: str) -> dict[str, int]:
        """How many children of an array are in each state."""
        return self.describe(job)["arrayProperties"].get("statusSummary", {})

    def occupy(self) -> str:
        """Hold every vCPU, so that what is submitted afterwards waits; the job's id."""
        job = self.submit("sleep", "3600", vcpus=self._vcpus)
        self.wait(lambda: self.describe(job)["status"] == "RUNNING", "the machine is occupied")
        return job

    def wait(self, condition: Callable[[], object], what: str, every_s: float = 0.02) -> None:
        """Until `condition()` holds; TimeoutError after a minute."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {PATIENCE_S:.0f} s in vain until {what}")
            time.sleep(every_s)

    # -- processes ------------------------------------------------------------------------------------------------

    def processes(self, *roles: str) -> list[int]:
        """The server's processes by role: api, engine, runner, slot. Told by title and by what they have open."""
        return [
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and _title(entry).startswith(tuple(f"batchyard {role}" for role in roles))
            if _title(entry).split()[1] in roles and self._holds(entry)
        ]

    def _holds(self, entry: Path) -> bool:
        try:
            return any(os.readlink(each).startswith(str(self.data)) for each in (entry / "fd").iterdir())
        except OSError:
            return False


def _title(entry: Path) -> str:
    try:
        return (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def submission(
    *command: str, size: int = 0, vcpus: int = 1, memory_mib: int = 0, name: str = "bench", queue: str = QUEUE
) -> bytes:
    """The body of a SubmitJob."""
    members: dict = {"jobName": name, "jobQueue": queue, "jobDefinition": DEFINITION}
    if command or vcpus != 1 or memory_mib:
        needs = [{"type": "VCPU", "value": str(vcpus)}]
        needs += [{"type": "MEMORY", "value": str(memory_mib)}] if memory_mib else []
        members["containerOverrides"] = {"command": list(command or ("true",)), "resourceRequirements": needs}
    if size:
        members["arrayProperties"] = {"size": size}
    return json.dumps(members).encode()
