"""Tags in the file: changed in the writing transaction, gone with what they are of."""

from __future__ import annotations

import asyncio

import pytest

from batchyard.errors import ClientError

from . import asking

TAGGED = b'{"container":{},"tags":{"given":"1"}}'


def add(**more):
    return lambda tags: tags | more


def test_tags_are_those_of_the_creation_until_they_are_changed(ask, reader):
    async def story(intake, yard):
        await intake.submit(asking.job(yard, body=TAGGED, uuid="0" * 8 + "-0000-4000-8000-" + "0" * 12))
        seq = reader.job(asking.REGION, "00000000-0000-4000-8000-000000000000", -1).seq
        assert reader.changed_tags(seq) is None
        assert await intake.change_tags(seq, add(more="2"))
        assert reader.changed_tags(seq) == {"given": "1", "more": "2"}
        for number in yard:  # their bodies hold no tags at all
            assert await intake.change_tags(number, add(own=str(number)))
        assert [reader.changed_tags(number) for number in yard] == [{"own": str(number)} for number in yard]

    ask(story)


def test_what_is_not_there_cannot_be_tagged(ask):
    async def story(intake, yard):
        assert not await intake.change_tags(99, add(a="1"))

    ask(story)


def test_a_change_that_refuses_leaves_all_as_it_was(ask, reader):
    def refuse(tags):
        raise ClientError("no")

    async def story(intake, yard):
        await intake.change_tags(yard.queue, add(a="1"))
        with pytest.raises(ClientError, match="no"):
            await intake.change_tags(yard.queue, refuse)
        assert reader.changed_tags(yard.queue) == {"a": "1"}

    ask(story)


def test_changes_at_once_are_one_after_the_other(ask, reader):
    async def story(intake, yard):
        await asyncio.gather(*(intake.change_tags(yard.queue, add(**{f"k{n}": str(n)})) for n in range(40)))
        assert reader.changed_tags(yard.queue) == {f"k{n}": str(n) for n in range(40)}

    ask(story)
