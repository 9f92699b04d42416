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
from batchyard.admission import compiled, consumables, environments, job_definitions, jobs, queues, scheduling_policies
from batchyard.catalogue.reader import built_in
from batchyard.errors import ApiError, ClientError
from batchyard.executors import contract
from batchyard.model.environments import Capacity
from batchyard.model.ids import WHOLE
from batchyard.model.jobs import AttemptSpec, container_of
from batchyard.ports import EnvironmentRow, QueueRow
from batchyard.wire import shapes, validate

REGION, UUID, NOW_MS = "us-east-1", "0b7f2c52-6f0e-4f7e-9b5e-2d1f6a4c8e10", 1_763_673_500_000
ACCOUNT = "123456789012"
POLICY = f"arn:aws:batch:{REGION}:{ACCOUNT}:scheduling-policy/p"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/any"

NEEDS = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}]
DEFINITION: dict[str, Any] = {
    "jobDefinitionName": "base",
    "type": "container",
    "parameters": {"x": "1"},
    "containerProperties": {"image": "host", "command": ["echo", "Ref::x"], "resourceRequirements": NEEDS},
}
NODES: dict[str, Any] = {
    "type": "multinode",
    "nodeProperties": {
        "numNodes": 2,
        "mainNode": 0,
        "nodeRangeProperties": [
            {"targetNodes": "0:", "container": {"image": "host", "command": ["date"], "resourceRequirements": NEEDS}}
        ],
    },
}
SUBMISSION: dict[str, Any] = {"jobName": "base", "jobQueue": "base", "jobDefinition": "base"}
ENVIRONMENT: dict[str, Any] = {"computeEnvironmentName": "base", "type": "UNMANAGED", "serviceRole": ROLE}
MANAGED: dict[str, Any] = {
    "computeEnvironmentName": "base",
    "type": "MANAGED",
    "computeResources": {
        "type": "SPOT",
        "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED",
        "minvCpus": 0,
        "maxvCpus": 16,
        "instanceTypes": ["c5"],
        "subnets": ["subnet-1"],
        "securityGroupIds": ["sg-1"],
        "instanceRole": "any",
    },
}
QUEUE: dict[str, Any] = {
    "jobQueueName": "base",
    "priority": 1,
    "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "one"}],
}


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
        container=container_of(stored, job.nodes, WHOLE),
    )
    order = contract.order(spec, config.load({"data": "/DATA"}, {}), {})
    return Outcome((job._replace(body=b""), order), tuple(stored.pop("notices")), stored)


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

# Values to try where the model's types do not lead to a sensible one: what to merge into the base, by member.
VOLUME = {"name": "v", "host": {"sourcePath": "/srv"}}
QUOTA = {"fairsharePolicy": None, "quotaSharePolicy": {"idleResourceAssignmentStrategy": "FIFO"}}
TIMEOUT = {"attemptDurationSeconds": 600}
LIMITS = {
    "jobStateTimeLimitActions": [
        {
            "reason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
            "state": "RUNNABLE",
            "maxTimeSeconds": 600,
            "action": "CANCEL",
        }
    ]
}
SAMPLES: dict[str, tuple[dict[str, Any], ...]] = {
    "RegisterJobDefinition.parameters": ({"parameters": {"x": "2"}},),
    "RegisterJobDefinition.platformCapabilities": tuple(
        {"platformCapabilities": [each], "containerProperties": {"executionRoleArn": ROLE}}
        for each in ("EC2", "FARGATE", "MANAGED_INSTANCES")
    ),
    "RegisterJobDefinition.containerProperties": (
        {"containerProperties": {"image": "host", "command": ["date"], "resourceRequirements": NEEDS}},
    ),
    "RegisterJobDefinition.containerProperties.vcpus": (
        {"containerProperties": {"vcpus": 2, "resourceRequirements": NEEDS[1:]}},
    ),
    "RegisterJobDefinition.containerProperties.memory": (
        {"containerProperties": {"memory": 64, "resourceRequirements": NEEDS[:1]}},
    ),
    "RegisterJobDefinition.containerProperties.resourceRequirements": (
        {"containerProperties": {"resourceRequirements": [*NEEDS[1:], {"type": "VCPU", "value": "2"}]}},
        {"containerProperties": {"resourceRequirements": [*NEEDS, {"type": "GPU", "value": "1"}]}},
    ),
    "RegisterJobDefinition.containerProperties.volumes": ({"containerProperties": {"volumes": [VOLUME]}},),
    "RegisterJobDefinition.containerProperties.mountPoints": (
        {
            "containerProperties": {
                "volumes": [VOLUME],
                "mountPoints": [{"sourceVolume": "v", "containerPath": "/srv"}],
            }
        },
    ),
    "RegisterJobDefinition.containerProperties.secrets": (
        {"containerProperties": {"secrets": [{"name": "S", "valueFrom": "arn:x"}], "executionRoleArn": ROLE}},
    ),
    "RegisterJobDefinition.containerProperties.linuxParameters": (
        {"containerProperties": {"linuxParameters": {"initProcessEnabled": True}}},
    ),
    "RegisterJobDefinition.containerProperties.logConfiguration": (
        {"containerProperties": {"logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/mine"}}}},
    ),
    "RegisterJobDefinition.containerProperties.environment": (
        {"containerProperties": {"environment": [{"name": "A", "value": "1"}]}},
    ),
    "RegisterJobDefinition.retryStrategy": ({"retryStrategy": {"attempts": 3}},),
    "RegisterJobDefinition.retryStrategy.attempts": ({"retryStrategy": {"attempts": 3}},),
    "RegisterJobDefinition.retryStrategy.evaluateOnExit": (
        {"retryStrategy": {"attempts": 1, "evaluateOnExit": [{"action": "EXIT", "onReason": "*"}]}},
    ),
    "RegisterJobDefinition.timeout": ({"timeout": TIMEOUT},),
    "RegisterJobDefinition.timeout.attemptDurationSeconds": ({"timeout": TIMEOUT},),
    "RegisterJobDefinition.consumableResourceProperties": (
        {"consumableResourceProperties": {"consumableResourceList": [{"consumableResource": "c", "quantity": 1}]}},
    ),
    "RegisterJobDefinition.ecsProperties": (
        {"containerProperties": None, "ecsProperties": {"taskProperties": [{"containers": [{"image": "i"}]}]}},
    ),
    "RegisterJobDefinition.eksProperties": (
        {"containerProperties": None, "eksProperties": {"podProperties": {"containers": [{"image": "i"}]}}},
    ),
    "RegisterJobDefinition.nodeProperties": (NODES | {"containerProperties": None},),
    "RegisterJobDefinition.type": (
        {"type": "container"},
        NODES | {"containerProperties": None},
    ),
    "SubmitJob.nodeOverrides": ({"nodeOverrides": {"numNodes": 3}},),
    "SubmitJob.dependsOn": ({"dependsOn": [{"jobId": UUID.replace("0", "1")}]},),
    "SubmitJob.parameters": ({"parameters": {"x": "2"}},),
    "SubmitJob.retryStrategy": ({"retryStrategy": {"attempts": 3}},),
    "SubmitJob.retryStrategy.attempts": ({"retryStrategy": {"attempts": 3}},),
    "SubmitJob.retryStrategy.evaluateOnExit": (
        {"retryStrategy": {"attempts": 1, "evaluateOnExit": [{"action": "EXIT", "onReason": "*"}]}},
    ),
    "SubmitJob.shareIdentifier": ({"shareIdentifier": "team", "schedulingPriorityOverride": 1},),
    "SubmitJob.schedulingPriorityOverride": (
        {"shareIdentifier": "team", "schedulingPriorityOverride": 1},
        {"schedulingPriorityOverride": 1},
    ),
    "SubmitJob.timeout": ({"timeout": TIMEOUT},),
    "SubmitJob.timeout.attemptDurationSeconds": ({"timeout": TIMEOUT},),
    "SubmitJob.arrayProperties": ({"arrayProperties": {"size": 2}},),
    "SubmitJob.arrayProperties.size": ({"arrayProperties": {"size": 2}},),
    "SubmitJob.containerOverrides": ({"containerOverrides": {"command": ["date"]}},),
    "SubmitJob.containerOverrides.resourceRequirements": (
        {"containerOverrides": {"resourceRequirements": [{"type": "VCPU", "value": "2"}]}},
    ),
    "SubmitJob.containerOverrides.environment": (
        {"containerOverrides": {"environment": [{"name": "A", "value": "1"}]}},
    ),
    "SubmitJob.consumableResourcePropertiesOverride": (
        {
            "consumableResourcePropertiesOverride": {
                "consumableResourceList": [{"consumableResource": "c", "quantity": 1}]
            }
        },
    ),
    "CreateComputeEnvironment.type": ({"type": "MANAGED"}, ENVIRONMENT | {"computeResources": None}),
    "CreateComputeEnvironment.unmanagedvCpus": (ENVIRONMENT | {"computeResources": None, "unmanagedvCpus": 2},),
    "CreateComputeEnvironment.computeResources": ({"computeResources": {"maxvCpus": 4}},),
    "CreateComputeEnvironment.computeResources.type": tuple(
        {"computeResources": {"type": each, "allocationStrategy": "BEST_FIT_PROGRESSIVE"}} for each in ("EC2", "SPOT")
    )
    + ({"computeResources": {"type": "ECS_MANAGED_INSTANCES"}},),
    "CreateComputeEnvironment.computeResources.spotIamFleetRole": ({"computeResources": {"spotIamFleetRole": ROLE}},),
    **{
        f"{operation}.computeResources.{member}": ({"computeResources": {member: value}},)
        for operation in ("CreateComputeEnvironment", "UpdateComputeEnvironment")
        for member, value in (
            ("instanceTypes", ["m5"]),
            ("ec2Configuration", [{"imageType": "ECS_AL2023"}]),
            ("scalingPolicy", {"minScaleDownDelayMinutes": 30}),
        )
    },
    "CreateComputeEnvironment.eksConfiguration": (
        {
            "eksConfiguration": {
                "eksClusterArn": "arn:aws:eks:us-east-1:123456789012:cluster/c",
                "kubernetesNamespace": "n",
            }
        },
    ),
    "CreateComputeEnvironment.tags": ({"tags": {"team": "a"}},),
    "CreateConsumableResource.totalQuantity": ({"totalQuantity": 2},),
    "CreateConsumableResource.resourceType": (
        {"resourceType": "REPLENISHABLE"},
        {"resourceType": "NON_REPLENISHABLE"},
    ),
    "CreateConsumableResource.tags": ({"tags": {"team": "a"}},),
    "UpdateConsumableResource.operation": tuple({"operation": each} for each in ("SET", "ADD", "REMOVE")),
    "UpdateConsumableResource.quantity": ({"quantity": 2},),
    "UpdateConsumableResource.clientToken": ({"clientToken": UUID},),
    "CreateJobQueue.schedulingPolicyArn": ({"schedulingPolicyArn": POLICY},),
    "UpdateJobQueue.schedulingPolicyArn": ({"schedulingPolicyArn": POLICY},),
    "CreateSchedulingPolicy.quotaSharePolicy": (QUOTA,),
    "UpdateSchedulingPolicy.quotaSharePolicy": (QUOTA,),
    "CreateSchedulingPolicy.tags": ({"tags": {"team": "a"}},),
    **{
        f"{operation}.fairsharePolicy.{member}": ({"fairsharePolicy": {member: value}},)
        for operation in ("CreateSchedulingPolicy", "UpdateSchedulingPolicy")
        for member, value in (
            ("shareDecaySeconds", 3600),
            ("computeReservation", 50),
            ("shareDistribution", [{"shareIdentifier": "a*", "weightFactor": 0.5}]),
        )
    },
    "CreateJobQueue.computeEnvironmentOrder": (
        {"computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "two"}]},
    ),
    "CreateJobQueue.priority": ({"priority": 2},),
    "CreateJobQueue.serviceEnvironmentOrder": (
        {"computeEnvironmentOrder": None, "serviceEnvironmentOrder": [{"order": 1, "serviceEnvironment": "s"}]},
    ),
    "CreateJobQueue.jobStateTimeLimitActions": (LIMITS,),
    "UpdateComputeEnvironment.computeResources": ({"computeResources": {"maxvCpus": 4}},),
    "UpdateComputeEnvironment.ecsSettings": ({"ecsSettings": {}},),
    "UpdateComputeEnvironment.eksConfiguration": ({"eksConfiguration": {}},),
    "UpdateComputeEnvironment.computeResources.type": (
        {"computeResources": {"type": "EC2", "allocationStrategy": "BEST_FIT_PROGRESSIVE"}},
        {"computeResources": {"type": "FARGATE"}},
    ),
    **{
        f"UpdateComputeEnvironment.{member}": ({"updatePolicy": value, "computeResources": {"maxvCpus": 8}},)
        for member, value in (
            ("updatePolicy", {"terminateJobsOnUpdate": True}),
            ("updatePolicy.terminateJobsOnUpdate", {"terminateJobsOnUpdate": True}),
            ("updatePolicy.jobExecutionTimeoutMinutes", {"jobExecutionTimeoutMinutes": 5}),
        )
    },
    "UpdateJobQueue.computeEnvironmentOrder": (
        {"computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "two"}]},
    ),
    "UpdateJobQueue.serviceEnvironmentOrder": ({"serviceEnvironmentOrder": [{"order": 1, "serviceEnvironment": "s"}]},),
    "UpdateJobQueue.jobStateTimeLimitActions": (LIMITS,),
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
            raise SystemExit(f"tools/reference/trials.py: {operation} {given}: {error.message} See SAMPLES.") from None
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
