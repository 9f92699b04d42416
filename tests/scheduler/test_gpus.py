"""Whole GPUs, by number: an instance takes some of its machine, an attempt some of its instance, the lowest first."""

from __future__ import annotations

import pytest

from tests.harness.world import World
from tests.scheduler.machines import GPU, SMALL, fargate, on_demand


@pytest.fixture
def world():
    world = World(twins=True)
    world.machine(vcpus=32, memory_mib=131_072, gpus=4)
    yield world
    world.turn()


def run(world, queue, gpus, count=1, vcpus=1):
    jobs = [world.submit(queue, vcpus=vcpus, gpus=gpus) for _ in range(count)]
    world.settle()
    return jobs


def test_the_whole_machine_lends_the_lowest_gpus_that_are_free(world):
    queue = world.queue()
    one, two, three = run(world, queue, 1), run(world, queue, 2), run(world, queue, 1)
    assert [world.gpus_of(*jobs) for jobs in (one, two, three)] == [(0,), (1, 2), (3,)]
    world.exits(*two)
    world.settle()
    again = run(world, queue, 1)
    assert world.gpus_of(*again) == (1,)


def test_what_is_free_need_not_be_in_a_row(world):
    queue = world.queue()
    jobs = run(world, queue, 1, count=4)
    for job in jobs[::2]:
        world.exits(job)
    world.settle()
    assert world.gpus_of(*run(world, queue, 2)) == (0, 2)


def test_instances_take_gpus_of_the_machine_and_attempts_those_of_their_instance(world):
    queue = world.queue(world.managed(on_demand(GPU)))
    jobs = run(world, queue, 1, count=4)
    held = [each.devices for _, each in sorted(world.rows.instances.items())]
    assert held == [(0, 1), (2, 3)]
    assert [world.gpus_of(job) for job in jobs] == [(0,), (1,), (2,), (3,)]


def test_an_environment_of_instances_and_the_whole_machine_never_lend_the_same_gpu(world):
    managed, machine = world.queue(world.managed(on_demand(GPU))), world.queue()
    (first,) = run(world, machine, 1)
    (second,) = run(world, managed, 1)
    (third,) = run(world, machine, 1)
    assert [world.gpus_of(job) for job in (first, second, third)] == [(0,), (1,), (3,)]
    waiting = world.submit(machine, gpus=1)
    world.settle()
    assert world.state(waiting) == "RUNNABLE", "the other one of the instance is the instance's"


def test_gpus_stay_who_they_are_over_a_restart(world):
    queue = world.queue(world.managed(on_demand(GPU)))
    jobs = run(world, queue, 1, count=2)
    world.exits(jobs[0])
    world.settle()
    world.restart()
    (later,) = run(world, queue, 1)
    assert (world.gpus_of(jobs[1]), world.gpus_of(later)) == ((1,), (0,))


def test_a_machine_that_lends_fewer_lets_those_finish_that_hold_them(world):
    queue = world.queue()
    jobs = run(world, queue, 1, count=4)
    world.machine(vcpus=32, memory_mib=131_072, gpus=2)
    world.exits(jobs[0])
    world.exits(jobs[1])
    waiting = world.submit(queue, gpus=1)
    world.settle()
    assert world.state(waiting) == "RUNNABLE", "two are held, and two are lent in all"
    world.exits(jobs[2])
    world.settle()
    assert world.gpus_of(waiting) == (0,)


def test_jobs_without_gpus_keep_off_gpu_instances_and_use_them_where_there_is_nothing_else(world):
    both, only = world.managed(on_demand(GPU, SMALL)), world.managed(on_demand(GPU))
    (plain,) = run(world, world.queue(both), 0)
    (needy,) = run(world, world.queue(only), 0)
    assert (world.place(plain), world.place(needy)) == ("c.small", "g.gpu")
    assert world.gpus_of(needy) == ()


def test_fargate_has_none(world):
    (job,) = run(world, world.queue(world.managed(fargate())), 0)
    assert world.gpus_of(job) == ()
