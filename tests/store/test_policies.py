"""Scheduling policies and shares in both files: what was asked, what the engine is told, how many may be active."""

from __future__ import annotations

import asyncio

import pytest

from batchyard.errors import ClientError
from batchyard.model import facts as f
from batchyard.model.events import JobSubmitted, PolicyChanged, QueueChanged
from batchyard.model.shares import HeldShare, NewPolicy, PolicyChange, SharePolicy
from batchyard.model.states import RUNNABLE
from batchyard.ports import JobFilter, NameMatch
from batchyard.store.activeshares import ACTIVE_MAX
from batchyard.store.intake import SqliteIntake

from .asking import REGION, deletion, job, queue, queue_change
from .keeping import NOBODY
from .test_commits import added

HALF = SharePolicy(3600, 50, (("a", 5000),))


def new(name="fair", value=HALF, **given):
    body = b'{"fairsharePolicy":{"computeReservation":50},"tags":{"k":"v"}}'
    return NewPolicy(REGION, name, value, body, 4, **given)


def change(value, name="fair", **given):
    return PolicyChange(REGION, name, value, {"fairsharePolicy": {}}, 5, **given)


async def fair_queue(intake, yard, name="f", **given):
    policy = await intake.create_policy(new(**given))
    return policy, await intake.create_queue(queue([yard.environment], name, policy=policy))


def test_the_engine_is_told_of_policies_and_of_the_queues_that_go_by_them(ask, commits, reader):
    async def story(intake, yard):
        policy, fair = await fair_queue(intake, yard)
        await intake.submit(job(yard, queue=fair, share="a", priority=7))
        other = await intake.create_policy(new("other", SharePolicy()))
        assert await intake.update_queue(queue_change("f", policy=other))
        assert await intake.update_policy(change(SharePolicy(60), "other"))
        assert await intake.delete_policy(deletion("fair"))
        return policy, fair, other

    policy, fair, other = ask(story)
    events = commits.requests(3, 100, NOBODY)
    assert [(event.policy, event.value) for event in events if isinstance(event, PolicyChanged)] == [
        (policy, HALF),
        (other, SharePolicy()),
        (other, SharePolicy(60)),
        (policy, None),
    ]
    assert [event.policy for event in events if isinstance(event, QueueChanged)] == [policy, other]
    (submitted,) = [event for event in events if isinstance(event, JobSubmitted)]
    assert (submitted.queue, submitted.share, submitted.priority) == (fair, "a", 7)
    assert reader.queue(REGION, "f").policy == "other"
    assert reader.queue(REGION, "q").policy is None
    assert reader.policy(REGION, "fair") is None
    assert reader.policy(REGION, "other").body == {"fairsharePolicy": {}, "tags": {"k": "v"}}


def test_a_start_finds_policies_and_shares(ask, commits):
    async def story(intake, yard):
        policy, fair = await fair_queue(intake, yard)
        await intake.submit(job(yard, queue=fair, share="a"))
        return policy, fair

    policy, fair = ask(story)
    applied = commits.requests(0, 100, NOBODY)
    (submitted,) = [event for event in applied if isinstance(event, JobSubmitted)]
    used = f.ShareUsed(fair, "a", 2**80, 9, 8, 1000)
    commits.commit(9, [added(submitted), used, f.RequestApplied(submitted.seq)])
    snapshot = commits.load()
    assert snapshot.shares == [HeldShare(*used)]
    assert PolicyChanged(policy, policy, HALF) in snapshot.configuration
    assert snapshot.jobs[0].submitted.share == "a"
    commits.commit(10, [f.ShareForgotten(fair, "a"), used._replace(usage=1)])
    assert [share.usage for share in commits.load().shares] == [1], "forgotten and back in one turn"


def test_names_are_taken_until_the_policy_is_deleted(ask):
    async def story(intake, yard):
        await intake.create_policy(new())
        with pytest.raises(ClientError, match="Object already exists"):
            await intake.create_policy(new())
        assert await intake.delete_policy(deletion("fair"))
        assert not await intake.delete_policy(deletion("fair"))
        assert not await intake.update_policy(change(SharePolicy()))
        await intake.create_policy(new())

    ask(story)


def test_a_call_that_comes_twice_is_carried_out_once(ask, commits):
    async def story(intake, yard):
        assert await intake.create_policy(new(idempotency=b"1")) == await intake.create_policy(new(idempotency=b"1"))
        await intake.update_policy(change(SharePolicy(60), idempotency=b"2"))
        await intake.update_policy(change(SharePolicy(90), idempotency=b"3"))
        await intake.update_policy(change(SharePolicy(60), idempotency=b"2"))
        assert await intake.delete_policy(deletion("fair", idempotency=b"4"))
        assert await intake.delete_policy(deletion("fair", idempotency=b"4"))

    ask(story)
    told = [event.value for event in commits.requests(3, 100, NOBODY)]
    assert told == [HALF, SharePolicy(60), SharePolicy(90), None]


def test_a_policy_stays_while_a_queue_goes_by_it_even_one_that_is_being_deleted(ask, data, commits):
    async def story(intake, yard):
        policy, fair = await fair_queue(intake, yard)
        with pytest.raises(ClientError, match="existing JobQueue relationship: job queue f uses it"):
            await intake.delete_policy(deletion("fair"))
        await intake.update_queue(queue_change("f", enabled=False))
        await intake.delete_queue(deletion("f"))
        with pytest.raises(ClientError, match="existing JobQueue relationship"):
            await intake.delete_policy(deletion("fair"))
        return fair

    fair = ask(story)
    commits.commit(9, [f.QueueDeleted(fair, 9)])

    async def later():
        intake = SqliteIntake(data)
        try:
            assert await intake.delete_policy(deletion("fair"))
            with pytest.raises(ClientError, match="deleted in this very moment"):
                await intake.create_queue(queue([1], "g", policy=4))
        finally:
            await intake.close()

    asyncio.run(later())


def test_no_more_than_500_shares_of_a_queue_are_active(ask, data, commits):
    """Some have rows, of others the engine has not heard yet; one that is active already is no new one."""

    async def fill(intake, yard):
        _, fair = await fair_queue(intake, yard)
        for number in range(ACTIVE_MAX):
            await intake.submit(job(yard, queue=fair, share=f"s{number}"))
        await intake.submit(job(yard, queue=fair, share="s7"))
        with pytest.raises(ClientError, match="f has 500 active share identifiers, and more would be one more"):
            await intake.submit(job(yard, queue=fair, share="more"))
        return yard, fair

    yard, fair = ask(fill)
    submitted = [event for event in commits.requests(0, 10_000, NOBODY) if isinstance(event, JobSubmitted)]
    known = submitted[:300]
    facts = [fact for each in known for fact in (added(each), f.ShareUsed(fair, each.share, 0, 9, 0, 0))]
    commits.commit(9, [*facts, f.RequestApplied(known[-1].seq)])

    async def later(expects):
        intake = SqliteIntake(data)
        try:
            await expects(intake)
        finally:
            await intake.close()

    async def full(intake):
        for share in ("s0", "s499"):
            await intake.submit(job(yard, queue=fair, share=share))
        with pytest.raises(ClientError, match="500 active share identifiers"):
            await intake.submit(job(yard, queue=fair, share="more"))

    asyncio.run(later(full))
    commits.commit(10, [f.ShareForgotten(fair, "s1")])

    async def room_for_one(intake):
        await intake.submit(job(yard, queue=fair, share="more"))
        with pytest.raises(ClientError, match="500 active share identifiers"):
            await intake.submit(job(yard, queue=fair, share="and more"))
        await intake.submit(job(yard, queue=fair, share="more"))

    asyncio.run(later(room_for_one))


def test_jobs_are_found_by_share(ask, commits, reader):
    async def story(intake, yard):
        _, fair = await fair_queue(intake, yard)
        for share in ("a", "ab", "b"):
            await intake.submit(job(yard, queue=fair, share=share, name=share))
        return fair

    fair = ask(story)
    submitted = [event for event in commits.requests(0, 100, NOBODY) if isinstance(event, JobSubmitted)]
    commits.commit(9, [added(submitted[0]), f.RequestApplied(submitted[0].seq)])

    def found(*matches, status=None):
        page = reader.search_queue(fair, JobFilter(shares=matches, status=status), None, 10)
        return [(row.name, row.share) for row in page.rows]

    assert found(NameMatch("a", True)) == [("a", "a")]
    assert found(NameMatch("a", False)) == [("ab", "ab"), ("a", "a")]
    assert found(NameMatch("a", False), status=RUNNABLE) == [("a", "a")]
    assert found(NameMatch("b", True), NameMatch("a", True)) == [("b", "b"), ("a", "a")]
