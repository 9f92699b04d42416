"""The observe process beside the others: it ends with serve, comes back when it dies, and is in nobody's way."""

from __future__ import annotations

import os
import signal


def test_it_is_started_again_when_it_dies_and_ends_with_serve(fresh_site):
    site = fresh_site
    site.wait_for(lambda: site.pids("observe"), "observe runs")
    (first,) = site.pids("observe")
    site.kill(first)
    site.wait_for(lambda: site.pids("observe") not in ([], [first]), "another observe runs")
    site.kill(site.process.pid)
    site.process.wait()
    site.wait_for(lambda: not site.pids("observe"), "observe has noticed that serve is gone")


def test_jobs_run_while_it_is_stopped(fresh_site, tmp_path):
    site = fresh_site
    site.wait_for(lambda: site.pids("observe"), "observe runs")
    os.kill(site.pids("observe")[0], signal.SIGSTOP)
    queue = site.queue()
    job = site.submit(queue, site.definition("hello", "echo", "hello"))
    assert site.finished(job)["status"] == "SUCCEEDED"
