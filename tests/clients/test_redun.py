"""redun, unmodified: equal tasks as an array job, errors and logs that come back, jobs that outlive their client."""

from __future__ import annotations

import os
import re
import signal

import pytest

pytestmark = pytest.mark.long
CLIENT = "redun"
RUN = "../redun/bin/redun -c config run"  # the page ends in a directory of its own
TROUBLED = f"cp ../programs/troubled.py . && {RUN} troubled.py"


def definitions(place) -> list[dict]:
    every = place.site.client("batch").describe_job_definitions()["jobDefinitions"]
    return [each for each in every if each["jobDefinitionName"].endswith("-redun-jd")]


def test_equal_tasks_run_as_one_array(place):
    add, array = (job for job in place.jobs("SUCCEEDED") if "redun_task_name" in job["tags"])
    assert array["arrayProperties"]["size"] == 6
    assert array["jobName"].endswith("-array")
    child = place.site.describe(f"{array['jobId']}:4")
    assert re.search(r"counted \d+ words", place.site.output(child))
    assert "arrayProperties" not in add
    assert add["tags"]["redun_task_name"] == "words.add"


def test_the_next_run_finds_its_job_definition_again(place):
    """It compares what DescribeJobDefinitions shows with what it would register, lists and booleans and all."""
    assert len(definitions(place)) == 1
    said = place.type(f"printf 'one two two\\n' >other && {RUN} words.py main --text other")
    assert said.strip().endswith("[('two', 2), ('one', 1)]")
    (definition,) = definitions(place)
    assert definition["containerProperties"]["privileged"] is False


def test_the_error_of_a_task_reaches_the_client(place):
    said = place.type(f"{TROUBLED} refuse --what bread", 1)
    assert "ValueError: no bread today" in said
    assert "CloudWatch logs for AWS Batch job" in said
    assert "looking at bread" in said
    assert "statusReason: Essential container in task exited" in said


def test_what_a_task_said_before_it_vanished_reaches_the_client(place):
    assert "last words" in place.type(f"{TROUBLED} vanish", 1)
    assert place.jobs("FAILED")[0]["container"]["exitCode"] == 9


def test_a_client_that_was_killed_finds_its_jobs_again(place):
    flag = place.home / "flag"
    command = f"{RUN} troubled.py wait_all --flag {flag}"
    place.type("cp ../programs/troubled.py .")
    client = place.type_behind(command)
    place.site.wait_for(lambda: place.jobs("RUNNING") and place.jobs("PENDING"), "a job and an array run", 60)
    started = {job["jobId"] for job in place.jobs("RUNNING", "PENDING")}
    os.kill(client, signal.SIGKILL)
    place.type(f"wait {client}", 128 + signal.SIGKILL)
    client = place.type_behind(command)
    place.site.wait_for(lambda: place.said_behind().count("reunite redun job") == 6, "it finds all six again", 60)
    flag.touch()
    place.type(f"wait {client}")
    assert place.said_behind().strip().endswith("[1000, 0, 1, 2, 3, 4]")
    assert {job["jobId"] for job in place.jobs()[:2]} == started
