"""Fixtures: a yard of one's own; when a test is over its runner is told to leave and nothing of it may live on."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.executors.yard import Yard


@pytest.fixture
def make_yard():
    """Makes yards in directories that any user may pass through (pytest's own are closed to others)."""
    yards: list[Yard] = []

    def make(*flags: str, **settings) -> Yard:
        data = Path(tempfile.mkdtemp(prefix="batchyard-test-"))
        data.chmod(0o755)
        yards.append(Yard(data, flags, **settings))
        yards[-1].start_runner()
        yards[-1].connect()
        return yards[-1]

    yield make
    try:
        for yard in yards:
            yard.close()
    finally:
        for yard in yards:
            shutil.rmtree(yard.data, ignore_errors=True)


@pytest.fixture
def yard(make_yard) -> Yard:
    return make_yard()


@pytest.fixture
def weak(make_yard) -> Yard:
    """A yard as it is where the kernel refuses namespaces."""
    return make_yard("--isolation", "session")


@pytest.fixture
def isolated(yard) -> Yard:
    """A yard whose jobs have namespaces of their own."""
    if yard.executor.isolation == "session":
        pytest.skip("this machine refuses namespaces to this user")
    return yard
