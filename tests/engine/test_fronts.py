"""The front of each queue is told when it changed, with since when each job stands where it stands."""

from __future__ import annotations

import pytest

from batchyard.engine.fronts import Fronts
from batchyard.model.shown import front_name
from tests.harness.world import World


class Told:
    """A World, and what is told of the fronts of its queues."""

    def __init__(self) -> None:
        self.world = World(vcpus=1)
        self.fronts = Fronts(self.world.scheduler)

    def look(self, at_ms: int, looks: int = 1000) -> dict:
        """What is written when so many queues can be looked at."""
        views: dict = {}
        left = iter(range(looks - 1))
        self.fronts.look(at_ms, views, lambda: next(left, None) is None)
        return views

    def turn(self) -> None:
        self.world.settle()
        self.fronts.note()


@pytest.fixture
def told():
    return Told()


def test_what_changed_is_told_and_places_keep_their_times(told):
    world = told.world
    queue = world.queue()
    running, first, second = world.submit(queue), world.submit(queue), world.submit(queue)
    told.turn()
    (view,) = told.look(1000).values()
    assert [job.since_ms for job in view.jobs] == [1000, 1000]
    third = world.submit(queue)
    told.turn()
    view = told.look(2000)[front_name(queue)]
    assert [job.since_ms for job in view.jobs] == [1000, 1000, 2000]
    told.turn()
    assert told.look(3000) == {}, "nothing changed"
    world.cancel(second)
    told.turn()
    view = told.look(4000)[front_name(queue)]
    assert [(int(job.uuid[-12:]), job.since_ms) for job in view.jobs] == [(first.seq, 1000), (third.seq, 4000)]
    for job in (running, first, third):
        world.exits(job)
        told.turn()
    assert told.look(5000) == {front_name(queue): None}, "nobody waits and nothing runs"
    assert told.look(6000) == {}


def test_many_queues_are_looked_at_in_turns(told):
    world = told.world
    queues = [world.queue(world.environment(enabled=False)) for _ in range(5)]
    for queue in queues:
        world.submit(queue)
    told.turn()
    written = [sorted(told.look(1000 * turn, looks=2)) for turn in range(1, 4)]
    assert [len(names) for names in written] == [2, 2, 1]
    assert {name for names in written for name in names} == {front_name(queue) for queue in queues}
    assert not told.fronts
    told.fronts.begin_anew()
    assert len(told.look(9000)) == 5, "all is told once more after what was told is lost"


def test_a_queue_that_is_gone_takes_its_front_along(told):
    world = told.world
    queue = world.queue(world.environment(enabled=False))
    world.submit(queue)
    told.turn()
    assert list(told.look(1000)) == [front_name(queue)]
    world.delete(queue)
    told.turn()
    assert told.look(2000) == {front_name(queue): None}
