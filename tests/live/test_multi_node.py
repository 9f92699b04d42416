"""Multi-node parallel jobs by stock boto3 on a real site: their nodes run as processes, the main one decides."""

from __future__ import annotations

import botocore.exceptions
import pytest

from tests.harness.site import Site
from tests.live.test_explain import told
from tests.live.test_managed import environment, queue

MAIN = "echo main $AWS_BATCH_JOB_NODE_INDEX of $AWS_BATCH_JOB_NUM_NODES at "
MAIN += "${AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS:-here}"
OTHER = "echo node $AWS_BATCH_JOB_NODE_INDEX of $AWS_BATCH_JOB_NUM_NODES, main $AWS_BATCH_JOB_MAIN_NODE_INDEX at "
OTHER += "$AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("nodes") / "data", "--vcpus", "64", "--memory", "65536")
    site.start()
    environment(site, "several", maxvCpus=64)
    queue(site, "several", "several")
    yield site
    site.destroy()


def container(script: str) -> dict:
    asked = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "256"}]
    return {"image": "none", "command": ["sh", "-c", script], "resourceRequirements": asked}


def define(site, name: str, main: str, others: str, count: int = 3, **more) -> str:
    ranges = [{"targetNodes": "0:", "container": container(others)}, {"targetNodes": "0", "container": container(main)}]
    properties = {"numNodes": count, "mainNode": 0, "nodeRangeProperties": ranges}
    site.client("batch").register_job_definition(
        jobDefinitionName=name, type="multinode", nodeProperties=properties, **more
    )
    return name


def described(site, *job_ids: str) -> list[dict]:
    return site.client("batch").describe_jobs(jobs=list(job_ids))["jobs"]


def submit(site, name: str, **more) -> str:
    return site.client("batch").submit_job(jobName=name, jobQueue="several", jobDefinition=name, **more)["jobId"]


def test_three_nodes_run_and_the_main_one_decides(site):
    ready = site.data.parent / "ready"  # of the data directory jobs see nothing
    others = f"{OTHER}; touch {ready}.$AWS_BATCH_JOB_NODE_INDEX; sleep 300"
    waits = f"while [ ! -e {ready}.1 ] || [ ! -e {ready}.2 ]; do sleep 0.05; done"
    job_id = submit(site, define(site, "three", f"{MAIN}; {waits}", others))
    job = site.finished(job_id)
    assert job["status"] == "SUCCEEDED"
    assert job["nodeProperties"]["numNodes"] == 3 and "container" not in job and "nodeDetails" not in job
    assert job["attempts"][0]["container"]["exitCode"] == 0
    site.wait_for(
        lambda: all(each["status"] == "FAILED" for each in described(site, f"{job_id}#1", f"{job_id}#2")),
        "the other nodes are stopped",
    )
    main, one = described(site, f"{job_id}#0", f"{job_id}#1")
    assert main["nodeDetails"] == {"nodeIndex": 0, "isMainNode": True}
    assert one["nodeDetails"] == {"nodeIndex": 1, "isMainNode": False}
    assert one["container"]["exitCode"] in (137, 143)
    assert site.output(main) == "main 0 of 3 at here\n"
    assert site.output(one) == "node 1 of 3, main 0 at 127.0.0.1\n"
    assert main["container"]["containerInstanceArn"] != one["container"]["containerInstanceArn"]
    batch = site.client("batch")
    listed = batch.list_jobs(multiNodeJobId=job_id, jobStatus="FAILED")["jobSummaryList"]
    assert [each["jobId"] for each in listed] == [f"{job_id}#1", f"{job_id}#2"]
    (whole,) = batch.list_jobs(multiNodeJobId=job_id, jobStatus="SUCCEEDED")["jobSummaryList"]
    assert whole["nodeProperties"] == {"nodeIndex": 0, "isMainNode": True}


def test_a_retry_runs_all_nodes_again(site):
    name = define(site, "again", "[ $AWS_BATCH_JOB_ATTEMPT = 2 ]", "sleep 300", retryStrategy={"attempts": 2})
    job_id = submit(site, name, nodeOverrides={"numNodes": 2})
    job = site.finished(job_id)
    assert (job["status"], len(job["attempts"])) == ("SUCCEEDED", 2)
    site.wait_for(lambda: described(site, f"{job_id}#1")[0]["status"] == "FAILED", "its node is stopped")
    assert len(described(site, f"{job_id}#1")[0]["attempts"]) == 2
    assert described(site, f"{job_id}#2") == []


def seats(target: str, quantity: int, script: str) -> dict:
    """A range whose nodes have so many seats each."""
    asked = {"consumableResourceList": [{"consumableResource": "seats", "quantity": quantity}]}
    return {"targetNodes": target, "container": container(script), "consumableResourceProperties": asked}


def test_the_nodes_have_their_seats_together(site):
    """Two for the main node and one for each other; the next job waits, and is told for what."""
    batch, go = site.client("batch"), site.data.parent / "go"
    batch.create_consumable_resource(consumableResourceName="seats", totalQuantity=4)
    waits = f"while [ ! -e {go} ]; do sleep 0.05; done"
    properties = {"numNodes": 3, "mainNode": 0, "nodeRangeProperties": [seats("0:", 1, waits), seats("0", 2, waits)]}
    batch.register_job_definition(jobDefinitionName="seated", type="multinode", nodeProperties=properties)

    def used() -> int:
        return batch.describe_consumable_resource(consumableResource="seats")["inUseQuantity"]

    first = submit(site, "seated")
    site.wait_for(lambda: used() == 4, "all seats are taken")
    second = submit(site, "seated")
    told(site, second, "It goes next: it asks for 4 of consumable resource seats, of which 0 are available")
    filters = [{"name": "JOB_STATUS", "values": ["RUNNABLE"]}]
    (listed,) = batch.list_jobs_by_consumable_resource(consumableResource="seats", filters=filters)["jobs"]
    assert (listed["jobArn"].split("/")[-1], listed["quantity"]) == (second, 4)
    ranges = described(site, first)[0]["nodeProperties"]["nodeRangeProperties"]
    shown = [each["consumableResourceProperties"]["consumableResourceList"] for each in ranges]
    assert [each["quantity"] for (each,) in shown] == [1, 2]
    go.touch()
    assert [site.finished(each)["status"] for each in (first, second)] == ["SUCCEEDED", "SUCCEEDED"]
    site.wait_for(lambda: used() == 0, "all seats are given back")


def test_a_terminate_stops_all_nodes(site):
    job_id = submit(site, define(site, "stopped", "sleep 300", "sleep 300"))
    site.wait_for(
        lambda: all(each["status"] == "RUNNING" for each in described(site, *(f"{job_id}#{n}" for n in range(3)))),
        "all nodes run",
    )
    batch = site.client("batch")
    with pytest.raises(botocore.exceptions.ClientError, match="cannot be cancelled or terminated by itself"):
        batch.terminate_job(jobId=f"{job_id}#1", reason="enough")
    batch.terminate_job(jobId=job_id, reason="enough")
    assert site.finished(job_id)["statusReason"] == "enough"
    site.wait_for(
        lambda: all(each["status"] == "FAILED" for each in described(site, *(f"{job_id}#{n}" for n in range(3)))),
        "all nodes are over",
    )


def test_what_is_not_possible_is_refused(site):
    batch = site.client("batch")
    name = define(site, "refused", "true", "true")
    with pytest.raises(botocore.exceptions.ClientError, match="cannot be an array"):
        batch.submit_job(jobName="x", jobQueue="several", jobDefinition=name, arrayProperties={"size": 2})
    environment(site, "preempted", "SPOT", spotIamFleetRole="fleet")
    queue(site, "preempted", "preempted")
    with pytest.raises(botocore.exceptions.ClientError, match="has no environment of type EC2"):
        batch.submit_job(jobName="x", jobQueue="preempted", jobDefinition=name)
    with pytest.raises(botocore.exceptions.ClientError, match="targets should match"):
        submit(site, name, nodeOverrides={"nodePropertyOverrides": [{"targetNodes": "1:", "containerOverrides": {}}]})
