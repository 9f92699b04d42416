"""What an attempt is to any executor: the order that runs it, and the words its ending is told in.

Sources: reference "Environment variables inside the container", "Container semantics" (exit semantics), "Retries
and timeouts".
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from batchyard.config import Settings
from batchyard.executors import gpus
from batchyard.executors.gpus import Gpu
from batchyard.executors.granting import ALONE, Granting
from batchyard.model.events import Ending
from batchyard.model.ids import NODES, WHOLE
from batchyard.model.jobs import AttemptSpec, Nodes
from batchyard.model.tasks import ContainerEnding

EXITED = "Essential container in task exited"
NOT_STARTED = "Task failed to start"
TIMED_OUT = "Job attempt duration exceeded timeout"
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
ON_EC2, ON_FARGATE = "AWS_ECS_EC2", "AWS_ECS_FARGATE"  # AWS_EXECUTION_ENV

MAIN_NODE_ADDRESS = "127.0.0.1"

SIGNAL_BASE = 128
KILLED = SIGNAL_BASE + 9
REASON_MAX = 255  # characters of container.reason


def order(
    spec: AttemptSpec,
    settings: Settings,
    environ: Mapping[str, str],
    of_machine: tuple[Gpu, ...] = (),
    granting: Granting | None = None,
) -> dict[str, Any]:
    """What a slot is told to run. `environ` is where the variables of `process_pass_env` come from, `granting` knows
    what the task may ask of the server, and `ask` is where its slot does so; None: it needs not.

    `of_machine` are the GPUs there are, `deny` are devices that the job must not open. `day` names the log's
    directory, `timeout_s` and `grace_s` are durations, `memory_mib` 0 is no limit. What is `refused` is not started:
    it ends with that status reason.
    """
    work = f"{settings.data}/work/{spec.attempt}"
    return {
        "op": "start",
        "attempt": spec.attempt,
        "user": spec.container.get("user") or None,
        "argv": list(spec.container.get("command") or ()),
        "env": environment(spec, settings, work, environ, granting)
        | gpus.variables(spec.devices, settings.gpus > 0, of_machine),
        "ask": granting.ask(spec, {ALONE: spec.container}) if granting else None,
        "deny": gpus.foreign(spec.devices, of_machine),
        "day": day(spec.opened_ms),
        "timeout_s": spec.timeout_s,
        "grace_s": settings.stop_grace_s,
        "memory_mib": spec.needs.memory_mib,
        "log_bytes": settings.log_max_mib << 20,
        "refused": spec.refused,
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
    """All variables of the attempt; nothing else is inherited. Later ones win.

    The job's own region and endpoints win over ours, which only fill in what the definition left open. Variables that
    Batch and ECS set are theirs.
    """
    variables = {"PATH": settings.process_path, "HOME": work, "TMPDIR": f"{work}/tmp"}
    variables |= {name: environ[name] for name in settings.process_pass_env if name in environ}
    variables |= {"AWS_REGION": spec.region, "AWS_DEFAULT_REGION": spec.region}
    variables |= granting.endpoints() if granting else {}
    for pair in spec.container.get("environment") or ():
        variables[pair["name"]] = pair.get("value") or ""
    return variables | batch_variables(spec) | (granting.variables(spec) if granting else {})


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
    """All nodes are processes of this machine, so that is where the main node is found."""
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
