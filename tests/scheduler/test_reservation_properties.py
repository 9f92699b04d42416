"""Random loads over shares: what a policy reserves for shares that are not active yet stays free, whatever comes."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchyard.model.shares import SharePolicy
from tests.harness.world import Handle, World
from tests.scheduler.machines import LARGE, SMALL, fargate, on_demand

VCPUS = 24


@pytest.mark.parametrize("passing", [False, True])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_the_shares_of_a_queue_never_hold_more_than_the_reservation_leaves(passing, data):
    world = World(VCPUS, 65_536, twins=True)
    world.machine(VCPUS, 65_536, passing=passing)
    percent = data.draw(st.sampled_from([1, 25, 50, 75, 99]))
    most = data.draw(st.integers(2, VCPUS))
    kind = data.draw(st.sampled_from([fargate(most), on_demand(SMALL, LARGE, max_vcpus=most)]))
    queue = world.queue(world.managed(kind), policy=SharePolicy(reservation_percent=percent))
    for _ in range(data.draw(st.integers(1, 15))):
        if data.draw(st.booleans()) or not world.running:
            share, vcpus = data.draw(st.sampled_from("abcde")), data.draw(st.sampled_from([1, 1, 2, 5]))
            world.submit(queue, vcpus=vcpus, share=share, size=data.draw(st.sampled_from([0, 0, 4])))
        else:
            world.exits(Handle(*data.draw(st.sampled_from(sorted(world.running)))))
        world.settle()
        active = len({share for _, share in world.rows.shares})
        held = sum(world.submitted[seq].needs.cpu_milli for seq, _ in world.running)
        reserved = most * 1000 * percent**active // 100**active
        assert held <= most * 1000 - reserved, f"{active} active shares hold {held} of {most} vCPUs, {percent} percent"
