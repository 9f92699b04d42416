"""Random environments and loads: every job that waits is told why, and what it is told agrees with what is decided."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchyard.model import states
from batchyard.model.verdicts import Kind, Verdict
from batchyard.scheduler import ordering
from batchyard.scheduler.verdicts import Look
from tests.harness.world import Handle, World
from tests.scheduler.test_capacity_properties import Player


def settle(world: World) -> None:
    """As ``World.settle``, but no time passes."""
    while world.turn(advance_ms=0).more:
        pass


def waiting(world: World) -> list[Handle]:
    """Single jobs and children that are RUNNABLE."""
    found = []
    for seq, job in world.scheduler.state.jobs.items():
        indexes = range(job.size) if job.size else (-1,)
        found += [Handle(seq, index) for index in indexes if job.state_of(index) == states.RUNNABLE]
    return found


def verdict(world: World, job: Handle) -> Verdict:
    state, submitted = world.scheduler.state, world.submitted[job.seq]
    return Look(state).verdict(state.queues[submitted.queue], submitted.needs, submitted.asks)


def look_around(world: World) -> None:
    """As the engine does between turns; the World's twins, which never look, must go on deciding the same."""
    look = world.scheduler.look()
    for number in world.scheduler.state.queues:
        look.line(number)
    for asked in look.classes():
        look.verdict_on(*asked)


def check_heads(world: World) -> None:
    """Whoever is at the head of a line and was not placed is told what stands in the way."""
    state = world.scheduler.state
    for queue in state.order:
        head = ordering.head(state, queue.line)
        if head is not None:
            found = Look(state).verdict(queue, state.needs_of(head[0]))
            kept = bool(state.going)  # room that is free may be kept for who waits for what is reclaimed
            assert found.kind != Kind.TURN or kept, f"job {head} could start, but does not: {found}"


def preemptible(world: World) -> bool:
    return any(each.spot and each.held_cpu_milli for each in world.scheduler.state.environments.values())


def check_promise(world: World, job: Handle) -> None:
    """With nobody else waiting, the job starts (or its instance boots) exactly if nothing was said to be in the way."""
    told = verdict(world, job)
    for other in waiting(world):
        if other != job:
            world.cancel(other)
    settle(world)
    if told.kind == Kind.TURN:
        assert world.state(job) == "STARTING" or verdict(world, job).kind == Kind.BOOTING, f"{job} waits, but {told}"
    elif told.kind == Kind.ROOM_HELD and preemptible(world):
        assert world.state(job) in ("RUNNABLE", "STARTING"), "Spot capacity without a job may have gone for it"
    else:
        assert world.state(job) == "RUNNABLE", f"{job} started, but {told}"


def play(data, steps: int) -> None:
    player = Player(data.draw)
    world = player.world
    for _ in range(steps):
        player.step()
        look_around(world)
        if data.draw(st.integers(0, 9)) == 0:
            place = data.draw(st.sampled_from(player.places))
            world.update(place, enabled=not world.current(place).enabled)
    settle(world)
    check_heads(world)
    who = waiting(world)
    for job in who:
        found = verdict(world, job)
        kinds = {each.kind for place in found.places for each in place.obstacles}
        assert Kind.UNDETERMINED not in {found.kind, *kinds}, f"{job}: {found}"
    if who:
        check_promise(world, data.draw(st.sampled_from(who)))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(st.data())
def test_every_job_that_waits_is_told_the_truth(data):
    play(data, steps=25)


@pytest.mark.long
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(st.data())
def test_every_job_that_waits_is_told_the_truth_for_longer(data):
    play(data, steps=60)
