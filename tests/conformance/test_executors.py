"""The suite of executors, over each of them."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.conformance.executor import ExecutorSuite
from tests.conformance.yards import PretendYard, RealYard


@pytest.fixture(scope="module")
def real():
    """One runner for all tests, so slots are used again; in a directory that any user may pass through."""
    base = Path(tempfile.mkdtemp(prefix="batchyard-test-"))
    base.chmod(0o755)
    for name in ("programs", "data"):
        (base / name).mkdir(mode=0o755)
    yard = RealYard(base / "data", base / "programs")
    try:
        yield yard
        yard.close()
    finally:
        shutil.rmtree(base, ignore_errors=True)


class TestProcess(ExecutorSuite):
    """Real processes, in slots of a real runner."""

    @pytest.fixture
    def yard(self, real):
        """What an earlier test left is not heard again: endings are released."""
        yield real
        for attempt in real.specs:
            real.release(attempt)
        real.specs.clear()
        real.news.clear()


class TestPretend(ExecutorSuite):
    """Nothing runs, and the clock is the test's own."""

    @pytest.fixture
    def yard(self, tmp_path):
        yard = PretendYard(tmp_path)
        yield yard
        yard.close()
