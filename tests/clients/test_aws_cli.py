"""The aws command line, unmodified, in an older version 1 and, where it is installed, Debian's version 2."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.long
CLIENT = "aws-cli"
SUBMIT = "aws batch submit-job --job-name x --query jobId --output text"
TALK = "echo first; until [ -e $0 ]; do sleep 0.05; done; echo last"


@pytest.fixture(scope="module")
def version_2() -> Path:
    """/usr/bin/aws of version 2. Older than 2.13: it takes its endpoint as an option, for each service."""
    path = Path("/usr/bin/aws")
    if not path.exists() or b"aws-cli/2" not in subprocess.run([path, "--version"], capture_output=True).stdout:
        reason = "needs the aws CLI, version 2, as /usr/bin/aws (Debian: apt-get install awscli)"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return path


def test_the_version_is_the_one_that_is_pinned(place):
    assert "aws-cli/1.45." in place.type("aws --version")


def test_an_error_reaches_the_user_in_the_words_of_batch(place):
    said = place.type(f"{SUBMIT} --job-queue none --job-definition count", 255)
    assert "An error occurred (ClientException) when calling the SubmitJob operation: JobQueue none not found." in said


def test_what_is_not_there_is_told_by_its_kind(place):
    said = place.type("aws logs get-log-events --log-group-name /aws/batch/job --log-stream-name no/such/one", 255)
    assert "An error occurred (ResourceNotFoundException)" in said
    said = place.type("aws logs get-log-events --log-group-name /nobody --log-stream-name no/such/one", 255)
    assert "An error occurred (ResourceNotFoundException)" in said


def test_who_one_is(place):
    assert place.type("aws sts get-caller-identity --query Account --output text") == "123456789012\n"


def test_tags_are_put_on_and_listed(place):
    arn = place.type("aws batch describe-job-queues --job-queues work --query 'jobQueues[0].jobQueueArn' --output text")
    place.type(f"aws batch tag-resource --resource-arn {arn.strip()} --tags team=blue")
    listed = f"aws batch list-tags-for-resource --resource-arn {arn.strip()} --query tags.team --output text"
    assert place.type(listed) == "blue\n"


def test_lists_come_in_pages_that_the_cli_joins(place):
    place.type(f"{SUBMIT} --job-queue work --job-definition count --parameters text=/dev/null,parts=/tmp "
               "--container-overrides command=true --array-properties size=23")  # fmt: skip
    parent = place.jobs()[0]["jobId"]
    place.site.finished(parent)
    listed = f"aws batch list-jobs --array-job-id {parent} --job-status SUCCEEDED --page-size 5"
    assert place.type(f"{listed} --query 'length(jobSummaryList)'") == "23\n"
    assert len(set(place.type(f"{listed} --query 'jobSummaryList[].jobId' --output text").split())) == 23


def test_deregistered_definitions_are_inactive(place):
    definition = place.jobs("SUCCEEDED")[0]["jobDefinition"]
    described = f"aws batch describe-job-definitions --job-definitions {definition} --query 'jobDefinitions[].status'"
    place.type(f"aws batch deregister-job-definition --job-definition {definition}")
    assert place.type(f"{described} --output text") == "INACTIVE\n"
    said = place.type(f"{SUBMIT} --job-queue work --job-definition {definition}", 255)
    assert "(ClientException)" in said


def test_version_2_follows_a_log_while_it_is_written(place, version_2):
    """`logs tail --follow` asks FilterLogEvents again and again; it ends only when it is interrupted."""
    talk = {"image": "any", "command": ["sh", "-c", TALK, "Ref::flag"], "vcpus": 1, "memory": 16}
    place.type(
        "aws batch register-job-definition --job-definition-name talk --type container"
        f" --container-properties {shlex.quote(json.dumps(talk))}"
    )
    flag = place.home / "flag"
    place.type(f"{SUBMIT} --job-queue work --job-definition talk --parameters flag={flag}")
    job = place.running()
    tail = place.type_behind(
        f"{version_2} --endpoint-url {place.site.url} logs tail /aws/batch/job --follow --format short"
        f" --log-stream-names {job['container']['logStreamName']}"
    )
    place.site.wait_for(lambda: "first" in place.said_behind(), "the first line is shown", 60)
    assert "last" not in place.said_behind()
    flag.touch()
    place.site.wait_for(lambda: "last" in place.said_behind(), "the last line is shown", 60)
    place.type(f"kill -INT {tail}; wait {tail} || true")


def test_version_2_reads_jobs_and_logs(place, version_2):
    old = f"{version_2} --endpoint-url {place.site.url}"
    assert place.type(f"{old} batch describe-job-queues --query 'jobQueues[].state' --output text") == "ENABLED\n"
    assert place.type(f"{old} logs describe-log-groups --query 'logGroups[].logGroupName' --output text") == (
        "/aws/batch/job\n"
    )
