"""The instances that managed environments have now, and having Spot capacity interrupted: our own routes.

Interrupting is a wish like any other: it is stored, and the engine carries it out within milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from batchyard.api.batch.compute_environments import find_environment, resource_type
from batchyard.api.batch.jobs import find_job
from batchyard.api.context import Call, Context
from batchyard.errors import ClientError
from batchyard.model import ids
from batchyard.model.environments import FARGATE_SPOT, SPOT, HeldInstance
from batchyard.model.jobs import Interruption
from batchyard.ports import EnvironmentRow
from batchyard.ports.instances import OpenRow

INSTANCES = "/x/instances"
INTERRUPT = "/x/admin/interrupt"
PAGE = 1000  # environments read at a time

_STEP = "Name an instance (i-...), a job on Fargate Spot, or a compute environment of type SPOT or FARGATE_SPOT."


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    target: str


def instances(context: Context, call: Call) -> dict[str, Any]:
    """All of the region's, environment by environment, in order of launch."""
    return {"instances": [each for row in _environments(context, call) for each in _of(context, call, row)]}


def _environments(context: Context, call: Call) -> Iterator[EnvironmentRow]:
    after = 0
    while rows := context.reader.environments(call.region, after, PAGE):
        yield from (row for row in rows if row.kind == "MANAGED")
        after = rows[-1].id


def _of(context: Context, call: Call, row: EnvironmentRow) -> list[dict[str, Any]]:
    held = context.reader.instances(row.id)
    jobs: dict[str, list[str]] = {}
    for opened in context.reader.open_in(row.id) if held else ():
        jobs.setdefault(opened.instance, []).append(ids.job_id(opened.uuid, opened.index))
    return [_instance(call, row, each, jobs.get(each.id, [])) for each in held]


def _instance(call: Call, row: EnvironmentRow, held: HeldInstance, jobs: list[str]) -> dict[str, Any]:
    leaving = held.leaving
    state = "LEAVING" if leaving else "BOOTING" if held.ready_ms > call.now_ms else "READY"
    return {
        "instance": held.id,
        "environment": row.name,
        "type": resource_type(row),
        "instanceType": held.type,
        "vcpus": held.room.cpu_milli // 1000,
        "memoryMiB": held.room.memory_mib,
        "gpus": list(held.devices),
        "state": state,
        "launchedAt": held.launched_ms,
        "reclaimAt": leaving.reclaim_ms if leaving else None,
        "reason": leaving.cause if leaving else None,
        "jobs": jobs,
    }


async def interrupt(context: Context, call: Call) -> dict[str, Any]:
    """Have what the body names interrupted. ClientError for what is not there or is not Spot."""
    try:
        given = msgspec.json.decode(call.body, type=_Asked).target
    except msgspec.MsgspecError as error:
        raise ClientError(f"The body is not what it must be: {error}.", 'Send {"target": "i-..."}.') from None
    row, wish = _named(context, call, given)
    if resource_type(row) not in (SPOT, FARGATE_SPOT):
        raise ClientError(f"{given} is on demand ({resource_type(row)}): nobody interrupts it.", _STEP)
    opened = [each for each in context.reader.open_in(row.id) if _concerns(wish, each)]
    held = [each for each in context.reader.instances(row.id) if wish.instance in ("", each.id) and not wish.job]
    await context.intake.interrupt(wish)
    return {
        "environment": row.name,
        "instances": [each.id for each in held],
        "jobs": [ids.job_id(each.uuid, each.index) for each in opened],
        "leaving": [each.id for each in held if each.leaving is not None],  # already, and no sooner for it
        "warningSeconds": context.settings.spot_warning_s,
    }


def _concerns(wish: Interruption, opened: OpenRow) -> bool:
    if wish.job:
        return (opened.job, opened.index) == (wish.job, wish.index)
    return wish.instance in ("", opened.instance)


def _named(context: Context, call: Call, given: str) -> tuple[EnvironmentRow, Interruption]:
    """The environment that it is in, and the wish."""
    found = _by_instance(context, call, given) or _by_job(context, call, given)
    if found is not None:
        return found
    row = find_environment(context, call, given)
    if row is None:
        raise ClientError(f"{given!r} is no instance, job or compute environment of {call.region}.", _STEP)
    return row, Interruption(row.id, call.now_ms)


def _by_instance(context: Context, call: Call, given: str) -> tuple[EnvironmentRow, Interruption] | None:
    held = context.reader.instance(given)
    row = None if held is None else context.reader.environment_by_id(held.environment)
    if row is None or row.region != call.region:
        return None
    return row, Interruption(row.id, call.now_ms, instance=given)


def _by_job(context: Context, call: Call, given: str) -> tuple[EnvironmentRow, Interruption] | None:
    job = find_job(context, call, given) if ids.parse_job_id(given) else None
    if job is None:
        return None
    attempts = context.reader.attempts(job.seq, job.index) if job.attempts else []
    if not attempts or attempts[-1].stopped_ms is not None:
        raise ClientError(f"Job {given} does not run now.", _STEP)
    if attempts[-1].instance:
        raise ClientError(
            f"Job {given} runs on instance {attempts[-1].instance}, not on Fargate Spot.", "Name that instance."
        )
    row = context.reader.environment_by_id(attempts[-1].environment)
    return None if row is None else (row, Interruption(row.id, call.now_ms, job=job.seq, index=job.index))
