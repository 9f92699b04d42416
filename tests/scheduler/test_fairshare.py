"""Fair share: who used least, by weight, goes next; stories, and long runs whose shares are measured."""

from __future__ import annotations

import random
from heapq import heappop, heappush

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchyard.model.shares import SharePolicy
from batchyard.scheduler import fairshare
from batchyard.scheduler.state import Queue, Share
from tests.harness.world import Handle, World


def policy(decay_s=0, reservation=0, **weights) -> SharePolicy:
    """Weights as people write them, 1 being normal; a trailing underscore stands for the wildcard."""
    named = ((name.replace("_", "*"), round(weight * 10_000)) for name, weight in weights.items())
    return SharePolicy(decay_s, reservation, tuple(named))


def shares_of(world: World, jobs) -> dict[str, int]:
    """How many of these run, by share."""
    counts: dict[str, int] = {}
    for job in jobs:
        if world.state(job) in ("STARTING", "RUNNING"):
            share = world.submitted[job.seq].share
            counts[share] = counts.get(share, 0) + 1
    return counts


def test_weights():
    given_weights = policy(a=0.5, team_=2, b=1)
    assert given_weights.weight_of("a") == 5000
    assert given_weights.weight_of("team7") == 20_000
    assert given_weights.weight_of("other") == 10_000
    assert given_weights.weight_of("ab") == 10_000, "a name without a star is one share"


def test_free_slots_are_dealt_out_by_weight_at_once():
    world = World(vcpus=18, twins=True)
    queue = world.queue(policy=policy(A=0.125))
    jobs = [world.submit(queue, share="A") for _ in range(40)] + [world.submit(queue, share="B") for _ in range(40)]
    world.settle()
    assert shares_of(world, jobs) == {"A": 16, "B": 2}, "an eighth of the weight is eight times as much"


def test_a_newcomer_is_served_first_when_something_is_free():
    world = World(vcpus=4, twins=True)
    queue = world.queue(policy=policy())
    old = [world.submit(queue, share="old") for _ in range(10)]
    world.settle()
    world.turn(advance_ms=60_000)
    new = [world.submit(queue, share="new") for _ in range(10)]
    world.settle()
    assert shares_of(world, new) == {}, "nobody is stopped for fairness"
    world.exits(old[0])
    world.exits(old[1])
    world.settle()
    assert shares_of(world, [*old[2:], *new]) == {"old": 2, "new": 2}


def test_inside_a_share_priority_counts_then_order_and_retries_come_first():
    world = World(vcpus=1, twins=True)
    queue = world.queue(policy=policy())
    first = world.submit(queue, share="s", attempts=2)
    world.settle()
    low, high = world.submit(queue, share="s", priority=1), world.submit(queue, share="s", priority=9)
    other = world.submit(queue, share="s", priority=9)
    world.exits(first, 1)
    world.settle()
    for _ in range(4):
        running = [Handle(*key) for key in world.running]
        world.exits(running[0])
        world.settle()
    assert world.started == [first, first, high, other, low]


def test_priorities_never_compare_across_shares():
    world = World(vcpus=2, twins=True)
    queue = world.queue(policy=policy())
    a = [world.submit(queue, share="a", priority=9999) for _ in range(2)]
    b = world.submit(queue, share="b", priority=0)
    world.settle()
    assert [world.state(job) for job in (*a, b)] == ["STARTING", "RUNNABLE", "STARTING"]


def test_the_reservation_keeps_room_for_shares_to_come():
    """CR 50: one active share may hold half, two three quarters, three seven eighths of 16 vCPUs."""
    from tests.scheduler.machines import fargate

    world = World(vcpus=64, twins=True)
    queue = world.queue(world.managed(fargate(16)), policy=policy(reservation=50))
    jobs = [world.submit(queue, share="A") for _ in range(20)]
    world.settle()
    assert shares_of(world, jobs) == {"A": 8}
    jobs += [world.submit(queue, share="B") for _ in range(20)]
    world.settle()
    assert shares_of(world, jobs) == {"A": 8, "B": 4}
    jobs += [world.submit(queue, share="C") for _ in range(20)]
    world.settle()
    assert shares_of(world, jobs) == {"A": 8, "B": 4, "C": 2}


def test_arrays_take_their_turns_child_by_child():
    world = World(vcpus=4, twins=True)
    queue = world.queue(policy=policy())
    a, b = world.submit(queue, size=10, share="a"), world.submit(queue, size=10, share="b")
    world.settle()
    assert (world.states(a).count("s"), world.states(b).count("s")) == (2, 2)


def test_a_share_is_forgotten_when_its_use_has_decayed():
    world = World(vcpus=1, twins=True)
    queue = world.queue(policy=policy())
    a = world.submit(queue, share="a")
    world.settle()
    world.turn(advance_ms=30_000)
    world.exits(a)
    world.settle()
    assert set(world.scheduler.state.queues[queue].shares) == {"a"}
    world.turn(advance_ms=600_000)
    assert set(world.scheduler.state.queues[queue].shares) == {"a"}
    world.turn(advance_ms=100 * 600_000)
    b = world.submit(queue, share="b")
    world.settle()
    world.exits(b)
    world.settle()
    assert "a" not in world.scheduler.state.queues[queue].shares
    assert ("a" in {share for _, share in world.rows.shares}) is False


def test_a_new_policy_acts_on_what_waits_at_once():
    world = World(vcpus=10, twins=True)
    queue = world.queue(policy=policy())
    jobs = [world.submit(queue, share=share) for share in "AB" for _ in range(30)]
    world.settle()
    assert shares_of(world, jobs) == {"A": 5, "B": 5}
    world.update(queue, policy=policy(A=0.25))
    for job in jobs:
        if world.state(job) == "STARTING":
            world.exits(job)
    world.settle()
    assert shares_of(world, jobs) == {"A": 8, "B": 2}


@given(
    st.lists(st.integers(0, 5_000_000), min_size=1, max_size=12),
    st.integers(0, 10**12),
    st.sampled_from([0, 1000, 250, 64_000]),
    st.integers(1, 10**6),
)
def test_when_a_share_is_charged_changes_nothing(instants, usage, held, start_ms):
    """Charged at many instants or only at the last: the same use, to the last digit."""
    queue = Queue(1)
    queue.policy = policy()
    often, once = Share("s", 1, start_ms), Share("s", 1, start_ms)
    for share in (often, once):
        share.usage, share.held_cpu_milli = usage, held
    for instant in sorted(instants):
        fairshare.charge(queue, often, start_ms + instant)
    fairshare.charge(queue, once, start_ms + max(instants))
    assert (often.usage, often.charged_ms) == (once.usage, once.charged_ms)


def test_use_that_is_steady_settles_and_a_year_is_charged_in_no_time():
    queue = Queue(1)
    queue.policy = policy()
    share = Share("s", 1, 0)
    share.held_cpu_milli = 1000
    fairshare.charge(queue, share, 365 * 86_400_000)
    window = queue.policy.window_ms
    assert 0.9 < share.usage / (1000 * window) < 1.1


def run(weights: dict[str, float], slots: int, windows: int, seed: int, window_ms: int = 600_000) -> dict[str, float]:
    """Part of the vCPU time that each share got over the last `windows`, all of them having backlog throughout."""
    rng = random.Random(seed)
    world = World(vcpus=slots, memory_mib=10**9)
    queue = world.queue(policy=policy(**weights))
    waiting = {share: 0 for share in weights}
    ends: list[tuple[int, int]] = []
    got = dict.fromkeys(weights, 0)
    end_ms = world.now_ms + windows * window_ms
    scheduler = world.scheduler
    while world.now_ms < end_ms:
        for share in weights:
            while waiting[share] < slots:
                world.submit(queue, share=share)
                waiting[share] += 1
        seen = len(world.started)
        world.turn(advance_ms=0)
        for job in world.started[seen:]:
            waiting[world.submitted[job.seq].share] -= 1
            lasts = rng.randrange(window_ms // 400, window_ms // 100)
            got[world.submitted[job.seq].share] += lasts
            heappush(ends, (world.now_ms + lasts, job.seq))
        at_ms, seq = heappop(ends)
        world.now_ms = at_ms
        world.exits(Handle(seq))
    assert scheduler.state.unsettled in (True, False)
    total = sum(got.values())
    return {share: used / total for share, used in got.items()}


@pytest.mark.parametrize("seed", [1, 2])
def test_over_five_windows_shares_are_within_two_percent_of_their_weights(seed):
    """With 100 slots busy and jobs under one percent of the window."""
    weights = {"A": 1, "B": 0.5, "C": 0.25, "D": 4}
    parts = run(weights, slots=100, windows=5, seed=seed)
    total = sum(1 / weight for weight in weights.values())
    for share, weight in weights.items():
        due = 1 / weight / total
        assert abs(parts[share] - due) <= 0.02 * due, f"seed {seed}: {share} got {parts[share]:.4f}, due is {due:.4f}"


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(st.data())
def test_random_loads_over_shares_keep_every_rule_and_restarts_change_nothing(data):
    draw = data.draw
    world = World(vcpus=draw(st.integers(1, 4)), twins=True)
    queues = [world.queue(policy=policy(decay_s=draw(st.sampled_from([0, 5000])), a=0.5)), world.queue()]
    jobs: list[Handle] = []
    for _ in range(25):
        kind = draw(st.integers(0, 7))
        if kind <= 3 or not jobs:
            fair = draw(st.booleans())
            more = {"share": draw(st.sampled_from("abc")), "priority": draw(st.integers(0, 2))} if fair else {}
            size = draw(st.sampled_from([0, 0, 3]))
            jobs.append(world.submit(queues[0 if fair else 1], size=size, attempts=draw(st.integers(1, 2)), **more))
        elif kind <= 5 and world.running:
            world.exits(Handle(*draw(st.sampled_from(sorted(world.running)))), draw(st.integers(0, 1)))
        elif kind == 6:
            world.terminate(draw(st.sampled_from(jobs)))
        else:
            world.restart()
        if draw(st.booleans()):
            world.turn(advance_ms=draw(st.sampled_from([0, 100, 9_375, 50_000, 2_000_000])))
    world.finish_everything()
    assert not world.scheduler.state.jobs
