"""A scheduler rebuilt from the files alone, in another process and under another hash seed, decides the same."""

from __future__ import annotations

import pytest

from tests.storm.replay import Different, Replayed


def replay(seed: int, turns: int) -> None:
    run = Replayed(seed, turns).replay()
    assert run.replayed == turns, f"{run.knobs}: only {run.replayed} turns"


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_every_turn_could_be_the_first_after_a_restart(seed):
    replay(seed, 100)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 110))
def test_every_turn_of_longer_runs(seed):
    replay(seed, 100)


def test_a_scheduler_that_remembers_what_no_row_says_is_found_out(monkeypatch):
    """The comparison can fail: room that is taken in memory only makes the rebuilt scheduler decide otherwise."""
    run = Replayed(6, 100)
    provider = run.engine.scheduler.state.providers
    run._tick(stormy=False)
    local = provider["local"]
    local.used = local.room
    with pytest.raises(Different, match="python -m tests.storm.replay 6 100"):
        run.replay()
