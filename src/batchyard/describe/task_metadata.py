"""A running task as ECS's metadata endpoint (version 4) shows it to its own code.

Members that nothing here could fill are left out, as ECS leaves them out of tasks that have not come so far. The ids
and names that Docker gives are derived, since the server does not hold those of the engine.
"""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime
from typing import Any, NamedTuple

from batchyard.describe.arns import Arns
from batchyard.describe.names import Names
from batchyard.model import ids
from batchyard.model.jobs import Work
from batchyard.model.logplaces import log_place
from batchyard.ports import AttemptRow, JobRow

_LABEL = "com.amazonaws.ecs."


class Shown(NamedTuple):
    """An open attempt, and what names its parts."""

    arns: Arns
    names: Names
    job: JobRow
    attempt: AttemptRow
    name: str  # the attempt's id
    work: Work

    @property
    def environment(self) -> tuple[str, str]:
        return self.names.environment(self.attempt.environment)

    @property
    def task_arn(self) -> str:
        return self.arns.task(*self.environment, ids.task_id(self.name))

    @property
    def cluster(self) -> str:
        """On Fargate an ARN, on EC2 a mere name."""
        whole = self.arns.cluster(*self.environment)
        return whole.rpartition("/")[2] if self.attempt.instance else whole

    @property
    def family(self) -> tuple[str, str]:
        """Family and revision of the task definition: those of the job definition."""
        name, revision = self.names.definition(self.job.definition)
        return name, str(revision)

    @property
    def status(self) -> dict[str, str]:
        desired = "RUNNING" if self.job.stop_kind is None else "STOPPED"
        return {"DesiredStatus": desired, "KnownStatus": "CREATED" if self.attempt.started_ms is None else "RUNNING"}


def container(shown: Shown, name: str) -> dict[str, Any]:
    """One container of the task."""
    given = dict(shown.work.containers)[name]
    family, revision = shown.family
    docker_id = hashlib.blake2b(f"{shown.name}/{name}".encode(), digest_size=32, person=b"batchyard-dock").hexdigest()
    described = {
        "DockerId": docker_id,
        "Name": name,
        "DockerName": f"ecs-{family}-{revision}-{name}-{docker_id[:20]}",
        "Image": given.get("image", ""),
        "Labels": {
            f"{_LABEL}cluster": shown.cluster,
            f"{_LABEL}container-name": name,
            f"{_LABEL}task-arn": shown.task_arn,
            f"{_LABEL}task-definition-family": family,
            f"{_LABEL}task-definition-version": revision,
        },
        **shown.status,
        "Limits": _limits(given),
        "CreatedAt": _time(shown.attempt.opened_ms),
        "Type": "NORMAL",
        "ContainerARN": _container_arn(shown, docker_id),
        "LogDriver": "awslogs",
        "LogOptions": _log_options(shown, name, given),
    }
    if shown.attempt.started_ms is not None:
        described["StartedAt"] = _time(shown.attempt.started_ms)
    return described


def task(shown: Shown) -> dict[str, Any]:
    """The task and all its containers."""
    family, revision = shown.family
    containers = [container(shown, name) for name, _ in shown.work.containers]
    described = {
        "Cluster": shown.cluster,
        "TaskARN": shown.task_arn,
        "Family": family,
        "Revision": revision,
        **shown.status,
        "LaunchType": "EC2" if shown.attempt.instance else "FARGATE",
        "Containers": containers,
    }
    if not shown.attempt.instance:  # a slice of Fargate has the size of its containers
        sizes = [each["Limits"] for each in containers]
        described["Limits"] = {
            "CPU": sum(size["CPU"] for size in sizes) / 1024,
            "Memory": sum(size["Memory"] for size in sizes),
        }
    return described


def task_with_tags(shown: Shown) -> dict[str, Any]:
    """The same, and the tags that propagateTags gave the task."""
    return task(shown) | {"TaskTags": shown.job.body.get("taskTags", {})}


def _limits(given: dict[str, Any]) -> dict[str, int]:
    """CPU in shares of 1024 a vCPU, memory in MiB."""
    asked = {each["type"]: each["value"] for each in given.get("resourceRequirements") or ()}
    vcpus, memory = asked.get("VCPU", given.get("vcpus", 0)), asked.get("MEMORY", given.get("memory", 0))
    return {"CPU": int(float(vcpus) * 1024), "Memory": int(memory)}


def _container_arn(shown: Shown, docker_id: str) -> str:
    prefix, _, _ = shown.task_arn.partition(":task/")
    cluster = shown.arns.cluster(*shown.environment).rpartition("/")[2]
    return f"{prefix}:container/{cluster}/{ids.task_id(shown.name)}/{uuid.UUID(docker_id[:32])}"


def _log_options(shown: Shown, name: str, given: dict[str, Any]) -> dict[str, str]:
    place = log_place(shown.job.region, shown.family[0], given, name)
    return {
        "awslogs-group": place.group,
        "awslogs-region": place.region,
        "awslogs-stream": place.stream(shown.name),
    }


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
