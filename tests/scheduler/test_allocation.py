"""The allocation strategies, each choosing differently from the others on the same input."""

from __future__ import annotations

import pytest

from batchyard.model import environments as env
from batchyard.model.environments import Capacity
from batchyard.model.needs import Needs
from batchyard.scheduler import allocation
from tests.scheduler.machines import GPU, LARGE, SMALL, STEADY, WIDE, kind, on_demand, spot

MACHINE = Needs(64_000, 256_000, 8)
ONE = Needs(1000, 1024)


def names(capacity: Capacity, needs: Needs = ONE, machine: Needs = MACHINE) -> list[str]:
    return [each.name for each in allocation.ranked(capacity, needs, machine)]


def chosen(capacity: Capacity, needs: Needs, free: Needs = MACHINE, held: int = 0) -> str | None:
    found = allocation.choose(capacity, allocation.ranked(capacity, needs, MACHINE), needs, held, free)
    return found and found.name


TYPES = (STEADY, WIDE, LARGE, SMALL)


@pytest.mark.parametrize(
    ("capacity", "first"),
    [
        (on_demand(*TYPES, strategy=env.BEST_FIT), "c.small"),  # the cheapest that fits
        (on_demand(*TYPES, strategy=env.BEST_FIT_PROGRESSIVE), "c.large"),  # the cheapest vCPU
        (on_demand(*TYPES, strategy=env.BEST_FIT_PROGRESSIVE_ORDERED), "m.steady"),  # the first that was named
        (spot(*TYPES, strategy=env.BEST_FIT), "c.small"),
        (spot(*TYPES, strategy=env.SPOT_CAPACITY_OPTIMIZED), "m.steady"),  # the rarest interruptions
        (spot(*TYPES, strategy=env.SPOT_PRICE_CAPACITY_OPTIMIZED), "c.large"),  # the cheapest vCPU of a deep pool
        (spot(*TYPES, strategy=env.BEST_FIT_PROGRESSIVE), "r.wide"),  # the cheapest vCPU at Spot prices
        (spot(WIDE, LARGE, kind("z", 4, 8192, 1000, 500, 1)), "c.large"),
        (
            spot(kind("z", 4, 8192, 1000, 500, 1), LARGE, strategy=env.SPOT_CAPACITY_OPTIMIZED_PRIORITIZED),
            "z",  # equally rare: the one named first, though it is dearer
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.kind} {value.strategy}",
)
def test_each_strategy_has_its_own_favourite(capacity, first):
    assert names(capacity)[0] == first


def test_all_six_strategies_differ_somewhere_on_one_input():
    types = (STEADY, WIDE, LARGE, SMALL, kind("y", 4, 8192, 1000, 900, 0))
    orders = {
        strategy: tuple(names(spot(*types, strategy=strategy)))
        for strategy in (
            env.BEST_FIT,
            env.BEST_FIT_PROGRESSIVE,
            env.BEST_FIT_PROGRESSIVE_ORDERED,
            env.SPOT_CAPACITY_OPTIMIZED,
            env.SPOT_PRICE_CAPACITY_OPTIMIZED,
            env.SPOT_CAPACITY_OPTIMIZED_PRIORITIZED,
        )
    }
    pairs = [(a, b) for a in orders for b in orders if a < b and orders[a] == orders[b]]
    # where all bands differ, the two capacity strategies differ only among equals
    assert pairs in ([], [("SPOT_CAPACITY_OPTIMIZED", "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED")]), orders


def test_only_types_that_hold_the_job_and_fit_the_machine_are_offered():
    assert names(on_demand(*TYPES), Needs(1000, 20_000)) == ["r.wide"]
    assert names(on_demand(*TYPES), ONE, Needs(4000, 20_000)) == ["c.small", "m.steady"]
    short = kind("m", 2, 8192, 100, usable_mib=7832)
    assert names(on_demand(short), Needs(1000, 7832)) == ["m"]
    assert names(on_demand(short), Needs(1000, 8192)) == [], "less is usable than there is"


def test_spot_dearer_than_the_bid_is_not_taken():
    assert names(spot(*TYPES, bid_percent=50)) == ["r.wide", "c.small"], "at most half the on-demand price"
    assert names(spot(*TYPES, bid_percent=30)) == []


def test_gpus_are_for_who_asks_for_them_unless_there_is_nothing_else():
    assert names(on_demand(GPU, STEADY)) == ["m.steady"], "though the GPU type is cheaper"
    assert names(on_demand(GPU)) == ["g.gpu"]
    assert names(on_demand(GPU, STEADY), Needs(1000, 1024, 1)) == ["g.gpu"]


def test_best_fit_waits_where_the_others_fall_back():
    little = Needs(4000, 65_536)  # free at the moment: too little for c.large
    assert chosen(on_demand(LARGE, STEADY, strategy=env.BEST_FIT_PROGRESSIVE), ONE, little) == "m.steady"
    cheap_and_large = kind("bargain", 8, 16_384, price=80)
    assert chosen(on_demand(cheap_and_large, STEADY, strategy=env.BEST_FIT), ONE, little) is None


def test_the_maximum_is_passed_by_one_instance_at_most_and_never_by_best_fit_on_demand():
    assert chosen(on_demand(LARGE, max_vcpus=10), ONE, held=8000) == "c.large"
    assert chosen(on_demand(LARGE, max_vcpus=10), ONE, held=16_000) is None
    assert chosen(on_demand(LARGE, max_vcpus=10, strategy=env.BEST_FIT), ONE, held=8000) is None
    assert chosen(spot(LARGE, max_vcpus=10, strategy=env.BEST_FIT), ONE, held=8000) == "c.large"
    assert chosen(on_demand(LARGE, max_vcpus=4), Needs(5000, 1024)) is None, "a job larger than the maximum never runs"


def test_an_environment_that_carves_makes_what_no_type_can_be():
    carving = on_demand(LARGE, carves=True)
    assert chosen(carving, Needs(1500, 3000), Needs(4000, 8192)) == env.FIT
    assert allocation.measured(Needs(1500, 3000)).room == Needs(2000, 3000)
    assert chosen(on_demand(LARGE), Needs(1500, 3000), Needs(4000, 8192)) is None
    assert chosen(carving, Needs(1500, 3000), Needs(1000, 8192)) is None, "a job that does not fit either"
    assert chosen(carving, ONE) == "c.large", "where a type fits it comes first"
