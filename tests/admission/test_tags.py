"""What tags a resource may have, and what a change leaves."""

from __future__ import annotations

import pytest

from batchyard.admission import tags
from batchyard.errors import ClientError

FIFTY = {f"key{number}": "" for number in range(50)}


def refusal(call, *given) -> str:
    with pytest.raises(ClientError) as refused:
        call(*given)
    return refused.value.message


def test_more_tags_join_and_win():
    assert tags.joined({"a": "1", "b": "2"}, {"b": "3", "c": "4"}) == {"a": "1", "b": "3", "c": "4"}


def test_keys_differ_by_case():
    assert tags.joined({"Team": "1"}, {"team": "2"}) == {"Team": "1", "team": "2"}


def test_fifty_are_the_most_whichever_way_they_come():
    assert tags.joined(FIFTY, {"key7": "changed"})["key7"] == "changed"
    assert len(tags.checked(FIFTY)) == 50
    said = "at most 50 tags, got 51. Give fewer, or untag some first."
    assert said in refusal(tags.checked, FIFTY | {"more": ""})
    assert said in refusal(tags.joined, FIFTY, {"more": ""})


@pytest.mark.parametrize("key", ["aws:cloudformation:stack", "AWS:x", "Aws:"])
def test_the_prefix_of_aws_is_reserved(key):
    assert "is reserved" in refusal(tags.checked, {key: ""})
    assert "is reserved" in refusal(tags.joined, {}, {key: ""})
    assert tags.checked({"awsome": "", "my:aws:": ""})


def test_keys_go_and_missing_ones_are_no_mistake():
    assert tags.without({"a": "1", "b": "2"}, ["b", "c", "b"]) == {"a": "1"}


def test_our_own_tags_are_read_once_and_cannot_change():
    pretend = {"batchyard:provider": "pretend", "a": "1"}
    for call, given in ((tags.joined, {"batchyard:provider": "local"}), (tags.without, ["batchyard:provider"])):
        assert "Tag batchyard:provider is read when a resource is made" in refusal(call, pretend, given)
    assert tags.joined(pretend, {"batchyard:provider": "pretend"}) == pretend
    assert tags.without({"a": "1"}, ["batchyard:provider"]) == {"a": "1"}
