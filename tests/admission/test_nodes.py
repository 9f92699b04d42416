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


def asking(**quantities):
    return {"consumableResourceList": [{"consumableResource": n, "quantity": q} for n, q in quantities.items()]}


def range_asking(**quantities):
    """nodeProperties of two nodes."""
    given = properties(("0:", ONE), count=2)
    given["nodeRangeProperties"][0]["consumableResourceProperties"] = asking(**quantities)
    return given


def licensed(*ranges, **more):
    """A definition whose ranges are (targetNodes, container, what each node asks for)."""
    given = properties(*(each[:2] for each in ranges))
    for listed, (_, _, quantities) in zip(given["nodeRangeProperties"], ranges, strict=True):
        if quantities:
            listed["consumableResourceProperties"] = asking(**quantities)
    return compiled(container=ABSENT, type="multinode", nodeProperties=given, **more)


def test_each_node_of_a_range_asks_for_the_quantities_of_its_range():
    job = submit(licensed(("0", ONE, {"seat": 5}), ("1:", ONE, {"seat": 1, "tape": 2})), at=HERE)
    assert dict(job.consumables) == {"seat": 5 + 3, "tape": 6}
    shown = body(job)["nodeProperties"]["nodeRangeProperties"]
    assert [each["consumableResourceProperties"] for each in shown] == [asking(seat=5), asking(seat=1, tape=2)]
    assert "consumableResourceProperties" not in body(job), "nobody asked for the whole job"


def test_a_node_in_nested_ranges_has_what_both_ask_for_and_of_each_resource_what_the_inner_one_says():
    job = submit(licensed((":", ONE, {"seat": 1, "tape": 1}), ("1:2", ONE, {"seat": 3}), ("3", ONE, {})), at=HERE)
    assert dict(job.consumables) == {"seat": 1 + 3 + 3 + 1, "tape": 4}


def test_what_is_asked_for_the_whole_job_comes_on_top():
    whole = {"consumableResourceProperties": asking(seat=10)}
    job = submit(licensed((":", ONE, {"seat": 1}), **whole), at=HERE)
    assert dict(job.consumables) == {"seat": 14}
    assert body(job)["consumableResourceProperties"] == asking(seat=10)


def test_a_submission_overrides_what_a_range_asks_for_and_how_many_nodes_do():
    overrides = {
        "numNodes": 2,
        "nodePropertyOverrides": [
            {"targetNodes": "0:", "consumableResourcePropertiesOverride": asking(seat=2, tape=1)}
        ],
    }
    named = "arn:aws:batch:us-east-1:123456789012:consumable-resource/seat"
    job = submit(licensed(("0:", ONE, {named: 1})), at=HERE, nodeOverrides=overrides)
    assert dict(job.consumables) == {"seat": 4, "tape": 2}
    (shown,) = body(job)["nodeProperties"]["nodeRangeProperties"]
    assert shown["consumableResourceProperties"] == asking(**{named: 2, "tape": 1})


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
    (range_asking(seat=0), "quantity of consumable resource seat must be at least 1, got 0."),
    (range_asking(**{f"r{n}": 1 for n in range(6)}), "Each ConsumableResourceProperty can have at most 5"),
    (range_asking(seat=10**12), "quantity of consumable resource seat for all nodes together can be at most 10000"),
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


def task(*containers):
    return {"taskProperties": [{"containers": list(containers), "taskRoleArn": "arn:r"}]}


def mixed(*ranges, count=4, main=0):
    nodes = {"numNodes": count, "mainNode": main, "nodeRangeProperties": list(ranges)}
    return compiled(container=ABSENT, type="multinode", nodeProperties=nodes)


A, B = container(1, 100, name="a", command=["Ref::x"]), container(2, 200, name="b")


def test_nodes_may_run_several_containers_each():
    all_nodes = {"targetNodes": ":", "ecsProperties": task(A, B), "instanceTypes": ["c5.large"]}
    main = {"targetNodes": "0", "container": ONE | {"instanceType": "c5.large"}}
    changed = {"name": "b", "command": ["changed", "Ref::x"], "resourceRequirements": [{"type": "VCPU", "value": "3"}]}
    override = {"targetNodes": ":", "ecsPropertiesOverride": {"taskProperties": [{"containers": [changed]}]}}
    overrides = {"nodePropertyOverrides": [override]}
    job = submit(mixed(all_nodes, main), at=HERE, nodeOverrides=overrides, parameters={"x": "1"})
    assert [tuple(group) for group in job.nodes.groups] == [(0, 1, Needs(1000, 128)), (1, 4, Needs(4000, 300))]
    assert job.nodes.type == "c5.large" and job.needs == Needs(1000, 128)
    one, several = body(job)["containers"]
    assert one["command"] == ["true"] and several["taskRoleArn"] == "arn:r"
    assert [each["command"] for each in several["containers"]] == [["1"], ["changed", "1"]]
    shown = body(job)["nodeProperties"]["nodeRangeProperties"]
    assert shown[0]["ecsProperties"]["taskProperties"] == [several] and shown[1]["container"] == one


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"ecsProperties": task()}, "Number of containers must be between 1 and 10"),
        ({"instanceTypes": ["a", "b"]}, "instanceTypes of a node range can name one type, got a, b."),
        ({"container": ONE}, "NodeRangeProperties can not use both ecsProperties and container fields"),
    ],
)
def test_ranges_with_ecs_properties_refused(change, text):
    with pytest.raises(ClientError) as raised:
        mixed({"targetNodes": ":", "ecsProperties": task(A, B)} | change)
    assert text in raised.value.message


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ({"containerOverrides": {"command": ["x"]}}, "does not apply to the range :, which has ecsProperties"),
        ({"ecsPropertiesOverride": {"taskProperties": [{"containers": [{"name": "c"}]}]}}, "no container named 'c'"),
    ],
)
def test_overrides_of_ranges_with_ecs_properties_refused(override, text):
    definition = mixed({"targetNodes": ":", "ecsProperties": task(A, B)})
    given = {"nodePropertyOverrides": [{"targetNodes": ":"} | override]}
    with pytest.raises(ClientError) as raised:
        submit(definition, at=HERE, nodeOverrides=given, parameters={"x": "1"})
    assert text in raised.value.message
