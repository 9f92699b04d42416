"""Intake: what is answered is stored, guards hold inside the transaction, many callers share a commit."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import uuid as uuids

import pytest

from batchyard.errors import ClientError, Unavailable
from batchyard.model.ids import WHOLE
from batchyard.model.jobs import AFTER, N_TO_N, SEQUENTIAL, AskedUpstream, RetryPolicy, RetryRule
from batchyard.store import writer
from batchyard.store.intake import SqliteIntake
from batchyard.store.sqlite import REQUESTS, open_reader, path_of

from . import asking
from .asking import furnish, job, wish


def rows(data, sql, *values):
    db = open_reader(data, REQUESTS)
    try:
        return db.execute(sql, values).fetchall()
    finally:
        db.close()


def count(data, table):
    return rows(data, f"SELECT count(*) FROM {table}")[0][0]


# -- numbers ---------------------------------------------------------------------------------------------------


def test_every_request_has_a_number_of_its_own_in_order_of_arrival(data, ask):
    async def story(intake, yard):
        first = await intake.submit(job(yard))
        assert await intake.wish(wish(first))
        await intake.register_definition(asking.definition())
        await intake.submit(job(yard))

    ask(story)
    seqs = [rows(data, f"SELECT {column} FROM {table}") for table, column in _NUMBERED]
    flat = sorted(seq for table in seqs for (seq,) in table)
    assert flat == list(range(1, 8)) and rows(data, "SELECT last_seq FROM meta") == [(7,)]


_NUMBERED = (
    ("environments", "id"),
    ("queues", "id"),
    ("definitions", "id"),
    ("jobs", "seq"),
    ("wishes", "seq"),
    ("interruptions", "seq"),
)


def test_numbers_go_on_after_a_restart_even_when_rows_are_gone(data, ask):
    async def submit(intake, yard):
        await intake.submit(job(yard))

    ask(submit)
    last = rows(data, "SELECT last_seq FROM meta")[0][0]
    db = sqlite3.connect(path_of(data, REQUESTS))
    for table in ("jobs", "definitions", "queues", "environments"):
        db.execute(f"DELETE FROM {table}")
    db.commit()
    db.close()
    ask(submit)
    assert rows(data, "SELECT id FROM environments")[0][0] > last
    assert rows(data, "SELECT revision FROM definitions") == [(2,)], "a revision number was used twice"


def test_revisions_count_by_region_and_name(ask):
    async def story(intake, _):
        give = intake.register_definition
        assert [await give(asking.definition("a")) for _ in range(3)] == [1, 2, 3]
        assert await give(asking.definition("b")) == 1
        assert await give(asking.definition("a", region="eu-west-1")) == 1

    ask(story)


def test_concurrent_registrations_of_one_name_get_distinct_revisions(ask):
    async def story(intake, _):
        return await asyncio.gather(*(intake.register_definition(asking.definition("many")) for _ in range(50)))

    assert ask(story) == list(range(1, 51))


# -- guards ----------------------------------------------------------------------------------------------------


async def refused(pattern, awaitable):
    with pytest.raises(ClientError, match=pattern):
        await awaitable


def test_a_name_is_taken_once_in_a_region(data, ask):
    async def story(intake, yard):
        await refused("^Object already exists$", intake.create_environment(asking.environment()))
        await refused("^Object already exists$", intake.create_queue(asking.queue([yard.environment])))
        assert await intake.create_environment(asking.environment(region="eu-west-1")) > 0

    ask(story)
    assert count(data, "environments") == 2 and count(data, "queues") == 1


def test_of_two_that_want_a_name_at_once_one_gets_it(data, ask):
    async def story(intake, _):
        both = (intake.create_environment(asking.environment("same")) for _ in range(2))
        return await asyncio.gather(*both, return_exceptions=True)

    number, error = ask(story)
    assert isinstance(number, int) and isinstance(error, ClientError)
    assert count(data, "environments") == 2


def test_submission_needs_an_enabled_queue_and_an_active_definition(data, ask):
    async def story(intake, yard):
        closed = await intake.create_queue(asking.queue([yard.environment], name="closed", enabled=False))
        await refused("JobQueue closed is not ENABLED", intake.submit(job(yard, queue=closed)))
        await refused("JobQueue number 999 not found", intake.submit(job(yard, queue=999)))
        await refused("JobDefinition number 999 does not exist", intake.submit(job(yard, definition=999)))
        other = sqlite3.connect(path_of(data, REQUESTS))
        other.execute("UPDATE definitions SET active = 0")
        other.commit()
        other.close()
        await refused("JobDefinition hello:1 is not in ACTIVE status", intake.submit(job(yard)))

    ask(story)
    assert count(data, "jobs") == 0 and count(data, "texts") == 0


def test_a_queue_needs_environments_that_exist(ask):
    async def story(intake, yard):
        await refused("must be created and valid before attaching", intake.create_queue(asking.queue([77], name="new")))

    ask(story)


def test_dependencies_must_exist_and_fit(data, ask):
    async def story(intake, yard):
        def on(uuid, index=WHOLE, kind=AFTER, **given):
            return intake.submit(job(yard, upstreams=(AskedUpstream(uuid, index, kind),), **given))

        array = await intake.submit(job(yard, size=3))
        single = await intake.submit(job(yard))
        unknown = str(uuids.uuid4())
        await refused(f"Job dependency {unknown} not found", on(unknown))
        await refused("Job dependency nonsense not found", on("nonsense"))
        await refused(f"Job dependency {array}:3 not found", on(array, 3))
        await refused(f"Job dependency {single}:0 not found", on(single, 0))
        await refused("has size 3, the job has size 4", on(array, kind=N_TO_N, size=4))
        await refused("has size 0, the job has size 0", on(single, kind=N_TO_N))
        await refused("must be SEQUENTIAL", on(None))
        stored = count(data, "jobs")
        for good in (on(array), on(array, 2), on(single, size=2), on(array, kind=N_TO_N, size=3)):
            await good
        await on(None, kind=SEQUENTIAL, size=5)
        return array, single, stored

    array, single, stored = ask(story)
    assert stored == 2 and count(data, "jobs") == 7
    lists = [row[0] for row in rows(data, "SELECT upstreams FROM jobs WHERE upstreams IS NOT NULL ORDER BY seq")]
    assert (
        lists[1] == f'[[4,2,0,"{array}:2"]]' and lists[2] == f'[[5,-1,0,"{single}"]]' and lists[4] == "[[0,-1,2,null]]"
    )


def test_a_dependency_in_another_region_is_not_found(ask):
    async def story(intake, yard):
        first = await intake.submit(job(yard))
        await refused(
            "not found", intake.submit(job(yard, region="eu-west-1", upstreams=(AskedUpstream(first, WHOLE, AFTER),)))
        )

    ask(story)


def test_a_refused_unit_takes_only_itself_back(data, ask):
    """Good and bad submissions share a transaction; each caller gets its own answer."""

    async def story(intake, yard):
        bad_upstream = (AskedUpstream(str(uuids.uuid4()), WHOLE, AFTER),)
        units = [job(yard, upstreams=bad_upstream if n % 3 == 0 else ()) for n in range(30)]
        before = intake.commits
        answers = await asyncio.gather(*map(intake.submit, units), return_exceptions=True)
        assert intake.commits == before + 1
        return units, answers

    units, answers = ask(story)
    for n, (unit, answer) in enumerate(zip(units, answers, strict=True)):
        assert isinstance(answer, ClientError) if n % 3 == 0 else answer == unit.uuid
    stored = {uuids.UUID(bytes=row[0]) for row in rows(data, "SELECT uuid FROM jobs")}
    assert stored == {uuids.UUID(answer) for answer in answers if isinstance(answer, str)}


def test_a_unit_undone_after_writing_leaves_nothing_in_file_or_memory(data, ask):
    """Its body was inserted, then its UUID turned out to be taken: the next equal body is stored again."""

    async def story(intake, yard):
        first = job(yard)
        await intake.submit(first)
        fresh = b'{"container":{"image":"other"}}'
        with pytest.raises(sqlite3.IntegrityError):
            await intake.submit(first._replace(body=fresh))
        assert count(data, "texts") == 1
        await intake.submit(job(yard, body=fresh))

    ask(story)
    orphans = "SELECT count(*) FROM jobs WHERE text NOT IN (SELECT hash FROM texts)"
    assert rows(data, orphans) == [(0,)] and count(data, "texts") == 2


def test_wishes_name_jobs_that_exist(data, ask):
    async def story(intake, yard):
        array = await intake.submit(job(yard, size=2))
        answers = [await intake.wish(wish(array, index)) for index in (WHOLE, 0, 1, 2)]
        return [*answers, await intake.wish(wish(str(uuids.uuid4()))), await intake.wish(wish("no uuid"))]

    assert ask(story) == [True, True, True, False, False, False]
    assert count(data, "wishes") == 3


# -- idempotency and content -----------------------------------------------------------------------------------


def test_a_repeated_submission_answers_with_the_first_job(data, ask):
    async def story(intake, yard):
        first = await intake.submit(job(yard, idempotency=b"k" * 16))
        assert await intake.submit(job(yard, idempotency=b"k" * 16)) == first
        at_once = await asyncio.gather(*(intake.submit(job(yard, idempotency=b"n" * 16)) for _ in range(5)))
        assert len(set(at_once)) == 1
        assert len({await intake.submit(job(yard)) for _ in range(2)}) == 2, "without a key nothing is deduplicated"

    ask(story)
    assert count(data, "jobs") == 4


def test_a_repeated_submission_is_answered_even_when_its_queue_has_closed(data, ask):
    async def story(intake, yard):
        first = await intake.submit(job(yard, idempotency=b"k" * 16))
        other = sqlite3.connect(path_of(data, REQUESTS))
        other.execute("UPDATE queues SET enabled = 0")
        other.commit()
        other.close()
        assert await intake.submit(job(yard, idempotency=b"k" * 16)) == first

    ask(story)


def test_equal_bodies_are_stored_once(data, ask):
    async def story(intake, yard):
        await asyncio.gather(*(intake.submit(job(yard)) for _ in range(100)))
        await intake.submit(job(yard, body=b"{}"))

    ask(story)
    assert count(data, "texts") == 2


def test_rows_stay_narrow(data, ask):
    retry = RetryPolicy(3, (RetryRule(True, on_exit_code="1*"),))

    async def story(intake, yard):
        await asyncio.gather(*(intake.submit(job(yard, name="a" * 20, retry=retry)) for _ in range(2000)))

    ask(story)
    pages, page_size = rows(data, "PRAGMA page_count")[0][0], rows(data, "PRAGMA page_size")[0][0]
    assert pages * page_size < 2000 * 300


# -- group commit ----------------------------------------------------------------------------------------------


def test_many_callers_share_a_commit(data):
    async def story():
        bells = []
        intake = SqliteIntake(data, on_commit=lambda: bells.append(intake.commits))
        yard = await furnish(intake, data)
        before = intake.commits

        async def caller():
            for _ in range(10):
                await intake.submit(job(yard))

        await asyncio.gather(*(caller() for _ in range(64)))
        await intake.close()
        return intake.commits - before, bells

    commits, bells = asyncio.run(story())
    assert commits == 10, f"64 callers with 10 submissions each took {commits} commits"
    assert bells == list(range(1, len(bells) + 1)), "the bell rings once after each commit"
    assert count(data, "jobs") == 640


def test_callers_out_of_step_fall_into_one(ask):
    """Those just answered join the transaction of those who waited meanwhile, instead of alternating with them."""

    async def story(intake, yard):
        before = intake.commits

        async def caller():
            for _ in range(10):
                await intake.submit(job(yard))

        early = [asyncio.ensure_future(caller()) for _ in range(32)]
        for _ in range(3):  # until the first transaction is being synced
            await asyncio.sleep(0)
        await asyncio.gather(*early, *(caller() for _ in range(32)))
        return intake.commits - before

    assert ask(story) <= 12


def test_while_one_commit_syncs_the_next_gathers(data, monkeypatch):
    """The loop stays free during the sync, and what comes meanwhile becomes one more transaction."""

    async def story():
        intake = SqliteIntake(data)
        yard = await furnish(intake, data)
        held, let_go = threading.Event(), threading.Event()

        class Slow(sqlite3.Connection):
            def commit(self):
                held.set()
                let_go.wait(10)
                super().commit()

        await _reopen_as(intake, data, monkeypatch, Slow)
        before = intake.commits
        first = asyncio.ensure_future(intake.submit(job(yard)))
        await asyncio.to_thread(held.wait, 10)
        rest = [asyncio.ensure_future(intake.submit(job(yard))) for _ in range(20)]
        await asyncio.sleep(0)
        assert not first.done() and count(data, "jobs") == 0, "answered or visible before the sync"
        let_go.set()
        await asyncio.gather(first, *rest)
        assert intake.commits == before + 2
        await intake.close()

    asyncio.run(story())


async def _reopen_as(intake, data, monkeypatch, factory):
    """Have the intake open its file anew with connections of class `factory`."""
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **(k | {"factory": factory})))
    intake._writer._drop()


def test_a_large_burst_is_cut_into_bounded_transactions(data, ask, monkeypatch):
    monkeypatch.setattr(writer, "MOST_UNITS", 16)

    async def story(intake, yard):
        before = intake.commits
        await asyncio.gather(*(intake.submit(job(yard)) for _ in range(100)))
        return intake.commits - before

    assert ask(story) == 7 and count(data, "jobs") == 100


def test_a_caller_that_goes_away_disturbs_nobody(data, ask):
    async def story(intake, yard):
        tasks = [asyncio.ensure_future(intake.submit(job(yard))) for _ in range(10)]
        await asyncio.sleep(0)
        tasks[3].cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(answers[3], asyncio.CancelledError)
        return [answer for answer in answers if isinstance(answer, str)]

    assert len(ask(story)) == 9 == count(data, "jobs"), "nobody waits for it any more: it is not stored"


def test_a_bell_that_fails_does_not_stop_the_writer(data):
    async def story():
        def broken():
            raise OSError("no socket")

        heard = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: heard.append(context["exception"]))
        intake = SqliteIntake(data, on_commit=broken)
        yard = await furnish(intake, data)
        await intake.submit(job(yard))
        await intake.close()
        return heard

    assert all(isinstance(error, OSError) for error in asyncio.run(story()))
    assert count(data, "jobs") == 1


def test_closing_finishes_what_waits_and_refuses_the_rest(data):
    async def story():
        intake = SqliteIntake(data)
        yard = await furnish(intake, data)
        tasks = [asyncio.ensure_future(intake.submit(job(yard))) for _ in range(20)]
        await asyncio.sleep(0)
        await intake.close()
        with pytest.raises(Unavailable, match="shutting down"):
            await intake.submit(job(yard))
        return await asyncio.gather(*tasks)

    assert len(asyncio.run(story())) == 20 == count(data, "jobs")


# -- when the disk does not take it ----------------------------------------------------------------------------


def test_a_full_disk_refuses_loses_nothing_and_recovers(data):
    big = b'{"container":{},"pad":"%d' + b"x" * 3000 + b'"}'

    async def story():
        intake = SqliteIntake(data)
        yard = await furnish(intake, data)
        db = intake._writer._db
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages + 20}")
        accepted, refused_at = [], None
        for number in range(200):
            try:
                accepted.append(await intake.submit(job(yard, body=big.replace(b"%d", b"%d" % number))))
            except Unavailable as error:
                assert error.status == 503 and "full" in error.message and "try again" in error.message
                refused_at = number
                break
        assert refused_at, "the disk never filled up"
        crowd = (intake.submit(job(yard)) for _ in range(8))  # the file is opened anew: the bound is gone
        accepted += await asyncio.gather(*crowd)
        await intake.close()
        return accepted

    accepted = asyncio.run(story())
    stored = {str(uuids.UUID(bytes=row[0])) for row in rows(data, "SELECT uuid FROM jobs")}
    assert stored == set(accepted)
    assert rows(data, "SELECT count(*) FROM jobs WHERE text NOT IN (SELECT hash FROM texts)") == [(0,)]


def test_a_failed_sync_refuses_the_whole_batch_and_reopens(data, monkeypatch):
    async def story():
        intake = SqliteIntake(data)
        yard = await furnish(intake, data)
        attempts = []

        class Failing(sqlite3.Connection):
            def commit(self):
                attempts.append(id(self))
                if len(attempts) == 1:
                    raise sqlite3.OperationalError("disk I/O error")
                super().commit()

        await _reopen_as(intake, data, monkeypatch, Failing)
        keep = [intake.submit(job(yard)) for _ in range(5)]
        lost = await asyncio.gather(*keep, return_exceptions=True)
        assert [type(error) for error in lost] == [Unavailable] * 5
        assert "disk I/O error" in str(lost[0]) and count(data, "jobs") == 0
        good = await intake.submit(job(yard))
        await intake.close()
        return attempts, good

    attempts, good = asyncio.run(story())
    assert len(attempts) == 2, "a sync that failed was tried again"
    assert [str(uuids.UUID(bytes=row[0])) for row in rows(data, "SELECT uuid FROM jobs")] == [good]
    assert rows(data, "SELECT last_seq FROM meta") == rows(data, "SELECT max(seq) FROM jobs")
    assert count(data, "texts") == 1, "a body of the lost transaction was believed to be stored"


def test_with_little_room_left_nothing_new_is_taken_and_old_jobs_may_go(data, monkeypatch):
    async def story():
        intake = SqliteIntake(data, reserve_bytes=1)
        yard = await furnish(intake, data)
        uuid = await intake.submit(job(yard))
        real = os.statvfs(data)
        left = real.f_bavail * real.f_frsize
        intake._disk._reserve_bytes = left + 2**40
        for call in (
            intake.submit(job(yard)),
            intake.wish(wish(uuid)),
            intake.register_definition(asking.definition()),
        ):
            with pytest.raises(Unavailable, match="disk is full.*try again"):
                await call
        assert await intake.remove_retired() == 0
        intake._disk._reserve_bytes = 1
        await intake.submit(job(yard))
        await intake.close()

    asyncio.run(story())
    assert count(data, "jobs") == 2 and count(data, "wishes") == 0
