"""What a real runner writes about its machine is what the doctor reads."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from batchyard.doctor import about


@pytest.fixture
def started(tmp_path):
    """Start a runner with these flags and wait for its word."""
    runners = []

    def start(*flags: str) -> about.About:
        data = tmp_path / "data"
        about.path(data).unlink(missing_ok=True)
        command = [sys.executable, "-P", "-m", "batchyard.executors.runner", "--data", str(data), *flags]
        runners.append(subprocess.Popen(command))
        deadline = time.monotonic() + 30
        while (found := about.read(data)) is None:
            assert runners[-1].poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        return found

    yield start
    for runner in runners:
        runner.kill()
        runner.wait()


def test_the_weakest_isolation_is_told_with_what_it_means(started, tmp_path):
    found = started("--isolation", "session")
    assert (found.isolation, found.uid) == ("session", os.geteuid())
    assert about.notices(tmp_path / "data")
    assert about.path(tmp_path / "data").stat().st_mode & 0o077 == 0


def test_what_is_found_is_one_of_the_kinds_and_complete(started, tmp_path):
    found = started()
    assert found.isolation in ("namespaces", "user-namespaces", "session")
    assert (found.groups is None) == any("memory limits" in said for said in about.notices(tmp_path / "data"))
    assert found.groups is None or os.path.isdir(found.groups)
