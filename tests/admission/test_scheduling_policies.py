"""CreateSchedulingPolicy and UpdateSchedulingPolicy: refusals in AWS's words, and what the scheduler is told."""

from __future__ import annotations

import msgspec
import pytest

from batchyard.admission import scheduling_policies
from batchyard.errors import ClientError
from batchyard.model.shares import SharePolicy
from batchyard.wire import shapes


def create(**members):
    request = msgspec.convert({"name": "p"} | members, shapes.CreateSchedulingPolicyRequest)
    return scheduling_policies.admit(request, "us-east-1", 5, b"key")


def fair(*shares, **members):
    """A policy with these entries: a name, or a name and its weight."""
    entries = [{"shareIdentifier": share} if isinstance(share, str) else _weighted(*share) for share in shares]
    return create(fairsharePolicy=members | {"shareDistribution": entries}).value


def _weighted(share, weight):
    return {"shareIdentifier": share, "weightFactor": weight}


def test_a_policy_is_read_as_the_scheduler_knows_it():
    new = create(
        fairsharePolicy={
            "shareDecaySeconds": 3600,
            "computeReservation": 50,
            "shareDistribution": [_weighted("a", 0.5), {"shareIdentifier": "team*"}, _weighted("b", 999.9999)],
        },
        tags={"k": "v"},
    )
    assert new.value == SharePolicy(3600, 50, (("a", 5000), ("team*", 10_000), ("b", 9_999_999)))
    body = msgspec.json.decode(new.body)
    assert body["fairsharePolicy"]["shareDistribution"][0] == {"shareIdentifier": "a", "weightFactor": 0.5}
    assert body["tags"] == {"k": "v"}


@pytest.mark.parametrize("members", [{}, {"fairsharePolicy": {}}])
def test_an_empty_policy_has_defaults(members):
    assert create(**members).value == SharePolicy(0, 0, ())


@pytest.mark.parametrize("name", ["", "a b", "a" * 129, "ä"])
def test_names(name):
    with pytest.raises(ClientError, match="Scheduling policy name should match a valid pattern."):
        create(name=name)


@pytest.mark.parametrize(
    ("members", "text"),
    [
        (
            {"fairsharePolicy": {}, "quotaSharePolicy": {"idleResourceAssignmentStrategy": "FIFO"}},
            "A scheduling policy can have either fairsharePolicy or quotaSharePolicy",
        ),
        (
            {"quotaSharePolicy": {"idleResourceAssignmentStrategy": "LIFO"}},
            "Idle resource assignment strategy must be one of [FIFO].",
        ),
        (
            {"quotaSharePolicy": {"idleResourceAssignmentStrategy": "FIFO"}},
            "does not support quotaSharePolicy {FIFO} yet",
        ),
        ({"fairsharePolicy": {"shareDecaySeconds": -1}}, "shareDecaySeconds must be between 0 and 604800, got -1."),
        ({"fairsharePolicy": {"shareDecaySeconds": 604_801}}, "between 0 and 604800, got 604801."),
        ({"fairsharePolicy": {"computeReservation": 100}}, "computeReservation must be between 0 and 99, got 100."),
        ({"tags": {"aws:x": "y"}}, "Tag key 'aws:x' begins with aws:"),
    ],
)
def test_refusals(members, text):
    with pytest.raises(ClientError) as refused:
        create(**members)
    assert text in str(refused.value)


@pytest.mark.parametrize("share", ["", "*", "a b", "a*b", "a**", "ä", "a" * 256, "a" * 255 + "*", "a.b"])
def test_forms_of_share_identifiers(share):
    with pytest.raises(ClientError, match="ShareIdentifier name should match a valid pattern."):
        fair(share)


def test_a_share_identifier_may_be_long_and_end_in_an_asterisk():
    assert fair("a" * 255, "B" * 254 + "*", "x-1_Y").weights[2] == ("x-1_Y", 10_000)


@pytest.mark.parametrize("weight", [0, 0.00004, -1, 1000, 999.99995, 1e300])
def test_weights_out_of_range(weight):
    with pytest.raises(ClientError, match="Weight factor should be between 0.0001 and 999.9999."):
        fair(("a", weight))


@pytest.mark.parametrize("weight", [0.0001, 0.125, 1, 999.9999])
def test_weights_in_range(weight):
    assert fair(("a", weight)).weights == (("a", round(weight * 10_000)),)


@pytest.mark.parametrize(
    ("shares", "text"),
    [
        (["a", "b", "a"], "Cannot have two or more identical shareIdentifiers."),
        (["a*", "a*"], "Cannot have two or more identical shareIdentifiers."),
        (["a", "a*"], "Share identifier a matches another share identifier a*"),
        (["team*", "x", "team1"], "Share identifier team1 matches another share identifier team*"),
        (["team*", "team-a*", "z"], "Share identifier team-a* matches another share identifier team*"),
        (["t*", "s", "u", "tz9"], "Share identifier tz9 matches another share identifier t*"),
    ],
)
def test_no_two_entries_are_of_one_share(shares, text):
    with pytest.raises(ClientError) as refused:
        fair(*shares)
    assert str(refused.value).startswith(text)


def test_entries_that_only_look_alike_are_apart():
    assert len(fair("team", "team1", "tea", "x*", "y", "X1").weights) == 6


def test_five_hundred_entries_and_no_more():
    assert len(fair(*(f"s{n}" for n in range(500))).weights) == 500
    with pytest.raises(ClientError, match="ShareDistribution size cannot be greater than 500."):
        fair(*(f"s{n}" for n in range(501)))


def test_an_update_is_the_whole_new_policy_and_must_say_something():
    def change(**members):
        request = msgspec.convert({"arn": "x"} | members, shapes.UpdateSchedulingPolicyRequest)
        return scheduling_policies.admit_change(request, "us-east-1", "p", 5, b"key")

    assert change(fairsharePolicy={"computeReservation": 3}).value == SharePolicy(0, 3, ())
    assert change(fairsharePolicy={"computeReservation": 3}).members == {"fairsharePolicy": {"computeReservation": 3}}
    with pytest.raises(ClientError, match="names nothing to change of scheduling policy p"):
        change()
    with pytest.raises(ClientError, match="does not support quotaSharePolicy"):
        change(quotaSharePolicy={"idleResourceAssignmentStrategy": "FIFO"})
