"""Metaflow, unmodified: a flow whose steps are jobs; its artifacts, its logs, its own view of its jobs."""

from __future__ import annotations

import json

import pytest

from tests.clients.place import TEXT, counts

pytestmark = pytest.mark.long
CLIENT = "metaflow"


def ask(place, about: str):
    """An expression about `run`, the run that the page has started, by Metaflow's own client."""
    code = f"import json, metaflow; run = metaflow.Flow('Words').latest_run; print(json.dumps({about}))"
    return json.loads(place.type(f'metaflow/bin/python -c "{code}"').splitlines()[-1])


def test_a_flow_runs_to_its_end_and_brings_its_artifacts_back(place):
    assert ask(place, "run.successful")
    assert ask(place, "run.data.counts") == counts(TEXT.read_text())
    assert sorted(ask(place, "[step.id for step in run]")) == ["add", "count", "end", "start"]


def test_a_step_that_fails_once_is_tried_again(place):
    steps = [job for job in place.jobs() if "metaflow.step_name" in job["parameters"]]
    assert [job["status"] for job in steps].count("SUCCEEDED") == len(steps) - 1 == 4
    (failed,) = (job for job in steps if job["status"] == "FAILED")
    assert (failed["container"]["exitCode"], failed["parameters"]["metaflow.retry_count"]) == (1, "0")
    (again,) = (job for job in steps if job["parameters"]["metaflow.retry_count"] == "1")
    assert again["parameters"]["metaflow.task_id"] == failed["parameters"]["metaflow.task_id"]
    assert "RuntimeError: not today" in place.site.output(failed)


def test_its_logs_command_shows_what_each_part_said(place):
    logs = place.type(f"metaflow/bin/python examples/metaflow/words.py logs {ask(place, 'run.id')}/count")
    for line in ("part 0, attempt 0", "part 1, attempt 0", "part 2, attempt 1"):
        assert line in logs


def test_a_task_knows_the_job_that_ran_it(place):
    jobs = {job["jobId"]: job for job in place.jobs("SUCCEEDED")}
    for about in ask(place, "[task.metadata_dict for task in run['count']]"):
        assert about["aws-batch-jq-name"] == "default"
        assert about["aws-batch-job-attempt"] == "1"
        assert about["aws-batch-execution-env"] == "AWS_ECS_EC2"
        assert jobs[about["aws-batch-job-id"]]["parameters"]["metaflow.step_name"] == "count"


def test_a_later_step_of_equal_needs_finds_the_job_definition_of_an_earlier_one(place):
    """By name and ACTIVE. (Tasks that start at the same time may each register it: that is Metaflow's own race.)"""
    made_by = {"count": set(), "add": set()}
    for job in place.jobs():
        if "metaflow.step_name" in job["parameters"]:
            made_by[job["parameters"]["metaflow.step_name"]].add(job["jobDefinition"])
    assert made_by["add"] <= made_by["count"]
    definitions = place.site.client("batch").describe_job_definitions(jobDefinitions=list(made_by["count"]))
    for each in definitions["jobDefinitions"]:
        assert each["containerProperties"]["linuxParameters"] == {}, "as it was registered"


def test_its_batch_commands_list_and_kill_what_runs(place):
    flow = "metaflow/bin/python programs/sleeper.py"
    run = place.type_behind(f"{flow} run")
    job = place.running()
    assert f"{job['jobName']} [{job['jobId']}] (RUNNING)" in place.type(f"{flow} batch list --my-runs")
    assert f"Killing AWS Batch job: {job['jobName']}" in place.type(f"{flow} batch kill --my-runs")
    place.type(f"wait {run}", 1)
    killed = place.site.finished(job["jobId"])
    assert (killed["status"], killed["statusReason"]) == ("FAILED", "Metaflow initiated job termination.")
    assert "No running AWS Batch jobs found." in place.type(f"{flow} batch list --my-runs")
