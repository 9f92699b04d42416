"""What becomes of each member of a request: tried out on admission itself, and read off the code of the handlers.

A trial puts one member after the other into an otherwise minimal request, once with each value of its enumeration or
else with one sample, and asks ``admission`` what it makes of it: a refusal, a notice, a change of what is stored to be
run, or nothing but a stored value. Members that no trial covers are honoured if the handler's code reads them.
"""

from __future__ import annotations

import copy
import typing
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct, UnsetType

from batchyard import config
from batchyard.admission import (
    compiled,
    consumables,
    environments,
    executor_notices,
    job_definitions,
    jobs,
    queues,
    scheduling_policies,
)
from batchyard.catalogue.reader import built_in
from batchyard.errors import ApiError, ClientError
from batchyard.executors import contract
from batchyard.executors.granting import Granting
from batchyard.model.environments import Capacity
from batchyard.model.ids import WHOLE
from batchyard.model.jobs import AttemptSpec, work_of
from batchyard.ports import EnvironmentRow, QueueRow
from batchyard.wire import shapes, validate
from reference.samples import (
    ACCOUNT,
    DEFINITION,
    MANAGED,
    NODES,
    NOW_MS,
    POLICY,
    QUEUE,
    REGION,
    ROLE,
    SAMPLES,
    SUBMISSION,
    TASK,
    UUID,
)

# One with containers, one with processes only.
MACHINES = (executor_notices.Machine(engine="docker", roles=True), executor_notices.Machine(roles=True))


class _Answering(Granting):
    """As of a server that answers."""

    def _own(self) -> str:
        return "http://127.0.0.1:22824"


class Outcome(NamedTuple):
    """What a request that was taken leads to."""

    effect: Any  # what the scheduler and the executor are given
    notices: tuple[str, ...]
    stored: Any  # all that is kept, to be given back


class Trial(NamedTuple):
    base: dict[str, Any]
    ask: Callable[[Any], Outcome]  # raises ApiError
    within: tuple[str, ...]  # members whose own members are tried too


class Found(NamedTuple):
    """What the trials of one member showed."""

    refused: dict[str, str]  # value, or "" if it is not worth showing -> the error's text
    is_ever_taken: bool
    notices: tuple[str, ...]
    has_effect: bool
    is_stored: bool


def _defined(request: shapes.RegisterJobDefinitionRequest) -> Outcome:
    new = job_definitions.admit(request, REGION, ACCOUNT, NOW_MS, 100)
    body = msgspec.json.decode(new.body)
    try:
        outcome = _submitted(msgspec.convert(SUBMISSION, shapes.SubmitJobRequest), body)
    except ApiError as error:
        raise ClientError(f"It is registered, but SubmitJob says: {error.message}") from None
    return Outcome((new.name, outcome.effect), outcome.notices, body)


def _submitted(request: shapes.SubmitJobRequest, body: dict[str, Any] | None = None) -> Outcome:
    usual = DEFINITION if request.nodeOverrides is msgspec.UNSET else NODES
    if request.ecsPropertiesOverride is not msgspec.UNSET:
        usual = TASK
    definition = compiled.compile_definition(
        body or {k: v for k, v in usual.items() if k != "jobDefinitionName"}, "us-east-1"
    )
    at = jobs.Submission(
        uuid=UUID,
        region=REGION,
        account=ACCOUNT,
        now_ms=NOW_MS,
        queue=1,
        queue_name="base",
        queue_enabled=True,
        queue_type="ECS",
        fair_share=request.shareIdentifier is not msgspec.UNSET,
        definition=1,
        payload_bytes=100,
        gpus=8,
        idempotency=None,
        on_demand=True,
    )
    job = jobs.admit(request, definition, at)
    stored = msgspec.json.decode(job.body)
    spec = AttemptSpec(
        attempt=f"{UUID}.1",
        job_id=UUID,
        job_name=job.name,
        index=WHOLE,
        size=job.size,
        number=1,
        region=REGION,
        queue_name="base",
        environment_name="one",
        definition_name="base",
        needs=job.needs,
        timeout_s=job.timeout_s,
        opened_ms=NOW_MS,
        **work_of(stored, job.nodes, WHOLE)._asdict(),
    )
    settings = config.load({"data": "/DATA", "efs": "fs-1=/efs", "sts_url": "http://127.0.0.1:1"}, {})
    work = work_of(stored, job.nodes, WHOLE)
    orders, said = [], stored.pop("notices")
    for machine in MACHINES:
        engine = contract.Engine(machine.engine, "24", "/run/docker.sock", False) if machine.engine else None
        orders.append(contract.order(spec, settings, {}, granting=_Answering(settings, b"key", {}), engine=engine))
        told = executor_notices.of_job(work.containers, work.task, machine)
        said += told if engine else [f"As a process: {each}" for each in told if each not in said]
    return Outcome((job._replace(body=b""), *orders), tuple(dict.fromkeys(said)), stored)


def _environment(request: shapes.CreateComputeEnvironmentRequest) -> Outcome:
    new = environments.admit(request, REGION, UUID, NOW_MS, built_in)
    body = msgspec.json.decode(new.body)
    return Outcome((new._replace(body=b""), body.pop("capacity", None), body.get("room")), (), body)


def _queue(request: shapes.CreateJobQueueRequest) -> Outcome:
    known = {name: queues.FoundEnvironment(number, name, "EC2") for number, name in enumerate(("one", "two"), 1)}
    new = queues.admit(request, known.get, {POLICY: 9}.get, REGION, NOW_MS)
    body = msgspec.json.decode(new.body)
    return Outcome((new._replace(body=b""), body["jobStateTimeLimitActions"]), (), body)


def _environment_change(request: shapes.UpdateComputeEnvironmentRequest) -> Outcome:
    """Of the machine where unmanagedvCpus is tried, else of Spot instances that came at AWS's own choice of role."""
    create = msgspec.convert(MANAGED, shapes.CreateComputeEnvironmentRequest)
    body = msgspec.json.decode(environments.admit(create, REGION, UUID, NOW_MS, built_in).body)
    body["capacity"] = msgspec.convert(body["capacity"], Capacity)
    current = EnvironmentRow(1, REGION, "base", UUID, "MANAGED", "local", True, body)
    if request.unmanagedvCpus is not msgspec.UNSET or request.serviceRole is not msgspec.UNSET:
        current = current._replace(kind="UNMANAGED", body={"serviceRole": ROLE})
    change = environments.admit_change(request, current, NOW_MS, None, built_in, lambda: 0)
    told = change.members.get("capacity", body["capacity"])
    return Outcome((change._replace(members={}, seen={}), told), (), change.members)


def _queue_change(request: shapes.UpdateJobQueueRequest) -> Outcome:
    current = QueueRow(1, REGION, "base", 1, True, (1,), {"jobQueueType": "ECS"}, policy="other")
    known = {name: queues.FoundEnvironment(number, name, "EC2") for number, name in enumerate(("one", "two"), 1)}
    change = queues.admit_change(request, known.get, {POLICY: 9}.get, current, NOW_MS, None)
    told = change.members.get("jobStateTimeLimitActions")
    return Outcome((change._replace(members={}), told), (), change.members)


def _policy(request: shapes.CreateSchedulingPolicyRequest) -> Outcome:
    new = scheduling_policies.admit(request, REGION, NOW_MS)
    return Outcome(new._replace(body=b""), (), msgspec.json.decode(new.body))


def _policy_change(request: shapes.UpdateSchedulingPolicyRequest) -> Outcome:
    change = scheduling_policies.admit_change(request, REGION, "p", NOW_MS, None)
    return Outcome(change._replace(members={}), (), change.members)


def _consumable(request: shapes.CreateConsumableResourceRequest) -> Outcome:
    new = consumables.admit(request, REGION, NOW_MS, None)
    return Outcome(new._replace(body=b""), (), msgspec.json.decode(new.body))


def _consumable_change(request: shapes.UpdateConsumableResourceRequest) -> Outcome:
    change = consumables.admit_change(request, REGION, "base", NOW_MS, None, str.encode)
    return Outcome(change, (), None)


TRIALS = {
    "RegisterJobDefinition": Trial(DEFINITION, _defined, ("containerProperties", "retryStrategy", "timeout")),
    "SubmitJob": Trial(SUBMISSION, _submitted, ("containerOverrides", "retryStrategy", "timeout", "arrayProperties")),
    "CreateComputeEnvironment": Trial(MANAGED, _environment, ("computeResources",)),
    "CreateConsumableResource": Trial({"consumableResourceName": "base", "totalQuantity": 1}, _consumable, ()),
    "CreateJobQueue": Trial(QUEUE, _queue, ()),
    "UpdateComputeEnvironment": Trial(
        {"computeEnvironment": "base", "state": "ENABLED"}, _environment_change, ("computeResources", "updatePolicy")
    ),
    "UpdateConsumableResource": Trial(
        {"consumableResource": "base", "operation": "ADD", "quantity": 1}, _consumable_change, ()
    ),
    "CreateSchedulingPolicy": Trial({"name": "p", "fairsharePolicy": {}}, _policy, ("fairsharePolicy",)),
    "UpdateSchedulingPolicy": Trial({"arn": POLICY, "fairsharePolicy": {}}, _policy_change, ("fairsharePolicy",)),
    "UpdateJobQueue": Trial({"jobQueue": "base", "state": "ENABLED"}, _queue_change, ()),
}


def members(operation: str) -> Iterator[tuple[str, ...]]:
    """The members of the request by path; those within members that the trial goes into follow them."""
    request = shapes.OPERATIONS[operation].request
    within = TRIALS[operation].within if operation in TRIALS else ()
    for name in fields(request):
        yield (name,)
        if name in within:
            inner = _plain(typing.get_type_hints(request, vars(shapes))[name])
            yield from ((name, each) for each in fields(inner))


def tried(operation: str, path: tuple[str, ...]) -> Found:
    """What admission makes of one member. SystemExit if the sample is not what the wire lets through."""
    trial = TRIALS[operation]
    refused: dict[str, str] = {}
    notices: list[str] = []
    is_ever_taken = has_effect = is_stored = False
    for patch in _patches(operation, path):
        given = merged(trial.base, patch)
        try:
            request = _request(operation, given)
        except ClientError as error:
            raise SystemExit(
                f"tools/reference/trials.py: {operation} {given}: {error.message} See samples.py."
            ) from None
        try:
            outcome = trial.ask(request)
        except ApiError as error:
            refused[_shown(patch, path)] = error.message
            continue
        is_ever_taken = True
        usual = _usual(operation, given, path)
        notices += [said for said in outcome.notices if said not in (*usual.notices, *notices)]
        has_effect = has_effect or outcome.effect != usual.effect
        is_stored = is_stored or outcome.stored != usual.stored
    return Found(refused, is_ever_taken, tuple(notices), has_effect, is_stored)


def _usual(operation: str, given: dict[str, Any], path: tuple[str, ...]) -> Outcome:
    """What the same request leads to without the member; where it cannot do without, the minimal one."""
    without: Any = None
    for name in reversed(path):
        without = {name: without}
    base = TRIALS[operation].base
    asked, usual = _value(given, path), _value(base, path)
    for each in (base, given) if asked != usual and usual is not None else (merged(given, without), base):
        try:
            return TRIALS[operation].ask(_request(operation, each))
        except ApiError:
            continue
    raise SystemExit(f"tools/reference/trials.py: {operation} takes not even {base}")


def _value(given: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        given = given.get(name) if isinstance(given, dict) else None
    return given


def _request(operation: str, given: dict[str, Any]) -> Any:
    """The request as the wire hands it on. Raises ApiError."""
    try:
        request = msgspec.convert(given, shapes.OPERATIONS[operation].request)
    except msgspec.ValidationError as error:
        raise ClientError(f"{error}.") from None
    validate.check(operation, request)
    return request


def merged(base: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """`base` with `patch` in it, structures member by member; None takes a member out."""
    result = copy.deepcopy(base)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict) and isinstance(result.get(name), dict):
            result[name] = merged(result[name], value)
        else:
            result[name] = value
    return result


def _patches(operation: str, path: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    given = SAMPLES.get(".".join((operation, *path)))
    if given is not None:
        yield from given
        return
    shape: Any = shapes.OPERATIONS[operation].request
    for name in path[:-1]:
        shape = _plain(typing.get_type_hints(shape, vars(shapes))[name])
    for value in _samples(shape, path[-1]):
        patch: Any = value
        for name in reversed(path):
            patch = {name: patch}
        yield patch


def _samples(owner: type[Struct], member: str) -> list[Any]:
    """Each value of an enumeration; else one value of the member's type."""
    kind = _plain(typing.get_type_hints(owner, vars(shapes))[member])
    rules = shapes.MEMBERS.get(owner.__name__, {}).get(member, "")
    return list(shapes.ENUMS.get(rules, ())) or [_sample(kind, rules)]


def _sample(kind: Any, rules: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        return [_sample(arguments[0], shapes.ITEMS.get(rules, {}).get("member", ""))]
    if origin is dict:
        return {"name": _sample(arguments[1], "")}
    if isinstance(kind, type) and issubclass(kind, Struct):
        wanted = shapes.REQUIRED.get(kind.__name__) or fields(kind)[:1]
        return {name: _samples(kind, name)[0] for name in wanted}
    if kind is bool:
        return True
    if kind is str:
        return (shapes.ENUMS.get(rules) or ("sample",))[0]
    return 1.5 if kind is float else 2


def _plain(kind: Any) -> Any:
    """A member's type without UNSET."""
    kinds = [each for each in typing.get_args(kind) if each is not UnsetType]
    return kinds[0] if UnsetType in typing.get_args(kind) else kind


def fields(shape: type[Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(shape)]


def _shown(patch: dict[str, Any], path: tuple[str, ...]) -> str:
    """The value that a patch gives to the member, if it is one of an enumeration."""
    value = _value(patch, path)
    words = value if isinstance(value, list) else [value]
    return (
        ", ".join(words)
        if all(isinstance(word, str) and word.isupper() or word == "multinode" for word in words)
        else ""
    )
