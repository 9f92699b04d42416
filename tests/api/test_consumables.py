"""Consumable resources through a stock client: what is answered, and what is refused and how."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

ARN = "arn:aws:batch:us-east-1:123456789012:consumable-resource/"


def create(server, name: str = "licence", **members) -> dict:
    return server.batch.create_consumable_resource(consumableResourceName=name, **({"totalQuantity": 2} | members))


def asks(**quantities) -> dict:
    return {"consumableResourceList": [{"consumableResource": n, "quantity": q} for n, q in quantities.items()]}


def refused(call, **members) -> str:
    with pytest.raises(ClientError) as caught:
        call(**members)
    assert caught.value.response["Error"]["Code"] == "ClientException"
    return caught.value.response["Error"]["Message"]


def test_a_resource_is_described_as_it_was_created(server):
    created = create(server, tags={"team": "a"})
    assert created["consumableResourceArn"] == ARN + "licence"
    for given in ("licence", created["consumableResourceArn"]):
        found = server.batch.describe_consumable_resource(consumableResource=given)
        assert found["consumableResourceName"] == "licence"
        assert (found["totalQuantity"], found["inUseQuantity"], found["availableQuantity"]) == (2, 0, 2)
        assert found["resourceType"] == "REPLENISHABLE"
        assert found["tags"] == {"team": "a"}
        assert found["createdAt"] > 1_700_000_000_000
    create(server, "once", resourceType="NON_REPLENISHABLE", totalQuantity=0)
    assert server.batch.describe_consumable_resource(consumableResource="once")["resourceType"] == "NON_REPLENISHABLE"


def test_what_is_in_use_is_told_and_a_total_falls_to_it_only(server):
    create(server, totalQuantity=5)
    row = server.store.new_consumables["us-east-1", "licence"]
    server.store.new_consumables["us-east-1", "licence"] = row._replace(held=4)
    answer = server.batch.update_consumable_resource(consumableResource="licence", operation="SET", quantity=1)
    assert answer["totalQuantity"] == 1, "what it will be"
    found = server.batch.describe_consumable_resource(consumableResource="licence")
    assert (found["totalQuantity"], found["inUseQuantity"], found["availableQuantity"]) == (4, 4, 0)


def test_quantities_are_set_added_and_removed(server):
    create(server)
    update = server.batch.update_consumable_resource

    def total(operation: str, quantity: int) -> int:
        return update(consumableResource="licence", operation=operation, quantity=quantity)["totalQuantity"]

    assert (total("ADD", 3), total("REMOVE", 1), total("SET", 7)) == (5, 4, 7)
    text = refused(update, consumableResource="licence", operation="REMOVE", quantity=8)
    assert text == "totalQuantity cannot be a negative number."


def test_a_client_token_makes_two_calls_one(server):
    create(server)
    given = {"consumableResource": "licence", "operation": "ADD", "quantity": 1, "clientToken": "t"}
    assert [server.batch.update_consumable_resource(**given)["totalQuantity"] for _ in range(2)] == [3, 3]
    other = given | {"quantity": 2}
    assert server.batch.update_consumable_resource(**other)["totalQuantity"] == 5, "another payload is another call"


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"consumableResourceName": "no spaces"}, "ConsumableResource name should match a valid pattern."),
        ({"consumableResourceName": "a" * 129}, "ConsumableResource name should match a valid pattern."),
        ({"consumableResourceName": "a", "totalQuantity": -1}, "totalQuantity cannot be a negative number."),
        ({"consumableResourceName": "a", "resourceType": "RENTED"}, "resourceType 'RENTED' is not valid. Use"),
        ({"consumableResourceName": "a", "totalQuantity": 10**12 + 1}, "totalQuantity can be at most 1000000000000"),
        ({"consumableResourceName": "licence"}, "Object already exists"),
        ({"consumableResourceName": "a", "tags": {"aws:x": "y"}}, "Tag key 'aws:x' begins with aws:"),
    ],
)
def test_what_cannot_be_created(server, members, text):
    create(server)
    assert text in refused(server.batch.create_consumable_resource, **members)


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"operation": "TAKE", "quantity": 1}, "operation 'TAKE' is not valid. Use SET, ADD or REMOVE."),
        ({"operation": "ADD"}, "quantity is required to ADD some of licence."),
        ({"operation": "ADD", "quantity": -1}, "quantity cannot be a negative number, got -1."),
        ({"operation": "ADD", "quantity": 1, "consumableResource": "other"}, "ConsumableResource other not found."),
        ({"quantity": 1, "consumableResource": ARN.replace("us-east-1", "eu-west-1") + "licence"}, "not found."),
        ({"operation": "ADD", "quantity": 1, "clientToken": "x" * 65}, "clientToken"),
    ],
)
def test_what_cannot_be_updated(server, members, text):
    create(server)
    assert text in refused(server.batch.update_consumable_resource, **({"consumableResource": "licence"} | members))


def test_a_deleted_resource_is_unknown_and_its_name_is_free(server):
    create(server)
    server.batch.delete_consumable_resource(consumableResource=ARN + "licence")
    for call in (server.batch.describe_consumable_resource, server.batch.delete_consumable_resource):
        assert refused(call, consumableResource="licence").startswith("ConsumableResource licence not found.")
    create(server)


def test_resources_are_listed_by_name_page_by_page_and_filtered(server):
    for name in ("beta", "Alpha", "alpine", "gamma"):
        create(server, name)
    pages = server.batch.get_paginator("list_consumable_resources")
    shown = [each for page in pages.paginate(PaginationConfig={"PageSize": 2}) for each in page["consumableResources"]]
    assert [each["consumableResourceName"] for each in shown] == ["Alpha", "alpine", "beta", "gamma"]
    assert set(shown[0]) == {
        "consumableResourceArn", "consumableResourceName", "totalQuantity", "inUseQuantity", "resourceType",
    }  # fmt: skip

    def found(*values: str) -> list[str]:
        answer = server.batch.list_consumable_resources(
            filters=[{"name": "CONSUMABLE_RESOURCE_NAME", "values": list(values)}]
        )
        return [each["consumableResourceName"] for each in answer["consumableResources"]]

    assert found("ALP*") == ["Alpha", "alpine"]
    assert found("ALPHA", "gam*", "alpha") == ["Alpha", "gamma"]
    assert found("alp") == []
    text = refused(server.batch.list_consumable_resources, filters=[{"name": "NAME", "values": ["a"]}])
    assert text.startswith("filters.name of ListConsumableResources must be one of CONSUMABLE_RESOURCE_NAME, got NAME.")


def test_jobs_show_what_they_ask_for_and_are_listed_by_it(server):
    server.furnish(consumableResourceProperties=asks(licence=1, other=3))
    create(server)
    (definition,) = server.batch.describe_job_definitions(jobDefinitions=["hello"])["jobDefinitions"]
    assert definition["consumableResourceProperties"] == asks(licence=1, other=3)
    plain = server.submit()
    more = server.submit(jobName="more", consumableResourcePropertiesOverride=asks(licence=2))
    assert server.describe(plain)["consumableResourceProperties"] == asks(licence=1, other=3)
    assert server.describe(more)["consumableResourceProperties"] == asks(licence=2, other=3)
    pages = server.batch.get_paginator("list_jobs_by_consumable_resource")
    paged = pages.paginate(consumableResource="licence", PaginationConfig={"PageSize": 1})
    shown = [each for page in paged for each in page["jobs"]]
    assert [(each["jobName"], each["quantity"]) for each in shown] == [("more", 2), ("job", 1)]
    job = shown[0]
    assert job["jobArn"].endswith(more)
    assert job["jobQueueArn"].endswith(":job-queue/q")
    assert job["jobDefinitionArn"].endswith(":job-definition/hello:1")
    assert job["jobStatus"] == "SUBMITTED"
    assert job["consumableResourceProperties"] == asks(licence=2, other=3)

    def named(*filters: tuple[str, str]) -> list[str]:
        given = [{"name": name, "values": [value]} for name, value in filters]
        answer = server.batch.list_jobs_by_consumable_resource(consumableResource="licence", filters=given)
        return [each["jobName"] for each in answer["jobs"]]

    assert named(("JOB_NAME", "MO*")) == ["more"]
    assert named(("JOB_STATUS", "SUBMITTED"), ("JOB_NAME", "job")) == ["job"]
    assert named(("JOB_STATUS", "RUNNING")) == []
    text = refused(
        server.batch.list_jobs_by_consumable_resource,
        consumableResource="licence", filters=[{"name": "JOB_STATUS", "values": ["running"]}],
    )  # fmt: skip
    assert "must be among SUBMITTED, PENDING" in text


@pytest.mark.parametrize(
    ("listed", "text"),
    [
        ([("a", 1), (ARN + "a", 1)], "Cannot have duplicate consumableResource in consumableResourceProperties"),
        ([(f"r{n}", 1) for n in range(6)], "Each ConsumableResourceProperty can have at most 5 consumableResources"),
        ([("a", 0)], "quantity of consumable resource a must be at least 1, got 0."),
        ([("a", -3)], "must be at least 1, got -3."),
        ([("a b", 1)], "ConsumableResource name should match a valid pattern."),
        (
            [(ARN.replace("us-east-1", "eu-west-1") + "a", 1)],
            "is not the ARN of a consumable resource in region us-east-1",
        ),
        ([(ARN.replace("123456789012", "210987654321") + "a", 1)], "of account 123456789012."),
        ([("a", 10**12 + 1)], "can be at most 1000000000000"),
    ],
)
def test_what_no_job_can_ask_for(furnished, listed, text):
    given = {"consumableResourceList": [{"consumableResource": name, "quantity": q} for name, q in listed]}
    assert text in refused(furnished.submit, consumableResourcePropertiesOverride=given)
    with pytest.raises(ClientError, match="Exception"):
        furnished.define("other", consumableResourceProperties=given)


def test_resources_bear_tags(server):
    create(server, tags={"a": "1"})
    arn = ARN + "licence"
    server.batch.tag_resource(resourceArn=arn, tags={"b": "2"})
    server.batch.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert server.batch.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2"}
    assert server.batch.describe_consumable_resource(consumableResource="licence")["tags"] == {"b": "2"}
    assert "does not exist" in refused(server.batch.list_tags_for_resource, resourceArn=ARN + "other")
