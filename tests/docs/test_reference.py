"""The generated pages are what the code says today, and what they say is so."""

from __future__ import annotations

import sys

import pytest

from tests.docs.pages import ROOT


@pytest.fixture(scope="module", autouse=True)
def tools():
    """tools/ is a folder of scripts, not a package: put it where they look for each other."""
    sys.path.insert(0, str(ROOT / "tools"))
    yield
    sys.path.remove(str(ROOT / "tools"))


@pytest.mark.parametrize(
    ("operation", "member", "word"),
    [
        ("SubmitJob", "retryStrategy.evaluateOnExit", "honoured"),
        ("SubmitJob", "containerOverrides.environment", "honoured"),
        ("SubmitJob", "jobQueue", "honoured"),
        ("SubmitJob", "tags", "kept"),
        ("SubmitJob", "containerOverrides.vcpus", "noticed"),
        ("SubmitJob", "nodeOverrides", "honoured"),
        ("RegisterJobDefinition", "containerProperties.image", "honoured"),
        ("RegisterJobDefinition", "containerProperties.user", "honoured"),
        ("RegisterJobDefinition", "eksProperties", "refused"),
        ("RegisterJobDefinition", "schedulingPriority", "kept"),
        ("GetLogEvents", "startTime", "read"),
        ("GetLogEvents", "unmask", "ignored"),
    ],
)
def test_what_becomes_of_a_member(operation, member, word):
    from reference import operations

    from batchyard.api import batch, logs

    operate = (batch.OPERATIONS | logs.OPERATIONS)[operation]
    assert operations.fate(operation, operate, tuple(member.split(".")))[0] == word


def test_every_operation_of_the_model_is_on_the_page():
    from batchyard.wire.shapes import OPERATIONS

    said = (ROOT / "docs/reference/operations.md").read_text()
    assert len([each for each in OPERATIONS.values() if each.service == "batch"]) == 48
    assert [name for name in OPERATIONS if name not in said] == []


def test_remarks_speak_of_members_that_there_are():
    from reference import operations, trials

    known = {f"{operation}.{'.'.join(path)}" for operation in trials.TRIALS for path in trials.members(operation)}
    assert set(operations.REMARKS) | set(trials.SAMPLES) <= known


def test_errors_that_callers_meet_are_on_the_page():
    from reference import errors

    said = {(each.file, each.message, each.step) for each in errors.all_said()}
    steps = "It counts all attempts, the first one included: 1 is no retry."
    assert ("admission/retries.py", "RetryAttempts must be between 1 and 10, got {attempts}.", steps) in said
    assert ("admission/environments.py", "ServiceRole is required.", "") in said
    assert ("api/app.py", "{operation} is not supported yet by Batchyard.", "Supported are: {built}.") in said


# Texts that are put together elsewhere and only passed on, of wire/json_body.py and wire/validate.py: see the samples.
PASSED_ON = {"wire/json11.py", "wire/validate.py"}

# Texts of ours that can show no value, since there is none: something is missing, or it is about the server itself.
NOTHING_TO_SHOW = {
    "1000 tasks wait for what they asked.",
    "A backup is being taken already.",
    "A job dependency without a jobId must be SEQUENTIAL.",
    "Batchyard does not support compute environments on Kubernetes (eksConfiguration) yet.",
    "Batchyard does not support jobStateTimeLimitActions yet.",
    "Batchyard does not support jobs on Kubernetes (eksProperties) yet.",
    "Finished jobs are being removed too fast for a backup.",
    "Memory is required.",
    "More than 1000 requests wait for an answer.",
    "Signatures in the query string (presigned URLs) are not accepted here.",
    "The Authorization header is not of Signature Version 4.",
    "The data is being checked already.",
    "The request has no Authorization header.",
    "The request shows no token, or several.",
    "The token is not that of this task.",
    "What a running task uses is not told here.",
    "The request has no X-Amz-Date header.",
    "The request is not signed: it has no Authorization header.",
    "The server failed unexpectedly and has logged why under this request id.",
    "The server is shutting down and takes no more requests.",
    "The server's disk is full, it takes nothing new.",
    "The token is not this server's.",
    "There are no metrics yet.",
    "What arrived is not a request of HTTP/1.1.",
    "computeEnvironmentOrder and serviceEnvironmentOrder cannot both be set.",
    "computeResources is required for a MANAGED compute environment.",
    "containerProperties is required for job definitions of type container.",
    "dependsOn: jobId is required.",
    "jobs is required.",
    "logStreamNames and logStreamNamePrefix cannot both be given.",
    "startFromHead false is not supported: Batchyard tells events from the oldest to the newest.",
}


def test_every_error_is_in_aws_own_words_or_says_what_was_wrong_and_what_to_do():
    """Of a new one: is its text AWS's (then it is in tools/reference/aws_texts.py), or does it end with a next step?"""
    from reference import aws_texts, errors

    ours = [each for each in errors.all_said() if each.file not in PASSED_ON and aws_texts.topic(each.message) is None]
    assert [f"{each.file}:{each.line} {each.message}" for each in ours if not each.step] == []
    without = {each.message for each in ours if "{" not in each.message}
    assert without - NOTHING_TO_SHOW == set(), "they do not show the value that was wrong"
    assert [each for each in ours if each.message == "{" + each.message[1:-1] + "}" and " " not in each.message] == []


def test_every_error_text_is_a_sentence():
    from reference import aws_texts, errors

    for each in errors.all_said():
        if each.file not in PASSED_ON and aws_texts.topic(each.message) is None:
            assert each.message.endswith((".", "KiB")) and each.step.endswith((".", "}")), each


def test_texts_of_aws_are_known_by_what_is_put_in():
    from reference import aws_texts

    assert aws_texts.topic("JobQueue {queue} not found.") == "job queues and scheduling policies"
    assert aws_texts.topic("JobQueue {queue} not found. Make one.") is None
    assert aws_texts.topic("Only 3 environments are allowed in job queue request.") is not None
    assert aws_texts.topic("Only 4 environments are allowed in job queue request.") is None


def test_what_is_wrong_with_any_member_is_told_with_its_path_and_what_it_must_be():
    from reference import errors

    told = [errors.answered(operation, body) for operation, body, _ in errors.SAMPLES]
    assert told[1].endswith("jobName must be a string, got an integer.")
    assert told[2].endswith("containerOverrides.environment[0].name must be a string, got a list.")
    assert told[4] == "jobQueue is required."
    for said in told:
        assert any(word in said for word in (" must ", "Member must ", "is required", "Send one JSON object")), said
