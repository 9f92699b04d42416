"""Consumable resources in both files: what was asked, what became of it, and who asks for what."""

from __future__ import annotations

import asyncio

import pytest

from batchyard.errors import ClientError
from batchyard.model import facts as f
from batchyard.model.consumables import ADD, REMOVE, SET, ConsumableChange, HeldConsumable, NewConsumable
from batchyard.model.events import ConsumableChanged, JobSubmitted
from batchyard.model.states import RUNNABLE, RUNNING, STARTING, SUBMITTED
from batchyard.ports import NameMatch
from batchyard.store.intake import SqliteIntake
from batchyard.store.retention import DAY_MS, Retention

from .asking import REGION, deletion, job
from .keeping import NOBODY, look
from .test_commits import added

ALL = frozenset()


def new(name="licence", total=2, replenishable=True, **given):
    return NewConsumable(REGION, name, replenishable, total, b'{"tags":{}}', 4, **given)


def change(operation, quantity, name="licence", at_ms=5, idempotency=None, valid_from_ms=0):
    return ConsumableChange(REGION, name, operation, quantity, at_ms, idempotency, valid_from_ms)


def resource_events(commits, after=3):
    return [each for each in commits.requests(after, 100, NOBODY) if isinstance(each, ConsumableChanged)]


def test_what_is_asked_is_told_to_the_engine_in_order_with_all_else(ask, commits, reader):
    async def story(intake, yard):
        await intake.create_consumable(new())
        await intake.submit(job(yard, consumables=(("licence", 1),)))
        assert await intake.update_consumable(change(ADD, 3)) == 5
        assert await intake.update_consumable(change(REMOVE, 1)) == 4
        assert await intake.update_consumable(change(SET, 9)) == 9
        assert await intake.delete_consumable(deletion("licence"))
        assert await intake.update_consumable(change(SET, 1)) is None
        assert not await intake.delete_consumable(deletion("licence"))

    ask(story)
    events = commits.requests(3, 100, NOBODY)
    number = events[0].number
    assert [type(each) for each in events] == [ConsumableChanged, JobSubmitted, *[ConsumableChanged] * 4]
    assert events[1].asks == ((number, 1),)
    told = [(each.number, each.there, each.granted, each.born) for each in resource_events(commits)]
    assert told == [(number, True, granted, number) for granted in (2, 5, 4, 9)] + [(number, False, 9, number)]
    assert reader.consumable(REGION, "licence") is None


def test_a_job_may_name_what_is_created_later(ask, commits):
    async def story(intake, yard):
        for _ in range(2):
            await intake.submit(job(yard, consumables=(("later", 2),)))
        await intake.create_consumable(new("later"))
        await intake.submit(job(yard, consumables=(("later", 1),)))

    ask(story)
    events = commits.requests(3, 100, NOBODY)
    number = events[2].number
    assert [each.asks for each in events if isinstance(each, JobSubmitted)] == [((number, 2),)] * 2 + [((number, 1),)]
    assert number < events[0].seq < events[2].born


def test_what_was_consumed_counts_against_what_was_granted(ask, commits, reader):
    async def story(intake, yard):
        await intake.create_consumable(new(total=5, replenishable=False))
        born = resource_events(commits)[0].number
        commits.commit(10, [f.ConsumableUsed(born, 1, 3, born)])
        assert reader.consumable(REGION, "licence")[4:6] == (2, 1)
        with pytest.raises(ClientError, match="totalQuantity cannot be a negative number."):
            await intake.update_consumable(change(REMOVE, 3))
        assert await intake.update_consumable(change(SET, 4)) == 4
        commits.commit(11, [f.ConsumableUsed(born, 0, 4, born)])
        assert await intake.update_consumable(change(ADD, 1)) == 4
        assert await intake.delete_consumable(deletion("licence"))
        await intake.create_consumable(new(total=7))
        return born

    number = ask(story)
    assert [each.granted for each in resource_events(commits)] == [5, 7, 8, 8, 7]
    assert resource_events(commits)[-1].born > number
    assert reader.consumable(REGION, "licence")[3:6] == (True, 7, 0), "of the new one nothing was consumed"
    assert commits.load().used == [HeldConsumable(number, 4)]


def test_a_repeated_call_is_carried_out_once_a_client_token_for_eight_hours(ask):
    async def story(intake, yard):
        for _ in range(2):
            await intake.create_consumable(new(idempotency=b"c"))
        with pytest.raises(ClientError, match="Object already exists"):
            await intake.create_consumable(new(idempotency=b"other"))
        totals = [
            await intake.update_consumable(change(ADD, 1, at_ms=at_ms, idempotency=b"t", valid_from_ms=at_ms - 100))
            for at_ms in (1000, 1050, 1100, 1101, 1150)
        ]
        assert totals == [3, 3, 3, 4, 4]

    ask(story)


def test_what_exists_is_listed_by_name_in_any_case(ask, reader):
    async def story(intake, yard):
        for name in ("b", "Abc", "abc", "abd", "c_1"):
            await intake.create_consumable(new(name))
        await intake.submit(job(yard, consumables=(("abx", 1),)))
        await intake.delete_consumable(deletion("b"))

    ask(story)

    def listed(names, after="", limit=10):
        return [row.name for row in reader.consumables(REGION, names, after, limit)]

    assert listed(None) == ["Abc", "abc", "abd", "c_1"]
    assert listed(None, after="Abc", limit=2) == ["abc", "abd"]
    assert listed((NameMatch("AB", False),)) == ["Abc", "abc", "abd"]
    assert listed((NameMatch("abC", True), NameMatch("C", False), NameMatch("ab", False)), limit=3) == [
        "Abc",
        "abc",
        "abd",
    ]
    assert listed((NameMatch("abC", True),), after="Abc") == ["abc"]


def test_the_jobs_that_ask_for_a_resource_are_found_without_looking_at_others(ask, commits, reader):
    async def story(intake, yard):
        await intake.create_consumable(new())
        asked = [
            await intake.submit(job(yard, name=f"job{n}", consumables=(("licence", n + 1),) if n % 2 else ()))
            for n in range(6)
        ]
        return yard, asked

    _, uuids = ask(story)
    row = reader.consumable(REGION, "licence")

    def found(names=None, statuses=ALL, before=None, limit=10):
        page = reader.asking(row.id, names, statuses, before, limit)
        return [(each.row.name, each.quantity) for each in page.rows], page.rest

    assert found() == ([("job5", 6), ("job3", 4), ("job1", 2)], None)
    first, rest = found(limit=2)
    assert first == [("job5", 6), ("job3", 4)]
    assert found(limit=2, before=rest) == ([("job1", 2)], None)
    assert found(names=(NameMatch("JOB3", True),)) == ([("job3", 4)], None)
    assert found(statuses=frozenset({SUBMITTED}), names=(NameMatch("job", False),))[0][0] == ("job5", 6)
    events = [each for each in commits.requests(4, 100, NOBODY) if isinstance(each, JobSubmitted)]
    commits.commit(20, [added(each) for each in events])
    job3 = events[3]
    commits.commit(21, [f.AttemptOpened(job3.seq, -1, 1, job3.uuid, 1, "i-1", 21)])
    assert found(statuses=frozenset({STARTING, RUNNING})) == ([("job3", 4)], None)
    assert found(statuses=frozenset({RUNNABLE})) == ([("job5", 6), ("job1", 2)], None)
    assert found(statuses=frozenset({RUNNABLE, STARTING}), limit=1) == ([("job5", 6)], job3.seq + 2)
    assert uuids


def test_with_a_job_goes_what_it_asked_for(site):
    async def story(at):
        await at.intake.create_consumable(new())
        for each in (1, 2):
            _, event = await at.submit(consumables=(("licence", each), ("other", 1)))
            at.run(event)
        await at.drain()
        (row,) = look(at.data, "requests", "SELECT seq FROM jobs")
        assert look(at.data, "requests", "SELECT DISTINCT job FROM asks") == [row]

    site(story, Retention(10**15, 1))


def test_a_name_that_nobody_uses_is_forgotten(site):
    async def story(at):
        await at.intake.create_consumable(new("gone"))
        await at.intake.create_consumable(new("kept"))
        _, event = await at.submit(consumables=(("asked", 1), ("gone", 1)))
        await at.intake.delete_consumable(deletion("gone"))
        at.apply()
        late_ms = 10 * DAY_MS

        async def names():
            await at.intake.remove_leftovers(late_ms)
            return {name for (name,) in look(at.data, "requests", "SELECT name FROM consumables")}

        assert await names() == {"gone", "kept", "asked"}, "a job that waits asks for them"
        at.run(event)
        _, last = await at.submit()
        at.run(last)
        await at.drain()
        late_ms += DAY_MS
        assert await names() == {"kept"}
        await at.intake.create_consumable(new("gone"))
        assert at.reader.consumable(REGION, "gone").total == 2

    site(story, Retention(DAY_MS, 1))


def test_a_name_is_known_to_a_new_server(data):
    """What the api's writer knows is in the file: another one goes on with the same numbers."""

    async def create():
        intake = SqliteIntake(data)
        try:
            await intake.create_consumable(new())
        finally:
            await intake.close()

    async def again():
        intake = SqliteIntake(data)
        try:
            with pytest.raises(ClientError, match="Object already exists"):
                await intake.create_consumable(new())
            assert await intake.update_consumable(change(ADD, 1)) == 3
        finally:
            await intake.close()

    asyncio.run(create())
    asyncio.run(again())
