"""Tags by the aws command line, on a running server, over a restart."""

from __future__ import annotations

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
