"""The instances there are, and having Spot capacity interrupted."""

from __future__ import annotations

import json

import pytest

from batchyard.model import ids, states
from batchyard.model.environments import HeldInstance, Leaving
from batchyard.model.jobs import Interruption
from batchyard.model.needs import Needs
from batchyard.ports import AttemptRow
from batchyard.ports.instances import OpenRow
from tests.api.caller import signed
from tests.api.memory import Progress

RESOURCES = {
    "minvCpus": 0,
    "maxvCpus": 8,
    "instanceTypes": ["optimal"],
    "subnets": ["subnet-1"],
    "securityGroupIds": ["sg-1"],
    "instanceRole": "ecsInstanceRole",
}


def managed(server, name: str, kind: str) -> int:
    more = {"allocationStrategy": "SPOT_CAPACITY_OPTIMIZED"} if kind == "SPOT" else {}
    given = {"type": kind} | (RESOURCES | more)
    if kind.startswith("FARGATE"):
        given = {"type": kind, "maxvCpus": 4, "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"]}
    server.batch.create_compute_environment(computeEnvironmentName=name, type="MANAGED", computeResources=given)
    return server.store.environment("us-east-1", name).id


def held(number: int, environment: int, leaving: Leaving | None = None) -> HeldInstance:
    return HeldInstance(
        number, f"i-{number}", environment, "m6i.large", Needs(2000, 8192), 7832, 5, 5, 5, leaving=leaving
    )


@pytest.fixture
def yard(server):
    """A Spot environment with two instances, of which the second is on its way out, and one on demand."""
    server.furnish()
    cheap, dear = managed(server, "cheap", "SPOT"), managed(server, "dear", "EC2")
    server.store.held = [held(1, cheap), held(2, cheap, Leaving(10, 120_010, "why")), held(3, dear)]
    server.cheap, server.dear = cheap, dear
    return server


def interrupt(server, target, **more):
    body = target if isinstance(target, bytes) else json.dumps({"target": target}).encode()
    answer = signed(server.app, "POST", "/x/admin/interrupt", body, **more)
    return answer.status, json.loads(answer.body)


def test_instances_are_listed_and_those_that_leave_say_when_and_why(yard):
    uuid = "1e3d0a52-8f0b-4a3d-9d3a-2f4a7f7f0f11"
    yard.store.opened = {yard.cheap: [OpenRow(9, 3, uuid, "i-1", None)]}
    found = json.loads(signed(yard.app, "GET", "/x/instances", region="us-east-1").body)["instances"]
    assert [(each["instance"], each["type"], each["state"]) for each in found] == [
        ("i-1", "SPOT", "READY"),
        ("i-2", "SPOT", "LEAVING"),
        ("i-3", "EC2", "READY"),
    ]
    assert (found[0]["jobs"], found[0]["vcpus"], found[0]["reclaimAt"]) == ([f"{uuid}:3"], 2, None)
    assert (found[1]["reclaimAt"], found[1]["reason"]) == (120_010, "why")
    assert json.loads(signed(yard.app, "GET", "/x/instances", region="eu-west-1").body) == {"instances": []}


def test_an_instance_is_interrupted(yard):
    status, told = interrupt(yard, "i-1")
    assert status == 200
    assert told == {"environment": "cheap", "instances": ["i-1"], "jobs": [], "leaving": [], "warningSeconds": 120}
    (wish,) = yard.store.interruptions
    assert wish._replace(at_ms=0) == Interruption(yard.cheap, 0, instance="i-1")


@pytest.mark.parametrize("name", ["cheap", "arn:aws:batch:us-east-1:123456789012:compute-environment/cheap"])
def test_an_environment_is_interrupted_with_all_it_has(yard, name):
    _, told = interrupt(yard, name)
    assert (told["instances"], told["leaving"]) == (["i-1", "i-2"], ["i-2"])
    assert yard.store.interruptions[0]._replace(at_ms=0) == Interruption(yard.cheap, 0)


def test_a_job_on_fargate_spot_is_interrupted(yard):
    place, job = managed(yard, "slices", "FARGATE_SPOT"), yard.submit()
    seq = yard.store.job("us-east-1", job, ids.WHOLE).seq
    attempt = AttemptRow(1, place, "", 5, 6, None, None, None, None, None, None)
    yard.store.states[job, ids.WHOLE] = Progress(states.RUNNING, None, 6, attempts=[attempt])
    yard.store.opened = {place: [OpenRow(seq, ids.WHOLE, job, "", None)]}
    _, told = interrupt(yard, job)
    assert (told["environment"], told["jobs"], told["instances"]) == ("slices", [job], [])
    assert yard.store.interruptions[0]._replace(at_ms=0) == Interruption(place, 0, job=seq, index=ids.WHOLE)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("i-3", "on demand"),
        ("dear", "on demand"),
        ("i-99", "no instance, job or compute environment of us-east-1"),
        ("", "no instance, job or compute environment"),
        ("\0", "no instance, job or compute environment"),
        (b"", "body"),
        (b"[]", "body"),
        (b'{"target": 7}', "target"),
        (b'{"target": "i-1", "force": true}', "force"),
    ],
)
def test_what_is_not_there_or_not_spot_is_refused_and_nothing_is_stored(yard, target, said):
    status, told = interrupt(yard, target)
    assert status == 400 and said in told["message"]
    assert not yard.store.interruptions


def test_a_job_that_waits_or_runs_on_an_instance_is_no_task(yard):
    job = yard.submit()
    assert "does not run now" in interrupt(yard, job)[1]["message"]
    attempt = AttemptRow(1, yard.cheap, "i-1", 5, 6, None, None, None, None, None, None)
    yard.store.states[job, ids.WHOLE] = Progress(states.RUNNING, None, 6, attempts=[attempt])
    assert "runs on instance i-1" in interrupt(yard, job)[1]["message"]
    assert not yard.store.interruptions


def test_nobody_looks_from_another_region(yard):
    assert interrupt(yard, "i-1", region="eu-west-1")[0] == 400
