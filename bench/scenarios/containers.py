"""`true` in containers, two at a time, from SubmitJob to the last SUCCEEDED, on an engine of the scenario's own.

Baseline, between the rounds: the engine alone. Two callers of its API do what a job takes and nothing more: create a
container with the same limits, start it, wait for its end, look at how it ended, read its log, remove it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import docker
from tests.engines import images
from tests.engines.docker_engine import Docker
from tests.engines.podman_engine import Podman
from tests.engines.private import PrivateEngine, Unavailable

from bench.measure import Measure, rounds
from bench.site import Site

AT_ONCE = 2
JOBS = 20
IMAGE = "busybox:latest"
BY_NAME = {"docker": "containers.docker", "podman": "containers.podman"}


def measure() -> Iterator[Measure]:
    for kind in (Docker, Podman):
        try:
            engine = kind()
        except Unavailable as error:
            print(f"  no {kind.name}: {error}")
            continue
        try:
            yield from _beside(engine.start())
        finally:
            engine.close()


def _beside(engine: PrivateEngine) -> Iterator[Measure]:
    """A job's share of the time, ours as a multiple of the engine's alone."""
    engine.load(IMAGE, images.archive("busybox"))
    ours, alone, times = [], [_alone(engine)], []
    with Site(AT_ONCE, "--executor", "container", "--engine-socket", str(engine.socket)) as site:
        _ours(site)  # the slots exist
        for _ in rounds(3, 5, 40):
            ours.append(_ours(site))
            alone.append(_alone(engine))
            times.append(2 * ours[-1] / (alone[-2] + alone[-1]))  # of the rounds before and after it
    yield Measure(
        BY_NAME[engine.name],
        "times the engine's own",
        tuple(times),
        notes=(f"a job {statistics.median(ours):.0f} ms, the engine alone {statistics.median(alone):.0f} ms",),
    )


def _ours(site: Site) -> float:
    """ms a job, of an array."""
    begun = time.perf_counter()
    job = site.submit(size=JOBS)
    site.wait(lambda: site.describe(job)["status"] in ("SUCCEEDED", "FAILED"), "all children ended", 0.02)
    spent_s = time.perf_counter() - begun
    if site.children(job).get("SUCCEEDED") != JOBS:
        raise RuntimeError(f"not all children succeeded: {site.describe(f'{job}:0')}")
    return 1e3 * spent_s / JOBS


def _alone(engine: PrivateEngine) -> float:
    """ms a container."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(_containers, engine, JOBS // AT_ONCE) for _ in range(AT_ONCE)]:
            done.result()
    return 1e3 * (time.perf_counter() - begun) / JOBS


def _containers(engine: PrivateEngine, number: int) -> None:
    api = docker.APIClient(base_url=f"unix://{engine.socket}", version="auto")
    limits = api.create_host_config(network_mode="host", mem_limit=64 << 20, cpu_shares=1024)
    for _ in range(number):
        made = api.create_container(IMAGE, ["true"], host_config=limits)["Id"]
        api.start(made)
        api.wait(made)
        ended = api.inspect_container(made)["State"]
        api.logs(made)
        api.remove_container(made, v=True)
        if ended["ExitCode"]:
            raise RuntimeError(f"a container of the engine alone ended so: {ended}")
    api.close()
