"""Consumable resources in the operator's words: who gets them, in what order, and what comes back."""

from __future__ import annotations

import pytest

from batchyard.model.environments import EC2, Capacity
from batchyard.model.jobs import RetryRule
from batchyard.model.shares import SharePolicy
from tests.harness.world import Handle, World
from tests.scheduler.machines import SMALL


@pytest.fixture
def world() -> World:
    return World(vcpus=8, twins=True)


def running(world: World) -> list[Handle]:
    return sorted(Handle(*job) for job in world.running)


def test_a_licence_of_two_lets_two_jobs_run_and_the_third_when_one_ends(world):
    licence, queue = world.resource(2), world.queue()
    jobs = [world.submit(queue, asks={licence: 1}) for _ in range(4)]
    world.settle()
    assert running(world) == jobs[:2]
    assert world.held(licence) == 2
    assert world.state(jobs[2]) == "RUNNABLE"
    world.exits(jobs[0])
    world.settle()
    assert running(world) == [jobs[1], jobs[2]]
    world.finish_everything()
    assert world.held(licence) == 0
    assert [world.state(job) for job in jobs] == ["SUCCEEDED"] * 4
    assert world.started == jobs


def test_who_asks_for_nothing_short_passes_who_waits(world):
    licence, other, queue = world.resource(1), world.resource(5), world.queue()
    holder = world.submit(queue, asks={licence: 1})
    waits = world.submit(queue, asks={licence: 1})
    plain = world.submit(queue)
    elsewhere = world.submit(queue, asks={other: 5})
    world.settle()
    assert running(world) == [holder, plain, elsewhere]
    world.exits(holder)
    world.settle()
    assert waits in running(world)


def test_smaller_askers_do_not_pass_a_larger_one_of_their_line(world):
    licence, queue = world.resource(3), world.queue()
    first = world.submit(queue, asks={licence: 2})
    large = world.submit(queue, asks={licence: 3})
    small = world.submit(queue, asks={licence: 1})
    world.settle()
    assert running(world) == [first], "one is free, and it is the large one's"
    world.exits(first)
    world.settle()
    assert running(world) == [large]
    world.exits(large)
    world.settle()
    assert running(world) == [small]


def test_who_asks_for_several_resources_keeps_its_place_at_each(world):
    """It waits for `b`; who comes after it does not take `a` from under it, or it might wait for ever."""
    a, b, queue = world.resource(1), world.resource(1), world.queue()
    holds_b = world.submit(queue, asks={b: 1})
    both = world.submit(queue, asks={a: 1, b: 1})
    only_a = world.submit(queue, asks={a: 1})
    world.settle()
    assert running(world) == [holds_b]
    world.exits(holds_b)
    world.settle()
    assert running(world) == [both]
    world.exits(both)
    world.settle()
    assert running(world) == [only_a]


def test_who_asks_for_more_than_there_is_holds_up_nobody(world):
    licence, queue = world.resource(2), world.queue()
    never = world.submit(queue, asks={licence: 3})
    jobs = [world.submit(queue, asks={licence: 1}) for _ in range(2)]
    world.settle()
    assert running(world) == jobs
    world.set_total(licence, 3)
    late = world.submit(queue, asks={licence: 1})
    world.settle()
    assert running(world) == jobs, "now it is first: the free one is kept for it"
    for job in jobs:
        world.exits(job)
    world.settle()
    assert running(world) == [never]
    world.set_total(licence, 2)
    world.exits(never)
    world.settle()
    assert running(world) == [late]


def test_lines_of_other_queues_do_not_wait_for_it(world):
    """Queues contend for what is free, by priority; nothing is kept for one while another can use it."""
    environment = world.environment()
    licence, high, low = world.resource(2), world.queue(environment, priority=2), world.queue(environment, priority=1)
    low_first = world.submit(low, asks={licence: 1})
    world.settle()
    large = world.submit(high, asks={licence: 2})
    low_next = world.submit(low, asks={licence: 1})
    world.settle()
    assert running(world) == [low_first, low_next]
    world.exits(low_first)
    world.exits(low_next)
    world.submit(low, asks={licence: 1})
    world.settle()
    assert running(world) == [large]


def test_a_job_that_may_have_its_resource_waits_for_room_like_any_other():
    world = World(vcpus=2, twins=True)
    licence, queue = world.resource(1), world.queue()
    busy = world.submit(queue, vcpus=2)
    world.settle()
    head = world.submit(queue, vcpus=2, asks={licence: 1})
    behind = world.submit(queue, vcpus=1)
    world.settle()
    assert running(world) == [busy]
    world.exits(busy)
    world.settle()
    assert running(world) == [head], "strict FIFO: nobody passed it while it only wanted room"
    assert world.state(behind) == "RUNNABLE"


def test_children_of_an_array_ask_one_by_one(world):
    licence, queue = world.resource(2), world.queue()
    array = world.submit(queue, size=5, asks={licence: 1})
    after = world.submit(queue, asks={licence: 1})
    world.settle()
    assert world.states(array) == "ssrrr"
    world.exits(array[0])
    world.settle()
    assert world.states(array) == "Sssrr"
    world.finish_everything()
    assert world.states(array) == "SSSSS"
    assert world.state(after) == "SUCCEEDED"


def test_a_retried_job_gives_back_and_takes_again_at_the_front(world):
    licence, queue = world.resource(1), world.queue()
    retried = world.submit(queue, attempts=2, asks={licence: 1})
    other = world.submit(queue, asks={licence: 1})
    world.settle()
    world.exits(retried, 1)
    world.settle()
    assert running(world) == [retried], "it rejoins at the front"
    assert world.held(licence) == 1
    world.exits(retried, 1)
    world.settle()
    assert world.state(retried) == "FAILED"
    assert running(world) == [other]


def test_what_is_not_replenishable_is_gone_once_an_attempt_began(world):
    tokens, queue = world.resource(3, replenishable=False), world.queue()
    job = world.submit(queue, attempts=3, asks={tokens: 1})
    world.settle()
    world.exits(job, None, "CannotStartContainerError: no such file")
    world.events[-1] = world.events[-1]._replace(ending=world.events[-1].ending._replace(started_ms=None))
    world.settle()
    assert (world.held(tokens), world.consumed(tokens)) == (1, 0), "nothing had begun: it came back"
    world.starts_running(job)
    world.exits(job, 1)
    world.settle()
    assert (world.held(tokens), world.consumed(tokens)) == (1, 1), "the retry takes another one"
    world.starts_running(job)
    world.exits(job, 0)
    waits = world.submit(queue, asks={tokens: 2})
    world.settle()
    assert (world.held(tokens), world.consumed(tokens)) == (0, 2)
    assert world.state(waits) == "RUNNABLE", "one is left"
    world.set_total(tokens, 2)
    world.settle()
    assert running(world) == [waits]


def test_what_is_used_up_lets_smaller_askers_go(world):
    """Who can never have what it asks for any more holds up nobody."""
    tokens, queue = world.resource(3, replenishable=False), world.queue()
    first = world.submit(queue, asks={tokens: 1})
    large = world.submit(queue, asks={tokens: 3})
    small = world.submit(queue, asks={tokens: 1})
    world.settle()
    assert running(world) == [first]
    world.starts_running(first)
    world.exits(first)
    world.settle()
    assert running(world) == [small]
    assert world.state(large) == "RUNNABLE"


def test_a_resource_may_be_made_smaller_than_what_is_held(world):
    licence, queue = world.resource(4), world.queue()
    jobs = [world.submit(queue, asks={licence: 1}) for _ in range(6)]
    world.settle()
    world.set_total(licence, 2)
    world.settle()
    assert world.held(licence) == 4
    for job in jobs[:2]:
        world.exits(job)
    world.settle()
    assert world.held(licence) == 2
    assert running(world) == jobs[2:4], "nothing is free before less is held than there is"
    world.exits(jobs[2])
    world.settle()
    assert running(world) == [jobs[3], jobs[4]]


def test_a_job_may_ask_for_what_does_not_exist_yet(world):
    later, queue = world.unborn(), world.queue()
    job, plain = world.submit(queue, asks={later: 1}), world.submit(queue)
    world.settle()
    assert running(world) == [plain]
    world.resource(1, number=later)
    world.settle()
    assert running(world) == [job, plain]


def test_deleting_a_resource_stops_nobody_and_making_it_anew_revives_who_waits(world):
    licence, queue = world.resource(1), world.queue()
    holds, waits = (world.submit(queue, asks={licence: 1}) for _ in range(2))
    world.settle()
    world.delete_resource(licence)
    world.settle()
    assert running(world) == [holds]
    world.resource(1, number=licence)
    world.settle()
    assert running(world) == [holds], "what is held of the old one counts: there is one licence"
    world.exits(holds)
    world.settle()
    assert running(world) == [waits]


def test_cancelling_the_first_of_the_line_lets_the_next_one_go(world):
    licence, queue = world.resource(2), world.queue()
    holds = world.submit(queue, asks={licence: 1})
    large = world.submit(queue, asks={licence: 2})
    small = world.submit(queue, asks={licence: 1})
    world.settle()
    world.cancel(large)
    world.settle()
    assert running(world) == [holds, small]


def test_a_lost_host_gives_everything_back(world):
    licence, queue = world.resource(2), world.queue()
    job = world.submit(queue, asks={licence: 2}, attempts=2, rules=(RetryRule(True, on_status_reason="Host EC2*"),))
    world.settle()
    world.restart()
    world.settle()
    assert world.held(licence) == 2
    world.loses(job)
    world.settle()
    assert running(world) == [job]
    world.finish_everything()
    assert world.held(licence) == 0


def test_of_several_resources_all_or_none_are_taken(world):
    a, b, queue = world.resource(2), world.resource(1), world.queue()
    jobs = [world.submit(queue, asks={a: 1, b: 1}) for _ in range(2)]
    world.settle()
    assert running(world) == jobs[:1]
    assert (world.held(a), world.held(b)) == (1, 1)


def test_each_share_has_a_line_of_its_own_at_a_resource(world):
    queue = world.queue(policy=SharePolicy())
    licence = world.resource(3)
    large = [world.submit(queue, share="big", asks={licence: 2}) for _ in range(2)]
    small = [world.submit(queue, share="small", asks={licence: 1}) for _ in range(2)]
    world.settle()
    assert running(world) == [large[0], small[0]]
    world.exits(small[0])
    world.settle()
    assert running(world) == [large[0], small[1]], "another share does not wait for big's next"
    world.exits(small[1])
    world.exits(large[0])
    world.settle()
    assert running(world) == [large[1]]


def test_instances_are_launched_for_those_only_who_may_have_their_resources():
    world = World(vcpus=16, twins=True)
    world.machine(16, boot_ms=1000)
    elastic = world.managed(Capacity(EC2, 16_000, types=(SMALL,)))
    queue, licence = world.queue(elastic), world.resource(2)
    jobs = [world.submit(queue, vcpus=2, asks={licence: 1}) for _ in range(5)]
    world.settle()
    assert len(world.instances()) == 2, "both start together, and no third one is waited for"
    world.turn(1000)
    world.settle()
    assert running(world) == jobs[:2]


def test_those_who_wait_for_a_resource_are_in_no_line_that_is_walked(world):
    """Of those who ask for the same, only the first is looked at."""
    licence, queue = world.resource(1), world.queue()
    world.twins = False
    jobs = [world.submit(queue, asks={licence: 1}) for _ in range(3000)]
    world.settle()
    line = world.scheduler.state.queues[queue].line
    world.exits(jobs[0])
    world.settle()
    assert sum(1 for _ in line) <= 1
    assert running(world) == jobs[1:2]
