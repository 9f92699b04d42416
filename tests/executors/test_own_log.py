"""The runner's own log is bounded, and stays the file that its slots hold open."""

from __future__ import annotations

import subprocess
import sys

from batchyard.executors.runner.own_log import BEFORE, FILE, KEPT_BYTES

BEGIN = f"""
import os, sys
from batchyard.executors.runner import own_log
directory = sys.argv[1]
own_log.open_in(directory)
os.write(2, b"a" * {KEPT_BYTES})
own_log.shorten(directory)
"""


def run(directory, script: str) -> None:
    subprocess.run([sys.executable, "-c", BEGIN + script, directory], check=True, timeout=30)


def test_up_to_its_bound_it_is_left_as_it_is(tmp_path):
    run(tmp_path, "")
    assert (tmp_path / FILE).stat().st_size == KEPT_BYTES
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / BEFORE).exists()


def test_it_begins_anew_when_it_is_long_and_what_was_there_is_kept_once(tmp_path):
    run(
        tmp_path,
        'slot = os.dup(2); os.write(2, b"the last line\\n"); own_log.shorten(directory); os.write(slot, b"on\\n")',
    )
    assert (tmp_path / FILE).read_bytes() == b"on\n"
    kept = (tmp_path / BEFORE).read_bytes()
    assert len(kept) == KEPT_BYTES and kept.endswith(b"aathe last line\n")
    assert (tmp_path / BEFORE).stat().st_mode & 0o777 == 0o600


def test_what_is_not_the_log_is_left_alone(tmp_path):
    script = f"""
os.chdir(directory)
os.write(2, b"b")
os.rename("{FILE}", "away")
open("{FILE}", "w").close()
own_log.shorten(directory)
"""
    run(tmp_path, script)
    assert (tmp_path / "away").stat().st_size == KEPT_BYTES + 1
