"""Jobs as they cross the doors: asked for, held by the scheduler, handed to an executor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from batchyard.model import tasks
from batchyard.model.ids import NODES, WHOLE
from batchyard.model.needs import Needs

# How a job waits on another (reference "Job dependencies").
AFTER = 0  # the upstream, whole or one child of it, must have SUCCEEDED
N_TO_N = 1  # child i waits for child i of the upstream array
SEQUENTIAL = 2  # child i waits for child i-1 of its own array; names no upstream

# What a caller may wish of a job that exists.
CANCEL = 1
TERMINATE = 2


class RetryRule(NamedTuple):
    """One evaluateOnExit entry; a condition that is None was not given (reference "Retries and timeouts")."""

    retry: bool
    on_exit_code: str | None = None
    on_reason: str | None = None
    on_status_reason: str | None = None

    def matches(self, exit_code: int | None, reason: str | None, status_reason: str | None) -> bool:
        """Whether every condition that was given holds. A pattern is exact or, with `*` at its end, a prefix; what is
        absent is matched by `*` alone, and an absent exit code by nothing."""
        if self.on_exit_code is not None and (exit_code is None or not _like(self.on_exit_code, str(exit_code))):
            return False
        if self.on_reason is not None and not _like(self.on_reason, reason or ""):
            return False
        return self.on_status_reason is None or _like(self.on_status_reason, status_reason or "")


def _like(pattern: str, value: str) -> bool:
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern


class RetryPolicy(NamedTuple):
    """`attempts` counts all attempts, the first included (1-10)."""

    attempts: int = 1
    rules: tuple[RetryRule, ...] = ()


class AskedUpstream(NamedTuple):
    """One dependsOn entry as the caller named it. `uuid` is None only for SEQUENTIAL without a job."""

    uuid: str | None
    index: int
    kind: int


class NewDefinition(NamedTuple):
    """A job definition to store. `body` is the JSON object that Describe returns, less name, ARN, revision, status."""

    region: str
    name: str
    body: bytes
    created_ms: int


class NewEnvironment(NamedTuple):
    """A compute environment to store. `body` is the JSON of the request, as given.

    An environment whose provider is its own (`pretend/UUID`) has that provider's room there, too, as `room`.
    """

    region: str
    name: str
    uuid: str
    kind: str  # MANAGED or UNMANAGED
    provider: str  # "local", or "pretend/UUID"
    enabled: bool
    body: bytes
    created_ms: int
    idempotency: bytes | None = None  # digest of the call (access key, invocation id, body); None: never deduplicated


class NewQueue(NamedTuple):
    """A job queue to store. `environments` are environment numbers in the order they are tried."""

    region: str
    name: str
    priority: int
    enabled: bool
    environments: tuple[int, ...]
    body: bytes
    created_ms: int
    idempotency: bytes | None = None
    policy: int | None = None  # number of its scheduling policy; None: first in, first out


class EnvironmentChange(NamedTuple):
    """An update of a compute environment; what is None stays. `members` take the place of those of its body.

    `seen` are the members of its body from which new ones were made: if they are others by now, nothing is changed.
    """

    region: str
    name: str
    at_ms: int
    idempotency: bytes | None
    enabled: bool | None = None
    members: Mapping[str, Any] = {}
    seen: Mapping[str, Any] = {}


class QueueChange(NamedTuple):
    """An update of a job queue; what is None stays. `members` take the place of those of its body."""

    region: str
    name: str
    at_ms: int
    idempotency: bytes | None
    priority: int | None = None
    enabled: bool | None = None
    environments: tuple[int, ...] | None = None
    members: Mapping[str, Any] = {}
    policy: int | None = None


class Deletion(NamedTuple):
    """A wish to delete a compute environment, a job queue or a thing of another kind that has a name."""

    region: str
    name: str
    at_ms: int
    idempotency: bytes | None


class NodeGroup(NamedTuple):
    """Nodes lo..hi-1 of a multi-node job, each with these needs."""

    lo: int
    hi: int
    needs: Needs


class Nodes(NamedTuple):
    """What a multi-node job is made of (reference "Multi-node parallel jobs"). `groups` are in order and leave no gap.

    `type` names the instance type that all of its nodes must have; None: any will do.
    """

    main: int  # number of the main node
    groups: tuple[NodeGroup, ...]
    type: str | None = None

    @property
    def count(self) -> int:
        return self.groups[-1].hi

    def needs_of(self, number: int) -> Needs:
        return next(group.needs for group in self.groups if number < group.hi)

    def number(self, index: int) -> int:
        """Which node an index tells of."""
        return self.main if index == WHOLE else index - NODES


def kept_as(nodes: Nodes | None, index: int) -> int:
    """The index under which state and attempts are kept: a main node's are those of its job."""
    return WHOLE if nodes is not None and index == NODES + nodes.main else index


class Work(NamedTuple):
    """What an attempt runs: one merged container, or a task of several (then `container` is {})."""

    container: dict[str, Any]
    task: dict[str, Any] | None

    @property
    def containers(self) -> list[tuple[str, dict[str, Any]]]:
        """All of them by name."""
        if self.task is None:
            return [(tasks.DEFAULT, self.container)]
        return [(each["name"], each) for each in self.task["containers"]]


def work_of(body: Mapping[str, Any], nodes: Nodes | None, index: int) -> Work:
    """What a job, a child or a node runs, from a job's body (``NewJob``)."""
    if nodes is None:
        return Work(body.get("container") or {}, body.get("task"))
    number = nodes.number(index)
    found = next(each for group, each in zip(nodes.groups, body["containers"], strict=True) if number < group.hi)
    return Work({}, found) if tasks.is_task(found) else Work(found, None)


def role_of(properties: Mapping[str, Any]) -> str | None:
    """The role whose credentials a job's code gets: of containerProperties, or of a task of several containers."""
    return properties.get("jobRoleArn") or properties.get("taskRoleArn") or None


class NewJob(NamedTuple):
    """A submission that passed admission: everything the store, the scheduler and an executor will ever need.

    `body` is a JSON object with what DescribeJobs returns and an executor obeys: container (merged, command
    substituted), parameters, retryStrategy, timeout, tags, propagateTags, notices. It is stored once by content. A
    job of several containers has, instead of container, its `task` (``model/tasks.py``); a multi-node job has
    nodeProperties and `containers`, a container or task for each group of its nodes.
    """

    uuid: str
    region: str
    name: str
    queue: int
    definition: int
    created_ms: int
    size: int  # 0 unless it is an array, else the number of children
    needs: Needs  # of one child; of a multi-node job those of the main node
    retry: RetryPolicy
    timeout_s: int | None
    upstreams: tuple[AskedUpstream, ...]
    body: bytes
    idempotency: bytes | None = None  # digest of (access key, invocation id, body); None: never deduplicated
    consumables: tuple[tuple[str, int], ...] = ()  # names of consumable resources of the region, and quantities
    share: str | None = None  # of a queue with a scheduling policy
    priority: int = 0  # within the share, higher first
    nodes: Nodes | None = None  # of a multi-node job


class Wish(NamedTuple):
    """CancelJob or TerminateJob as asked."""

    uuid: str
    index: int
    kind: int  # CANCEL or TERMINATE
    reason: str
    at_ms: int


class Interruption(NamedTuple):
    """A wish to have Spot capacity of an environment interrupted: an instance, an attempt on Fargate Spot (`job` is its
    number), or all there is."""

    environment: int
    at_ms: int
    instance: str = ""
    job: int = 0
    index: int = 0


class OpenAttempt(NamedTuple):
    """An attempt that has not ended: `started_ms` is None while STARTING."""

    index: int
    number: int
    environment: int
    instance: str
    opened_ms: int
    started_ms: int | None
    reclaim_ms: int | None = None  # when it is killed, if Fargate Spot interrupted it
    devices: tuple[int, ...] = ()  # its GPUs, as the provider numbers them


class AttemptSpec(NamedTuple):
    """All an executor needs to run one attempt. `container` is the merged container of the job's body, {} if that has a
    `task` (``model/tasks.py``)."""

    attempt: str  # attempt id
    job_id: str  # as clients see it, `UUID`, `UUID:index` or `UUID#number`
    job_name: str
    index: int
    size: int
    number: int
    region: str
    queue_name: str
    environment_name: str
    definition_name: str
    needs: Needs
    timeout_s: int | None
    opened_ms: int
    container: dict[str, Any]
    nodes: Nodes | None = None  # `index` is then NODES and the number of the node, also of the main one
    fargate: bool = False  # a slice of Fargate, on no instance
    refused: str | None = None  # why no task can be made of it: it ends so, and nothing is started
    devices: tuple[int, ...] = ()  # its GPUs, as the machine numbers them
    task: dict[str, Any] | None = None  # of several containers, merged, as the API words it
