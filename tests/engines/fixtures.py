"""What tests ask for: `docker_engine`, `podman_engine`, or `container_engine` for each of them in turn.

One of each for the whole run; a test that kills one has it started again (`start`). Where an engine cannot run the
tests are skipped with what would enable it, where CI is set they fail.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.engines import images
from tests.engines.docker_engine import Docker
from tests.engines.podman_engine import Podman
from tests.engines.private import PrivateEngine, Unavailable


def _running(kind: type[PrivateEngine]) -> Iterator[PrivateEngine]:
    try:
        images.shell()
        engine = kind()
    except (Unavailable, FileNotFoundError) as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
    try:
        yield engine.start()
    finally:
        engine.close()


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[PrivateEngine]:
    yield from _running(Docker)


@pytest.fixture(scope="session")
def podman_engine() -> Iterator[PrivateEngine]:
    yield from _running(Podman)


@pytest.fixture(scope="session", params=["docker", pytest.param("podman", marks=pytest.mark.long)])
def container_engine(request) -> PrivateEngine:
    """Docker, and in the long tests Podman; pytest has all tests of one run before those of the next."""
    return request.getfixturevalue(f"{request.param}_engine")
