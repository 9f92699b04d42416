"""A few storms in every test run, hundreds in the long one; ``make storm SEEDS=a:b`` for more."""

from __future__ import annotations

import pytest

from tests.storm.storm import Storm


@pytest.mark.parametrize("seed", range(12))
def test_a_storm_leaves_everything_accounted_for(seed):
    Storm(seed).run()


@pytest.mark.long
@pytest.mark.parametrize("block", range(10))
def test_hundreds_of_storms(block):
    for seed in range(1000 + block * 30, 1030 + block * 30):
        Storm(seed).run()
