"""The front of a queue is who goes next, in the very order in which they are placed."""

from __future__ import annotations

import random

import pytest

from batchyard.model.ids import WHOLE
from batchyard.model.shares import SharePolicy
from tests.harness.world import Handle, World


def uuid(seq: int) -> str:
    return f"00000000-0000-4000-8000-{seq:012d}"


def front_of(world: World, queue: int) -> list[Handle]:
    found = world.scheduler.front(queue)
    return [] if found is None else [Handle(int(name[-12:]), index) for name, index in found.jobs]


def test_jobs_and_children_by_arrival_retries_first():
    world = World(vcpus=1)
    place = world.environment()
    queue = world.queue(place)
    failing, array = world.submit(queue, attempts=2), world.submit(queue, size=3)
    last, pending = world.submit(queue), world.submit(queue, after=[failing])
    world.settle()
    assert front_of(world, queue) == [array[0], array[1], array[2], last]
    world.update(place, enabled=False)
    world.exits(failing, 1)
    world.terminate(array[1])
    world.settle()
    assert front_of(world, queue) == [failing, array[0], array[2], last]
    assert world.state(pending) == "PENDING"


def test_nobody_waits_and_nothing_runs():
    world = World()
    queue = world.queue()
    world.settle()
    assert world.scheduler.front(queue) is None
    assert world.scheduler.front(12345) is None
    job = world.submit(queue, vcpus=2)
    world.settle()
    assert world.scheduler.front(queue) == ((), 2000, None, ())
    world.exits(job)
    world.settle()
    assert world.scheduler.front(queue) is None


def test_a_hundred_at_most():
    world = World(vcpus=1)
    queue = world.queue()
    array = world.submit(queue, size=500)
    world.settle()
    assert front_of(world, queue) == [array[index] for index in range(1, 101)]


def test_shares_that_hold_most_are_named_with_what_they_hold():
    world = World(vcpus=30)
    queue = world.queue(policy=SharePolicy())
    for number in range(22):
        world.submit(queue, share=f"s{number:02}", vcpus=2 if number == 20 else 1)
    world.submit(queue, share="waits", vcpus=30)
    world.settle()
    found = world.scheduler.front(queue)
    assert (found.held_cpu_milli, found.holding, len(found.shares)) == (23_000, 22, 20)
    assert found.shares[:3] == (("s20", 2000), ("s00", 1000), ("s01", 1000))
    assert found.jobs == ((uuid(world.seq), WHOLE),)


@pytest.mark.parametrize("seed", range(5))
def test_a_front_by_shares_is_the_order_in_which_they_start(seed):
    rng = random.Random(seed)
    world = World(vcpus=60, memory_mib=10**6)
    queue = world.queue(policy=SharePolicy(weights=(("a", 5_000), ("b", 20_000))))
    blocker = world.submit(queue, share="z", vcpus=60)
    world.settle()
    for _ in range(60):
        share = rng.choice("aabcd")
        size = rng.choice([0, 0, 2])
        world.submit(queue, share=share, priority=rng.randrange(3), vcpus=rng.randrange(1, 3), size=size)
    world.settle()
    world.exits(blocker)
    world.now_ms += 1
    wanted = front_of(world, queue)
    world.settle()
    started = world.started[1:]
    assert len(started) > 20
    assert started == wanted[: len(started)]
