"""Update, delete and deregister against a real server: boto3 and the aws CLI, real processes, a restart."""

from __future__ import annotations

import json

import botocore.exceptions
import pytest

from tests.live.test_aws_cli import aws, refused

ROLE = "arn:aws:iam::123456789012:role/batch"


def environment(site, name: str) -> str:
    site.client("batch").create_compute_environment(computeEnvironmentName=name, type="UNMANAGED", serviceRole=ROLE)
    return name


def queues(site, *names: str) -> list[dict]:
    return site.client("batch").describe_job_queues(jobQueues=list(names))["jobQueues"]


def environments(site, *names: str) -> list[dict]:
    return site.client("batch").describe_compute_environments(computeEnvironments=list(names))["computeEnvironments"]


def test_what_runs_ends_when_its_queue_is_deleted_and_the_name_is_free(site):
    batch, queue = site.client("batch"), site.queue("short")
    site.definition("long", "sleep", "600", vcpus=4)
    running, waiting = site.submit(queue, "long"), site.submit(queue, "long")
    array = site.submit(queue, "long", arrayProperties={"size": 5})
    pending = site.submit(queue, "long", dependsOn=[{"jobId": running}])
    site.wait_for(lambda: site.describe(running)["status"] == "RUNNING", "the first one runs")
    with pytest.raises(botocore.exceptions.ClientError, match="state must be DISABLED"):
        batch.delete_job_queue(jobQueue=queue)
    batch.update_job_queue(jobQueue=queue, state="DISABLED")
    assert site.describe(running)["status"] == "RUNNING", "a disabled queue runs what it holds"
    batch.delete_job_queue(jobQueue=queue)
    site.wait_for(lambda: not queues(site, queue), "the queue is gone")
    for job in (running, waiting, array, f"{array}:4", pending):
        end = site.describe(job)
        assert (end["status"], end["statusReason"]) == ("FAILED", "JobQueue deleted")
        assert end["jobQueue"].endswith(":job-queue/short")
    assert site.describe(running)["container"]["exitCode"] == 143
    with pytest.raises(botocore.exceptions.ClientError, match="JobQueue short not found"):
        site.submit(queue, "long")
    site.definition("true", "true")
    again = site.submit(site.queue("short"), "true")
    assert site.finished(again)["status"] == "SUCCEEDED"
    listed = batch.list_jobs(jobQueue="short", jobStatus="FAILED")["jobSummaryList"]
    assert listed == [], "the jobs of the old queue are not those of the new one"


def test_a_queue_moves_and_its_old_environment_goes_when_the_last_job_in_it_has_ended(site, tmp_path):
    batch, old, new = site.client("batch"), environment(site, "old"), environment(site, "new")
    go = tmp_path / "go"
    order = [{"order": 1, "computeEnvironment": old}]
    batch.create_job_queue(jobQueueName="moving", priority=1, computeEnvironmentOrder=order)
    site.definition("until", "sh", "-c", f"until [ -e {go} ]; do sleep 0.05; done; echo $AWS_BATCH_CE_NAME")
    site.definition("where", "sh", "-c", "echo $AWS_BATCH_CE_NAME")
    first = site.submit("moving", "until")
    site.wait_for(lambda: site.describe(first)["status"] == "RUNNING", "the first one runs")
    batch.update_compute_environment(computeEnvironment=old, state="DISABLED")
    second = site.submit("moving", "where")
    with pytest.raises(botocore.exceptions.ClientError, match="found existing JobQueue relationship"):
        batch.delete_compute_environment(computeEnvironment=old)
    batch.update_job_queue(jobQueue="moving", computeEnvironmentOrder=[{"order": 1, "computeEnvironment": new}])
    assert site.output(site.finished(second)) == "new\n"
    batch.delete_compute_environment(computeEnvironment=old)
    (leaving,) = environments(site, old)
    assert (leaving["status"], leaving["state"]) == ("DELETING", "DISABLED")
    go.touch()
    end = site.finished(first)
    assert end["status"] == "SUCCEEDED" and site.output(end) == "old\n"
    site.wait_for(lambda: not environments(site, old), "the environment is gone")
    assert "/AWSBatch-old-" in site.describe(first)["container"]["taskArn"]
    environment(site, "old")  # the name is free


def test_deletion_goes_on_after_the_engine_is_killed(fresh_site):
    site, batch = fresh_site, fresh_site.client("batch")
    queue = site.queue("q")
    site.definition("long", "sleep", "600", vcpus=4)
    jobs = [site.submit(queue, "long") for _ in range(3)]
    jobs += [f"{site.submit(queue, 'long', arrayProperties={'size': 9000})}:8999"]
    site.wait_for(lambda: site.describe(jobs[0])["status"] == "RUNNING", "the first one runs")
    batch.update_job_queue(jobQueue=queue, state="DISABLED")
    (engine,) = site.pids("engine")
    site.kill(engine)
    batch.delete_job_queue(jobQueue=queue)
    site.wait_for(lambda: site.pids("engine") not in ([], [engine]), "the engine is back")
    for pid in site.pids("engine"):
        site.kill(pid)
    site.wait_for(lambda: not queues(site, queue), "the queue is gone")
    assert {site.describe(job)["statusReason"] for job in jobs} == {"JobQueue deleted"}


def test_the_command_line_changes_and_deletes(site):
    name = environment(site, "cli-changes")
    answer = aws(site, "batch", "update-compute-environment", "--compute-environment", name, "--state", "DISABLED",
                 "--service-role", "arn:aws:iam::123456789012:role/next")  # fmt: skip
    assert answer["computeEnvironmentName"] == name
    (shown,) = aws(site, "batch", "describe-compute-environments", "--compute-environments", name)[
        "computeEnvironments"
    ]
    assert (shown["state"], shown["serviceRole"]) == ("DISABLED", "arn:aws:iam::123456789012:role/next")
    said = refused(site, "batch", "update-compute-environment", "--compute-environment", name)
    assert "One of [state | compute-resources | service-role | unmanaged-vcpus] is required." in said
    aws(site, "batch", "create-job-queue", "--job-queue-name", name, "--priority", "1",
        "--compute-environment-order", f"order=1,computeEnvironment={name}")  # fmt: skip
    aws(site, "batch", "update-job-queue", "--job-queue", name, "--priority", "7", "--state", "DISABLED")
    (shown,) = aws(site, "batch", "describe-job-queues", "--job-queues", name)["jobQueues"]
    assert (shown["priority"], shown["state"]) == (7, "DISABLED")
    aws(site, "batch", "delete-job-queue", "--job-queue", shown["jobQueueArn"])
    site.wait_for(lambda: not queues(site, name), "the queue is gone")
    aws(site, "batch", "delete-compute-environment", "--compute-environment", name)
    site.wait_for(lambda: not environments(site, name), "the environment is gone")
    said = refused(site, "batch", "delete-job-queue", "--job-queue", name)
    assert f"(ClientException) when calling the DeleteJobQueue operation: {name} does not exist" in said


def test_a_deregistered_definition_lets_its_jobs_go_on(site):
    queue, batch = site.queue("deregistering"), site.client("batch")
    site.definition("brief", "sh", "-c", "sleep 0.5; echo done")
    jobs = [site.submit(queue, "brief:1"), site.submit(queue, "brief", arrayProperties={"size": 8})]
    aws(site, "batch", "deregister-job-definition", "--job-definition", "brief:1")
    with pytest.raises(botocore.exceptions.ClientError, match="brief:1 is not in ACTIVE status"):
        site.submit(queue, "brief:1")
    assert [site.finished(job)["status"] for job in jobs] == ["SUCCEEDED"] * 2
    assert site.output(site.describe(jobs[0])) == "done\n"
    arn = site.describe(jobs[0])["jobDefinition"]
    batch.deregister_job_definition(jobDefinition=arn)
    (shown,) = batch.describe_job_definitions(jobDefinitions=[arn])["jobDefinitions"]
    assert shown["status"] == "INACTIVE" and json.dumps(shown["containerProperties"]["command"])
