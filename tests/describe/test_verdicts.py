"""Every kind of verdict in words: what stands in the way, with its numbers, and what would change it."""

from __future__ import annotations

import pytest

from batchyard.describe import measures, verdicts
from batchyard.describe.verdicts import Speech
from batchyard.model.needs import Needs
from batchyard.model.verdicts import BID, GPU, MEMORY, VCPU, Holder, Kind, Obstacle, PlaceVerdict, Short, Verdict

NAMES = {1: "ce", 2: "there", 3: "x", 4: "y", 5: "z"}
SPEECH = Speech(lambda number: NAMES[number], lambda number: f"licence-{number}", lambda needs: "r5.xlarge", 1_000)
NEEDS = Needs(2000, 32_000)
UPDATE = "aws batch update-compute-environment --compute-environment ce "

SAID = {
    Kind.LEAVING: ((), "", "compute environment ce is being deleted: give the queue another one"),
    Kind.DISABLED: ((), "", "compute environment ce is DISABLED: enable ce"),
    Kind.MAXIMUM_BELOW: (
        (Short(VCPU, 8500, 4000),),
        "",
        "it asks for 8.5 vCPUs, and ce may never hold more than 4 vCPUs: ask for less, or raise maxvCpus of ce to 9",
    ),
    Kind.NO_TYPE: (
        (Short(MEMORY, 32_000, 31_431),),
        "c5.4xlarge",
        "it asks for 32,000 MiB of memory, and the nearest type that ce allows, c5.4xlarge, has 31,431 MiB of memory "
        "for jobs: ask for at most 31,431 MiB of memory, or allow a larger type, such as r5.xlarge",
    ),
    Kind.TYPE_ABOVE_MAXIMUM: (
        (Short(VCPU, 8000, 6000),),
        "c5.2xlarge",
        "ce would take a c5.2xlarge of 8 vCPUs for it, and with BEST_FIT it may never hold more than 6 vCPUs: "
        "allow a smaller type, or raise maxvCpus of ce to 8",
    ),
    Kind.BID_BELOW: (
        (Short(BID, 45, 40),),
        "c5.large",
        "a Spot c5.large costs 45 % of the on-demand price, and ce bids 40 %: raise bidPercentage of ce to 45",
    ),
    Kind.MACHINE_TOO_SMALL: (
        (Short(VCPU, 8000, 4000), Short(MEMORY, 9000, 8192)),
        "",
        "it asks for 8 vCPUs and 9,000 MiB of memory, and the machine of ce has 4 vCPUs and 8,192 MiB of memory in "
        "all: ask for less, or lend jobs more of the machine (settings vcpus, memory, gpus)",
    ),
    Kind.BOOTING: ((), "c5.large", "an instance for it (c5.large in ce) boots and is ready in 5 seconds"),
    Kind.AT_MAXIMUM: (
        (Short(VCPU, 2000, 1000),),
        "",
        "ce has 1 vCPU left of its maxvCpus, and 2 vCPUs are needed: wait for jobs in ce to end, or raise its maxvCpus",
    ),
}


def one(kind: Kind, short=(), type_name: str = "", **more) -> Verdict:
    """The verdict of an environment in which one thing stands in the way."""
    until_ms = 6_000 if kind == Kind.BOOTING else None
    return Verdict(kind, (PlaceVerdict(1, (Obstacle(kind, short, type_name, until_ms, **more),)),), (), 0)


@pytest.mark.parametrize("kind", SAID, ids=str)
def test_what_is_said(kind):
    short, type_name, said = SAID[kind]
    assert verdicts.sentence(SPEECH, one(kind, short, type_name), NEEDS) == said


def test_every_kind_has_words():
    for kind in Kind:
        obstacle = Obstacle(kind, (Short(VCPU, 2, 1),), "c5.large", 5)
        verdict = Verdict(kind, (PlaceVerdict(1, (obstacle,)),), (), 0)
        said = verdicts.sentence(SPEECH, verdict, NEEDS) if kind != Kind.BID_BELOW else "x"
        assert said, kind
        assert verdicts.data(SPEECH, obstacle)["kind"] == kind.value


def test_who_asks_for_a_gpu_where_there_is_none_cannot_ask_for_less():
    verdict = one(Kind.NO_TYPE, (Short(GPU, 1, 0),), "c5.large")
    assert verdicts.sentence(SPEECH, verdict, NEEDS) == (
        "it asks for 1 GPU, and the nearest type that ce allows, c5.large, has 0 GPUs: "
        "allow a type with 1 GPU, such as r5.xlarge"
    )


def test_a_type_that_the_machine_does_not_hold():
    verdict = one(Kind.MACHINE_TOO_SMALL, (Short(VCPU, 8000, 4000),), "c5.2xlarge")
    assert verdicts.sentence(SPEECH, verdict, NEEDS).startswith(
        "a c5.2xlarge, the smallest type of ce that holds it, takes 8 vCPUs; the machine has 4 vCPUs in all: "
    )


def test_those_who_hold_the_machine_are_named_the_largest_first_and_not_all():
    holders = tuple(Holder(number, Needs(1000 * number, 64)) for number in (5, 4, 3, 2))
    verdict = one(Kind.ROOM_HELD, (Short(VCPU, 4000, 0),), "m5.xlarge", holders=holders)
    assert verdicts.sentence(SPEECH, verdict, NEEDS) == (
        "4 vCPUs are needed for a m5.xlarge and the machine of ce has 0 vCPUs free (z holds 5 vCPUs and 64 MiB of "
        "memory; y holds 4 vCPUs and 64 MiB of memory; x holds 3 vCPUs and 64 MiB of memory; 1 other the rest): "
        "wait for jobs there to end"
    )


def test_several_things_at_once_are_one_sentence():
    obstacles = (Obstacle(Kind.DISABLED), Obstacle(Kind.MAXIMUM_BELOW, (Short(VCPU, 8000, 4000),)))
    verdict = Verdict(Kind.MAXIMUM_BELOW, (PlaceVerdict(1, obstacles),), (), 0)
    assert verdicts.sentence(SPEECH, verdict, NEEDS) == (
        "compute environment ce is DISABLED; and it asks for 8 vCPUs, and ce may never hold more than 4 vCPUs: "
        "enable ce and ask for less, or raise maxvCpus of ce to 8"
    )
    assert verdicts.next_step(SPEECH, verdict, NEEDS) == "Enable ce and ask for less, or raise maxvCpus of ce to 8."
    assert verdicts.commands(SPEECH, verdict, NEEDS) == (
        UPDATE + "--state ENABLED",
        UPDATE + "--compute-resources maxvCpus=8",
    )


def test_what_every_environment_has_in_the_way_is_told_before():
    own = (Obstacle(Kind.RESERVED, (Short(VCPU, 2000, 500),)),)
    verdict = Verdict(Kind.RESERVED, (PlaceVerdict(1, ()),), own)
    assert verdicts.sentence(SPEECH, verdict, NEEDS).startswith(
        "the queue's scheduling policy leaves 0.5 vCPUs now, and it asks for 2 vCPUs"
    )


def test_the_obstacle_as_data():
    obstacle = Obstacle(
        Kind.ROOM_HELD, (Short(VCPU, 2500, 0), Short(MEMORY, 64, 0)), "t", None, (Holder(2, Needs(500, 64)),)
    )
    assert verdicts.data(SPEECH, obstacle) == {
        "kind": "ROOM_HELD",
        "standing": False,
        "short": [
            {"dimension": "VCPU", "asked": 2.5, "has": 0},
            {"dimension": "MEMORY", "asked": 64, "has": 0},
        ],
        "instanceType": "t",
        "heldBy": [{"computeEnvironment": "there", "vcpus": 0.5, "memory": 64, "gpus": 0}],
    }


@pytest.mark.parametrize(
    ("ms", "said"),
    [(-5, "0 seconds"), (1, "1 second"), (119_000, "119 seconds"), (120_000, "2 minutes"), (7_200_000, "2 hours"),
     (400_000_000, "5 days")],
)  # fmt: skip
def test_spans(ms, said):
    assert measures.span(ms) == said


def test_amounts_and_lists():
    assert [measures.vcpus(milli) for milli in (250, 1000, 1500, 2000)] == [
        "0.25 vCPUs",
        "1 vCPU",
        "1.5 vCPUs",
        "2 vCPUs",
    ]
    assert measures.needs(Needs(2000, 4096, 1)) == "2 vCPUs, 4,096 MiB of memory and 1 GPU"
    assert [measures.listed(parts) for parts in ([], ["a"], ["a", "b"])] == ["", "a", "a and b"]
