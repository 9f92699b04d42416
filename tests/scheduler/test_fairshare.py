"""Fair share: who used least, by weight, goes next; stories, and long runs whose shares are measured."""

from __future__ import annotations

import random
from heapq import heappop, heappush

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchyard.model.actions import StartAttempt
from batchyard.model.events import (
    AttemptEnded,
    Ending,
    EnvironmentChanged,
    JobSubmitted,
    PolicyChanged,
    ProviderSized,
    QueueChanged,
)
from batchyard.model.facts import ShareForgotten
from batchyard.model.ids import WHOLE
from batchyard.model.jobs import RetryPolicy
from batchyard.model.needs import Needs
from batchyard.model.shares import SharePolicy
from batchyard.scheduler import fairshare
from batchyard.scheduler.scheduler import Scheduler
from batchyard.scheduler.state import Job, Queue, Share, State
from tests.harness.world import Handle, World
from tests.scheduler.machines import WIDE, fargate, on_demand


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


def active(world: World, queue: int) -> set[str]:
    """The shares of the queue that are active, by the scheduler and by the rows alike."""
    held = set(world.scheduler.state.queues[queue].shares)
    assert held == {share for number, share in world.rows.shares if number == queue}
    return held


def test_a_share_is_active_from_its_first_job_on_though_it_waits():
    world = World(vcpus=1, twins=True)
    queue = world.queue(policy=policy())
    world.submit(queue, share="a")
    world.submit(queue, share="b", after=[world.submit(queue, share="a")])
    world.settle()
    assert active(world, queue) == {"a", "b"}


def test_an_idle_share_is_forgotten_a_window_after_it_last_ran_without_anybody_asking():
    world = World(vcpus=1, twins=True)
    queue = world.queue(policy=policy())
    a = world.submit(queue, share="a")
    world.settle()
    world.turn(advance_ms=30_000)
    world.exits(a)
    decision = world.turn()
    assert decision.due_ms == world.now_ms + 600_000
    world.turn(advance_ms=599_999)
    assert active(world, queue) == {"a"}
    decision = world.turn(advance_ms=1)
    assert active(world, queue) == set()
    assert decision.due_ms is None


def test_a_share_that_never_ran_is_forgotten_with_its_last_job():
    world = World(vcpus=1, twins=True)
    queue = world.queue(policy=policy())
    world.submit(queue, share="a")
    waiting = world.submit(queue, share="b")
    world.settle()
    world.terminate(waiting)
    world.settle()
    assert active(world, queue) == {"a"}


def test_a_share_with_a_waiting_job_stays_active_however_long_it_waits():
    world = World(vcpus=1, twins=True)
    queue = world.queue(policy=policy())
    long, waits = world.submit(queue, share="long"), world.submit(queue, share="waits")
    world.settle()
    world.turn(advance_ms=10 * 600_000)
    assert active(world, queue) == {"long", "waits"}
    assert world.state(waits) == "RUNNABLE"
    world.exits(long)
    world.settle()
    assert world.state(waits) == "STARTING"


def test_shares_that_go_together_go_in_order_of_their_names_also_after_a_restart():
    world = World(vcpus=4, twins=True)
    queue = world.queue(policy=policy())
    jobs = [world.submit(queue, share=share) for share in ("d", "b", "c", "a")]
    world.settle()
    for job in jobs:
        world.exits(job)
    world.turn()
    world.restart()
    facts = world.turn(advance_ms=600_000).facts
    assert [fact.share for fact in facts if isinstance(fact, ShareForgotten)] == ["a", "b", "c", "d"]


def test_a_share_that_comes_back_in_the_moment_it_goes_is_a_new_one():
    world = World(vcpus=1, twins=True)
    queue = world.queue(policy=policy())
    a = world.submit(queue, share="a")
    world.settle()
    world.exits(a)
    world.turn()
    world.submit(queue, share="a")
    world.turn(advance_ms=600_000)
    assert active(world, queue) == {"a"}
    assert world.rows.shares[queue, "a"].usage == 0


def test_a_longer_window_keeps_shares_for_longer():
    world = World(vcpus=1, twins=True)
    queue = world.queue(policy=policy())
    a = world.submit(queue, share="a")
    world.settle()
    world.exits(a)
    world.turn()
    world.edit_policy(queue, policy(decay_s=1200))
    assert world.turn().due_ms == world.now_ms - 10 + 1_200_000
    world.turn(advance_ms=600_000)
    assert active(world, queue) == {"a"}
    world.turn(advance_ms=600_000)
    assert active(world, queue) == set()


def test_who_is_forgotten_frees_the_reservation_for_the_next_newcomer():
    """CR 50 of 16: after B is forgotten, one active share may hold half again."""
    world = World(vcpus=64, twins=True)
    queue = world.queue(world.managed(fargate(16)), policy=policy(reservation=50))
    jobs = [world.submit(queue, share="A") for _ in range(40)]
    short = world.submit(queue, share="B")
    world.settle()
    assert shares_of(world, jobs) == {"A": 11}, "two are active: a quarter is kept"
    world.exits(short)
    world.settle()
    assert shares_of(world, jobs) == {"A": 12}
    world.turn(advance_ms=600_000)
    for job in jobs[:12]:
        world.exits(job)
    world.settle()
    assert shares_of(world, jobs) == {"A": 8}, "B is forgotten: half is kept"


def test_time_alone_may_give_the_turn_to_another_share_and_somebody_looks():
    """B's head has no room; while B's long job runs on, the turn goes to A, whose job fits."""
    world = World(vcpus=4, twins=True)
    queue = world.queue(policy=policy())
    large = world.submit(queue, vcpus=3, share="A")
    world.submit(queue, vcpus=1, share="B")
    world.settle()
    world.turn(advance_ms=100_000)
    world.exits(large)
    world.submit(queue, vcpus=4, share="B")
    small = world.submit(queue, vcpus=1, share="A")
    world.settle()
    assert world.state(small) == "RUNNABLE", "A has used more"
    while world.state(small) == "RUNNABLE":
        due_ms = world.decisions[-1].due_ms
        assert due_ms is not None, "nobody would look again"
        world.turn(advance_ms=due_ms - world.now_ms)
        assert world.now_ms < 10_000_000
    assert world.state(small) == "STARTING"


def test_after_a_window_of_idleness_about_a_twentieth_of_the_use_is_left():
    queue = Queue(1)
    queue.policy = policy()
    share = Share("s", 1, 0)
    share.usage = 10**9
    fairshare.charge(queue, share, queue.policy.window_ms)
    assert 0.04 < share.usage / 10**9 < 0.06


def test_instances_boot_for_the_shares_whose_turns_come_and_not_for_what_is_reserved():
    """Half of 32 vCPUs is reserved: what boots is for A and B alike, and no more of it than they may have."""
    world = World(vcpus=64, memory_mib=10**6, twins=True)
    world.machine(vcpus=64, memory_mib=10**6, boot_ms=60_000)
    place = world.managed(on_demand(WIDE, max_vcpus=32))
    queue = world.queue(place, policy=policy(reservation=71))  # of two: .71 * .71 = half
    jobs = [world.submit(queue, vcpus=2, share="A") for _ in range(20)]
    jobs += [world.submit(queue, vcpus=2, share="B") for _ in range(20)]
    world.turn()
    assert len(world.instances(place)) == 4, "for seven jobs"
    world.turn(advance_ms=60_000)
    world.settle()
    assert shares_of(world, jobs) == {"A": 4, "B": 3}


@given(st.data())
def test_whose_turn_it_is_is_told_as_by_looking_at_all_shares(data):
    """The heap of scores that may be too low against the least of all scores, over any history."""
    draw = data.draw
    state, queue = State(), Queue(1)
    state.queues[1] = queue
    state.now_ms = draw(st.integers(0, 10**6))
    fairshare.go_by(state, queue, policy(a=0.5, b=2))
    for _ in range(draw(st.integers(1, 40))):
        job = Job(1, "", 1, (0, 0), RetryPolicy(), queue.line)
        share = job.share = fairshare.join(state, queue, draw(st.sampled_from("abcdef")))
        share.jobs += 1
        kind = draw(st.integers(0, 5))
        if kind <= 1:
            share.line.push((0, 0), (1, 0, 1, -1))
            fairshare.waits(state, job)
        elif kind == 2:
            fairshare.taken(state, job, draw(st.integers(1, 8)) * 1000)
        elif kind == 3 and share.held_cpu_milli:
            fairshare.taken(state, job, -draw(st.integers(1, share.held_cpu_milli)))
        elif kind == 4:
            state.now_ms += draw(st.sampled_from([0, 1, 100, 9_000, 9_375, 700_000]))
        elif kind == 5 and draw(st.booleans()):
            fairshare.go_by(state, queue, policy(draw(st.sampled_from([0, 900])), a=draw(st.integers(1, 3))))
        passed = set()
        for each in fairshare.lines(state, queue):
            waiting = [share for share in queue.shares.values() if share.line and share.id not in passed]
            for one in waiting:
                fairshare.charge(queue, one, state.now_ms)
            assert each is min(waiting, key=lambda one: (fairshare.score(queue, one), one.id))
            what = draw(st.sampled_from(["give", "pass", "empty", "stop"]))
            if what == "stop":
                break
            if what == "pass":
                passed.add(each.id)
            elif what == "empty":  # all that stood there was cancelled
                each.line.lanes.clear()
            else:
                each.line.pop((0, 0))
                job.share = each
                fairshare.taken(state, job, 1000)
        else:
            assert not [share for share in queue.shares.values() if share.line and share.id not in passed]


def test_a_queue_may_go_by_another_policy_and_one_policy_serve_two_queues():
    world = World(vcpus=10, twins=True)
    first, second = world.queue(policy=policy()), world.queue(policy=policy())
    world.update(second, policy=world.current(first).policy)
    jobs = [world.submit(second, share=share) for share in "AB" for _ in range(30)]
    world.edit_policy(first, policy(A=0.25))
    world.settle()
    assert shares_of(world, jobs) == {"A": 8, "B": 2}


def test_a_new_policy_acts_on_what_waits_at_once():
    world = World(vcpus=10, twins=True)
    queue = world.queue(policy=policy())
    jobs = [world.submit(queue, share=share) for share in "AB" for _ in range(30)]
    world.settle()
    assert shares_of(world, jobs) == {"A": 5, "B": 5}
    world.edit_policy(queue, policy(A=0.25))
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
    assert 0.31 < share.usage / (1000 * window) < 0.33, "a third of what a window holds: the latest counts most"


def run(weights: dict[str, float], slots: int, windows: int, seed: int, window_ms: int = 600_000) -> dict[str, float]:
    """Part of the vCPU time that each share got over the last `windows`, all of them having backlog throughout."""
    rng = random.Random(seed)
    scheduler, now_ms, seq = Scheduler(), 1_000, 3
    events: list = [ProviderSized("local", Needs(slots * 1000, 10**9))]
    events += [
        EnvironmentChanged(1, 1, "local", "i-1", True),
        PolicyChanged(2, 2, policy(**weights)),
        QueueChanged(3, 3, 1, True, (1,), policy=2),
    ]
    waiting, got, of = dict.fromkeys(weights, 0), dict.fromkeys(weights, 0), {}
    ends: list[tuple[int, int]] = []
    end_ms = now_ms + windows * window_ms
    while now_ms < end_ms:
        for share in weights:
            while waiting[share] < slots:
                seq, waiting[share] = seq + 1, waiting[share] + 1
                of[seq] = share
                events.append(JobSubmitted(seq, str(seq), 3, 0, Needs(1000, 1), RetryPolicy(), share=share))
        decision = scheduler.turn(now_ms, events)
        for action in decision.actions:
            if isinstance(action, StartAttempt):
                waiting[of[action.job]] -= 1
                lasts = rng.randrange(window_ms // 400, window_ms // 100)
                got[of[action.job]] += lasts
                heappush(ends, (now_ms + lasts, action.job))
        now_ms, job = heappop(ends)
        events = [AttemptEnded(job, WHOLE, 1, Ending(0, "", None, now_ms, now_ms))]
    total = sum(got.values())
    return {share: used / total for share, used in got.items()}


MANY_WEIGHTS = [
    {"A": 1, "B": 0.5, "C": 0.25, "D": 4},
    {"A": 0.125, "B": 1},
    {"A": 0.3, "B": 0.7, "C": 1.9, "D": 1.9, "E": 0.3},
]


@pytest.mark.parametrize("weights", MANY_WEIGHTS, ids=lambda weights: "-".join(map(str, weights.values())))
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long), pytest.param(3, marks=pytest.mark.long)])
def test_over_five_windows_shares_are_within_two_percent_of_their_weights(weights, seed):
    """With 100 slots busy and jobs under one percent of the window."""
    parts = run(weights, slots=100, windows=5, seed=seed)
    total = sum(1 / weight for weight in weights.values())
    for share, weight in weights.items():
        due = 1 / weight / total
        assert abs(parts[share] - due) <= 0.02 * due, f"seed {seed}: {share} got {parts[share]:.4f}, due is {due:.4f}"


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(st.data())
def test_random_loads_over_shares_keep_every_rule_and_restarts_change_nothing(data):
    draw = data.draw
    vcpus = draw(st.integers(1, 4))
    world = World(vcpus=vcpus, twins=True)
    queues = [world.queue(policy=policy(decay_s=draw(st.sampled_from([0, 5000])), a=0.5)), world.queue()]
    jobs: list[Handle] = []
    for _ in range(25):
        kind = draw(st.integers(0, 8))
        if kind <= 3 or not jobs:
            fair = draw(st.booleans())
            more = {"share": draw(st.sampled_from("abc")), "priority": draw(st.integers(0, 2))} if fair else {}
            size = draw(st.sampled_from([0, 0, 3]))
            more |= {"vcpus": draw(st.integers(1, vcpus)), "attempts": draw(st.integers(1, 2))}
            jobs.append(world.submit(queues[0 if fair else 1], size=size, **more))
        elif kind <= 5 and world.running:
            world.exits(Handle(*draw(st.sampled_from(sorted(world.running)))), draw(st.integers(0, 1)))
        elif kind == 6:
            world.terminate(draw(st.sampled_from(jobs)))
        elif kind == 7:
            weight = draw(st.sampled_from([0.25, 1, 3]))
            world.edit_policy(queues[0], policy(draw(st.sampled_from([0, 1000])), b=weight))
        else:
            world.restart()
        if draw(st.booleans()):
            world.turn(advance_ms=draw(st.sampled_from([0, 100, 9_375, 50_000, 2_000_000])))
    world.finish_everything()
    assert not world.scheduler.state.jobs
