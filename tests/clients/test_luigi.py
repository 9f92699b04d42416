"""luigi, unmodified: tasks that are jobs, and what a failed one said."""

from __future__ import annotations

import pytest

from tests.clients.place import TEXT, counts

pytestmark = pytest.mark.long
CLIENT = "luigi"


def test_tasks_run_and_their_files_are_added_up(place):
    found = {word: int(number) for number, word in map(str.split, place.type("cat commonest").splitlines())}
    assert found == counts(TEXT.read_text())
    jobs = [job for job in place.jobs("SUCCEEDED") if job["jobName"].startswith("batch-job-")]
    assert sorted(job["parameters"]["part"] for job in jobs) == ["0", "1", "2"]


def test_what_a_failed_job_said_reaches_the_client(place):
    """It reads attempts[0].container.logStreamName, and the end of that log."""
    place.site.definition("fail", "sh", "-c", "seq 60; echo no such thing; exit 3")
    said = place.type(
        "PYTHONPATH=../programs ../luigi/bin/python -m luigi --module troubled_luigi Fail --local-scheduler"
        " --retcode-task-failed 1",
        1,
    )
    assert "BatchJobException" in said
    assert "no such thing" in said
    assert "failed: 12\n13\n" in said, "the last fifty lines"
