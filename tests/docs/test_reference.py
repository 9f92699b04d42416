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
        ("SubmitJob", "nodeOverrides", "refused"),
        ("RegisterJobDefinition", "containerProperties.image", "noticed"),
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
    assert ("admission/retries.py", "RetryAttempts must be between 1 and 10, got {attempts}.", "") in said
    assert ("admission/environments.py", "ServiceRole is required.", "") in said
    assert ("api/app.py", "{operation} is not supported yet by Batchyard.", "Supported are: {built}.") in said
