"""When the jobs of a pipeline ran: how parallel, and which of them the others waited for. Text in and out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from batchyard.cli import render

_LEVELS = " ▁▂▃▄▅▆▇█"


class Ran(NamedTuple):
    """One job or child that ran."""

    stage: str  # the stage's name
    index: int | None  # of a child
    start: int  # epoch ms
    stop: int

    @property
    def took(self) -> int:
        return self.stop - self.start

    def __str__(self) -> str:
        return self.stage if self.index is None else f"{self.stage} {self.index}"


def most_at_once(jobs: Iterable[Ran]) -> int:
    return render.most_at_once([(job.start, job.stop) for job in jobs])


def chart(stages: Sequence[str], jobs: Sequence[Ran], width: int) -> list[tuple[str, str, str]]:
    """For each stage, and for all of them: its name, its number of jobs and running time, its blocks.

    The blocks are a line of `width` cells from the first start to the last stop. The height of a block is how many
    jobs ran in that time, on average; a full one is as many as ever ran at once.
    """
    full = max(1, most_at_once(jobs))
    begin, end = min(job.start for job in jobs), max(_end(job) for job in jobs)
    rows = []
    for name in (*stages, "all"):
        of_it = [job for job in jobs if name in (job.stage, "all")]
        took = render.duration(sum(job.took for job in of_it))
        many = f"{len(of_it)} job" + ("s" if len(of_it) > 1 else "")
        rows.append((name, f"{many:<8} {took:>5}", _blocks(of_it, begin, end, width, full)))
    return rows


def _blocks(jobs: Iterable[Ran], begin: int, end: int, width: int, full: int) -> str:
    """Whatever ran is seen: a little is at least the lowest block."""
    busy, cell = [0.0] * width, (end - begin) / width
    for job in jobs:
        start, stop = (job.start - begin) / cell, (_end(job) - begin) / cell
        for at in range(min(int(start), width - 1), min(int(stop) + 1, width)):
            busy[at] += max(0.0, min(stop, at + 1) - max(start, at))
    last = len(_LEVELS) - 1
    return "".join(_LEVELS[min(last, max(1, round(last * each / full)))] if each else _LEVELS[0] for each in busy)


def _end(job: Ran) -> int:
    """When it stopped; a millisecond at least is drawn."""
    return max(job.stop, job.start + 1)


def longest_chain(jobs: Sequence[Ran], waits_for: Callable[[Ran], Iterable[Ran]]) -> list[Ran]:
    """Of all chains of jobs that wait for one another the one that ran longest in sum, first job first."""
    longest: dict[Ran, tuple[int, list[Ran]]] = {}
    for job in sorted(jobs, key=lambda job: job.stop):  # a job ends after those it waits for
        took, before = max((longest[other] for other in waits_for(job)), default=(0, []), key=lambda found: found[0])
        longest[job] = took + job.took, [*before, job]
    return max(longest.values(), key=lambda found: found[0])[1]
