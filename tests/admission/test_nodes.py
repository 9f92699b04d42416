"""Multi-node definitions and submissions: ranges, what of them is merged, and what is refused."""

from __future__ import annotations

import pytest

from batchyard.errors import ClientError
from batchyard.model.jobs import NodeGroup
from batchyard.model.needs import Needs
from tests.admission.requests import ABSENT, body, compiled, register, submit

HERE = {"on_demand": True}


def container(vcpus=None, memory=None, **members):
    kinds = (("VCPU", vcpus), ("MEMORY", memory))
    asked = [{"type": kind, "value": str(value)} for kind, value in kinds if value is not None]
    return {"image": "busybox", "command": ["true"], "resourceRequirements": asked} | members


def properties(*ranges, count=4, main=0):
    listed = [{"targetNodes": target, "container": each} for target, each in ranges]
    return {"numNodes": count, "mainNode": main, "nodeRangeProperties": listed}


def definition(*ranges, **more):
    return compiled(container=ABSENT, type="multinode", nodeProperties=properties(*ranges, **more))


ONE = container(1, 128)


@pytest.mark.parametrize("target", ["0:", ":", ":3", "0:3"])
def test_a_range_reaches_to_its_end_or_the_last_node(target):
    job = submit(definition((target, ONE)), at=HERE)
    assert job.nodes.groups == (NodeGroup(0, 4, Needs(1000, 128)),)
    assert (job.size, job.needs) == (0, Needs(1000, 128))


def test_the_inner_range_wins_and_takes_from_the_outer_what_it_leaves_open():
    inner = container(4, command=["main"])
    job = submit(definition(("1:2", inner), (":", container(1, 128)), main=1), at=HERE)
    assert [tuple(group) for group in job.nodes.groups] == [
        (0, 1, Needs(1000, 128)),
        (1, 3, Needs(4000, 128)),
        (3, 4, Needs(1000, 128)),
    ]
    assert [each["command"] for each in body(job)["containers"]] == [["true"], ["main"], ["true"]]
    assert job.needs == Needs(4000, 128), "those of the main node"


def test_overrides_change_the_number_of_nodes_and_what_a_range_runs():
    overrides = {
        "numNodes": 2,
        "nodePropertyOverrides": [{"targetNodes": "0:", "containerOverrides": {"command": ["Ref::what"]}}],
    }
    job = submit(definition(("0:", ONE)), at=HERE, nodeOverrides=overrides, parameters={"what": "this"})
    assert job.nodes.count == 2
    shown = body(job)["nodeProperties"]
    assert shown["numNodes"] == 2
    assert shown["nodeRangeProperties"][0]["container"]["command"] == ["this"]


REFUSED = [
    (properties(("0:", ONE), count=0), "Number of nodes must be between 1 and 1000."),
    (properties(("0:", ONE), count=1001), "Number of nodes must be between 1 and 1000."),
    (properties(("0:", ONE), main=4), "Main node index is out of range, must be less than numNodes."),
    (properties(*[(str(n), ONE) for n in range(6)], count=6), "Maximum allowed size of node range properties is 5"),
    (properties(("a", ONE)), "targetNodes should contain only digits."),
    (properties(("0:4", ONE)), "targetNodes 0:4 is out of range: there are nodes 0 to 3."),
    (properties(("0:1", ONE)), "Node range properties do not cover nodes 2 to 3."),
    (properties(("0:2", ONE), ("1:3", ONE)), "Node ranges 0:2 and 1:3 overlap."),
    (properties(("0:", ONE), (":", ONE)), "Node ranges 0: and : overlap."),
    (properties(("0:", container(1))), "Memory is required."),
    (properties(("0:2", ONE), ("3", ONE | {"instanceType": "c5.large"})), "All node ranges must have the same"),
]


@pytest.mark.parametrize(("given", "text"), REFUSED, ids=lambda value: value if isinstance(value, str) else "")
def test_definitions_refused(given, text):
    with pytest.raises(ClientError) as raised:
        register(container=ABSENT, type="multinode", nodeProperties=given)
    assert text in str(raised.value)


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"nodeOverrides": {"numNodes": 2}}, "NumNodes override can only be applied if the job definition has"),
        ({"containerOverrides": {"command": ["x"]}}, "does not apply to multinode job definitions."),
        ({"arrayProperties": {"size": 2}}, "cannot be an array, got arrayProperties.size 2."),
        (
            {"nodeOverrides": {"nodePropertyOverrides": [{"targetNodes": "0:0"}]}},
            "NodeOverride targets should match job definition. Non matching targets - 0:0",
        ),
        ({"at": {"on_demand": False}}, "JobQueue q has no environment of type EC2."),
    ],
)
def test_submissions_refused(members, text):
    with pytest.raises(ClientError) as raised:
        submit(definition(("0:3", ONE)), **{"at": HERE} | members)
    assert text in str(raised.value)
