"""A licence of two by stock boto3 on a real site: what really ran at the same time is told by the jobs themselves."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

JOBS = 6
ASKS = {"consumableResourceList": [{"consumableResource": "licence", "quantity": 1}]}


def in_use(batch) -> tuple[int, int, int]:
    found = batch.describe_consumable_resource(consumableResource="licence")
    return found["totalQuantity"], found["inUseQuantity"], found["availableQuantity"]


def spans(site, jobs) -> list[tuple[int, int]]:
    """When each job began and ended, by its own output."""
    lines = [site.output(site.describe(job)).split() for job in jobs]
    return [(int(begun), int(ended)) for begun, ended in lines]


def most_at_once(found: list[tuple[int, int]]) -> int:
    steps = sorted([(begun, 1) for begun, _ in found] + [(ended, -1) for _, ended in found])
    now = most = 0
    for _, step in steps:
        now += step
        most = max(most, now)
    return most


def test_no_more_run_than_there_are_licences_whatever_becomes_of_the_server(fresh_site):
    site = fresh_site
    batch, queue = site.client("batch"), site.queue("licensed")
    batch.create_consumable_resource(consumableResourceName="licence", totalQuantity=2, tags={"team": "a"})
    command = "date +%s%N; sleep 0.4; date +%s%N"
    site.definition("uses", "sh", "-c", command, consumableResourceProperties=ASKS)
    site.definition("free", "true")
    jobs = [site.submit(queue, "uses", f"uses{number}") for number in range(JOBS)]
    passing = site.submit(queue, "free")
    assert site.finished(passing)["status"] == "SUCCEEDED", "who needs no licence does not wait for one"
    site.wait_for(lambda: in_use(batch)[1] == 2, "both are in use")
    assert in_use(batch) == (2, 2, 0)
    for pid in site.pids("engine") + site.pids("api"):
        site.kill(pid)
    site.wait_for(site.answers, "the server answers again")
    ended = [site.finished(job) for job in jobs]
    assert {job["status"] for job in ended} == {"SUCCEEDED"}
    assert most_at_once(spans(site, jobs)) == 2
    assert in_use(batch) == (2, 0, 2)
    assert {job["consumableResourceProperties"]["consumableResourceList"][0]["quantity"] for job in ended} == {1}
    pages = batch.get_paginator("list_jobs_by_consumable_resource")
    listed = pages.paginate(consumableResource="licence", PaginationConfig={"PageSize": 4})
    assert [job["jobName"] for page in listed for job in page["jobs"]] == [f"uses{n}" for n in reversed(range(JOBS))]


def test_a_resource_is_changed_under_the_jobs_that_wait_for_it(fresh_site):
    site = fresh_site
    batch, queue = site.client("batch"), site.queue("later")
    site.definition("uses", "true", consumableResourceProperties=ASKS)
    job = site.submit(queue, "uses")
    site.wait_for(lambda: site.describe(job)["status"] == "RUNNABLE", "it waits for what does not exist")
    batch.create_consumable_resource(
        consumableResourceName="licence", totalQuantity=0, resourceType="NON_REPLENISHABLE"
    )
    assert (
        batch.update_consumable_resource(consumableResource="licence", operation="ADD", quantity=3)["totalQuantity"]
        == 3
    )
    assert site.finished(job)["status"] == "SUCCEEDED"
    assert in_use(batch) == (2, 0, 2), "one is used up"
    array = site.submit(queue, "uses", arrayProperties={"size": 3})
    site.wait_for(lambda: in_use(batch) == (0, 0, 0), "two children used what was left")
    with pytest.raises(ClientError, match="totalQuantity cannot be a negative number."):
        batch.update_consumable_resource(consumableResource="licence", operation="REMOVE", quantity=1)
    batch.delete_consumable_resource(consumableResource="licence")
    batch.create_consumable_resource(consumableResourceName="licence", totalQuantity=1)
    assert site.finished(array)["status"] == "SUCCEEDED"
    arn = batch.describe_consumable_resource(consumableResource="licence")["consumableResourceArn"]
    batch.tag_resource(resourceArn=arn, tags={"owner": "b"})
    assert batch.list_tags_for_resource(resourceArn=arn)["tags"] == {"owner": "b"}
