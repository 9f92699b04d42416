"""A reader of an example's README, whose server has an engine that holds the example's image."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.docs import pages
from tests.docs.reader import Reader
from tests.engines import containerfile

EXAMPLES = pages.ROOT / "examples"


@pytest.fixture
def example(docker_engine):
    """Types the README of the example `name`, whose image is called `image` there; a context manager."""

    @contextmanager
    def read(name: str, image: str, **variables: str) -> Iterator[Reader]:
        try:
            docker_engine.load(f"{image}:latest", containerfile.built(EXAMPLES / name))
        except containerfile.NotInstalled as error:
            pytest.fail(str(error)) if os.environ.get("CI") else pytest.skip(str(error))
        engine = {"BATCHYARD_EXECUTOR": "container", "BATCHYARD_ENGINE_SOCKET": str(docker_engine.socket)}
        page = pages.read(EXAMPLES / name / "README.md")
        reader = Reader(page, {**engine, **variables}, {"examples": EXAMPLES})
        reader.site.serve_environ |= engine
        with reader:
            yield reader
        assert docker_engine.containers() == [], "nothing is left of its jobs"

    return read


def volume(reader: Reader, name: str) -> Path:
    """Where the files lie that jobs see at the volume /NAME."""
    return reader.site.data / "volumes" / name
