"""Tags through stock boto3: they are shown as they are now, wherever the resource is described."""

from __future__ import annotations

import pytest

from tests.api.caller import client, signed
from tests.api.test_batch import ARN, refusal


@pytest.fixture
def batch(furnished):
    return furnished.batch


def everything(furnished) -> dict[str, tuple[str, object]]:
    """By kind: the ARN of a resource, and what asks for the tags that Describe shows."""
    batch = furnished.batch
    job = furnished.submit(tags={"kind": "job"}, arrayProperties={"size": 2})
    revision = furnished.define("hello", tags={"kind": "definition"})["jobDefinitionArn"]
    return {
        "environment": (
            ARN + "compute-environment/ce",
            lambda: batch.describe_compute_environments(computeEnvironments=["ce"])["computeEnvironments"],
        ),
        "queue": (ARN + "job-queue/q", lambda: batch.describe_job_queues(jobQueues=["q"])["jobQueues"]),
        "definition": (
            revision,
            lambda: batch.describe_job_definitions(jobDefinitions=[revision])["jobDefinitions"],
        ),
        "job": (ARN + f"job/{job}", lambda: batch.describe_jobs(jobs=[job])["jobs"]),
    }


@pytest.mark.parametrize("kind", ["environment", "queue", "definition", "job"])
def test_tags_are_changed_listed_and_described(furnished, kind):
    batch = furnished.batch
    arn, describe = everything(furnished)[kind]
    (described,) = describe()
    first = described["tags"]
    assert batch.list_tags_for_resource(resourceArn=arn)["tags"] == first
    batch.tag_resource(resourceArn=arn, tags={"kind": "changed", "é:/ +": ""})
    batch.tag_resource(resourceArn=arn, tags={"more": "1", "twice": "2"})
    batch.untag_resource(resourceArn=arn, tagKeys=["twice", "never there"])
    now = first | {"kind": "changed", "é:/ +": "", "more": "1"}
    assert batch.list_tags_for_resource(resourceArn=arn)["tags"] == now
    (described,) = describe()
    assert described["tags"] == now
    batch.untag_resource(resourceArn=arn, tagKeys=list(now))
    (described,) = describe()
    assert described["tags"] == {} == batch.list_tags_for_resource(resourceArn=arn)["tags"]


def test_the_arn_may_stand_in_the_path_as_it_is(furnished):
    answer = signed(furnished.app, "GET", "/v1/tags/" + ARN + "job-queue/q")
    assert (answer.status, answer.body) == (200, b'{"tags":{}}')


def test_tags_belong_to_one_revision(batch, furnished):
    first, second = ARN + "job-definition/hello:1", furnished.define("hello")["jobDefinitionArn"]
    batch.tag_resource(resourceArn=first, tags={"a": "1"})
    assert batch.list_tags_for_resource(resourceArn=second)["tags"] == {}
    text = refusal(batch.list_tags_for_resource, resourceArn=ARN + "job-definition/hello")
    assert "names no revision" in text and "hello:1" in text


def test_children_of_arrays_bear_no_tags(batch, furnished):
    job = furnished.submit(arrayProperties={"size": 2})
    for call, more in (
        (batch.list_tags_for_resource, {}),
        (batch.tag_resource, {"tags": {"a": "1"}}),
        (batch.untag_resource, {"tagKeys": ["a"]}),
    ):
        text = refusal(call, resourceArn=ARN + f"job/{job}:1", **more)
        assert text.endswith(f"is a child of an array job, and children bear no tags. Tag the array: {ARN}job/{job}.")


@pytest.mark.parametrize(
    "arn",
    [
        ARN + "job-queue/nope",
        ARN + "compute-environment/nope",
        ARN + "job-definition/nope:1",
        ARN + "job-definition/hello:9",
        ARN + "job/00000000-0000-4000-8000-000000000000",
        ARN + "job/nope",
        ARN + "scheduling-policy/p",
        ARN + "service-job/x",
        ARN + "job-queue/q/quota-share/s",
        ARN + "no-such-kind/q",
        ARN.replace("us-east-1", "eu-west-1") + "job-queue/q",
        ARN.replace("1234", "9999") + "job-queue/q",
        "arn:aws:s3:::bucket",
        "q",
    ],
)
def test_an_unknown_resource_is_named(batch, arn):
    for call, more in ((batch.list_tags_for_resource, {}), (batch.tag_resource, {"tags": {"a": "1"}})):
        text = refusal(call, resourceArn=arn, **more)
        assert text.startswith(f"resourceArn {arn} does not exist")


def test_limits_hold_over_all_calls_together(batch):
    arn = ARN + "job-queue/q"
    batch.tag_resource(resourceArn=arn, tags={f"key{number}": "v" * 256 for number in range(50)})
    assert "at most 50 tags, got 51" in refusal(batch.tag_resource, resourceArn=arn, tags={"more": ""})
    assert len(batch.list_tags_for_resource(resourceArn=arn)["tags"]) == 50
    assert "'aws:x' begins with aws:" in refusal(batch.tag_resource, resourceArn=arn, tags={"aws:x": ""})


def test_lengths_of_keys_and_values_are_checked_by_us_too(furnished):
    path = "/v1/tags/" + ARN + "job-queue/q"
    for body, says in (
        (b'{"tags":{"":"x"}}', "at least 1 characters"),
        (b'{"tags":{"%s":"x"}}' % (b"k" * 129), "at most 128 characters, got 129"),
        (b'{"tags":{"k":"%s"}}' % (b"v" * 257), "at most 256 characters, got 257"),
        (b"{}", "tags is required."),
    ):
        answer = signed(furnished.app, "POST", path, body)
        assert answer.status == 400
        assert says in answer.body.decode()
    assert b"tagKeys is required." in signed(furnished.app, "DELETE", path).body


def test_a_reserved_key_cannot_be_given_at_creation_either(furnished):
    assert "is reserved" in refusal(
        furnished.batch.submit_job, jobName="j", jobQueue="q", jobDefinition="hello", tags={"aws:x": ""}
    )


def test_regions_are_kept_apart(furnished):
    elsewhere = client(furnished.app, "batch", "eu-west-1")
    assert "does not exist in region eu-west-1" in refusal(
        elsewhere.list_tags_for_resource, resourceArn=ARN + "job-queue/q"
    )
