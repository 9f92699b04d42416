"""Why jobs wait is shown for each class of them, in slices, and only what changed is written."""

from __future__ import annotations

from typing import Any

import pytest

from batchyard.engine.showing import SHOW_EVERY_MS, SLICE_S, Showing
from batchyard.model.ids import WHOLE
from batchyard.model.needs import Needs
from batchyard.model.shares import SharePolicy
from batchyard.model.shown import MINUTE_MS, Starts, front_name, line_name, verdict_name
from batchyard.model.verdicts import Kind
from tests.harness.world import World
from tests.scheduler.machines import SMALL, on_demand


class Wall:
    """Commits that only remember what they were shown, and a stopwatch that stands still unless told otherwise."""

    def __init__(self) -> None:
        self.views: dict[str, Any] = {}
        self.writes: list[list[str]] = []
        self.full = False
        self.tick_s = 0.0
        self.at_s = 0.0

    def show(self, now_ms, views):
        if self.full:
            return False
        self.writes.append(sorted(views))
        self.views.update(views)
        for name in [name for name, view in self.views.items() if view is None]:
            del self.views[name]
        return True

    def seconds(self):
        self.at_s += self.tick_s
        return self.at_s


class Story:
    """A World whose engine shows what happens."""

    def __init__(self) -> None:
        self.world, self.wall = World(), Wall()
        self.showing = Showing(self.world.scheduler, self.wall, self.world.now_ms, self.wall.seconds)

    def turn(self, advance_ms: int = 10) -> None:
        decision = self.world.turn(advance_ms)
        self.showing.note(self.world.now_ms, decision.facts)

    def show(self) -> list[str]:
        """What is written a second later, less how long turns take and the fronts of queues."""
        before = len(self.wall.writes)
        self.world.now_ms += SHOW_EVERY_MS
        self.showing.show(self.world.now_ms)
        told = [name for names in self.wall.writes[before:] for name in names]
        return [name for name in told if name != "engine" and not name.startswith("front/")]


@pytest.fixture
def story():
    return Story()


def test_each_class_and_each_queue_is_told_once_and_again_when_it_changed(story):
    world = story.world
    queue = world.queue(world.managed(on_demand(SMALL, max_vcpus=2)))
    running = world.submit(queue, vcpus=2)
    for _ in range(5):
        world.submit(queue, vcpus=2)
    large = world.submit(queue, vcpus=4, size=100)
    story.turn()
    two, four = (verdict_name(queue, Needs(vcpus * 1000, 64)) for vcpus in (2, 4))
    assert story.show() == sorted([line_name(queue), two, four])
    assert story.wall.views[two].kind == Kind.AT_MAXIMUM
    assert story.wall.views[four].kind == Kind.NO_TYPE
    line = story.wall.views[line_name(queue)]
    assert line.head == (f"00000000-0000-4000-8000-{running.seq + 1:012d}", WHOLE)
    assert line.starts.minutes == ((0, 1),)
    assert story.show() == [], "nothing happened"
    story.turn()
    assert story.show() == [], "nothing changed"
    world.terminate(large)
    story.turn()
    story.turn()
    assert story.show() == [], "who left the line is noticed when its turn comes"
    world.exits(running)
    story.turn()
    assert line_name(queue) in story.show()


def test_a_class_of_which_nobody_waits_any_more_is_told_no_more(story):
    world = story.world
    queue = world.queue(world.environment())
    jobs = [world.submit(queue, vcpus=4) for _ in range(2)]
    story.turn()
    assert len(story.show()) == 2
    world.exits(jobs[0])
    story.turn()
    story.show()
    assert set(story.wall.views) == {"engine", front_name(queue)}, "one of its jobs runs"


def test_slices_are_bounded_and_go_on_and_the_new_come_first(story):
    world = story.world
    queue = world.queue(world.managed(on_demand(SMALL, max_vcpus=2)))
    for memory_mib in range(5000, 5020):
        world.submit(queue, memory_mib=memory_mib)
    story.turn()
    story.wall.tick_s = SLICE_S / 4.5
    rounds = [story.show() for _ in range(6)]
    assert [len(each) for each in rounds] == [5, 5, 5, 5, 1, 0]
    world.update(world.current(queue).environments[0], enabled=False)
    world.submit(queue, memory_mib=9999)
    story.turn()
    assert verdict_name(queue, Needs(1000, 9999)) in story.show()
    for _ in range(5):
        story.show()
    kinds = {view.kind for name, view in story.wall.views.items() if name.startswith("verdict/")}
    assert kinds == {Kind.NO_TYPE}
    assert all(len(view.obstacles) == 2 for name, view in story.wall.views.items() if name.startswith("verdict/"))


def test_what_could_not_be_written_is_told_again_later(story):
    world = story.world
    queue = world.queue(world.environment())
    for _ in range(2):
        world.submit(queue, vcpus=4)
    story.turn()
    story.wall.full = True
    assert story.show() == []
    story.wall.full = False
    assert len(story.show()) == 2


def test_starts_are_counted_by_minute_for_the_queue_and_each_share(story):
    world = story.world
    queue = world.queue(world.environment(), policy=SharePolicy())
    first = [world.submit(queue, vcpus=1, share=share) for share in "aab"]
    waits = world.submit(queue, vcpus=4, share="a")
    story.turn()
    for job in first:
        world.exits(job)
    more = world.submit(queue, vcpus=1, share="b")
    story.turn(advance_ms=MINUTE_MS)
    story.show()
    line = story.wall.views[line_name(queue)]
    assert line.starts == Starts(1000, ((0, 3), (MINUTE_MS, 1)))
    (share,) = line.shares
    assert {waits.seq, more.seq} and share.id in "ab" and share.head is not None
    assert share.starts.minutes[0] == (0, 2 if share.id == "a" else 1)
