"""What a turn leaves undone nobody could do: a scheduler at rest decides nothing until something happens or is due.

Each story is one in which something gives room, or turns an order, though nobody was placed or ended by it. The World
looks after each turn whether a scheduler rebuilt from rows still finds something to do.
"""

from __future__ import annotations

from batchyard.model.shares import SharePolicy
from tests.harness.world import World
from tests.scheduler.machines import LARGE, SMALL, WIDE, fargate, on_demand, spot


def test_what_a_large_idle_instance_leaves_over_fills_a_minimum_at_once():
    world = World(vcpus=8, memory_mib=65_536, twins=True)
    place = world.managed(on_demand(LARGE, max_vcpus=8))
    world.exits(_run(world, world.queue(place), vcpus=8))
    minimum = world.managed(on_demand(SMALL, min_vcpus=4))
    world.turn()
    assert world.instances(minimum) == [], "an idle instance makes no room for a minimum"
    job = world.submit(world.queue(world.managed(fargate(4))), vcpus=4)
    world.turn()
    assert (world.state(job), world.instances(minimum)) == ("STARTING", ["c.small"] * 2)


def test_who_takes_what_was_foreseen_for_another_has_that_one_looked_after_at_once():
    """A head waits for its multi-node instances to boot; the job behind it would fit onto an instance that is ready,
    onto which a job of the next queue goes: then one is launched for it."""
    world = World(vcpus=16, memory_mib=65_536, twins=True)
    here, there = world.managed(on_demand(SMALL, max_vcpus=4)), world.managed(on_demand(SMALL, max_vcpus=4))
    world.exits(_run(world, world.queue(there), vcpus=2))
    world.machine(16, 65_536, boot_ms=30_000)
    first, second = world.queue(here, there, priority=2), world.queue(there, priority=1)
    world.submit_nodes(first, 2, vcpus=2)
    world.submit(first, vcpus=2)
    job = world.submit(second, vcpus=2)
    world.turn()
    assert world.state(job) == "STARTING"
    assert (world.instances(here), world.instances(there)) == (["c.small"] * 2, ["c.small"] * 2)


def test_who_takes_the_licence_of_a_head_that_has_no_place_lets_the_next_one_be_the_head():
    world = World(vcpus=4, twins=True)
    licence = world.resource(1)
    first, second = world.queue(priority=2), world.queue(priority=1)
    _run(world, first, vcpus=2)
    world.submit(first, vcpus=4, asks={licence: 1})
    behind = world.submit(first, vcpus=1)
    other = world.submit(second, vcpus=1, asks={licence: 1})
    world.turn()
    assert (world.state(other), world.state(behind)) == ("STARTING", "STARTING")


def test_a_share_that_comes_to_wait_for_another_job_takes_its_part_of_the_reservation():
    """One active share may hold half of 16 vCPUs, two may hold three quarters; also if the second only waits."""
    world = World(vcpus=64, twins=True)
    policy = SharePolicy(0, 50, ())
    queue = world.queue(world.managed(fargate(16)), policy=policy)
    jobs = [world.submit(queue, share="A") for _ in range(12)]
    world.settle()
    assert sum(world.state(job) == "STARTING" for job in jobs) == 8
    world.submit(queue, share="B", after=[jobs[0]])
    world.turn()
    assert sum(world.state(job) == "STARTING" for job in jobs) == 12


def test_a_share_that_goes_with_its_last_job_leaves_more_reserved_at_once():
    """Two active shares may hold 12 of 16 vCPUs, one may hold 8: from then on a head that needs 12 never fits."""
    world = World(vcpus=64, twins=True)
    queue = world.queue(world.managed(fargate(16)), policy=SharePolicy(0, 50, ()))
    _run(world, queue, share="A", vcpus=4)
    other, head = (world.submit(queue, share=share, vcpus=12) for share in "BA")
    world.settle()
    assert queue not in world.rows.blocks, "they wait for the end of the first"
    world.cancel(other)
    world.settle()
    assert world.rows.blocks[queue].job == head.seq


def test_while_a_multi_node_job_has_its_instances_boot_the_turn_of_other_shares_comes():
    """B has used much and is no more than behind A; while A uses, and what B has used fades, it comes before."""
    world = World(vcpus=32, memory_mib=65_536, twins=True)
    place = world.managed(on_demand(SMALL, max_vcpus=6))
    queue = world.queue(place, world.managed(fargate(4)), policy=SharePolicy(1000, 0, ()))
    used = _run(world, queue, share="b", vcpus=4)
    world.turn(advance_ms=300_000)
    world.exits(used)
    _run(world, queue, share="a", vcpus=2)
    world.machine(32, 65_536, boot_ms=10_000_000)
    gang = world.submit_nodes(queue, 2, vcpus=2, share="a")
    world.turn()
    waiting = world.submit(queue, vcpus=4, share="b")
    world.turn()
    assert (world.instances(place), world.state(waiting)) == (["c.small"] * 3, "RUNNABLE"), "A is first"
    for _ in range(20):
        world.turn(advance_ms=50_000)
    assert (world.state(gang), world.state(waiting)) == ("RUNNABLE", "STARTING")


def test_room_that_is_given_back_later_counts_as_soon_as_nothing_else_would_be_there_sooner():
    """An update lets the jobs on old instances go on for an hour. When two minutes of it are left, what goes then and
    what Spot can be warned to give then make the room together."""
    world = World(vcpus=8, memory_mib=65_536, twins=True)
    updated = world.managed(on_demand(SMALL, max_vcpus=4, update_ms=3_600_000))
    old = world.queue(updated)
    _run(world, old, vcpus=2), _run(world, old, vcpus=2)
    cheap = world.queue(world.managed(spot(SMALL, max_vcpus=4)))
    _run(world, cheap, vcpus=2), _run(world, cheap, vcpus=2)
    world.update(updated, capacity=on_demand(WIDE, max_vcpus=4, update_ms=3_600_000))
    world.submit(world.queue(world.environment()), vcpus=8)
    world.settle()
    assert len(world.warned()) == 2, "those of the update only: with Spot alone there is too little"
    world.turn(advance_ms=3_400_000)
    assert len(world.warned()) == 2
    while len(world.warned()) == 2:
        due_ms = world.decisions[-1].due_ms
        assert due_ms is not None
        world.turn(advance_ms=due_ms - world.now_ms)
    assert len(world.warned()) == 4


def _run(world: World, queue: int, **more):
    job = world.submit(queue, **more)
    world.settle()
    assert world.state(job) == "STARTING"
    world.starts_running(job)
    world.settle()
    return job
