"""What is left of deleted, changed and deregistered things goes when nothing that is kept refers to it."""

from __future__ import annotations

import pytest

from batchyard.errors import ClientError
from batchyard.model import facts as f
from batchyard.model.jobs import Interruption
from batchyard.store import leftovers
from batchyard.store.audit import OK, audit
from batchyard.store.leftovers import EVERY_MS, INACTIVE_MS
from batchyard.store.retention import DAY_MS, Retention
from batchyard.store.sqlite import REQUESTS, STATE

from . import asking
from .asking import REGION, deletion, environment_change, queue_change
from .keeping import look

WEEK = Retention(7 * DAY_MS)


async def remove(site) -> int:
    """Rounds of the api and steps of the engine until nothing more goes; how much of requests.db went."""
    removed = 0
    for _ in range(50):
        site.now += EVERY_MS
        site.commits.retire(site.now)
        await site.intake.remove_retired()
        went = await site.intake.remove_leftovers(site.now)
        removed += went
        if not went and not look(site.data, STATE, "SELECT 1 FROM retiring"):
            site.commits.retire(site.now)
            return removed
    raise AssertionError("it never comes to an end")


async def delete_queue(site, name="q"):
    """Deleted, and nothing of it lives."""
    number = site.reader.queue(REGION, name).id
    await site.intake.update_queue(queue_change(name=name, enabled=False, at_ms=site.now))
    await site.intake.delete_queue(deletion(name, site.now))
    site.apply()
    site.commit(f.QueueDeleted(number, 0))
    return number


async def delete_environment(site, name="here"):
    number = site.reader.environment(REGION, name).id
    await site.intake.update_environment(environment_change(name=name, enabled=False, at_ms=site.now))
    await site.intake.delete_environment(deletion(name, site.now))
    site.apply()
    site.commit(f.EnvironmentDeleted(number, None, 0))
    return number


def told_later(site):
    """Something else is the newest entry of the journal, which stays."""
    site.commit(f.QueueDeleted(10**9, 0))


def kept(site, which, table, column="id"):
    return {number for (number,) in look(site.data, which, f"SELECT {column} FROM {table}")}


def sound(site):
    assert [each for each in audit(site.data, rest=False) if each.word != OK] == []


# -- deleted queues and environments -----------------------------------------------------------------------------------


def test_a_deleted_queue_goes_after_the_last_job_that_may_be_its_own(site):
    async def story(site):
        number = site.yard.queue
        _, event = await site.submit()
        await site.intake.change_tags(number, lambda tags: {"team": "a"})
        await site.intake.change_tags(site.yard.environment, lambda tags: {"team": "b"})
        site.run(event)
        await delete_queue(site)
        site.now += 6 * DAY_MS
        await remove(site)
        assert number in kept(site, REQUESTS, "queues") and number in kept(site, STATE, "deleted")
        site.now += 2 * DAY_MS
        told_later(site)
        await remove(site)
        assert number not in kept(site, REQUESTS, "queues") | kept(site, STATE, "deleted")
        assert number not in kept(site, REQUESTS, "changes", "subject") | kept(site, STATE, "journal", "job")
        assert kept(site, REQUESTS, "tags") == {site.yard.environment}
        assert site.reader.queue_by_id(number) is None
        sound(site)
        await site.intake.create_queue(asking.queue([site.yard.environment]))

    site(story, WEEK)


def test_a_job_that_lives_on_keeps_what_it_may_have_to_do_with(site):
    async def story(site):
        await site.submit()
        other = await site.intake.create_queue(asking.queue([site.yard.environment], "other"))
        await delete_queue(site, "other")
        site.now += 1000 * DAY_MS
        await remove(site)
        assert other in kept(site, REQUESTS, "queues") & kept(site, STATE, "deleted")
        sound(site)

    site(story, WEEK)


def test_a_deleted_environment_names_the_attempts_that_ran_there_as_long_as_they_are_known(site):
    async def story(site):
        uuid, event = await site.submit()
        place = site.yard.environment
        site.run(event)
        await delete_queue(site)
        await delete_environment(site)
        site.now += 6 * DAY_MS
        await remove(site)
        assert site.reader.environment_by_id(place).name == "here" and site.known(uuid)
        site.now += 2 * DAY_MS
        await remove(site)
        assert site.reader.environment_by_id(place) is None and site.known(uuid) is None
        assert kept(site, STATE, "deleted") == {place}, "the newest entry of the journal tells of it"
        told_later(site)
        await remove(site)
        assert place not in kept(site, STATE, "deleted")
        sound(site)

    async def with_another(site):
        late = await site.intake.create_environment(asking.environment("late"))
        await story(site)
        site.start_engine()
        assert [each.environment for each in site.commits.load().configuration] == [late]

    site(with_another, WEEK)


def test_what_is_not_gone_yet_stays(site):
    async def story(site):
        await site.intake.update_queue(queue_change(enabled=False, at_ms=site.now))
        await site.intake.delete_queue(deletion("q", site.now))
        site.now += 1000 * DAY_MS
        await remove(site)
        assert site.yard.queue in kept(site, REQUESTS, "queues")

    site(story, WEEK)


def test_what_was_deleted_stays_for_a_day_however_short_jobs_are_kept(site):
    async def story(site):
        number = await delete_queue(site)
        repeated = deletion("q", site.now, b"key")
        site.now += DAY_MS // 2
        await remove(site)
        assert number in kept(site, REQUESTS, "queues")
        assert not await site.intake.delete_queue(repeated)
        site.now += DAY_MS
        await remove(site)
        assert number not in kept(site, REQUESTS, "queues")

    site(story, Retention(0))


def test_the_entry_of_a_deletion_stays_until_it_is_counted(site):
    async def story(site):
        number = await delete_queue(site)
        site.counted = 0
        site.now += 8 * DAY_MS
        await remove(site)
        assert number not in kept(site, REQUESTS, "queues") and number in kept(site, STATE, "deleted")
        site.counted = 10**9
        told_later(site)
        site.commits.retire(site.now)
        assert number not in kept(site, STATE, "deleted") | kept(site, STATE, "journal", "job")

    site(story, WEEK)


# -- superseded changes ------------------------------------------------------------------------------------------------


def test_superseded_changes_go_and_a_start_finds_the_last_ones(site):
    async def story(site):
        for priority in range(30):
            await site.intake.update_queue(queue_change(priority=priority, at_ms=site.now))
        site.apply()
        site.now += 8 * DAY_MS
        assert await remove(site) == 30
        assert len(kept(site, REQUESTS, "changes", "seq")) == 2
        site.start_engine()
        (line,) = [each for each in site.commits.load().configuration if hasattr(each, "queue")]
        assert line.priority == 29
        sound(site)

    site(story, WEEK)


def test_a_change_stays_while_the_next_one_is_young_or_not_applied(site):
    async def story(site):
        first = kept(site, REQUESTS, "changes", "seq")
        site.now += 8 * DAY_MS
        await site.intake.update_queue(queue_change(priority=7, at_ms=site.now))
        site.apply()
        await remove(site)
        assert first < kept(site, REQUESTS, "changes", "seq"), "the later one is young: a backup may lie between"
        await site.intake.update_environment(environment_change(enabled=False, at_ms=site.now))
        site.now += 8 * DAY_MS
        await remove(site)
        left = kept(site, REQUESTS, "changes", "seq")
        assert site.yard.queue not in left, "the engine has applied the later one"
        assert site.yard.environment in left, "of the environment it has not"

    site(story, WEEK)


def test_rounds_are_bounded_and_go_on_where_they_stopped(site, monkeypatch):
    monkeypatch.setattr(leftovers, "EXAMINED", 7)

    async def story(site):
        for priority in range(40):
            await site.intake.update_queue(queue_change(priority=priority, at_ms=site.now))
        site.apply()
        site.now += 8 * DAY_MS
        went = [await site.intake.remove_leftovers(site.now) for _ in range(9)]
        assert sum(went) == 40 and max(went) <= 7
        assert went[-1] == 0, "the round is over, and the next one is in a while"

    site(story, WEEK)


# -- INACTIVE revisions ------------------------------------------------------------------------------------------------


def test_inactive_revisions_go_after_as_long_as_aws_keeps_them(site):
    async def story(site):
        number = site.yard.definition
        await site.intake.change_tags(number, lambda tags: {"team": "a"})
        await site.intake.deregister_definition(REGION, "hello", 1, site.now)
        site.now += INACTIVE_MS - DAY_MS
        await remove(site)
        assert site.reader.definition_by_id(number) is not None
        site.now += 2 * DAY_MS
        await remove(site)
        assert site.reader.definition_by_id(number) is None and kept(site, REQUESTS, "tags") == set()
        assert await site.intake.register_definition(asking.definition()) == 2, "its number is not used again"

    site(story, WEEK)


def test_a_revision_stays_while_a_job_may_be_of_it(site):
    async def story(site):
        uuid, event = await site.submit()
        await site.intake.deregister_definition(REGION, "hello", 1, site.now)
        with pytest.raises(ClientError, match="not in ACTIVE status"):
            await site.submit()
        site.now += 2 * INACTIVE_MS
        await remove(site)
        assert site.reader.definition_by_id(site.yard.definition) is not None
        sound(site)
        site.run(event)
        told_later(site)
        site.now += 8 * DAY_MS
        await remove(site)
        assert site.known(uuid) is None and site.reader.definition_by_id(site.yard.definition) is None

    site(story, WEEK)


def test_a_wish_to_interrupt_goes_once_it_was_applied(site):
    async def story(site):
        await site.intake.interrupt(Interruption(site.yard.environment, site.now))
        site.now += 8 * DAY_MS
        await remove(site)
        assert kept(site, REQUESTS, "interruptions", "seq"), "the engine was away all the time"
        site.apply()
        await remove(site)
        assert not kept(site, REQUESTS, "interruptions", "seq")

    site(story, WEEK)
