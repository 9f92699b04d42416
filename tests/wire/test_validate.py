"""What the model allows, on hand-made cases; every operation is gone through in tests/parity/test_codec.py."""

import msgspec
import pytest

from batchyard.errors import ClientError, InvalidParameter
from batchyard.wire import shapes, validate
from batchyard.wire.shapes import OPERATIONS

SUBMIT = {"jobName": "j", "jobQueue": "q", "jobDefinition": "d"}


def check(operation, **members):
    validate.check(operation, msgspec.convert(members, OPERATIONS[operation].request))


def requirement(**members):
    return {"containerOverrides": {"resourceRequirements": [{"type": "VCPU", "value": "1"}, members]}}


@pytest.mark.parametrize(
    ("operation", "members", "says"),
    [
        ("SubmitJob", {"jobName": "j", "jobDefinition": "d"}, "jobQueue is required."),
        ("ListTagsForResource", {}, "resourceArn is required."),
        (
            "SubmitJob",
            SUBMIT | requirement(type="GPU"),
            "containerOverrides.resourceRequirements[1].value is required.",
        ),
        (
            "SubmitJob",
            SUBMIT | requirement(type="CPU", value="1"),
            "containerOverrides.resourceRequirements[1].type must be one of GPU, VCPU, MEMORY, got CPU.",
        ),
        (
            "SubmitJob",
            SUBMIT | {"retryStrategy": {"evaluateOnExit": [{"action": "AGAIN"}]}},
            "retryStrategy.evaluateOnExit[0].action must be one of RETRY, EXIT, got AGAIN.",
        ),
        ("ListJobs", {"jobStatus": "DONE"}, "jobStatus must be one of SUBMITTED, PENDING"),
        (
            "RegisterJobDefinition",
            {"jobDefinitionName": "d", "type": "container", "platformCapabilities": ["EC3"]},
            "Capability EC3 is not valid. Valid capabilities: [FARGATE, EC2, MANAGED_INSTANCES]",
        ),
        ("SubmitJob", SUBMIT | {"tags": {"": "v"}}, "tags[''] must have at least 1 characters, got 0."),
        ("SubmitJob", SUBMIT | {"tags": {"k": "v" * 257}}, "tags['k'] must have at most 256 characters, got 257."),
        (
            "SubmitJob",
            SUBMIT | {"tags": {str(number): "" for number in range(51)}},
            "tags must have at most 50 entries, got 51.",
        ),
        ("UntagResource", {"resourceArn": "a", "tagKeys": []}, "tagKeys must have at least 1 entries, got 0."),
        (
            "UpdateComputeEnvironment",
            {"computeEnvironment": "c", "updatePolicy": {"jobExecutionTimeoutMinutes": 0}},
            "updatePolicy.jobExecutionTimeoutMinutes must be at least 1, got 0.",
        ),
    ],
)
def test_batch_texts_name_member_and_value(operation, members, says):
    with pytest.raises(ClientError) as refused:
        check(operation, **members)
    assert says in refused.value.message


@pytest.mark.parametrize(
    ("operation", "members", "says"),
    [
        ("GetLogEvents", {}, "Value null at 'logStreamName' failed to satisfy constraint: Member must not be null"),
        (
            "GetLogEvents",
            {"logStreamName": "a:b"},
            "Value 'a:b' at 'logStreamName' failed to satisfy constraint: Member",
        ),
        ("GetLogEvents", {"logStreamName": "s", "limit": 0}, "greater than or equal to 1"),
        ("GetLogEvents", {"logStreamName": "s", "limit": 10001}, "less than or equal to 10000"),
        ("GetLogEvents", {"logStreamName": "s", "startTime": -1}, "greater than or equal to 0"),
        ("GetLogEvents", {"logStreamName": "s" * 513}, "length less than or equal to 512"),
        ("DescribeLogStreams", {"orderBy": "Size"}, "enum value set: [LogStreamName, LastEventTime]"),
    ],
)
def test_logs_texts_are_of_aws_general_form(operation, members, says):
    with pytest.raises(InvalidParameter) as refused:
        check(operation, **members)
    assert refused.value.message.startswith("1 validation error detected: Value ")
    assert says in refused.value.message
    assert len(refused.value.message) < 400


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("SubmitJob", SUBMIT | {"tags": {}}),
        ("SubmitJob", SUBMIT | {"retryStrategy": {"evaluateOnExit": [{"action": "retry"}, {"action": "Exit"}]}}),
        ("SubmitJob", SUBMIT | {"containerOverrides": {"environment": [{}], "resourceRequirements": []}}),
        ("RegisterJobDefinition", {"jobDefinitionName": "d", "type": "container", "containerProperties": {}}),
        (
            "RegisterJobDefinition",
            {"jobDefinitionName": "d", "type": "container", "containerProperties": {"linuxParameters": {}}},
        ),
        ("GetLogEvents", {"logGroupName": "/aws/batch/job", "logStreamName": "d/default/0123", "limit": 10000}),
        ("DescribeLogGroups", {}),
    ],
)
def test_what_stock_clients_send_passes(operation, members):
    check(operation, **members)


def test_a_long_value_is_not_repeated_whole():
    with pytest.raises(ClientError) as refused:
        check("ListJobs", jobStatus="X" * 10_000)
    assert len(refused.value.message) < 400


def test_every_rule_can_be_compiled_and_names_a_generated_shape():
    for name in (*shapes.REQUIRED, *shapes.MEMBERS):
        assert issubclass(getattr(shapes, name), shapes.Shape)
    for held in (*shapes.MEMBERS.values(), *shapes.ITEMS.values()):
        for shape in held.values():
            assert callable(validate._of(shape))
    assert set(shapes.ANY_CASE) <= set(shapes.ENUMS)
