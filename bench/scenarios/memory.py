"""What 100,000 waiting children, and 100,000 waiting single jobs, add to the engine process."""

from __future__ import annotations

from collections.abc import Iterator

from bench import load
from bench.measure import Measure
from bench.site import Site

JOBS = 100_000
ARRAY = 10_000


def measure() -> Iterator[Measure]:
    with Site(vcpus=8) as site:
        site.occupy()
        before = _mib(site)
        jobs = [site.submit(size=ARRAY) for _ in range(JOBS // ARRAY)]
        for job in jobs:
            site.wait(lambda job=job: site.children(job).get("RUNNABLE") == ARRAY, "all children are RUNNABLE")
        after = _mib(site)
    yield _growth("memory.children", before, after)
    with Site(vcpus=8) as site:
        site.occupy()
        before = _mib(site)
        load.run(site, JOBS)
        last = site.submit()
        site.wait(lambda: site.describe(last)["status"] == "RUNNABLE", "all jobs are RUNNABLE")
        after = _mib(site)
    yield _growth("memory.singles", before, after)


def _growth(name: str, before: tuple[float, float], after: tuple[float, float]) -> Measure:
    notes = (f"resident {before[0]:.1f} -> {after[0]:.1f} MiB, of that its own {before[1]:.1f} -> {after[1]:.1f} MiB",)
    return Measure(name, "MiB", (after[0] - before[0],), (), notes)


def _mib(site: Site) -> tuple[float, float]:
    """Resident and private MiB of the engine process."""
    (engine,) = site.processes("engine")
    kib: dict[str, int] = {}
    with open(f"/proc/{engine}/smaps_rollup") as file:
        for line in file:
            name, _, rest = line.partition(":")
            if rest.strip().endswith("kB"):
                kib[name] = int(rest.split()[0])
    return kib["Rss"] / 1024, (kib["Private_Clean"] + kib["Private_Dirty"]) / 1024
