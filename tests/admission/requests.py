"""Requests as JSON-like values, made typed the way the wire makes them."""

from __future__ import annotations

from typing import Any

import msgspec

from batchyard.admission import job_definitions, jobs
from batchyard.admission.compiled import CompiledDefinition, compile_definition
from batchyard.model.jobs import NewJob
from batchyard.wire import shapes

REGION, NOW_MS = "us-east-1", 1_763_673_500_000
ACCOUNT = "123456789012"
UUID = "1e3d0a52-8f0b-4a3d-9d3a-2f4a7f7f0f11"
NEEDS = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}]
CONTAINER = {"image": "busybox", "command": ["true"], "resourceRequirements": NEEDS}
ABSENT = object()  # as a member's value: the member is not there


def without_absent(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not ABSENT}


def register(container: dict[str, Any] | object = None, **members: Any):
    """RegisterJobDefinition of a plain definition with `members` of the request and of the container changed."""
    given = {"jobDefinitionName": "d", "type": "container"} | members
    if container is not ABSENT:
        given["containerProperties"] = without_absent(CONTAINER | (container or {}))
    request = msgspec.convert(without_absent(given), shapes.RegisterJobDefinitionRequest)
    return job_definitions.admit(request, REGION, ACCOUNT, NOW_MS, payload_bytes=100)


def compiled(container: dict[str, Any] | None = None, **members: Any) -> CompiledDefinition:
    return compile_definition(msgspec.json.decode(register(container, **members).body), "us-east-1")


def submit(definition: CompiledDefinition | None = None, *, at: dict[str, Any] | None = None, **members: Any) -> NewJob:
    given = {"jobName": "j", "jobQueue": "q", "jobDefinition": "d"} | members
    submission = jobs.Submission(
        uuid=UUID, region=REGION, account=ACCOUNT, now_ms=NOW_MS, queue=1, queue_name="q", queue_enabled=True,
        queue_type="ECS", fair_share=False, definition=7, payload_bytes=100, gpus=0, idempotency=None,
    )._replace(**(at or {}))  # fmt: skip
    return jobs.admit(msgspec.convert(given, shapes.SubmitJobRequest), definition or compiled(), submission)


def body(job) -> dict[str, Any]:
    return msgspec.json.decode(job.body)
