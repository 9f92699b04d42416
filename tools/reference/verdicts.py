"""What ``GET /x/explain/ID`` tells, and every kind of verdict in the words that users read."""

from __future__ import annotations

from batchyard.describe import verdicts
from batchyard.model import blocked as reasons
from batchyard.model.needs import Needs
from batchyard.model.verdicts import (
    BID,
    MEMORY,
    QUANTITY,
    VCPU,
    Holder,
    Kind,
    Obstacle,
    PlaceVerdict,
    Short,
    Verdict,
)
from batchyard.scheduler import blocked
from reference import text

NEEDS = Needs(8000, 32_000)
EXAMPLES = {
    Kind.MAXIMUM_BELOW: Obstacle(Kind.MAXIMUM_BELOW, (Short(VCPU, 8000, 4000),)),
    Kind.NO_TYPE: Obstacle(Kind.NO_TYPE, (Short(MEMORY, 32_000, 31_431),), "c5.4xlarge"),
    Kind.TYPE_ABOVE_MAXIMUM: Obstacle(Kind.TYPE_ABOVE_MAXIMUM, (Short(VCPU, 8000, 6000),), "c5.2xlarge"),
    Kind.BID_BELOW: Obstacle(Kind.BID_BELOW, (Short(BID, 45, 40),), "c5.large"),
    Kind.MACHINE_TOO_SMALL: Obstacle(Kind.MACHINE_TOO_SMALL, (Short(VCPU, 8000, 4000),)),
    Kind.RESERVATION_BELOW: Obstacle(Kind.RESERVATION_BELOW, (Short(VCPU, 8000, 6000),)),
    Kind.SUPPLY_BELOW: Obstacle(Kind.SUPPLY_BELOW, (Short(QUANTITY, 3, 2),), resource=1),
    Kind.RESERVED: Obstacle(Kind.RESERVED, (Short(VCPU, 8000, 2000),)),
    Kind.SUPPLY_HELD: Obstacle(Kind.SUPPLY_HELD, (Short(QUANTITY, 2, 1),), resource=1),
    Kind.BOOTING: Obstacle(Kind.BOOTING, type="c5.large", until_ms=45_000),
    Kind.RECLAIMED: Obstacle(Kind.RECLAIMED, (Short(VCPU, 4000, 0),), until_ms=120_000),
    Kind.AT_MAXIMUM: Obstacle(Kind.AT_MAXIMUM, (Short(VCPU, 8000, 2000),)),
    Kind.ROOM_HELD: Obstacle(
        Kind.ROOM_HELD, (Short(VCPU, 4000, 1000),), "m5.xlarge", holders=(Holder(2, Needs(7000, 8192)),)
    ),
}
MEMBERS = (
    ("sentence", "The answer, whatever the state of the job is."),
    ("nextStep, commands", "What would change it, and how to type it; null and none where only time will."),
    ("kind, standing", "The nearest thing that would change it; whether it stands until somebody changes something."),
    ("everywhere", "What stands in the way in every environment: a reservation, consumable resources."),
    (
        "computeEnvironments",
        "Each environment of the queue, in the order in which they are tried, with its `sentence` and its `obstacles`: "
        "`kind`, `standing`, what falls `short` (`dimension`, `asked`, `has`; VCPU in vCPUs, MEMORY in MiB), "
        "`instanceType`, `until` (ms), `heldBy`. Each is judged as if the others were not there.",
    ),
    ("ahead, attempts", "How many jobs and children go before it in its queue, or its share; how often it was tried."),
    ("share", "Its share, the share's place among those of which jobs wait, and how many those are."),
    ("head", "Who goes first, if it is another job, and what stands in its way."),
    (
        "estimate",
        "In how many ms it may start, at the rate of so many `starts` in so many ms. Absent where none is sound.",
    ),
    (
        "waitsFor, waitsForMore",
        "Of a PENDING job: those that it waits for, each explained, and how many more there are.",
    ),
    ("children, child", "Of an array: how many children are in each state, and the first that waits."),
    ("computeEnvironment, instance", "Where it runs."),
    ("asOf, since", "When this was told; since when the verdict stands. Both in ms."),
)


def page() -> str:
    rows = [(text.code(kind), *_told(kind), text.code(_code(kind))) for kind in Kind if kind != Kind.UNDETERMINED]
    return text.page(
        "Why a job is not running",
        """`GET /x/explain/ID`, and `batchyard explain --json ID`, tell of every job its name, its status, the first
three members and those of the others that its state has. How to use it is in
[Why does my job wait?](../how-to/stuck-jobs.md)""",
        text.table(("member", "what it tells"), ((_named(names), said) for names, said in MEMBERS)),
        "## What stands in the way",
        """First those that stand until somebody changes something. The last column is the code that AWS has for a queue
whose head waits for that (`statusReason`). A head that merely waits has none, unless others hold all the room and
nothing runs that could give it some: then it is `CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY`.""",
        text.table(("kind", "passes by itself", "as it is said", "AWS's code"), rows),
    )


def _named(names: str) -> str:
    return ", ".join(text.code(name) for name in names.split(", "))


def _told(kind: Kind) -> tuple[str, str]:
    """Whether it passes by itself, and how it is said."""
    obstacle = EXAMPLES.get(kind, Obstacle(kind))
    everywhere = kind in (Kind.RESERVATION_BELOW, Kind.RESERVED, Kind.SUPPLY_BELOW, Kind.SUPPLY_HELD)
    places = (PlaceVerdict(1, () if everywhere else (obstacle,)),)
    speech = verdicts.Speech(("", "ce", "other").__getitem__, lambda number: "licences", lambda needs: "r5.2xlarge", 0)
    verdict = Verdict(kind, places, (obstacle,) if everywhere else (), None if everywhere else 0)
    return ("" if kind.standing else "yes"), verdicts.sentence(speech, verdict, NEEDS)


def _code(kind: Kind) -> str:
    if kind in blocked.CLOSED:
        return reasons.ACTION_REQUIRED
    return blocked.CODES.get(kind, "")
