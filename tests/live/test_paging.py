"""Page tokens of a running server: the next page after a restart, and nothing for a stranger's token."""

from __future__ import annotations

import pytest

from tests.harness.site import Site


def test_the_next_page_comes_after_a_restart(fresh_site, tmp_path):
    site = fresh_site
    queue = site.queue("q0")
    for number in range(1, 5):
        site.queue(f"q{number}")
        site.definition(f"d{number}", "true")
    jobs = [site.submit(queue, "d1", name=f"j{number}") for number in range(5)]
    for job in jobs:
        site.finished(job)
    batch = site.client("batch")
    asked = {
        "describe_job_queues": ("jobQueues", "jobQueueName", {}),
        "describe_job_definitions": ("jobDefinitions", "jobDefinitionName", {}),
        "list_jobs": ("jobSummaryList", "jobName", {"jobQueue": queue, "jobStatus": "SUCCEEDED"}),
    }
    tokens = {}
    for operation, (_, _, given) in asked.items():
        tokens[operation] = getattr(batch, operation)(maxResults=2, **given)["nextToken"]
    site.stop()
    site.start()
    batch = site.client("batch")
    seen = {}
    for operation, (member, name, given) in asked.items():
        page = getattr(batch, operation)(maxResults=2, nextToken=tokens[operation], **given)
        seen[operation] = [each[name] for each in page[member]]
    assert seen == {
        "describe_job_queues": ["q2", "q3"],
        "describe_job_definitions": ["d3", "d4"],
        "list_jobs": ["j2", "j1"],
    }
    other = Site(tmp_path / "other", "--vcpus", "1").start()
    try:
        stranger = other.client("batch")
        with pytest.raises(stranger.exceptions.ClientException, match="nextToken is not valid"):
            stranger.describe_job_queues(nextToken=tokens["describe_job_queues"])
    finally:
        other.destroy()
