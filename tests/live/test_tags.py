"""Tags by the aws command line, on a running server, over a restart."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.live.test_aws_cli import aws, refused


def test_tags_are_changed_and_survive_a_restart(fresh_site):
    site = fresh_site
    site.definition("true", "true", tags={"team": "blue"})
    job = site.submit(site.queue("tagged"), "true", tags={"run": "1"})
    region = "arn:aws:batch:us-east-1:123456789012:"
    queue, revision = region + "job-queue/tagged", region + "job-definition/true:1"
    aws(site, "batch", "tag-resource", "--resource-arn", queue, "--tags", "cost=12,team=red")
    aws(site, "batch", "tag-resource", "--resource-arn", revision, "--tags", "team=green,stage=test")
    aws(site, "batch", "tag-resource", "--resource-arn", region + f"job/{job}", "--tags", "run=2")
    aws(site, "batch", "untag-resource", "--resource-arn", queue, "--tag-keys", "cost", "no-such-key")
    site.stop()
    site.start()
    listed = aws(site, "batch", "list-tags-for-resource", "--resource-arn", queue)
    assert listed == {"tags": {"team": "red"}}
    described = aws(site, "batch", "describe-job-queues", "--job-queues", "tagged")["jobQueues"]
    assert described[0]["tags"] == {"team": "red"}
    described = aws(site, "batch", "describe-job-definitions", "--job-definitions", "true:1")["jobDefinitions"]
    assert described[0]["tags"] == {"team": "green", "stage": "test"}
    assert aws(site, "batch", "describe-jobs", "--jobs", job)["jobs"][0]["tags"] == {"run": "2"}
    said = refused(site, "batch", "list-tags-for-resource", "--resource-arn", region + "job-queue/none")
    assert (
        f"(ClientException) when calling the ListTagsForResource operation: resourceArn {region}job-queue/none" in said
    )


def command(site, *arguments: str) -> str:
    typed = [sys.executable, "-P", "-m", "batchyard", *arguments, "--data", str(site.data)]
    return subprocess.run(typed, capture_output=True, text=True, timeout=60, check=True).stdout


def test_tags_that_are_propagated_are_told_and_too_many_fail_the_job_when_it_is_to_start(site):
    tags = {f"own-{number}": "x" for number in range(30)}
    site.definition("tagged", "true", tags=tags | {"both": "definition"}, propagateTags=True)
    revision = "arn:aws:batch:us-east-1:123456789012:job-definition/tagged:1"
    site.client("batch").tag_resource(resourceArn=revision, tags={"late": "x"})
    queue = site.queue("propagating")
    job = site.submit(queue, "tagged", tags={"both": "job", "run": "1"})
    assert site.finished(job)["status"] == "SUCCEEDED"
    task_tags = tags | {"both": "job", "late": "x", "run": "1"}
    assert json.loads(command(site, "jobs", "--json", job))["taskTags"] == task_tags
    assert '"both": "job"' in command(site, "jobs", job)
    assert site.describe(job)["tags"] == {"both": "job", "run": "1"}
    many = {f"more-{number}": "x" for number in range(30)}
    failed = site.finished(site.submit(queue, "tagged", tags=many, retryStrategy={"attempts": 3}))
    assert (failed["status"], len(failed["attempts"])) == ("FAILED", 1)
    assert failed["statusReason"] == (
        "Task failed to start: the tags of the job definition and of the job are 62 together, a task can have 50. "
        "Give fewer, or submit with propagateTags false."
    )
    alone = site.finished(site.submit(queue, "tagged", tags=many, propagateTags=False))
    assert alone["status"] == "SUCCEEDED"
