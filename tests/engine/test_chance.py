"""How often chance strikes, and that it strikes nobody unless it is set."""

from __future__ import annotations

from random import Random

from batchyard.engine.chance import DAY_MS, EVERY_MS, Chance


def struck(chance: Chance, pieces: int, days: int, step_ms: int = 10 * EVERY_MS) -> int:
    drawn = (chance.draw(now_ms, lambda: pieces) for now_ms in range(0, days * DAY_MS, step_ms))
    return sum(len(each.picks) for each in drawn if each is not None)


def test_nothing_is_interrupted_unless_it_is_set():
    assert struck(Chance(0, Random(1)), pieces=100, days=1) == 0


def test_each_piece_is_interrupted_so_often_on_average():
    assert 900 < struck(Chance(10, Random(1)), pieces=10, days=10) < 1100


def test_however_often_it_is_asked():
    often, seldom = (struck(Chance(24, Random(2)), 20, 2, step) for step in (EVERY_MS // 2, 30 * EVERY_MS))
    assert 800 < often < 1120 and 800 < seldom < 1120


def test_time_in_which_nobody_drew_does_not_strike_all_at_once():
    chance = Chance(1000, Random(3))
    chance.draw(0, lambda: 100)
    drawn = chance.draw(30 * DAY_MS, lambda: 100)
    assert drawn is None or len(drawn.picks) < 90
