"""ListJobs through stock boto3: by state, by filter, page by page."""

from __future__ import annotations

import pytest

from batchyard.api.batch import list_jobs
from batchyard.model import states
from tests.api.memory import Progress
from tests.api.test_batch import ARN, refusal

DEFINITION = ARN + "job-definition/"


@pytest.fixture
def batch(furnished):
    """Jobs of three definitions in one queue, and one of the same name in another."""
    batch = furnished.batch
    batch.create_job_queue(
        jobQueueName="other", priority=1, computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "ce"}]
    )
    furnished.define("hello")
    furnished.define("hello-again")
    furnished.define("Hello")
    for name, definition in (
        ("Align", "hello:1"),
        ("align-2", "hello:2"),
        ("sort", "hello-again"),
        ("ALIGN", "Hello"),
        ("align_x", "hello:2"),
    ):
        furnished.submit(jobName=name, jobDefinition=definition)
    furnished.submit(jobName="align", jobQueue="other")
    return batch


def names(batch, name, *values, **more) -> list[str]:
    given = {"jobQueue": "q", "filters": [{"name": name, "values": list(values)}]} | more
    return [each["jobName"] for each in batch.list_jobs(**given)["jobSummaryList"]]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("align", ["ALIGN", "Align"]),
        ("ALIGN*", ["align_x", "ALIGN", "align-2", "Align"]),
        ("align_*", ["align_x"]),  # an underscore is no wildcard
        ("align?x", []),
        ("%", []),
        ("*", ["align_x", "ALIGN", "sort", "align-2", "Align"]),
        ("s*t", []),  # an asterisk means something at the end only
        ("nope", []),
    ],
)
def test_by_name_in_any_case_newest_first(batch, value, found):
    assert names(batch, "JOB_NAME", value) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("hello", ["align_x", "align-2", "Align"]),
        ("Hello", ["ALIGN"]),
        ("hello*", ["align_x", "sort", "align-2", "Align"]),
        ("hello:2", ["align_x", "align-2"]),
        (DEFINITION + "hello:1", ["Align"]),
        (DEFINITION + "hello", ["align_x", "align-2", "Align"]),
        (DEFINITION.replace("us-east-1", "eu-west-1") + "hello:1", []),
        ("hello:9", []),
        ("nope", []),
        ("nope*", []),
    ],
)
def test_by_definition_in_its_own_case(batch, value, found):
    assert names(batch, "JOB_DEFINITION", value) == found


def test_several_values_are_one_or_the_other(batch):
    assert names(batch, "JOB_NAME", "sort", "align", "SORT") == ["ALIGN", "sort", "Align"]
    assert names(batch, "JOB_DEFINITION", "hello:1", "nope", "Hello") == ["ALIGN", "Align"]


def test_by_time_of_creation(batch):
    created = {each["jobName"]: each["createdAt"] for each in everything(batch)}
    middle = str(created["sort"])
    assert names(batch, "AFTER_CREATED_AT", middle) == ["align_x", "ALIGN"]
    assert names(batch, "BEFORE_CREATED_AT", middle) == ["align-2", "Align"]
    assert names(batch, "AFTER_CREATED_AT", "0") == [each["jobName"] for each in everything(batch)]
    assert names(batch, "BEFORE_CREATED_AT", "0") == []


def everything(batch) -> list[dict]:
    filters = [{"name": "JOB_NAME", "values": ["*"]}]
    return batch.list_jobs(jobQueue="q", filters=filters)["jobSummaryList"]


def test_a_filter_brings_all_states_whatever_status_is_asked_for(batch, furnished):
    for new, status in zip(furnished.store.new_jobs, (states.RUNNING, states.FAILED, states.SUCCEEDED), strict=False):
        furnished.store.states[new.uuid, -1] = Progress(status=status)
    found = batch.list_jobs(jobQueue="q", jobStatus="FAILED", filters=[{"name": "JOB_NAME", "values": ["*"]}])
    seen = [each["status"] for each in found["jobSummaryList"]]
    assert seen == ["SUBMITTED", "SUBMITTED", "SUCCEEDED", "FAILED", "RUNNING"]


def test_jobs_of_a_queue_without_a_policy_are_of_no_share(batch):
    assert names(batch, "SHARE_IDENTIFIER", "*") == []
    assert names(batch, "SHARE_IDENTIFIER", "team", jobStatus="SUBMITTED") == []


def test_filters_do_not_apply_to_children(batch, furnished):
    job = furnished.submit(arrayProperties={"size": 3})
    filters = [{"name": "JOB_NAME", "values": ["no-such-job"]}]
    found = batch.list_jobs(arrayJobId=job, jobStatus="SUBMITTED", filters=filters)["jobSummaryList"]
    assert [each["arrayProperties"]["index"] for each in found] == [0, 1, 2]
    assert batch.list_jobs(arrayJobId=job, filters=filters)["jobSummaryList"] == []  # RUNNING ones


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_pages_of_any_size_make_the_whole(batch, size):
    filters = [{"name": "JOB_NAME", "values": ["align*"]}]
    config = {"PageSize": size}
    pages = batch.get_paginator("list_jobs").paginate(jobQueue="q", filters=filters, PaginationConfig=config)
    assert [each["jobName"] for page in pages for each in page["jobSummaryList"]] == [
        "align_x", "ALIGN", "align-2", "Align",
    ]  # fmt: skip


def test_a_token_belongs_to_its_filter(batch):
    one, other = ([{"name": "JOB_NAME", "values": [value]}] for value in ("align*", "alig*"))
    token = batch.list_jobs(jobQueue="q", filters=one, maxResults=1)["nextToken"]
    assert "nextToken is not valid" in refusal(batch.list_jobs, jobQueue="q", filters=other, nextToken=token)
    assert "nextToken is not valid" in refusal(batch.list_jobs, jobQueue="q", nextToken=token)


@pytest.mark.parametrize(
    ("filters", "says"),
    [
        ([{"name": "JOB_NAME", "values": ["a"]}, {"name": "JOB_NAME", "values": ["b"]}], "at most one filter, got 2."),
        ([{"name": "COLOUR", "values": ["a"]}], "filters.name must be one of JOB_NAME, JOB_DEFINITION, BEFORE_"),
        ([{"name": "job_name", "values": ["a"]}], "got job_name. Names are in upper case."),
        ([{"values": ["a"]}], "got none."),
        ([{}], "got none."),
        ([{"name": "JOB_NAME"}], "filters.values of JOB_NAME must have 1 to 100 entries, got 0."),
        ([{"name": "JOB_NAME", "values": ["a"] * 101}], "got 101."),
        ([{"name": "AFTER_CREATED_AT", "values": ["yesterday"]}], "one time in milliseconds since 1970, got 'yester"),
        ([{"name": "AFTER_CREATED_AT", "values": ["-1"]}], "got '-1'."),
        ([{"name": "AFTER_CREATED_AT", "values": ["9" * 19]}], "one time in milliseconds"),
        ([{"name": "BEFORE_CREATED_AT", "values": ["1", "2"]}], "got '1, 2'."),
        ([{"name": "JOB_DEFINITION", "values": [DEFINITION + "hello*"]}], "not with ARNs."),
        ([{"name": "JOB_DEFINITION", "values": ["a b"]}], "Provided name a b is not supported pattern"),
    ],
)
def test_a_filter_that_cannot_be_understood_is_named(batch, filters, says):
    assert says in refusal(batch.list_jobs, jobQueue="q", filters=filters)


def test_pages_with_a_filter_hold_at_most_a_hundred(batch):
    filters = [{"name": "JOB_NAME", "values": ["a"]}]
    assert "between 1 and 100, got 101." in refusal(batch.list_jobs, jobQueue="q", filters=filters, maxResults=101)
    assert batch.list_jobs(jobQueue="q", maxResults=1000)["jobSummaryList"] == []


def test_an_array_tells_how_many_children_are_in_each_state(batch, furnished):
    job = furnished.submit(jobName="array", arrayProperties={"size": 3})
    furnished.store.states[job, 0] = Progress(status=states.RUNNING)
    (shown,) = batch.list_jobs(jobQueue="q", filters=[{"name": "JOB_NAME", "values": ["array"]}])["jobSummaryList"]
    assert shown["arrayProperties"]["size"] == 3
    assert shown["arrayProperties"]["statusSummary"] == {
        "SUBMITTED": 2, "PENDING": 0, "RUNNABLE": 0, "STARTING": 0, "RUNNING": 1, "SUCCEEDED": 0, "FAILED": 0,
    }  # fmt: skip
    single = batch.list_jobs(jobQueue="q", jobStatus="SUBMITTED")["jobSummaryList"][-1]
    assert "arrayProperties" not in single


def test_a_page_with_very_many_children_ends_early(batch, furnished, monkeypatch):
    monkeypatch.setattr(list_jobs, "CHILDREN_COUNTED", 10)
    for number in range(5):
        furnished.submit(jobName=f"array{number}", arrayProperties={"size": 4 if number else 20})
    pages = batch.get_paginator("list_jobs").paginate(jobQueue="q", jobStatus="SUBMITTED")
    assert [[each["jobName"] for each in page["jobSummaryList"]] for page in pages] == [
        ["array4", "array3"],
        ["array2", "array1"],
        ["array0", "align_x", "ALIGN", "sort", "align-2", "Align"],
    ]


def test_exactly_one_thing_is_listed(batch):
    for given, got in (({}, "none"), ({"jobQueue": "q", "arrayJobId": "x"}, "jobQueue and arrayJobId")):
        text = refusal(batch.list_jobs, **given)
        assert text.startswith(f"ListJobs takes exactly one of jobQueue, arrayJobId and multiNodeJobId, got {got}.")
    assert refusal(batch.list_jobs, jobQueue="nope") == "JobQueue nope not found."
    filters = [{"name": "JOB_NAME", "values": ["a"]}]
    assert refusal(batch.list_jobs, jobQueue="nope", filters=filters) == "JobQueue nope not found."
