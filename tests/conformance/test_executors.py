"""The suite of executors, over each of them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchyard.ports import Survey
from tests.conformance.executor import ExecutorSuite
from tests.conformance.yards import ContainerYard, PretendYard, ProcessYard, RealYard


@pytest.fixture(scope="module")
def base():
    """A directory that any user may pass through."""
    base = Path(tempfile.mkdtemp(prefix="batchyard-test-"))
    base.chmod(0o755)
    for name in ("programs", "process", "docker", "podman"):
        (base / name).mkdir(mode=0o755)
    yield base
    shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="module")
def processes(base):
    """One runner for all tests, so slots are used again."""
    yard = ProcessYard(base / "process", base / "programs")
    yield yard
    yard.close()


@pytest.fixture(scope="module")
def docker_yard(base, docker_engine):
    yard = ContainerYard(base / "docker", docker_engine)
    yield yard
    yard.close()
    yard.until(lambda: yard.containers() == [], "its containers are removed")


@pytest.fixture(scope="module")
def podman_yard(base, podman_engine):
    yard = ContainerYard(base / "podman", podman_engine)
    yield yard
    yard.close()
    yard.until(lambda: yard.containers() == [], "its containers are removed")


def forgotten(yard: RealYard) -> Iterator[RealYard]:
    """What an earlier test left is not heard again: endings are released."""
    yield yard
    for attempt in yard.specs:
        yard.release(attempt)
    yard.specs.clear()
    yard.news.clear()


class TestProcess(ExecutorSuite):
    """Real processes, in slots of a real runner."""

    @pytest.fixture
    def yard(self, processes):
        yield from forgotten(processes)


class ContainerSuite(ExecutorSuite):
    STOPPED_EARLY = (137, 143, None)  # the first process of a container is hit by no signal that it does not handle yet
    TIMED_OUT = (137, 143)  # its own exit code, as its init tells it

    @staticmethod
    def check_living(survey: Survey, attempts: set[str]) -> None:
        """A runner that starts tries its engine first, and short attempts may have ended then."""
        assert survey.living <= attempts


class TestDocker(ContainerSuite):
    """Containers of a dockerd, held by slots of a real runner."""

    @pytest.fixture
    def yard(self, docker_yard):
        yield from forgotten(docker_yard)


@pytest.mark.long
class TestPodman(ContainerSuite):
    """Containers of Podman, held by slots of a real runner."""

    @pytest.fixture
    def yard(self, podman_yard):
        yield from forgotten(podman_yard)


class TestPretend(ExecutorSuite):
    """Nothing runs, and the clock is the test's own."""

    @pytest.fixture
    def yard(self, tmp_path):
        yard = PretendYard(tmp_path)
        yield yard
        yard.close()
