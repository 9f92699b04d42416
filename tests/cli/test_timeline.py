"""When jobs ran, as lines, and the chain that nothing shortens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchyard.cli import demo_stages, timeline
from batchyard.cli.demo_stages import STAGES
from batchyard.cli.timeline import Ran

JOBS = [Ran("A one", None, 0, 400), Ran("B two", 0, 0, 200), Ran("B two", 1, 200, 400), Ran("C three", None, 400, 800)]


def test_the_height_of_a_block_is_how_many_ran():
    names = ["A one", "B two", "C three"]
    assert timeline.chart(names, JOBS, 8) == [
        ("A one", "1 job     0.4s", "▄▄▄▄    "),
        ("B two", "2 jobs    0.4s", "▄▄▄▄    "),
        ("C three", "1 job     0.4s", "    ▄▄▄▄"),
        ("all", "4 jobs    1.2s", "████▄▄▄▄"),
    ]


jobs = st.lists(st.tuples(st.integers(0, 90), st.integers(0, 20)), min_size=1, max_size=20).map(
    lambda pairs: [Ran("s", index, start, start + took) for index, (start, took) in enumerate(pairs)]
)


@given(jobs, st.integers(1, 40))
def test_whatever_ran_is_seen_and_the_line_is_as_wide_as_asked(ran, width):
    (_, _, blocks), _ = timeline.chart(["s"], ran, width)
    assert len(blocks) == width
    assert blocks[0] != " "
    assert blocks[-1] != " "


def test_the_longest_chain_is_that_of_the_longest_running_not_of_the_last_to_end():
    ran = [
        Ran("A survey", None, 0, 900),
        Ran("B refine", 0, 0, 300),
        Ran("B refine", 1, 900, 1000),
        Ran("C shade", 0, 1000, 1100),
        Ran("C shade", 1, 1000, 1200),
        Ran("D draw", 0, 1200, 1300),
        Ran("D draw", 1, 1300, 1350),
        Ran("E picture", None, 1400, 1500),
        Ran("F figures", None, 1400, 1410),
    ]
    chain = timeline.longest_chain(ran, lambda job: demo_stages.waits_for(job, ran))
    assert [str(job) for job in chain] == ["A survey", "C shade 1", "D draw 1", "E picture"]


def test_who_waits_for_whom():
    ran = [Ran(stage.name, index if stage.is_array else None, 0, 1) for stage in STAGES for index in range(stage.size)]

    def waits(name, index):
        return {str(job) for job in demo_stages.waits_for(Ran(name, index, 0, 1), ran)}

    assert waits("A survey", None) == waits("B refine", 3) == set()
    assert waits("C shade", 3) == {"A survey", "B refine 3"}
    assert waits("D draw", 5) == {"C shade 5"}
    assert waits("E picture", None) == waits("F figures", None) == {f"D draw {index}" for index in range(16)}


@pytest.mark.parametrize("columns", [52, 80, 200])
def test_the_pipeline_is_explained_in_any_width(columns):
    lines = demo_stages.explained(columns).splitlines()
    assert [line.split()[0] for line in lines] == list("ABCDEF")
    assert all(len(line) < columns for line in lines)
    assert lines[2].startswith("  C shade    array of 16  each after A and its B")
