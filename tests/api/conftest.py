from __future__ import annotations

import itertools
import time
import uuid
from pathlib import Path

import pytest

from batchyard import config
from batchyard.api.app import build_app
from batchyard.api.context import Context
from batchyard.catalogue.keeper import Keeper
from batchyard.catalogue.reader import built_in
from tests.api import caller
from tests.api.memory import MemoryGrants, MemoryLogs, MemoryStore, MemoryUpkeep


class Directory:
    def secret(self, key_id: str) -> str | None:
        return caller.SECRET if key_id == caller.KEY_ID else None


class Ticking:
    """Every call is a millisecond later than the one before."""

    def __init__(self) -> None:
        self._now_ms = itertools.count(1_763_673_500_000)

    def now_ms(self) -> int:
        return next(self._now_ms)


class Server:
    """The application over memory, with a queue `q` on an environment `ce` and a definition `hello` once asked."""

    def __init__(self, data: str):
        settings = config.load({"data": data, "vcpus": 4}, environ={})
        self.store, self.logs, self.upkeep = MemoryStore(), MemoryLogs(), MemoryUpkeep()
        self.grants = MemoryGrants()
        self.context = Context(
            settings=settings,
            intake=self.store,
            reader=self.store,
            past=self.store,
            logs=self.logs,
            directory=Directory(),
            clock=Ticking(),
            wall_s=time.time,
            mint=lambda: str(uuid.uuid4()),
            upkeep=self.upkeep,
            metrics_token=caller.TOKEN,
            machines=built_in,
            catalogue=Keeper(Path(data)),
            task_key=caller.TASK_KEY,
            grants=self.grants,
        )
        self.app = build_app(self.context)
        self.batch = caller.client(self.app, "batch")
        self.log_client = caller.client(self.app, "logs")

    def furnish(self, **definition) -> None:
        self.batch.create_compute_environment(
            computeEnvironmentName="ce", type="UNMANAGED", serviceRole="arn:aws:iam::123456789012:role/batch"
        )
        self.batch.create_job_queue(
            jobQueueName="q", priority=1, computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "ce"}]
        )
        self.define("hello", **definition)

    def define(self, name: str, **members) -> dict:
        container = {
            "image": "busybox",
            "command": ["echo", "hi"],
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}],
        } | members.pop("container", {})
        return self.batch.register_job_definition(
            jobDefinitionName=name, type="container", containerProperties=container, **members
        )

    def submit(self, **members) -> str:
        given = {"jobName": "job", "jobQueue": "q", "jobDefinition": "hello"} | members
        return self.batch.submit_job(**given)["jobId"]

    def describe(self, job_id: str) -> dict:
        (job,) = self.batch.describe_jobs(jobs=[job_id])["jobs"]
        return job


@pytest.fixture
def server(tmp_path) -> Server:
    return Server(str(tmp_path))


@pytest.fixture
def furnished(server) -> Server:
    server.furnish()
    return server
