"""The clock never goes back, never jumps, and follows wall time slowly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from batchyard.engine.clock import SteadyClock

MS = 1_000_000


class Hands:
    """Two clocks moved by hand."""

    def __init__(self, wall_ms: int = 1_000_000):
        self.wall_ns = wall_ms * MS
        self.boot_ns = 5 * MS

    def clock(self, last_ms: int = 0) -> SteadyClock:
        return SteadyClock(last_ms, lambda: self.wall_ns, lambda: self.boot_ns)

    def passes(self, ms: int) -> None:
        self.wall_ns += ms * MS
        self.boot_ns += ms * MS


def test_it_starts_at_wall_time_and_runs_with_it():
    hands = Hands(1_000)
    clock = hands.clock()
    assert clock.now_ms() == 1_000
    hands.passes(250)
    assert clock.now_ms() == 1_250


def test_it_starts_no_earlier_than_what_was_stored():
    assert Hands(1_000).clock(last_ms=9_000).now_ms() == 9_000


def test_wall_time_set_back_slows_it_by_a_hundredth():
    hands = Hands(1_000_000)
    clock = hands.clock()
    hands.wall_ns -= 500_000 * MS
    hands.passes(10_000)
    assert clock.now_ms() == 1_000_000 + 9_900


def test_wall_time_set_forward_is_followed_by_a_hundredth():
    hands = Hands(1_000_000)
    clock = hands.clock()
    hands.wall_ns += 500_000 * MS
    hands.passes(10_000)
    assert clock.now_ms() == 1_000_000 + 10_100


@given(st.lists(st.tuples(st.integers(0, 100_000), st.integers(-(10**9), 10**9)), max_size=30), st.integers(0, 10**7))
def test_it_never_goes_back(steps, last_ms):
    hands = Hands()
    clock = hands.clock(last_ms)
    before = clock.now_ms()
    for elapsed_ms, jump_ms in steps:
        hands.passes(elapsed_ms)
        hands.wall_ns += jump_ms * MS
        now = clock.now_ms()
        assert before + elapsed_ms * 99 // 100 - 1 <= now <= before + elapsed_ms * 101 // 100 + 1
        assert now >= before
        before = now
