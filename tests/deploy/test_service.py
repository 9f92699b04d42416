"""The user's unit under a real systemd: starts, restarts, stops and crashes, and what becomes of jobs meanwhile."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

GROUPS = next(
    (path for path in ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup") if Path(path, "cgroup.procs").exists()), ""
)


@pytest.fixture
def own_group():
    """A control group in which a service manager may make what it likes; gone afterwards."""
    if os.geteuid() != 0 or not GROUPS:
        pytest.skip("a systemd of its own takes root and control groups")
    group = Path(GROUPS) / f"batchyard-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    yield group
    for _ in range(100):
        for below, _, _ in os.walk(group, topdown=False):
            with suppress(OSError):
                os.rmdir(below)
        if not group.exists():
            return
        time.sleep(0.05)


@pytest.mark.long
def test_a_restart_ends_no_job_and_a_crash_heals_itself(own_group, tmp_path):
    if not Path("/lib/systemd/systemd").exists() or shutil.which("systemctl") is None:
        if os.environ.get("CI"):
            pytest.fail("systemd is missing: apt install systemd")
        pytest.skip("systemd is missing (Debian package systemd)")
    inside = ["unshare", "--mount", "--pid", "--fork", "--kill-child", sys.executable, "-m", "tests.deploy.inside"]
    if subprocess.run([*inside[:5], "mount", "-t", "tmpfs", "none", "/run"], capture_output=True).returncode:
        pytest.skip("no namespaces can be made here (unshare)")
    join = f'echo $$ > {own_group}/cgroup.procs && exec "$@"'
    done = subprocess.run(
        ["sh", "-c", join, "sh", *inside, tmp_path],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=240,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0 and done.stdout.endswith("ok\n"), done.stdout[-2000:] + done.stderr[-6000:]
