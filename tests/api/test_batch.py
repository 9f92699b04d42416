"""The Batch operations through stock boto3, whose parser is the oracle of the answers."""

from __future__ import annotations

import json
import re

import pytest
from botocore.exceptions import ClientError

from batchyard.model import ids, states
from batchyard.model.jobs import CANCEL, TERMINATE
from batchyard.ports import AttemptRow
from tests.api.caller import client, signed
from tests.api.memory import DEFINITIONS, Progress

ARN = "arn:aws:batch:us-east-1:123456789012:"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


def refusal(call, **members) -> str:
    with pytest.raises(ClientError) as raised:
        call(**members)
    error = raised.value.response
    assert error["Error"]["Code"] == "ClientException"
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert error["ResponseMetadata"]["RequestId"]
    return error["Error"]["Message"]


def ended(number: int, exit_code: int | None, reason=None, started=True, at=1000) -> AttemptRow:
    return AttemptRow(
        number, 1, "i-0", at, at + 10 if started else None, at + 20, exit_code, reason,
        "Essential container in task exited", 4096, 5,
    )  # fmt: skip


def running(number: int, at=5000) -> AttemptRow:
    return AttemptRow(number, 1, "i-0", at, at + 10, None, None, None, None, None, None)


# -- compute environments and queues ---------------------------------------------------------------------------------


def test_environment_comes_back_with_what_clients_read(furnished):
    (environment,) = furnished.batch.describe_compute_environments()["computeEnvironments"]
    assert environment["computeEnvironmentArn"] == ARN + "compute-environment/ce"
    assert environment["computeResources"]["type"] == "EC2"  # Metaflow fails without
    assert environment["computeResources"]["maxvCpus"] == 4
    assert environment["ecsClusterArn"].endswith(f"cluster/AWSBatch-ce-{environment['uuid']}")
    assert (environment["type"], environment["state"], environment["status"]) == ("UNMANAGED", "ENABLED", "VALID")
    assert environment["statusReason"] == "ComputeEnvironment Healthy"
    assert environment["containerOrchestrationType"] == "ECS"
    assert environment["tags"] == {}


def test_names_and_arns_lead_to_the_same_and_unknown_ones_nowhere(furnished):
    batch = furnished.batch
    for given in (["q"], [ARN + "job-queue/q"], ["q", ARN + "job-queue/q", "nope"]):
        assert [q["jobQueueName"] for q in batch.describe_job_queues(jobQueues=given)["jobQueues"]][0] == "q"
    for foreign in (ARN.replace("us-east-1", "eu-west-1") + "job-queue/q", ARN.replace("1234", "9999") + "job-queue/q"):
        assert batch.describe_job_queues(jobQueues=[foreign])["jobQueues"] == []
    assert batch.describe_compute_environments(computeEnvironments=["nope"])["computeEnvironments"] == []


def test_queue_is_described_with_arns(furnished):
    (queue,) = furnished.batch.describe_job_queues()["jobQueues"]
    assert queue["jobQueueArn"] == ARN + "job-queue/q"
    assert queue["computeEnvironmentOrder"] == [{"order": 1, "computeEnvironment": ARN + "compute-environment/ce"}]
    assert (queue["state"], queue["status"], queue["statusReason"]) == ("ENABLED", "VALID", "JobQueue Healthy")
    assert queue["jobQueueType"] == "ECS" and "schedulingPolicyArn" not in queue


def test_taken_names_are_refused(furnished):
    order = [{"order": 1, "computeEnvironment": ARN + "compute-environment/ce"}]
    text = refusal(furnished.batch.create_job_queue, jobQueueName="q", priority=1, computeEnvironmentOrder=order)
    assert text == "Object already exists"


def test_regions_are_kept_apart(furnished):
    elsewhere = client(furnished.app, "batch", "eu-west-1")
    job_id = furnished.submit()
    assert elsewhere.describe_job_queues()["jobQueues"] == []
    assert elsewhere.describe_jobs(jobs=[job_id])["jobs"] == []
    elsewhere.terminate_job(jobId=job_id, reason="not mine")
    assert furnished.store.wishes == []
    elsewhere.create_compute_environment(computeEnvironmentName="ce", type="UNMANAGED", serviceRole="batch")
    (environment,) = elsewhere.describe_compute_environments()["computeEnvironments"]
    assert ":eu-west-1:" in environment["computeEnvironmentArn"]
    assert environment["serviceRole"] == "arn:aws:iam::123456789012:role/batch"


def test_pages_of_queues_have_no_gaps(furnished):
    for number in range(6):
        furnished.batch.create_job_queue(
            jobQueueName=f"q{number}", priority=1, computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "ce"}]
        )
    pages = furnished.batch.get_paginator("describe_job_queues").paginate(PaginationConfig={"PageSize": 3})
    sizes = [[queue["jobQueueName"] for queue in page["jobQueues"]] for page in pages]
    assert sizes == [["q", "q0", "q1"], ["q2", "q3", "q4"], ["q5"]]


def test_a_token_fits_its_own_listing_only(furnished):
    for number in range(3):
        furnished.submit(jobName=f"j{number}")
    token = furnished.batch.list_jobs(jobQueue="q", jobStatus="SUBMITTED", maxResults=1)["nextToken"]
    for members in ({"jobQueue": "q", "jobStatus": "FAILED"}, {"jobQueue": "q"}):
        assert "nextToken is not valid" in refusal(furnished.batch.list_jobs, nextToken=token, **members)
    for garbled in ("x", "é", "AAAA", token[:-3], token + "A"):
        text = refusal(furnished.batch.list_jobs, jobQueue="q", jobStatus="SUBMITTED", nextToken=garbled)
        assert "nextToken is not valid" in text


def test_names_and_page_size_exclude_each_other(furnished):
    describe = furnished.batch.describe_compute_environments
    text = refusal(describe, computeEnvironments=["ce"], maxResults=5)
    assert text == "ComputeEnvironments and MaxResults cannot both be set"
    assert "between 1 and 100, got 101" in refusal(describe, maxResults=101)
    assert "between 1 and 100, got 0" in refusal(describe, maxResults=0)


# -- job definitions -------------------------------------------------------------------------------------------------

GIVEN = {
    "image": "busybox:latest",
    "command": ["sh", "-c", "echo Ref::word"],
    "environment": [{"name": "B", "value": ""}, {"name": "A", "value": "1"}],
    "privileged": False,
    "readonlyRootFilesystem": True,
    "linuxParameters": {},
    "volumes": [{"name": "v", "host": {}}, {"name": "w", "host": {"sourcePath": "/odd"}}],
    "mountPoints": [{"containerPath": "/v", "sourceVolume": "v"}],
    "ulimits": [],
    "secrets": [],
    "resourceRequirements": [{"type": "MEMORY", "value": "64"}, {"type": "VCPU", "value": "2"}],
    "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/mine"}},
}


def test_a_definition_comes_back_exactly_as_it_was_given(server):
    """redun compares, and registers again at every run if a list or a boolean differs."""
    other = {
        "parameters": {"word": "hi", "nf-token": "x=1"},
        "retryStrategy": {"attempts": 3, "evaluateOnExit": [{"onReason": "*", "action": "exit"}]},
        "timeout": {"attemptDurationSeconds": 60},
        "tags": {"a": "b"},
        "propagateTags": False,
        "platformCapabilities": ["EC2"],
        "schedulingPriority": 0,
    }
    server.define("whole", container=GIVEN, **other)
    (found,) = server.batch.describe_job_definitions(jobDefinitionName="whole", status="ACTIVE")["jobDefinitions"]
    assert found["containerProperties"] == GIVEN
    assert {name: found[name] for name in other} == other
    assert found["jobDefinitionArn"] == ARN + "job-definition/whole:1"
    assert (found["revision"], found["status"], found["type"]) == (1, "ACTIVE", "container")


def test_absent_lists_are_shown_empty(server):
    server.define("plain")
    (found,) = server.batch.describe_job_definitions()["jobDefinitions"]
    container = found["containerProperties"]
    assert all(container[name] == [] for name in ("volumes", "environment", "mountPoints", "ulimits", "secrets"))
    assert "privileged" not in container
    assert (found["parameters"], found["tags"]) == ({}, {})
    assert "retryStrategy" not in found and "timeout" not in found


def test_revisions_count_up_and_page_newest_first(server):
    for name in ("b", "a", "b", "b"):
        server.define(name)
    names = [
        [f"{d['jobDefinitionName']}:{d['revision']}" for d in page["jobDefinitions"]]
        for page in server.batch.get_paginator("describe_job_definitions").paginate(PaginationConfig={"PageSize": 2})
    ]
    assert names == [["a:1", "b:3"], ["b:2", "b:1"]]


def test_definitions_are_found_by_every_form_of_name(server):
    server.define("d")
    server.define("d")
    describe = server.batch.describe_job_definitions
    for given in ("d:2", ARN + "job-definition/d:2"):
        assert [d["revision"] for d in describe(jobDefinitions=[given])["jobDefinitions"]] == [2]
    assert [d["revision"] for d in describe(jobDefinitions=["d"])["jobDefinitions"]] == [2, 1]
    assert describe(jobDefinitions=["d:9", "no such", "d:latest", "d:0"])["jobDefinitions"] == []
    assert describe(jobDefinitionName="nope")["jobDefinitions"] == []
    assert "cannot both be set" in refusal(describe, jobDefinitions=["d:1"], status="ACTIVE")


# -- submission ------------------------------------------------------------------------------------------------------


def test_a_submitted_job_is_described_at_once(furnished):
    answer = furnished.batch.submit_job(
        jobName="j", jobQueue=ARN + "job-queue/q", jobDefinition=ARN + "job-definition/hello"
    )
    assert UUID.fullmatch(answer["jobId"]) and answer["jobArn"] == ARN + "job/" + answer["jobId"]
    job = furnished.describe(answer["jobId"])
    assert job["status"] == "SUBMITTED"
    assert job["jobQueue"] == ARN + "job-queue/q" and job["jobDefinition"] == ARN + "job-definition/hello:1"
    assert job["retryStrategy"] == {"attempts": 1, "evaluateOnExit": []}
    assert job["container"]["command"] == ["echo", "hi"]
    assert (job["attempts"], job["dependsOn"], job["parameters"], job["tags"]) == ([], [], {}, {})
    assert (job["isCancelled"], job["isTerminated"], job["propagateTags"]) == (False, False, False)
    assert not {"startedAt", "stoppedAt", "statusReason", "timeout", "arrayProperties"} & set(job)
    assert not {"exitCode", "logStreamName", "taskArn"} & set(job["container"])
    assert furnished.describe(answer["jobArn"])["jobId"] == answer["jobId"]


@pytest.mark.parametrize(
    ("definition", "text"),
    [
        ("nope", "JobDefinition name nope does not exist or is not in ACTIVE status"),
        ("hello:9", f"JobDefinition {ARN}job-definition/hello:9 is not in ACTIVE status"),
        (ARN + "job-definition/hello:9", f"JobDefinition {ARN}job-definition/hello:9 is not in ACTIVE status"),
        ("hello:latest", "Provided name hello:latest is not supported pattern[a-zA-Z_0-9-]{1,128}"),
        ("hello:99999999999999999999", "is not supported pattern"),
        ("arn:aws:batch:eu-west-1:123456789012:job-definition/hello:1", "not found."),
    ],
)
def test_unknown_definitions_are_refused_in_aws_words(furnished, definition, text):
    members = {"jobName": "j", "jobQueue": "q", "jobDefinition": definition}
    assert text in refusal(furnished.batch.submit_job, **members)


def test_an_unknown_queue_is_refused_as_it_was_given(furnished):
    members = {"jobName": "j", "jobDefinition": "hello"}
    assert refusal(furnished.batch.submit_job, jobQueue="nope", **members) == "JobQueue nope not found."
    foreign = ARN.replace("us-east-1", "eu-west-1") + "job-queue/q"
    assert refusal(furnished.batch.submit_job, jobQueue=foreign, **members) == f"JobQueue {foreign} not found."


def test_a_deregistered_revision_takes_no_submission(furnished):
    furnished.define("hello")
    furnished.store.inactive.add(DEFINITIONS + 2)
    assert furnished.describe(furnished.submit())["jobDefinition"].endswith("hello:1")
    text = refusal(furnished.batch.submit_job, jobName="j", jobQueue="q", jobDefinition="hello:2")
    assert text.endswith("hello:2 is not in ACTIVE status")


def test_fargate_definitions_are_stored_and_cannot_run_here(furnished):
    container = {
        "executionRoleArn": "arn:aws:iam::123456789012:role/x",
        "resourceRequirements": [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "512"}],
    }
    furnished.define("f", container=container, platformCapabilities=["FARGATE"])
    text = refusal(furnished.batch.submit_job, jobName="j", jobQueue="q", jobDefinition="f")
    assert text == "Job Queue is attached to Compute Environment that can not run Jobs with capability FARGATE."


def test_a_retried_submission_is_the_same_job_and_a_new_one_is_not(furnished):
    body = json.dumps({"jobName": "j", "jobQueue": "q", "jobDefinition": "hello"}).encode()

    def submit(**headers):
        return json.loads(signed(furnished.app, "POST", "/v1/submitjob", body, **headers).body)["jobId"]

    first = submit(amz_sdk_invocation_id="a")
    assert submit(amz_sdk_invocation_id="a") == first
    assert submit(amz_sdk_invocation_id="b") != first
    assert submit() != submit()
    assert furnished.submit() != furnished.submit()  # boto3 sends a new invocation id with every call
    body = body.replace(b'"j"', b'"k"')
    assert submit(amz_sdk_invocation_id="a") != first


def test_dependencies_come_back_as_they_were_given(furnished):
    single, array = furnished.submit(), furnished.submit(arrayProperties={"size": 3})
    asked = [{"jobId": single}, {"jobId": f"{array}:2"}]
    assert furnished.describe(furnished.submit(dependsOn=asked))["dependsOn"] == asked
    asked = [{"jobId": array, "type": "N_TO_N"}, {"type": "SEQUENTIAL"}, {"jobId": single}]
    job_id = furnished.submit(dependsOn=asked, arrayProperties={"size": 3})
    assert furnished.describe(job_id)["dependsOn"] == asked


# -- what became of it -----------------------------------------------------------------------------------------------


def test_a_running_job_shows_its_place_and_log_but_no_attempt(furnished):
    job_id = furnished.submit()
    furnished.store.states[job_id, ids.WHOLE] = Progress(states.RUNNING, None, 5010, attempts=[running(1)])
    job = furnished.describe(job_id)
    task = ids.task_id(f"{job_id}.1")
    assert job["container"]["logStreamName"] == f"hello/default/{task}"
    assert re.fullmatch(rf"arn:aws:ecs:us-east-1:123456789012:task/AWSBatch-ce-.*/{task}", job["container"]["taskArn"])
    assert ":container-instance/AWSBatch-ce-" in job["container"]["containerInstanceArn"]
    assert job["startedAt"] == 5010 and "stoppedAt" not in job and job["attempts"] == []


def test_a_starting_job_has_a_task_and_no_log_yet(furnished):
    job_id = furnished.submit()
    opened = running(1)._replace(started_ms=None)
    furnished.store.states[job_id, ids.WHOLE] = Progress(states.STARTING, attempts=[opened])
    container = furnished.describe(job_id)["container"]
    assert "taskArn" in container and "logStreamName" not in container


def test_a_failed_job_shows_every_attempt_and_the_last_ending(furnished):
    job_id = furnished.submit(retryStrategy={"attempts": 2})
    attempts = [
        ended(1, None, "CannotStartContainerError: no such program", started=False),
        ended(2, 137, "OutOfMemoryError"),
    ]
    furnished.store.states[job_id, ids.WHOLE] = Progress(
        states.FAILED, "Essential container in task exited", 1010, 1020, attempts=attempts
    )
    job = furnished.describe(job_id)
    assert (job["status"], job["startedAt"], job["stoppedAt"]) == ("FAILED", 1010, 1020)
    assert (job["container"]["exitCode"], job["container"]["reason"]) == (137, "OutOfMemoryError")
    first, second = job["attempts"]
    assert "startedAt" not in first and "exitCode" not in first["container"] and first["stoppedAt"] == 1020
    assert first["container"]["reason"].startswith("CannotStartContainerError")
    assert second["container"]["exitCode"] == 137 and "logStreamName" in first["container"]
    assert first["container"]["taskArn"] != second["container"]["taskArn"]
    assert job["container"]["taskArn"] == second["container"]["taskArn"]


def meanwhile(store, *moments):
    """The engine goes on between the reading of the job and that of its attempts: one moment further each time."""
    read, coming = store.attempts, list(moments)

    def attempts(seq, index):
        if coming:
            job_id, progress = coming.pop(0)
            store.states[job_id, ids.WHOLE] = progress
        return read(seq, index)

    store.attempts = attempts
    return coming


def test_a_job_that_ends_while_it_is_read_is_shown_running_or_ended_and_never_half(furnished):
    job_id = furnished.submit()
    furnished.store.states[job_id, ids.WHOLE] = Progress(states.RUNNING, None, 1010, attempts=[running(1)])
    meanwhile(furnished.store, (job_id, Progress(states.FAILED, "x", 1010, 1020, attempts=[ended(1, 3)])))
    job = furnished.describe(job_id)
    assert (job["status"], job["stoppedAt"], job["container"]["exitCode"]) == ("FAILED", 1020, 3)
    assert [attempt["container"]["exitCode"] for attempt in job["attempts"]] == [3]


def test_a_job_that_is_tried_again_while_it_is_read_shows_the_attempts_of_its_status(furnished):
    job_id = furnished.submit(retryStrategy={"attempts": 3})
    furnished.store.states[job_id, ids.WHOLE] = Progress(states.RUNNING, None, 1010, attempts=[running(1)])
    again = Progress(states.RUNNING, None, 2010, attempts=[ended(1, 3), running(2)])
    left = meanwhile(
        furnished.store, (job_id, Progress(states.RUNNABLE, attempts=[ended(1, 3)])), (job_id, again), (job_id, again)
    )
    job = furnished.describe(job_id)
    assert (job["status"], job["startedAt"], len(job["attempts"])) == ("RUNNING", 2010, 1)
    assert "exitCode" not in job["container"] and left == []


def test_a_job_that_never_holds_still_is_shown_all_the_same(furnished):
    job_id = furnished.submit(retryStrategy={"attempts": 10})
    store = furnished.store
    store.states[job_id, ids.WHOLE] = Progress(states.RUNNING, None, 1010, attempts=[running(1)])
    changes = [
        Progress(states.RUNNING, None, 1010, attempts=[*map(ended, range(1, n), [3] * n), running(n)])
        for n in range(2, 11)
    ]
    left = meanwhile(store, *((job_id, each) for each in changes))
    assert furnished.describe(job_id)["status"] == "RUNNING"
    assert left, "it is read a bounded number of times"


def test_a_retried_job_is_runnable_with_one_attempt_and_not_stopped(furnished):
    job_id = furnished.submit(retryStrategy={"attempts": 2})
    furnished.store.states[job_id, ids.WHOLE] = Progress(states.RUNNABLE, "x", 1010, 1020, attempts=[ended(1, 3)])
    job = furnished.describe(job_id)
    assert len(job["attempts"]) == 1 and job["container"]["exitCode"] == 3
    assert "stoppedAt" not in job  # Metaflow takes a job with stoppedAt for done


def test_array_parent_and_child(furnished):
    job_id = furnished.submit(arrayProperties={"size": 3})
    furnished.store.states[job_id, ids.WHOLE] = Progress(states.PENDING)
    furnished.store.states[job_id, 1] = Progress(states.RUNNING, None, 7, attempts=[running(1)])
    parent, child = furnished.batch.describe_jobs(jobs=[job_id, f"{job_id}:1", f"{job_id}:3", f"{job_id}#0"])["jobs"]
    assert parent["arrayProperties"]["statusSummary"] == dict.fromkeys(states.NAMES, 0) | {"SUBMITTED": 2, "RUNNING": 1}
    assert parent["arrayProperties"]["size"] == 3 and "logStreamName" not in parent["container"]
    assert child["jobId"] == f"{job_id}:1" and child["arrayProperties"] == {"index": 1}
    assert child["container"]["logStreamName"] == f"hello/default/{ids.task_id(f'{job_id}:1.1')}"
    assert child["jobArn"] == ARN + f"job/{job_id}:1"


def test_describe_jobs_takes_a_hundred_ids(furnished):
    describe = furnished.batch.describe_jobs
    assert refusal(describe, jobs=["x"] * 101) == "Maximum number of jobs supported is  100 ."
    assert describe(jobs=["nonsense", "", "1e3d0a52-8f0b-4a3d-9d3a-2f4a7f7f0f11"])["jobs"] == []
    assert "jobs is required" in refusal(describe, jobs=[])


def test_terminate_and_cancel(furnished):
    batch, store = furnished.batch, furnished.store
    array = furnished.submit(arrayProperties={"size": 2})
    batch.terminate_job(jobId=f"{array}:1", reason="stop it")
    batch.cancel_job(jobId=array, reason="no need")
    assert [(w.uuid, w.index, w.kind, w.reason) for w in store.wishes] == [
        (array, 1, TERMINATE, "stop it"),
        (array, ids.WHOLE, CANCEL, "no need"),
    ]
    store.wishes.clear()
    done = furnished.submit()
    store.states[done, ids.WHOLE] = Progress(states.SUCCEEDED, "x", 1, 2, attempts=[ended(1, 0)])
    for job_id in (done, "1e3d0a52-8f0b-4a3d-9d3a-2f4a7f7f0f11", f"{array}:2", "nonsense", "\u2603"):
        answer = batch.terminate_job(jobId=job_id, reason="r")
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert store.wishes == []
    text = refusal(batch.terminate_job, jobId=array, reason="")
    assert text == "'reason' is a required field (cannot be an empty string)"
    assert "at most 1024" in refusal(batch.terminate_job, jobId=array, reason="r" * 1025)


def test_flags_say_how_a_job_was_stopped(furnished):
    job_id = furnished.submit()
    furnished.store.states[job_id, ids.WHOLE] = Progress(states.FAILED, "my reason", None, 9, TERMINATE)
    job = furnished.describe(job_id)
    assert (job["isTerminated"], job["isCancelled"], job["statusReason"]) == (True, False, "my reason")
    assert job["stoppedAt"] == 9 and job["attempts"] == [] and "startedAt" not in job


def test_list_jobs_defaults_to_running_and_pages_newest_first(furnished):
    batch, store = furnished.batch, furnished.store
    made = [furnished.submit(jobName=f"j{number}") for number in range(5)]
    assert batch.list_jobs(jobQueue="q")["jobSummaryList"] == []
    store.states[made[3], ids.WHOLE] = Progress(states.RUNNING, None, 1, attempts=[running(1)])
    assert [job["jobId"] for job in batch.list_jobs(jobQueue="q")["jobSummaryList"]] == [made[3]]
    pages = batch.get_paginator("list_jobs").paginate(
        jobQueue="q", jobStatus="SUBMITTED", PaginationConfig={"PageSize": 2}
    )
    assert [[j["jobName"] for j in page["jobSummaryList"]] for page in pages] == [["j4", "j2"], ["j1", "j0"]]
    store.states[made[0], ids.WHOLE] = Progress(states.FAILED, "why", 1, 2, attempts=[ended(1, 4, "because")])
    (failed,) = batch.list_jobs(jobQueue="q", jobStatus="FAILED")["jobSummaryList"]
    assert failed["container"] == {"exitCode": 4, "reason": "because"}
    assert (failed["statusReason"], failed["startedAt"], failed["stoppedAt"]) == ("why", 1, 2)


def test_list_children_by_index(furnished):
    array = furnished.submit(arrayProperties={"size": 5})
    furnished.store.states[array, 2] = Progress(states.RUNNING, attempts=[running(1)])
    pages = furnished.batch.get_paginator("list_jobs").paginate(
        arrayJobId=array, jobStatus="SUBMITTED", PaginationConfig={"PageSize": 3}
    )
    found = [[job["arrayProperties"]["index"] for job in page["jobSummaryList"]] for page in pages]
    assert found == [[0, 1, 3], [4]]
    assert furnished.batch.list_jobs(arrayJobId=f"{array}:1", jobStatus="SUBMITTED")["jobSummaryList"] == []
    (parent,) = furnished.batch.list_jobs(jobQueue="q", jobStatus="SUBMITTED")["jobSummaryList"]
    assert parent["jobId"] == array and parent["arrayProperties"]["size"] == 5


def test_list_jobs_wants_one_selector(furnished):
    list_jobs = furnished.batch.list_jobs
    assert "exactly one" in refusal(list_jobs)
    assert "jobQueue and arrayJobId" in refusal(list_jobs, jobQueue="q", arrayJobId="x")
    assert refusal(list_jobs, jobQueue="nope") == "JobQueue nope not found."
    assert list_jobs(multiNodeJobId="x")["jobSummaryList"] == list_jobs(arrayJobId="x")["jobSummaryList"] == []
    assert "between 1 and 1000" in refusal(list_jobs, jobQueue="q", maxResults=1001)


def test_operations_to_come_say_so(furnished):
    text = refusal(furnished.batch.list_service_jobs, jobQueue="q")
    assert text.startswith("ListServiceJobs is not supported yet by Batchyard")
