"""Update, Delete and Deregister through stock boto3, whose parser is the oracle of the answers."""

from __future__ import annotations

import json

import pytest

from batchyard.model import states
from tests.api.caller import signed
from tests.api.test_batch import ARN, refusal

ROLE = "arn:aws:iam::123456789012:role/other"
MODIFIED = "resource is being modified"


def environment(server, name="ce") -> dict:
    (found,) = server.batch.describe_compute_environments(computeEnvironments=[name])["computeEnvironments"]
    return found


def queue(server, name="q") -> dict:
    (found,) = server.batch.describe_job_queues(jobQueues=[name])["jobQueues"]
    return found


def another(server, name="other") -> str:
    server.batch.create_compute_environment(computeEnvironmentName=name, type="UNMANAGED", serviceRole="any")
    return ARN + f"compute-environment/{name}"


# -- UpdateComputeEnvironment ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["ce", ARN + "compute-environment/ce"])
def test_an_environment_is_updated_by_name_or_arn(furnished, given):
    answer = furnished.batch.update_compute_environment(
        computeEnvironment=given, state="DISABLED", serviceRole=ROLE, unmanagedvCpus=7, context="mine"
    )
    assert answer["computeEnvironmentName"] == "ce"
    assert answer["computeEnvironmentArn"] == ARN + "compute-environment/ce"
    found = environment(furnished)
    assert (found["state"], found["status"], found["serviceRole"]) == ("DISABLED", "VALID", ROLE)
    assert (found["unmanagedvCpus"], found["context"]) == (7, "mine")
    furnished.batch.update_compute_environment(computeEnvironment=given, state="ENABLED")
    found = environment(furnished)
    assert (found["state"], found["serviceRole"], found["unmanagedvCpus"]) == ("ENABLED", ROLE, 7)


@pytest.mark.parametrize("members", [{}, {"context": "x"}, {"updatePolicy": {"terminateJobsOnUpdate": True}}])
def test_an_update_without_a_real_change_is_refused_in_aws_words(furnished, members):
    text = refusal(furnished.batch.update_compute_environment, computeEnvironment="ce", **members)
    assert text == "One of [state | compute-resources | service-role | unmanaged-vcpus] is required."


def test_changes_of_infrastructure_are_refused_by_name(furnished):
    text = refusal(
        furnished.batch.update_compute_environment,
        computeEnvironment="ce",
        state="DISABLED",
        computeResources={"maxvCpus": 9},
    )
    assert "computeResources cannot be changed of ce, an UNMANAGED compute environment" in text
    assert environment(furnished)["state"] == "ENABLED", "nothing of it was stored"
    text = refusal(
        furnished.batch.update_compute_environment,
        computeEnvironment="ce",
        state="DISABLED",
        updatePolicy={"terminateJobsOnUpdate": True},
    )
    assert "Leave updatePolicy out." in text


@pytest.mark.parametrize("given", ["none", ARN + "compute-environment/none", "arn:aws:batch:eu-west-1:1:x/ce"])
@pytest.mark.parametrize("verb", ["update", "delete"])
def test_an_unknown_environment_does_not_exist(furnished, given, verb):
    more = {"state": "DISABLED"} if verb == "update" else {}
    call = getattr(furnished.batch, f"{verb}_compute_environment")
    assert refusal(call, computeEnvironment=given, **more) == f"{given} does not exist"


# -- UpdateJobQueue ----------------------------------------------------------------------------------------------------


def test_a_queue_is_updated_member_by_member(furnished):
    second = another(furnished)
    answer = furnished.batch.update_job_queue(jobQueue="q", priority=9)
    assert answer["jobQueueName"] == "q" and answer["jobQueueArn"] == ARN + "job-queue/q"
    furnished.batch.update_job_queue(jobQueue=ARN + "job-queue/q", state="DISABLED")
    order = [{"order": 5, "computeEnvironment": second}, {"order": 2, "computeEnvironment": "ce"}]
    furnished.batch.update_job_queue(jobQueue="q", computeEnvironmentOrder=order)
    found = queue(furnished)
    assert (found["priority"], found["state"], found["status"]) == (9, "DISABLED", "VALID")
    assert found["computeEnvironmentOrder"] == [
        {"order": 2, "computeEnvironment": ARN + "compute-environment/ce"},
        {"order": 5, "computeEnvironment": second},
    ]
    assert furnished.store.new_queues[0].environments == (1, 2)


def test_a_disabled_queue_takes_no_jobs_until_it_is_enabled(furnished):
    furnished.submit()
    furnished.batch.update_job_queue(jobQueue="q", state="DISABLED")
    given = {"jobName": "j", "jobQueue": "q", "jobDefinition": "hello"}
    assert "JobQueue q is DISABLED" in refusal(furnished.batch.submit_job, **given)
    furnished.batch.update_job_queue(jobQueue="q", state="ENABLED")
    furnished.submit()


def test_time_limits_are_kept_as_given_replaced_whole_and_cleared(furnished):
    limit = {"reason": "ANY", "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "CANCEL"}
    one = limit | {"reason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"}
    two = limit | {"reason": "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE", "maxTimeSeconds": 86_400}
    assert queue(furnished)["jobStateTimeLimitActions"] == []
    for limits in ([one, two], [two], []):
        furnished.batch.update_job_queue(jobQueue="q", jobStateTimeLimitActions=limits)
        assert queue(furnished)["jobStateTimeLimitActions"] == limits
    order = [{"order": 1, "computeEnvironment": "ce"}]
    furnished.batch.create_job_queue(
        jobQueueName="limited", priority=1, computeEnvironmentOrder=order, jobStateTimeLimitActions=[one]
    )
    (found,) = furnished.batch.describe_job_queues(jobQueues=["limited"])["jobQueues"]
    assert found["jobStateTimeLimitActions"] == [one]


def test_updates_of_queues_that_mean_nothing_are_refused(furnished):
    update = furnished.batch.update_job_queue
    assert "names nothing to change of job queue q" in refusal(update, jobQueue="q")
    limit = {"reason": "MISCONFIGURATION:", "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "CANCEL"}
    text = refusal(update, jobQueue="q", priority=3, jobStateTimeLimitActions=[limit])
    assert "jobStateTimeLimitActions[0].reason is 'MISCONFIGURATION:', which is none of the reasons" in text
    assert queue(furnished)["priority"] == 1, "nothing of it was stored"
    update(jobQueue="q", jobStateTimeLimitActions=[])
    assert refusal(update, jobQueue="none", priority=3) == "none does not exist"
    policy = ARN + "scheduling-policy/fair"
    assert refusal(update, jobQueue="q", schedulingPolicyArn=policy) == f"SchedulingPolicy {policy} not found."


# -- DeleteJobQueue and DeleteComputeEnvironment -----------------------------------------------------------------------


def test_a_queue_is_deleted_in_the_order_of_the_guide(furnished):
    batch = furnished.batch
    job = furnished.submit()
    assert "state must be DISABLED" in refusal(batch.delete_job_queue, jobQueue="q")
    batch.update_job_queue(jobQueue="q", state="DISABLED")
    batch.delete_job_queue(jobQueue=ARN + "job-queue/q")
    found = queue(furnished)
    assert (found["status"], found["state"]) == ("DELETING", "DISABLED")
    assert refusal(batch.delete_job_queue, jobQueue="q") == f"Cannot delete, {MODIFIED}"
    assert refusal(batch.update_job_queue, jobQueue="q", priority=2) == f"Cannot update, {MODIFIED}"
    given = {"jobName": "j", "jobQueue": "q", "jobDefinition": "hello"}
    assert "JobQueue q is DISABLED" in refusal(batch.submit_job, **given)
    order = [{"order": 1, "computeEnvironment": "ce"}]
    assert refusal(batch.create_job_queue, jobQueueName="q", priority=1, computeEnvironmentOrder=order) == (
        "Object already exists"
    )
    furnished.store.places[furnished.store.queue("us-east-1", "q").id] = states.DELETED
    assert batch.describe_job_queues(jobQueues=["q"])["jobQueues"] == batch.describe_job_queues()["jobQueues"] == []
    assert refusal(batch.delete_job_queue, jobQueue="q") == "q does not exist"
    assert refusal(batch.submit_job, **given) == "JobQueue q not found."
    assert furnished.describe(job)["jobQueue"] == ARN + "job-queue/q"
    batch.create_job_queue(jobQueueName="q", priority=1, computeEnvironmentOrder=order)
    again = furnished.submit()
    assert [each["jobId"] for each in batch.list_jobs(jobQueue="q", jobStatus="SUBMITTED")["jobSummaryList"]] == [again]


def test_an_environment_is_deleted_once_no_queue_names_it(furnished):
    batch = furnished.batch
    assert "state must be DISABLED" in refusal(batch.delete_compute_environment, computeEnvironment="ce")
    batch.update_compute_environment(computeEnvironment="ce", state="DISABLED")
    text = refusal(batch.delete_compute_environment, computeEnvironment="ce")
    assert text == "Cannot delete, found existing JobQueue relationship"
    another(furnished)
    order = [{"order": 1, "computeEnvironment": "other"}]
    batch.update_job_queue(jobQueue="q", computeEnvironmentOrder=order)
    batch.delete_compute_environment(computeEnvironment="ce")
    assert environment(furnished)["status"] == "DELETING"
    assert refusal(batch.delete_compute_environment, computeEnvironment="ce") == f"Cannot delete, {MODIFIED}"
    text = refusal(batch.update_compute_environment, computeEnvironment="ce", state="ENABLED")
    assert text == f"Cannot update, {MODIFIED}"
    valid = "Compute Environments must be created and valid before attaching them to a job queue"
    order = [{"order": 1, "computeEnvironment": "ce"}]
    assert refusal(batch.update_job_queue, jobQueue="q", computeEnvironmentOrder=order) == valid
    assert refusal(batch.create_job_queue, jobQueueName="r", priority=1, computeEnvironmentOrder=order) == valid


def test_a_repeated_try_of_one_call_is_answered_as_the_first(furnished):
    furnished.batch.update_job_queue(jobQueue="q", state="DISABLED")
    body = json.dumps({"jobQueue": "q"}).encode()
    for invocation, status in (("one", 200), ("one", 200), ("two", 400)):
        answer = signed(furnished.app, "POST", "/v1/deletejobqueue", body, amz_sdk_invocation_id=invocation)
        assert answer.status == status, answer.body
    assert MODIFIED.encode() in answer.body


# -- DeregisterJobDefinition -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["hello:1", ARN + "job-definition/hello:1"])
def test_a_deregistered_revision_is_shown_and_takes_no_jobs(furnished, given):
    batch = furnished.batch
    job = furnished.submit()  # which makes the definition ready for use, and it stays so
    batch.deregister_job_definition(jobDefinition=given)
    (found,) = batch.describe_job_definitions(jobDefinitions=["hello:1"])["jobDefinitions"]
    assert found["status"] == "INACTIVE"
    assert batch.describe_job_definitions(jobDefinitionName="hello", status="ACTIVE")["jobDefinitions"] == []
    submission = {"jobName": "j", "jobQueue": "q"}
    arn = ARN + "job-definition/hello:1"
    for named in ("hello:1", arn):
        text = refusal(batch.submit_job, jobDefinition=named, **submission)
        assert text == f"JobDefinition {arn} is not in ACTIVE status"
    text = refusal(batch.submit_job, jobDefinition="hello", **submission)
    assert text == "JobDefinition name hello does not exist or is not in ACTIVE status"
    assert furnished.describe(job)["jobDefinition"] == arn
    batch.deregister_job_definition(jobDefinition=given)  # once more is no harm


def test_a_bare_name_takes_the_highest_active_revision(furnished):
    furnished.define("hello")
    furnished.batch.deregister_job_definition(jobDefinition="hello:2")
    job = furnished.submit()
    assert furnished.describe(job)["jobDefinition"].endswith("hello:1")
    assert furnished.define("hello")["revision"] == 3, "numbers are never used twice"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("hello", "jobDefinition hello names no revision, and revisions are deregistered one by one. Add one, such as"),
        ("hello:9", "hello:9 does not exist"),
        (ARN + "job-definition/none:1", "does not exist"),
        ("arn:aws:batch:eu-west-1:123456789012:job-definition/hello:1", "does not exist"),
        ("hello:0", "Provided name hello:0 is not supported pattern"),
    ],
)
def test_what_is_no_known_revision_cannot_be_deregistered(furnished, given, text):
    assert text in refusal(furnished.batch.deregister_job_definition, jobDefinition=given)
