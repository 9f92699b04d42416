"""Does a simulation tell how long real work takes? 300 real jobs that sleep, and the same under a virtual clock that
knows nothing but how long each was asked to sleep: the time from the first start to the last end.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from bench import virtual
from bench.measure import Measure, rounds
from bench.site import Site

VCPUS = 32
JOBS = 300
SLEEPS_MS = (500, 2500)


def measure() -> Iterator[Measure]:
    ratios, real_s, simulated_s = [], [], []
    for number in rounds(2, 3, 60):
        real, simulated = _compare(number)
        real_s.append(real.makespan_ms / 1000)
        simulated_s.append(simulated.makespan_ms / 1000)
        ratios.append(real.makespan_ms / simulated.makespan_ms)
    notes = (f"{JOBS} jobs of 1 to 4 vCPUs on {VCPUS}; really {real_s}, simulated {simulated_s} s",)
    yield Measure("trust.makespan", "of the simulated makespan", tuple(ratios), (), notes)


def _compare(seed: int) -> tuple[virtual.Ran, virtual.Ran]:
    rng = random.Random(seed)
    asked_ms = [rng.randrange(*SLEEPS_MS) for _ in range(JOBS)]
    with Site(VCPUS) as site:
        jobs = [site.submit("sleep", f"{ms / 1000:.3f}", vcpus=rng.choice([1, 1, 2, 4])) for ms in asked_ms]
        for job in jobs:
            site.wait(lambda job=job: site.describe(job)["status"] == "SUCCEEDED", "every job ended", 0.05)
        site.stop()
        workload, real = virtual.recorded(site.data)
    first = min(start.job for start in real.starts)
    return real, virtual.run(workload, lambda job, index: asked_ms[job - first])
