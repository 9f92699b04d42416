"""What an attempt is to any executor: the order that runs it, and the words its ending is told in.

Sources: reference "Environment variables inside the container", "Container semantics" (exit semantics), "Retries
and timeouts".
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from batchyard.config import Settings
from batchyard.executors import container_orders, gpus
from batchyard.executors.container_orders import CannotStart
from batchyard.executors.gpus import Gpu
from batchyard.executors.granting import Granting
from batchyard.model.events import Ending
from batchyard.model.executors import CONTAINER, PROCESS, chosen
from batchyard.model.ids import NODES, WHOLE
from batchyard.model.jobs import AttemptSpec, Nodes, Work
from batchyard.model.tasks import ContainerEnding

EXITED = "Essential container in task exited"
NOT_STARTED = "Task failed to start"
HINT = "batchyard doctor says what would help"
TIMED_OUT = "Job attempt duration exceeded timeout"
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
ON_EC2, ON_FARGATE = "AWS_ECS_EC2", "AWS_ECS_FARGATE"  # AWS_EXECUTION_ENV

MAIN_NODE_ADDRESS = "127.0.0.1"

SIGNAL_BASE = 128
KILLED = SIGNAL_BASE + 9
REASON_MAX = 255  # characters of container.reason


class Engine(NamedTuple):
    """A container engine that passed the runner's trial."""

    name: str  # docker or podman
    version: str
    socket: str
    rootless: bool


class _Given(NamedTuple):
    """What orders are made with."""

    settings: Settings
    environ: Mapping[str, str]
    gpus: tuple[Gpu, ...]
    granting: Granting | None

    @property
    def gpus_there(self) -> bool:
        return self.settings.gpus > 0 or bool(self.gpus)


def order(
    spec: AttemptSpec,
    settings: Settings,
    environ: Mapping[str, str],
    of_machine: tuple[Gpu, ...] = (),
    granting: Granting | None = None,
    engine: Engine | None = None,
) -> dict[str, Any]:
    """What a slot is told to run, in containers or as a process (`how`).

    `environ` is where the variables of `process_pass_env` come from, `of_machine` are the GPUs there are. `granting`
    knows what the task may ask of the server, and `ask` is where its slot does so; None: it needs not. `day` names the
    log's directory, `timeout_s` and `grace_s` are durations. What is `refused` is not started: it ends with that status
    reason; what has `cannot_start` fails to start for that reason.
    """
    given = _Given(settings, environ, of_machine, granting)
    sockets = [path for path in (settings.engine_socket, engine and engine.socket) if path]
    common = {
        "op": "start",
        "attempt": spec.attempt,
        "day": day(spec.opened_ms),
        "timeout_s": spec.timeout_s,
        "grace_s": settings.stop_grace_s,
        "log_bytes": settings.log_max_mib << 20,
        "refused": spec.refused,
        "host_paths": list(settings.host_paths),
        "never_mounted": [*sockets, *settings.hidden],
    }
    try:
        container_orders.check_platform(spec.task or spec.container)
        if in_containers(spec, settings, engine):
            return common | _in_containers(spec, given, engine)
        return common | _as_process(spec, given)
    except CannotStart as why:
        nothing = {"how": PROCESS, "user": None, "argv": [], "env": {}, "memory_mib": 0, "ask": None}
        return common | nothing | {"cannot_start": str(why)}


def in_containers(spec: AttemptSpec, settings: Settings, engine: Engine | None) -> bool:
    """Which executor the attempt gets. CannotStart if there is none for it."""
    images = [each.get("image") for _, each in _containers(spec)]
    found = chosen(images, settings.executor, engine is not None)
    if found is not None:
        return found == CONTAINER
    if settings.executor == CONTAINER:
        raise CannotStart("no container engine passed its trial, and the setting executor allows nothing else; " + HINT)
    raise CannotStart("a job of several containers needs a container engine; " + HINT)


def _containers(spec: AttemptSpec) -> list[tuple[str, dict[str, Any]]]:
    return Work(spec.container, spec.task).containers


def _in_containers(spec: AttemptSpec, given: _Given, engine: Engine | None) -> dict[str, Any]:
    """GPUs are told by their numbers to Podman: that is how its devices are named unless somebody chose otherwise."""
    settings, whole = given.settings, spec.task or spec.container
    known = () if engine is not None and engine.name == "podman" else given.gpus
    built, unheld = [], gpus.names(spec.devices, known)
    for name, each in _containers(spec):
        needs = container_orders.needs(each) if spec.task else spec.needs
        held, unheld = unheld[: needs.gpus], unheld[needs.gpus :]
        variables = _variables(spec, given, name, each) | gpus.container_variables(held, given.gpus_there)
        told = container_orders.container(each, whole, variables, needs, held, settings, spec.fargate)
        built.append({"name": name, **told})
    return {
        "how": CONTAINER,
        "network": container_orders.network(whole, settings, spec.nodes is not None),
        "ipc": whole.get("ipcMode"),
        "pid": whole.get("pidMode"),
        "ask": given.granting.ask(spec, dict(_containers(spec))) if given.granting else None,
        "containers": built,
    }


def _as_process(spec: AttemptSpec, given: _Given) -> dict[str, Any]:
    """`deny` are devices that the job must not open, `memory_mib` 0 is no limit."""
    name, properties = _containers(spec)[0]
    settings = given.settings
    variables = environment(spec, settings, f"{settings.data}/work/{spec.attempt}", given.environ, given.granting)
    return {
        "how": PROCESS,
        "container": name,
        "grace_s": properties.get("stopTimeout", settings.stop_grace_s),
        "user": properties.get("user") or None,
        "argv": list(properties.get("command") or ()),
        "env": variables | gpus.variables(spec.devices, settings.gpus > 0, given.gpus),
        "ask": given.granting.ask(spec, {name: properties}, in_containers=False) if given.granting else None,
        "deny": gpus.foreign(spec.devices, given.gpus),
        "memory_mib": spec.needs.memory_mib,
        **container_orders.of_process(properties, spec.task or spec.container, settings),
    }


def day(opened_ms: int) -> str:
    """The directory, below `logs`, of the log of an attempt that was opened then (UTC)."""
    return time.strftime("%Y-%m-%d", time.gmtime(opened_ms / 1000))


def environment(
    spec: AttemptSpec,
    settings: Settings,
    work: str,
    environ: Mapping[str, str],
    granting: Granting | None = None,
) -> dict[str, str]:
    """All variables of an attempt that is a process; nothing else is inherited."""
    variables = {"PATH": settings.process_path, "HOME": work, "TMPDIR": f"{work}/tmp"}
    return variables | _variables(spec, _Given(settings, environ, (), granting), *_containers(spec)[0])


def _variables(spec: AttemptSpec, given: _Given, name: str, properties: Mapping[str, Any]) -> dict[str, str]:
    """What processes and containers are given alike. Later ones win.

    The job's own region and endpoints win over ours, which only fill in what the definition left open. Variables that
    Batch and ECS set are theirs.
    """
    pass_on, granting = given.settings.process_pass_env, given.granting
    variables = {each: given.environ[each] for each in pass_on if each in given.environ}
    variables |= {"AWS_REGION": spec.region, "AWS_DEFAULT_REGION": spec.region}
    variables |= granting.endpoints() if granting else {}
    for pair in properties.get("environment") or ():
        variables[pair["name"]] = pair.get("value") or ""
    return variables | batch_variables(spec) | (granting.variables(spec, name) if granting else {})


def batch_variables(spec: AttemptSpec) -> dict[str, str]:
    """What Batch and ECS set, whatever the definition says."""
    variables = {
        "AWS_BATCH_JOB_ID": spec.job_id,
        "AWS_BATCH_JQ_NAME": spec.queue_name,
        "AWS_BATCH_CE_NAME": spec.environment_name,
        "AWS_BATCH_JOB_ATTEMPT": str(spec.number),
        "AWS_EXECUTION_ENV": ON_FARGATE if spec.fargate else ON_EC2,
    }
    if spec.nodes is not None:
        variables |= _node_variables(spec.nodes, spec.index - NODES)
    elif spec.index != WHOLE:
        variables["AWS_BATCH_JOB_ARRAY_INDEX"] = str(spec.index)
        variables["AWS_BATCH_JOB_ARRAY_SIZE"] = str(spec.size)
    return variables


def _node_variables(nodes: Nodes, number: int) -> dict[str, str]:
    """All nodes are of this machine and its network, so that is where the main node is found."""
    variables = {
        "AWS_BATCH_JOB_NUM_NODES": str(nodes.count),
        "AWS_BATCH_JOB_NODE_INDEX": str(number),
        "AWS_BATCH_JOB_MAIN_NODE_INDEX": str(nodes.main),
    }
    if number != nodes.main:
        variables["AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS"] = MAIN_NODE_ADDRESS
    return variables


def ending(record: Mapping[str, Any]) -> Ending:
    """The exit record of an attempt in the words that clients read."""
    exit_code, reason, status_reason = record["exit_code"], None, EXITED
    if record["signal"] is not None:
        exit_code = SIGNAL_BASE + record["signal"]
    refused = record.get("refused")
    if refused is not None:
        status_reason = f"{NOT_STARTED}: {refused}"
    elif record.get("not_started") is not None:
        status_reason, reason = NOT_STARTED, record["not_started"][:REASON_MAX]
    elif record["start_error"] is not None:
        status_reason, reason = NOT_STARTED, f"CannotStartContainerError: {record['start_error']}"[:REASON_MAX]
    elif record["timed_out"]:
        status_reason = TIMED_OUT
        if record["signal"] is not None:
            exit_code = KILLED  # the init of a container does not die of SIGTERM, so 137 is what clients know
    elif record["oom"]:
        exit_code, reason = KILLED, OUT_OF_MEMORY
    return Ending(
        exit_code=exit_code,
        status_reason=status_reason,
        reason=reason,
        started_ms=record["started_ms"],
        stopped_ms=record["stopped_ms"],
        timed_out=record["timed_out"],
        peak_memory_bytes=record["peak_memory_bytes"],
        cpu_ms=record["cpu_ms"],
        refused=refused is not None,
        containers=tuple(_container_ending(each) for each in record.get("containers") or ()),
    )


def _container_ending(told: Mapping[str, Any]) -> ContainerEnding:
    reason = told.get("reason")
    return ContainerEnding(told["name"], told.get("exit_code"), reason and reason[:REASON_MAX])
