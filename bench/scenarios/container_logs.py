"""A job that writes 50 MB/s to its log, in a container: how much longer it takes than one that writes the same to a
file inside of its container. Lines of 1 KiB and of 100 bytes, on an engine of the scenario's own.

The job keeps to its pace as long as it can, and tells at its end how long it took. Baseline, between the rounds: the
engine alone with its own default log driver, and nobody who reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import docker
from tests.engines import images
from tests.engines.docker_engine import Docker
from tests.engines.podman_engine import Podman
from tests.engines.private import PrivateEngine, Unavailable

from bench.measure import Measure, rounds
from bench.site import Site

IMAGE = "busybox:latest"  # of the site's definition; it has Python here
RATE, TOTAL = 50e6, 150_000_000  # bytes a second, bytes
MEMORY_MIB = 1024  # room for what the kernel has not yet written of a file
FILE = "/tmp/written"
CUT = re.compile(rb"\n\[batchyard: (\d+) bytes of output were cut here\]\n")
BY_LINE = {
    ("docker", 1024): "container_logs.docker",
    ("docker", 100): "container_logs.docker_short",
    ("podman", 1024): "container_logs.podman",
    ("podman", 100): "container_logs.podman_short",
}
WRITER = """\
import os, sys, time
rate, line, total, where = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
block = (b"x" * (line - 1) + b"\\n") * (8192 // line)
out = os.open(where, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) if where else 1
begun, sent = time.monotonic(), 0
while sent < total:
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(out, rest):]
    sent += len(block)
    ahead_s = sent / rate - (time.monotonic() - begun)
    if ahead_s > 0.01:
        time.sleep(ahead_s)
print("\\ntook", time.monotonic() - begun)
"""


def measure() -> Iterator[Measure]:
    for kind in (Docker, Podman):
        try:
            engine = kind()
        except Unavailable as error:
            print(f"  no {kind.name}: {error}")
            continue
        try:
            engine.start()
            engine.load(IMAGE, images.archive("python"))
            with Site(2, "--executor", "container", "--engine-socket", str(engine.socket)) as site:
                for line in (1024, 100):
                    yield _beside(engine, site, line)
        finally:
            engine.close()


def _beside(engine: PrivateEngine, site: Site, line: int) -> Measure:
    logs, files, alone = [], [], []
    for _ in rounds(3, 5, 40):
        files.append(_ours(site, line, FILE))
        logs.append(_ours(site, line, ""))
        alone.append(_alone(engine, line))
    of_file = tuple(log / file for log, file in zip(logs, files, strict=True))
    of_alone = tuple(each / file for each, file in zip(alone, files, strict=True))
    rates = ", ".join(f"{TOTAL / 1e6 / each:.0f}" for each in logs)
    baselines = (("the engine alone, its own log driver, nobody who reads", of_alone),)
    notes = (f"MB/s: {rates}; lines of {line} bytes, {engine.name}",)
    return Measure(BY_LINE[engine.name, line], "of the time to a file", of_file, baselines, notes)


def _ours(site: Site, line: int, where: str) -> float:
    """Seconds that a job of ours says it took; what it wrote to its log is all there, or counted as cut."""
    job = site.submit(*_command(line, where), memory_mib=MEMORY_MIB)
    site.wait(lambda: site.describe(job)["status"] in ("SUCCEEDED", "FAILED"), "the job ends", 0.2)
    if site.describe(job)["status"] != "SUCCEEDED":
        raise RuntimeError(f"it failed: {site.describe(job)}")
    log = next(site.data.glob(f"logs/*/{job}.1.log")).read_bytes()
    body, _, took_s = log.rpartition(b"\ntook ")
    told = len(body) + sum(int(cut[1]) - len(cut[0]) for cut in CUT.finditer(body))
    block = 8192 // line * line
    if not where and told != -(-TOTAL // block) * block:
        raise RuntimeError(f"the log tells of {told} bytes")
    return float(took_s)


def _alone(engine: PrivateEngine, line: int) -> float:
    """The same of a container that nobody of us knows."""
    api = docker.APIClient(base_url=f"unix://{engine.socket}", version="auto")
    host = api.create_host_config(network_mode="none", mem_limit=MEMORY_MIB << 20)
    made = api.create_container(IMAGE, _command(line, ""), host_config=host)["Id"]
    try:
        api.start(made)
        api.wait(made)
        return float(api.logs(made, tail=1).rpartition(b"took ")[2])
    finally:
        api.remove_container(made, force=True)
        api.close()


def _command(line: int, where: str) -> list[str]:
    return ["python3", "-c", WRITER, str(RATE), str(line), str(TOTAL), where]
