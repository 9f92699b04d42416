"""10,000 children of `true` from SubmitJob to the last SUCCEEDED: isolated, logs captured, durable.

Baselines, between the rounds: the bare slot loop of ``bench/bare.py``, posix_spawn alone, and ``xargs -P``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from bench import bare
from bench.measure import Measure, rounds
from bench.site import Site

SLOTS = 8
CHILDREN = 10_000
BARE_JOBS = 3_000
STEADY = 1.3  # rounds of the bare loop may differ by this factor
ROLES = ("api", "engine", "runner", "slot")


def measure() -> Iterator[Measure]:
    ours, cpus, shares, spawns, xargs = [], [], [], [], []
    loops = [_baselines(spawns, xargs)]
    with Site(vcpus=SLOTS) as site:
        _run(site, 10 * SLOTS)  # the slots exist
        for _ in rounds(1, 3, 25):
            rate, by_role = _run(site, CHILDREN)
            loops.append(_baselines(spawns, xargs))
            ours.append(rate)
            cpus.append(sum(by_role.values()))
            shares.append(2 * rate / (loops[-2].rate + loops[-1].rate))  # of the rounds before and after it
    rates = [loop.rate for loop in loops]
    steady = max(rates) < STEADY * min(rates)
    bare_name = f"a bare slot loop ({loops[0].how})"
    baselines = [(bare_name, tuple(rates)), ("posix_spawn alone", tuple(spawns))]
    if xargs:
        baselines.append((f"xargs -P{SLOTS}", tuple(xargs)))
    yield Measure("children.rate", "jobs/s", tuple(ours), tuple(baselines), (f"{SLOTS} slots",), steady)
    yield Measure("children.of_bare", "of the bare slot loop", tuple(shares), steady=steady)
    parts = ", ".join(f"{role} {each:.0f}" for role, each in by_role.items())
    bare_cpus = ((bare_name, tuple(loop.cpu_us for loop in loops)),)
    yield Measure("children.cpu", "us", tuple(cpus), bare_cpus, (f"{parts} (slots with their jobs)",), steady)


def _run(site: Site, size: int) -> tuple[float, dict[str, float]]:
    """Run an array; children a second, and us of CPU a child by role."""
    before = {role: _cpu_s(site, role) for role in ROLES}
    begun = time.perf_counter()
    job = site.submit(size=size)
    site.wait(lambda: site.describe(job)["status"] in ("SUCCEEDED", "FAILED"), "all children ended", 0.1)
    spent_s = time.perf_counter() - begun
    if site.children(job).get("SUCCEEDED") != size:
        raise RuntimeError(f"not all children succeeded: {site.children(job)}")
    return size / spent_s, {role: 1e6 * (_cpu_s(site, role) - before[role]) / size for role in ROLES}


def _baselines(spawns: list[float], xargs: list[float]) -> bare.Ran:
    spawns.append(bare.spawns(SLOTS, BARE_JOBS))
    with_xargs = bare.xargs(SLOTS, BARE_JOBS)
    if with_xargs is not None:
        xargs.append(with_xargs)
    return bare.slot_loop(SLOTS, BARE_JOBS)


def _cpu_s(site: Site, role: str) -> float:
    """CPU seconds that processes of the role, and for slots their jobs, have used so far."""
    tick, total = os.sysconf("SC_CLK_TCK"), 0
    for pid in site.processes(role):
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        total += sum(map(int, fields[11:15]))  # utime, stime, and both of the children waited for
    return total / tick
