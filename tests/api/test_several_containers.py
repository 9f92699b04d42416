"""Jobs of several containers through stock boto3: what is shown of their definitions, containers and attempts."""

from __future__ import annotations

import re

import msgspec

from batchyard.model import ids, states
from batchyard.model.tasks import ContainerEnding
from tests.api.caller import signed
from tests.api.memory import Progress
from tests.api.test_batch import ended, refusal, running

NEEDS = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]
MAIN = {
    "name": "main",
    "image": "work:1",
    "command": ["run", "Ref::x"],
    "essential": True,
    "dependsOn": [{"containerName": "first", "condition": "SUCCESS"}],
    "environment": [{"name": "A", "value": "1"}],
    "resourceRequirements": NEEDS,
    "mountPoints": [{"sourceVolume": "v", "containerPath": "/v"}],
    "linuxParameters": {"initProcessEnabled": True},
    "startTimeout": 60,
    "stopTimeout": 5,
}
FIRST = {"name": "first", "image": "work:1", "essential": False, "resourceRequirements": NEEDS}
TASK = {"containers": [FIRST, MAIN], "volumes": [{"name": "v", "host": {}}], "ipcMode": "task", "taskRoleArn": "arn:r"}
LISTS = ("command", "dependsOn", "environment", "mountPoints", "resourceRequirements", "secrets", "ulimits")
SHOWN = {name: [] for name in LISTS} | {"networkInterfaces": []}
OVERRIDE = {"taskProperties": [{"containers": [{"name": "main", "environment": [{"name": "B", "value": "2"}]}]}]}


def define(server, task=TASK, name="several", **members):
    return server.batch.register_job_definition(
        jobDefinitionName=name,
        type="container",
        ecsProperties={"taskProperties": [task]},
        parameters={"x": "1"},
        **members,
    )


def submit(server, **members):
    define(server)
    return server.submit(jobDefinition="several", **members)


def task_of(job):
    (task,) = job["ecsProperties"]["taskProperties"]
    return task


def test_a_definition_comes_back_as_it_was_given_with_empty_lists_where_none_was(server):
    define(server)
    (found,) = server.batch.describe_job_definitions(jobDefinitionName="several")["jobDefinitions"]
    first, main = task_of(found)["containers"]
    assert first == {name: [] for name in LISTS} | FIRST
    assert main == MAIN | {"secrets": [], "ulimits": []}
    assert task_of(found) | {"containers": []} == TASK | {"containers": []}
    assert (found["type"], found["containerOrchestrationType"]) == ("container", "ECS")
    assert "containerProperties" not in found


def test_multi_node_definitions_are_described(server):
    container = {"image": "x", "resourceRequirements": NEEDS}
    ranges = {"numNodes": 2, "mainNode": 0, "nodeRangeProperties": [{"targetNodes": "0:", "container": container}]}
    server.batch.register_job_definition(jobDefinitionName="nodes", type="multinode", nodeProperties=ranges)
    (found,) = server.batch.describe_job_definitions(jobDefinitionName="nodes")["jobDefinitions"]
    assert found["nodeProperties"] == ranges and "containerProperties" not in found


def test_a_submitted_job_shows_its_merged_containers_and_no_container(furnished):
    job = furnished.describe(submit(furnished, ecsPropertiesOverride=OVERRIDE))
    assert "container" not in job and job["attempts"] == []
    first, main = task_of(job)["containers"]
    assert first == SHOWN | FIRST
    given = {"command": ["run", "1"], "environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}
    assert main == SHOWN | MAIN | given
    assert "taskArn" not in task_of(job)


def test_a_job_shows_where_its_containers_are_and_where_they_log_from_its_start_on(furnished):
    job_id = submit(furnished)
    starting = running(1)._replace(started_ms=None)
    furnished.store.states[job_id, ids.WHOLE] = Progress(states.STARTING, attempts=[starting])
    task = ids.task_id(f"{job_id}.1")
    shown = task_of(furnished.describe(job_id))
    assert re.fullmatch(rf"arn:aws:ecs:us-east-1:123456789012:task/AWSBatch-ce-.*/{task}", shown["taskArn"])
    assert ":container-instance/AWSBatch-ce-" in shown["containerInstanceArn"]
    assert [each["logStreamName"] for each in shown["containers"]] == [f"several/first/{task}", f"several/main/{task}"]


def test_each_attempt_tells_how_each_container_ended(furnished):
    job_id = submit(furnished, retryStrategy={"attempts": 2})
    endings = (ContainerEnding("first", 0), ContainerEnding("main", 137, "OutOfMemoryError: Container killed"))
    attempts = [
        ended(1, None, "CannotPullContainerError: no such image", started=False),
        ended(2, 137, "OutOfMemoryError: Container killed")._replace(containers=endings),
    ]
    furnished.store.states[job_id, ids.WHOLE] = Progress(
        states.FAILED, "Essential container in task exited", 1010, 1020, attempts=attempts
    )
    job = furnished.describe(job_id)
    latest = task_of(job)["containers"]
    assert [(each["exitCode"], each.get("reason")) for each in latest] == [endings[0][1:], endings[1][1:]]
    one, two = job["attempts"]
    assert one["container"] == two["container"] == {}
    task = ids.task_id(f"{job_id}.2")
    assert two["taskProperties"] == [
        {
            "taskArn": task_of(job)["taskArn"],
            "containerInstanceArn": task_of(job)["containerInstanceArn"],
            "containers": [
                {"name": "first", "exitCode": 0, "logStreamName": f"several/first/{task}", "networkInterfaces": []},
                {
                    "name": "main",
                    "exitCode": 137,
                    "reason": "OutOfMemoryError: Container killed",
                    "logStreamName": f"several/main/{task}",
                    "networkInterfaces": [],
                },
            ],
        }
    ]
    (failed,) = one["taskProperties"]
    assert [each.get("reason") for each in failed["containers"]] == [None, "CannotPullContainerError: no such image"]
    (listed,) = furnished.batch.list_jobs(jobQueue="q", jobStatus="FAILED")["jobSummaryList"]
    assert listed["container"] == {"exitCode": 137, "reason": "OutOfMemoryError: Container killed"}


def test_children_of_an_array_have_several_containers_too(furnished):
    job_id = submit(furnished, arrayProperties={"size": 2})
    furnished.store.states[job_id, 1] = Progress(states.RUNNING, None, 5010, attempts=[running(1)])
    child = furnished.describe(f"{job_id}:1")
    task = ids.task_id(f"{job_id}:1.1")
    assert task_of(child)["containers"][1]["logStreamName"] == f"several/main/{task}"
    assert "container" not in furnished.describe(job_id)


def test_our_own_route_says_where_each_log_lies(furnished):
    job_id = submit(furnished)
    furnished.store.states[job_id, ids.WHOLE] = Progress(states.RUNNING, None, 5010, attempts=[running(1)])
    answer = signed(furnished.app, "GET", f"/x/jobs/{job_id}")
    (run,) = msgspec.json.decode(answer.body)["runs"]
    assert run["logFile"] is None
    assert [(each["name"], each["logFile"].rpartition("/")[2]) for each in run["containers"]] == [
        ("first", f"{job_id}.1~first.log"),
        ("main", f"{job_id}.1~main.log"),
    ]


def test_refusals_are_told_in_aws_words(server):
    lonely = {"containers": [MAIN | {"dependsOn": [{"containerName": "first", "condition": "HEALTHY"}]}, FIRST]}
    text = refusal(define, server=server, task=TASK | lonely)
    assert text == "TaskContainer dependency HEALTHY is not valid. Valid values are: [START, COMPLETE, SUCCESS]"
