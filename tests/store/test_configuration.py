"""Changes and deletions of environments and queues: guards in the writing transaction, names free at the right time."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from batchyard.errors import ClientError
from batchyard.model import facts as f
from batchyard.model.blocked import MAX_RESOURCE, TimeLimit
from batchyard.model.environments import Capacity, InstanceType
from batchyard.model.events import EnvironmentChanged, QueueChanged
from batchyard.model.ids import WHOLE
from batchyard.model.needs import Needs
from batchyard.model.states import DELETED, DELETING, FAILED, RUNNABLE, VALID
from batchyard.store.commits import SqliteCommits
from batchyard.store.intake import SqliteIntake

from . import asking
from .asking import REGION, deletion, environment_change, job, queue_change

NOBODY = {}.__contains__
IN_FLUX = "resource is being modified"


async def refused(pattern, awaitable):
    with pytest.raises(ClientError, match=pattern):
        await awaitable


async def disabled(intake, *, queue=None, environment=None):
    """Disabled and asked to be deleted."""
    if queue:
        assert await intake.update_queue(queue_change(name=queue, enabled=False))
        assert await intake.delete_queue(deletion(queue))
    if environment:
        assert await intake.update_environment(environment_change(name=environment, enabled=False))
        assert await intake.delete_environment(deletion(environment))


def told(commits, after=3):
    return [(type(event), event.enabled, event.deleting) for event in commits.requests(after, 100, NOBODY)]


# -- changes -----------------------------------------------------------------------------------------------------------


def test_a_change_names_what_becomes_other_and_the_rest_stays(ask, reader, commits):
    async def story(intake, yard):
        await intake.update_environment(environment_change(members={"serviceRole": "new"}))
        await intake.update_environment(environment_change(enabled=False))
        other = await intake.create_environment(asking.environment("there"))
        await intake.update_queue(queue_change(environments=(other, yard.environment), members={"x": [1]}))
        await intake.update_queue(queue_change(enabled=False))
        return yard, other

    yard, other = ask(story)
    here, queue = reader.environment(REGION, "here"), reader.queue(REGION, "q")
    assert here.body == {"type": "UNMANAGED", "serviceRole": "new"} and not here.enabled and here.status == VALID
    assert (queue.priority, queue.enabled, queue.environments) == (10, False, (other, yard.environment))
    assert queue.body == {"priority": 10, "x": [1]}
    first, second, _, moved, off = commits.requests(3, 100, NOBODY)
    assert (first.enabled, second.enabled) == (True, False)
    assert (moved.environments, moved.enabled) == ((other, yard.environment), True)
    assert off == moved._replace(seq=off.seq, enabled=False)


def test_time_limits_are_told_as_they_are_now(ask, commits):
    async def story(intake, yard):
        limit = {"reason": f"{MAX_RESOURCE} - and more", "maxTimeSeconds": 600, "state": "RUNNABLE", "action": "CANCEL"}
        body = msgspec.json.encode({"jobStateTimeLimitActions": [limit]})
        await intake.create_queue(asking.queue([yard.environment], "limited", body=body))
        await intake.update_queue(queue_change("limited", priority=3))
        await intake.update_queue(queue_change("limited", members={"jobStateTimeLimitActions": []}))

    ask(story)
    first, again, cleared = commits.requests(3, 100, NOBODY)
    assert first.limits == again.limits == (TimeLimit(MAX_RESOURCE, 600_000),)
    assert cleared.limits == ()


def test_an_own_room_is_told_with_every_change(ask, commits):
    async def story(intake, yard):
        body = b'{"room":[1000,100,0]}'
        await intake.create_environment(asking.environment("p", provider="pretend/u", body=body))
        await intake.update_environment(environment_change("p", members={"room": Needs(4000, 100, 0)}))
        await disabled(intake, environment="p")

    ask(story)
    rooms = [event.room for event in commits.requests(3, 100, NOBODY)]
    assert rooms == [Needs(1000, 100, 0)] + [Needs(4000, 100, 0)] * 3


def test_what_is_not_there_cannot_be_changed_or_deleted(ask):
    async def story(intake, yard):
        assert not await intake.update_environment(environment_change("none", enabled=False))
        assert not await intake.update_queue(queue_change("none", enabled=False))
        assert not await intake.update_queue(queue_change(region="eu-west-1", enabled=False))
        assert not await intake.delete_environment(deletion("none"))
        assert not await intake.delete_queue(deletion("none"))
        assert not await intake.deregister_definition(REGION, "hello", 9, 5)

    ask(story)


def test_a_queue_moves_only_to_environments_that_stay(ask):
    async def story(intake, yard):
        going = await intake.create_environment(asking.environment("going"))
        await disabled(intake, environment="going")
        for number in (going, 77):
            await refused("created and valid before", intake.update_queue(queue_change(environments=(number,))))
            await refused("created and valid before", intake.create_queue(asking.queue([number], name="new")))

    ask(story)


# -- deletion ----------------------------------------------------------------------------------------------------------


def test_only_what_is_disabled_and_unused_can_be_deleted(ask):
    async def story(intake, yard):
        await refused("queue q is ENABLED", intake.delete_queue(deletion("q")))
        await refused("environment here is ENABLED", intake.delete_environment(deletion("here")))
        await intake.update_environment(environment_change(enabled=False))
        await refused("existing JobQueue relationship", intake.delete_environment(deletion("here")))
        await disabled(intake, queue="q")
        await refused("existing JobQueue relationship", intake.delete_environment(deletion("here")))

    ask(story)


def test_what_is_being_deleted_can_be_neither_changed_nor_deleted_nor_made_anew(ask, reader):
    async def story(intake, yard):
        await disabled(intake, queue="q")
        await refused(f"Cannot delete, {IN_FLUX}", intake.delete_queue(deletion("q")))
        await refused(f"Cannot update, {IN_FLUX}", intake.update_queue(queue_change(priority=1)))
        await refused("Object already exists", intake.create_queue(asking.queue([yard.environment])))
        await refused("not ENABLED", intake.submit(job(yard)))
        await intake.create_environment(asking.environment("there"))
        await disabled(intake, environment="there")
        await refused(f"Cannot delete, {IN_FLUX}", intake.delete_environment(deletion("there")))
        await refused(f"Cannot update, {IN_FLUX}", intake.update_environment(environment_change("there", enabled=True)))
        await refused("Object already exists", intake.create_environment(asking.environment("there")))

    ask(story)
    assert reader.queue(REGION, "q").status == reader.environment(REGION, "there").status == DELETING
    assert [row.status for row in reader.queues(REGION, 0, 10)] == [DELETING]


def test_the_name_is_free_when_the_engine_says_that_it_is_gone_and_old_jobs_keep_it(ask, reader, commits):
    async def story(intake, yard):
        old = await intake.submit(job(yard))
        await disabled(intake, queue="q")
        gone = f.QueueDeleted(yard.queue, 20)
        (submitted, *_) = commits.requests(3, 10, NOBODY)
        row = f.JobAdded(submitted.seq, submitted.uuid, yard.queue, 0, RUNNABLE, RUNNABLE, 20)
        failed = f.JobMoved(submitted.seq, WHOLE, RUNNABLE, FAILED, 20, "JobQueue deleted")
        commits.commit(20, [row, failed, gone, f.RequestApplied(6)])
        assert reader.queue(REGION, "q") is None and reader.queues(REGION, 0, 10) == []
        assert not await intake.delete_queue(deletion("q"))
        assert not await intake.update_queue(queue_change(priority=1))
        await disabled(intake, environment="here")  # the queue that is gone holds it no longer
        other = await intake.create_environment(asking.environment("other"))
        again = await intake.create_queue(asking.queue([other]))
        new = await intake.submit(job(yard._replace(queue=again)))
        return yard, old, again, new

    yard, old, again, new = ask(story)
    assert reader.queue(REGION, "q").id == again != yard.queue
    assert [row.id for row in reader.queues(REGION, 0, 10)] == [again]
    assert reader.job(REGION, old, WHOLE).queue == yard.queue and reader.job(REGION, new, WHOLE).queue == again
    tombstone = reader.queue_by_id(yard.queue)
    assert (tombstone.name, tombstone.status) == ("q", DELETED)
    assert [event.environment for event in commits.load().configuration] == [yard.environment], "not the queue"


def test_a_page_is_full_though_some_are_gone(ask, reader, commits):
    async def story(intake, yard):
        made = [await intake.create_environment(asking.environment(f"e{n}")) for n in range(9)]
        for name in range(0, 9, 2):
            await disabled(intake, environment=f"e{name}")
        commits.commit(20, [f.EnvironmentDeleted(number, None, 20) for number in made[::2]])
        return made

    made = ask(story)
    seen, after = [], made[0] - 1
    while page := reader.environments(REGION, after, 2):
        seen += [row.id for row in page]
        after = page[-1].id
        assert len(page) == 2
    assert seen == made[1::2]


def test_the_engine_is_told_of_deletions_in_order_with_everything_else(ask, commits):
    async def story(intake, yard):
        await disabled(intake, queue="q")
        await intake.create_environment(asking.environment("there"))
        await disabled(intake, environment="there")

    ask(story)
    assert told(commits) == [
        (QueueChanged, False, False),
        (QueueChanged, False, True),
        (EnvironmentChanged, True, False),
        (EnvironmentChanged, False, False),
        (EnvironmentChanged, False, True),
    ]


def test_an_environments_own_provider_goes_with_it(data, commits):
    commits.commit(
        10, [f.ProviderRecorded("pretend/u", Needs(1000, 1, 0)), f.ProviderRecorded("local", Needs(1, 1, 0))]
    )
    commits.commit(11, [f.EnvironmentDeleted(5, "pretend/u", 11), f.EnvironmentDeleted(6, None, 11)])
    commits.close()
    again = SqliteCommits(data)
    assert list(again.load().providers) == ["local"]
    again.close()


# -- calls that are tried again ----------------------------------------------------------------------------------------


def test_a_call_that_was_stored_is_not_carried_out_again(ask, reader, commits):
    async def story(intake, yard):
        first = environment_change(enabled=False, idempotency=b"1")
        assert await intake.update_environment(first)
        assert await intake.update_environment(environment_change(enabled=True))
        assert await intake.update_environment(first), "the answer is that of the first try"
        slow = queue_change(priority=5, idempotency=b"2")
        assert await intake.update_queue(slow)
        assert await intake.update_queue(queue_change(priority=6, enabled=False, idempotency=b"3"))
        assert await intake.update_queue(slow)
        for _ in range(2):
            assert await intake.delete_queue(deletion("q", idempotency=b"4"))
        await refused(IN_FLUX, intake.delete_queue(deletion("q", idempotency=b"5")))
        commits.commit(20, [f.QueueDeleted(yard.queue, 20)])
        assert await intake.delete_queue(deletion("q", idempotency=b"4"))
        made = [await intake.create_environment(asking.environment("new", idempotency=b"6")) for _ in range(2)]
        assert made[0] == made[1]
        await refused("already exists", intake.create_environment(asking.environment("new", idempotency=b"7")))
        made = [await intake.create_queue(asking.queue([made[0]], "new", idempotency=b"8")) for _ in range(2)]
        assert made[0] == made[1]

    ask(story)
    assert reader.environment(REGION, "here").enabled
    assert reader.queue_by_id(2).priority == 6


def test_of_two_at_once_one_wins(ask):
    async def story(intake, yard):
        await intake.update_queue(queue_change(enabled=False))
        calls = [intake.delete_queue(deletion("q", idempotency=bytes([n]))) for n in range(5)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert [answer for answer in answers if answer is True] == [True]
        assert {str(answer) for answer in answers if answer is not True} == {f"Cannot delete, {IN_FLUX}"}

    ask(story)


def test_no_submission_gets_in_behind_a_deletion(ask, commits):
    """Whatever the order of the units: no job has a number above that of the deletion."""

    async def story(intake, yard):
        calls = [intake.submit(job(yard)) for _ in range(3)]
        calls += [intake.update_queue(queue_change(enabled=False)), intake.submit(job(yard))]
        calls += [intake.delete_queue(deletion("q")), intake.submit(job(yard))]
        await asyncio.gather(*calls, return_exceptions=True)

    ask(story)
    events = commits.requests(3, 100, NOBODY)
    (wish,) = [event.seq for event in events if getattr(event, "deleting", False)]
    assert [event.seq > wish for event in events if hasattr(event, "upstreams")] == [False] * 3


# -- deregistration ----------------------------------------------------------------------------------------------------


def test_a_deregistered_revision_takes_no_more_jobs(ask, reader, commits):
    async def story(intake, yard):
        before = await intake.submit(job(yard))
        assert await intake.deregister_definition(REGION, "hello", 1, 50)
        assert await intake.deregister_definition(REGION, "hello", 1, 60), "once more is no harm"
        await refused("hello:1 is not in ACTIVE status", intake.submit(job(yard)))
        return before

    before = ask(story)
    assert reader.definition(REGION, "hello", None) is None
    assert not reader.definition(REGION, "hello", 1).active
    (event,) = commits.requests(3, 10, NOBODY)
    assert event.uuid == before, "jobs that were submitted go on"


def test_what_was_wished_is_there_after_a_restart(data, ask, reader):
    async def story(intake, yard):
        await disabled(intake, queue="q")
        again = SqliteIntake(data)
        await refused(IN_FLUX, again.delete_queue(deletion("q")))
        await again.close()

    ask(story)


# -- changes of what a managed environment may hold --------------------------------------------------------------------

CAPACITY = Capacity("EC2", 8000, 0, 4000, types=(InstanceType("t", Needs(1000, 64), 60, 1, 1, 0),))


def managed(capacity=CAPACITY, **members) -> bytes:
    return msgspec.json.encode({"computeResources": {"maxvCpus": 8}, "capacity": capacity} | members)


def test_what_is_desired_is_told_with_the_request_that_desires_it_and_with_no_other(ask, commits):
    async def story(intake, yard):
        await intake.create_environment(asking.environment("m", body=managed()))
        await intake.update_environment(environment_change("m", enabled=True))
        wider = CAPACITY._replace(max_cpu_milli=16_000, desired_cpu_milli=6000)
        await intake.update_environment(environment_change("m", members={"capacity": wider}))
        await intake.update_environment(environment_change("m", members={"serviceRole": "new"}))
        await disabled(intake, environment="m")

    ask(story)
    told = [event.capacity for event in commits.requests(3, 100, NOBODY)]
    assert [(each.max_cpu_milli, each.desired_cpu_milli) for each in told] == [
        (8000, 4000), (8000, 0), (16_000, 6000), (16_000, 0), (16_000, 0), (16_000, 0),
    ]  # fmt: skip


def test_of_two_changes_made_of_the_same_value_the_second_is_refused(ask, reader):
    async def story(intake, yard):
        await intake.create_environment(asking.environment("m", body=managed()))
        seen = {"computeResources": {"maxvCpus": 8}, "updatePolicy": None}
        for number, vcpus in enumerate((9, 10)):
            members = {"computeResources": {"maxvCpus": vcpus}}
            change = environment_change("m", members=members)._replace(seen=seen, idempotency=b"%d" % number)
            if number:
                await refused("Cannot update, resource is being modified", intake.update_environment(change))
            else:
                assert await intake.update_environment(change)
                assert await intake.update_environment(change), "a repeated call is not its own rival"

    ask(story)
    assert reader.environment(REGION, "m").body["computeResources"] == {"maxvCpus": 9}
