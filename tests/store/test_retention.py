"""Retention: what goes, what stays, and that neither a crash nor a submission in between can tear a job in two."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchyard.errors import ClientError, Unavailable
from batchyard.model import facts as f
from batchyard.model.ids import WHOLE, attempt_id, task_id
from batchyard.model.jobs import AFTER, AskedUpstream
from batchyard.model.states import FAILED, RUNNABLE, SUBMITTED, SUCCEEDED
from batchyard.store import retention
from batchyard.store.commits import SqliteCommits
from batchyard.store.intake import SqliteIntake
from batchyard.store.reader import SqliteReader
from batchyard.store.retention import DAY_MS, Retention, keep_removing
from batchyard.store.sqlite import REQUESTS, STATE, migrate

from .asking import REGION, furnish, job, wish
from .keeping import look, seqs
from .test_commits import History

TABLES = {REQUESTS: ("jobs", "wishes", "texts", "tags"), STATE: ("jobs", "children", "attempts", "journal", "retiring")}


# -- what goes and what stays ----------------------------------------------------------------------------------


def test_jobs_go_by_age(site):
    async def story(site):
        old, event = await site.submit()
        site.run(event)
        site.now += 5 * DAY_MS
        young, event = await site.submit()
        site.run(event)
        live, event = await site.submit()
        await site.drain()
        assert site.known(old) and site.known(young)
        site.now += 2 * DAY_MS
        await site.drain()
        assert site.known(old) is None
        assert site.known(young).status == SUCCEEDED and site.known(live).status == RUNNABLE

    site(story, Retention(7 * DAY_MS))


def test_jobs_go_by_number_the_first_to_end_first(site):
    async def story(site):
        jobs = [await site.submit() for _ in range(6)]
        for place in (3, 0, 5, 1):
            site.run(jobs[place][1])
        await site.drain()
        return [place for place in range(6) if site.known(jobs[place][0]) is None]

    assert site(story, Retention(DAY_MS, 2)) == [0, 3], "the first two to end"


def test_a_job_stays_until_all_that_was_told_of_it_is_counted(site, data):
    async def story(site):
        jobs = [await site.submit() for _ in range(3)]
        for _, event in jobs:
            site.run(event)
        await site.submit()  # so that the journal's newest row is another job's
        ends = [n for (n,) in look(data, STATE, "SELECT n FROM journal WHERE kind = 'closed' ORDER BY n")]
        for site.counted, gone in ((0, 0), (ends[0] - 1, 0), (ends[0], 1), (ends[2] - 1, 2), (ends[2], 3)):
            await site.drain()
            assert [site.known(uuid) is None for uuid, _ in jobs] == [place < gone for place in range(3)], site.counted

    site(story, Retention(0, 0))


def test_nothing_is_counted_any_more_and_jobs_go_all_the_same(site, data, monkeypatch):
    async def story(site):
        site.counted = 0
        uuid, event = await site.submit()
        site.run(event)
        entries = look(data, STATE, "SELECT max(n) FROM journal")[0][0]
        monkeypatch.setattr(retention, "HELD_MOST", entries)
        await site.drain()
        assert site.known(uuid)
        await site.submit()
        await site.drain()
        assert site.known(uuid) is None

    site(story, Retention(0, 0))


def test_an_array_counts_its_children(site, data):
    async def story(site):
        array, event = await site.submit(size=10)
        for index in range(10):
            site.run(event, index)
        site.commit(f.JobMoved(event.seq, WHOLE, RUNNABLE, SUCCEEDED, 0))
        single, event = await site.submit()
        await site.drain()
        assert site.known(array)
        site.run(event)
        await site.drain()
        assert site.known(array) is None and site.known(single)
        assert {log[0] for log in site.logs} == {attempt_id(array, index, 1) for index in range(10)}

    site(story, Retention(DAY_MS, 10))
    assert look(data, STATE, "SELECT * FROM children") == []


def test_nothing_is_left_in_either_file(site, data):
    async def story(site):
        uuid, event = await site.submit(size=3)
        await site.intake.wish(wish(uuid))
        await site.intake.change_tags(event.seq, lambda tags: {"a": "1"})
        site.apply()
        for index in range(3):
            site.run(event, index)
        site.commit(f.StopNoted(event.seq, 0, 3, 2, "x", 0), f.JobMoved(event.seq, WHOLE, RUNNABLE, SUCCEEDED, 0))
        await site.submit(body=b"{}")  # so that the journal's newest row is another job's
        await site.drain()
        return event.seq

    seq = site(story, Retention(0, 0))
    for which, tables in TABLES.items():
        for table in tables:
            rows = look(data, which, f"SELECT * FROM {table}")
            assert len(rows) == (1 if table in ("jobs", "texts", "journal") else 0), f"{which}.db: {table} has {rows}"
    assert seqs(data, STATE) == seqs(data, REQUESTS) != {seq}


def test_the_journals_numbers_grow_though_its_rows_go(site, data):
    async def story(site):
        for _ in range(3):
            site.run((await site.submit())[1])
            await site.drain()
        return look(data, STATE, "SELECT max(n), count(*) FROM journal")[0]

    newest, rows = site(story, Retention(0, 0))
    assert newest == 12 and rows == 4, "the last job stays as long as the journal's newest row tells of it"


def test_nothing_goes_before_the_start_has_read_who_waits(data):
    commits = SqliteCommits(data, Retention(0, 0))
    assert commits.retire(10**9) is False
    commits.close()


def test_a_quiet_step_writes_nothing(site, data):
    async def story(site):
        site.run((await site.submit())[1])
        before = look(data, STATE, "SELECT last_ms FROM meta")
        for _ in range(5):
            site.now += 1000
            assert site.commits.retire(site.now) is False and await site.intake.remove_retired() == 0
        assert look(data, STATE, "SELECT last_ms FROM meta") == before

    site(story)


# -- what live jobs depend on ----------------------------------------------------------------------------------


def test_an_upstream_stays_until_the_last_that_waits_is_over(site):
    async def story(site):
        up, first = await site.submit()
        site.run(first)
        _, waiting = await site.submit(size=2, upstreams=(AskedUpstream(up, WHOLE, AFTER),))
        await site.drain()
        assert site.known(up).status == SUCCEEDED
        site.start_engine()  # which reads from the rows who waits on whom
        await site.drain()
        assert site.known(up).status == SUCCEEDED
        for index in range(2):
            site.run(waiting, index)
        await site.drain()
        assert site.known(up), "its children are over, the array is not yet"
        site.commit(f.JobMoved(waiting.seq, WHOLE, RUNNABLE, SUCCEEDED, 0))
        await site.submit()
        await site.drain()
        assert site.known(up) is None

    site(story, Retention(0, 0))


@pytest.mark.parametrize("applied", [True, False], ids=["applied", "not applied"])
def test_a_job_named_after_the_proposal_stays(site, data, applied):
    """The engine proposes, a submission that names the job is acknowledged, then the api comes to remove."""

    async def story(site):
        up, event = await site.submit()
        site.run(event)
        await site.submit()
        site.now += 1
        site.commits.retire(site.now)
        assert seqs(data, STATE, "retiring") == {event.seq}
        await site.intake.submit(job(site.yard, upstreams=(AskedUpstream(up, WHOLE, AFTER),)))
        if applied:
            site.apply()
        assert await site.intake.remove_retired() == 0
        assert site.known(up).status == SUCCEEDED
        site.apply()
        await site.drain()
        assert site.known(up).status == SUCCEEDED and seqs(data, STATE, "retiring") == set()
        assert [held.submitted.upstreams[0].state for held in site.commits.load().jobs[1:]] == [SUCCEEDED]

    site(story, Retention(0, 0))


def test_removal_waits_for_an_engine_that_is_far_behind(site, monkeypatch):
    monkeypatch.setattr(retention, "UNCHECKED", 3)

    async def story(site):
        old, event = await site.submit()
        site.run(event)
        await site.submit()
        site.now += 1
        site.commits.retire(site.now)
        for _ in range(4):
            await site.intake.submit(job(site.yard))
        assert await site.intake.remove_retired() == 0 and site.known(old)
        site.apply()
        await site.drain()
        assert site.known(old) is None

    site(story, Retention(0, 0))


# -- who is gone is unknown ------------------------------------------------------------------------------------


@pytest.mark.parametrize("followed", [False, True], ids=["request gone", "state gone"])
def test_a_job_that_went_is_unknown_to_everybody(site, followed):
    async def story(site):
        array, event = await site.submit(size=2, idempotency=b"key")
        for index in range(2):
            site.run(event, index)
        site.commit(f.JobMoved(event.seq, WHOLE, RUNNABLE, SUCCEEDED, 0))
        live, _ = await site.submit()
        site.now += 1
        site.commits.retire(site.now)
        assert site.known(array).status == SUCCEEDED, "proposed is not gone"
        assert await site.intake.remove_retired() == 1
        if followed:
            await site.drain()
        reader, queue = site.reader, site.yard.queue
        assert site.known(array) is None and reader.job(REGION, array, 1) is None
        group = reader.log_group(REGION, "/aws/batch/job")
        assert reader.stream(group, "hello/default/" + task_id(attempt_id(array, 0, 1))) is None
        listed = {row.uuid for status in range(7) for row in reader.list_queue(queue, status, None, 10)}
        assert listed == {live}
        assert all(reader.list_children(event.seq, status, -1, 10) == [] for status in range(7))
        assert await site.intake.wish(wish(array)) is False
        assert await site.intake.wish(wish(array, 1)) is False
        with pytest.raises(ClientError, match=f"Job dependency {array} not found"):
            await site.intake.submit(job(site.yard, upstreams=(AskedUpstream(array, WHOLE, AFTER),)))
        again = job(site.yard, idempotency=b"key")
        assert await site.intake.submit(again) == again.uuid, "the key went with the row"

    site(story, Retention(0, 0))


def test_a_page_is_full_though_some_of_its_jobs_are_going(site):
    async def story(site):
        jobs = [await site.submit() for _ in range(6)]
        for _, event in jobs:
            site.run(event)
        site.now += 1
        site.commits.retire(site.now)
        await site.intake.remove_retired()
        rows = site.reader.list_queue(site.yard.queue, SUCCEEDED, None, 2)
        assert [row.uuid for row in rows] == [uuid for uuid, _ in jobs[:3:-1]]
        assert len(site.reader.list_queue(site.yard.queue, SUCCEEDED, None, 10)) == 3

    site(story, Retention(DAY_MS, 3))


def test_a_body_goes_with_its_last_job_and_comes_back(site, data):
    """The intake remembers which bodies are stored; it must not believe in one that went."""

    one, two, three = (b'{"container":{},"n":%d}' % number for number in (1, 2, 3))

    async def story(site):
        for body in (one, one, two):
            site.run((await site.submit(body=body))[1])
        await site.submit(body=three)
        site.keep = Retention(DAY_MS, 2)
        site.start_engine()
        await site.drain()
        assert {body for (body,) in look(data, REQUESTS, "SELECT body FROM texts")} == {
            one.decode(),
            two.decode(),
            three.decode(),
        }
        site.keep = Retention(0, 0)
        site.start_engine()
        await site.drain()
        assert {body.encode() for (body,) in look(data, REQUESTS, "SELECT body FROM texts")} == {three}
        back, _ = await site.submit(body=two)
        assert site.known(back).body["n"] == 2

    site(story)


# -- bounded, and whole after a crash --------------------------------------------------------------------------


def test_every_step_is_bounded(site, data, monkeypatch):
    monkeypatch.setattr(retention, "ROWS", 10)
    monkeypatch.setattr(retention, "REMOVED", 3)
    monkeypatch.setattr(retention, "OUTSTANDING", 5)

    async def story(site):
        events = [(await site.submit())[1] for _ in range(12)]
        array = (await site.submit(size=30))[1]
        for event in events:
            site.run(event)
        for index in range(30):
            site.run(array, index)
        site.commit(f.JobMoved(array.seq, WHOLE, RUNNABLE, SUCCEEDED, 0))
        await site.submit()
        count = "SELECT (SELECT count(*) FROM jobs) + (SELECT count(*) FROM children) + (SELECT count(*) FROM journal)"
        count += " + (SELECT count(*) FROM attempts)"
        steps, before = 0, look(data, STATE, count)[0][0]
        while len(seqs(data, STATE)) > 1:
            steps += 1
            assert steps < 500
            site.now += 1
            site.commits.retire(site.now)
            left = look(data, STATE, count)[0][0]
            assert before - left <= 12, f"a step deleted {before - left} rows"
            assert len(seqs(data, STATE, "retiring")) <= 5
            before = left
            requests = len(seqs(data, REQUESTS))
            await site.intake.remove_retired()
            assert requests - len(seqs(data, REQUESTS)) <= 3

    site(story, Retention(0, 0))


def test_logs_go_before_the_rows_that_name_them(site, data):
    """Whoever dies between the two finds the rows, and removes the logs once more."""

    async def story(site):
        uuid, event = await site.submit()
        site.run(event)
        opened_ms = look(data, STATE, "SELECT opened_ms FROM attempts")[0][0]
        await site.submit()
        site.now += 1
        site.commits.retire(site.now)
        await site.intake.remove_retired()

        def die(attempt, opened_ms):
            raise KeyboardInterrupt

        site.commits._retirement._forget_log = die
        with pytest.raises(KeyboardInterrupt):
            site.commits.retire(site.now + 1)
        assert event.seq in seqs(data, STATE) and look(data, STATE, "SELECT count(*) FROM attempts") == [(1,)]
        site.start_engine()
        await site.drain()
        assert site.logs == [(attempt_id(uuid, WHOLE, 1), opened_ms)]
        assert event.seq not in seqs(data, STATE)

    site(story, Retention(0, 0))


def test_a_full_disk_stops_neither_writer_for_good(site, data):
    async def story(site):
        for _ in range(3):
            site.run((await site.submit())[1])
        site.now += 1
        site.commits.retire(site.now)
        calls = []

        async def remove():
            calls.append(len(calls))
            if len(calls) == 1:
                raise Unavailable("The request could not be stored (database or disk is full).")
            return await site.intake.remove_retired()

        retention_idle, retention.IDLE_S = retention.IDLE_S, 0.001
        task = asyncio.ensure_future(keep_removing(remove))
        while len(calls) < 3:
            await asyncio.sleep(0.001)
        retention.IDLE_S = retention_idle
        task.cancel()
        assert len(seqs(data, REQUESTS)) == 1

    site(story, Retention(0, 0))


class Keeping(History):
    """A random history on whose finished jobs retention works, while either side dies now and then."""

    def __init__(self, data, chance):
        super().__init__(data, chance)
        self.keep = Retention(chance.choice((0, 60, 10**9)), chance.choice((0, 3, 10, 10**6)))
        self.reader = SqliteReader(data)
        self.gone: set[int] = set()
        self.sizes: dict[str, int] = {}

    def _start(self):
        self.commits = SqliteCommits(self.data, self.keep)
        self._compare(self.commits.load())

    async def play(self, turns):
        self.yard = await furnish(self.intake, self.data)
        self.last_ms = 0
        self._start()
        for _ in range(turns):
            await self._turn()
        await self._finish()
        self.commits.close()
        self.reader.close()
        await self.intake.close()

    async def _turn(self):
        pick = self.chance
        for _ in range(pick.randrange(4)):
            try:
                await self._ask()
            except ClientError as error:
                assert "not found" in error.message and self.gone, "an upstream that is known was refused"
        facts = self._apply_requests(self.commits)
        for _ in range(pick.randrange(20)):
            facts += self._something()
        self.now += pick.randrange(30)
        self.commits.commit(self.now, facts)
        self.last_ms = self.now if facts else self.last_ms
        for _ in range(pick.randrange(6)):
            self._audit(await self._retention())

    async def _retention(self):
        move = self.chance.choice(("retire", "retire", "remove", "remove", "engine dies", "api dies"))
        if move == "retire":
            self._retire()
        elif move == "remove":
            await self.intake.remove_retired()
        elif move == "api dies":
            await self.intake.close()
            self.intake = SqliteIntake(self.data)
        else:
            self.commits.close()
            self._start()
        return move

    def _retire(self):
        """One step; whatever it proposes must be finished, awaited by nobody, and old or too many."""
        before, rows = seqs(self.data, STATE, "retiring"), self._finished()
        awaited = self._awaited(unapplied=False)
        self.commits.retire(self.now)
        after = seqs(self.data, STATE, "retiring")
        self.last_ms = look(self.data, STATE, "SELECT last_ms FROM meta")[0][0]
        kept = sum(max(size, 1) for changed_ms, seq, size in rows if seq not in before and changed_ms < self.now)
        there = seqs(self.data, REQUESTS)
        kept += sum(max(size, 1) for _, seq, size in rows if seq in before - after and seq in there)
        for changed_ms, seq, size in rows:
            if seq in after - before:
                assert seq not in awaited, f"job {seq} was proposed, a live job waits on it"
                assert changed_ms < self.now - self.keep.keep_ms or kept > self.keep.keep_jobs, f"job {seq} may stay"
                kept -= max(size, 1)

    def _finished(self):
        return look(
            self.data, STATE, "SELECT changed_ms, seq, size FROM jobs WHERE status >= 5 ORDER BY changed_ms, seq"
        )

    def _awaited(self, unapplied=True):
        """Upstreams of live jobs; also of those that the state has yet to learn of."""
        live = {seq for (seq,) in look(self.data, STATE, "SELECT seq FROM jobs WHERE status < 5")}
        listed = look(self.data, REQUESTS, "SELECT seq, up.value ->> 0 FROM jobs, json_each(upstreams) AS up")
        return {up for seq, up in listed if up and (seq in live or (unapplied and seq > self.model.applied))}

    def _audit(self, move):
        """Whatever happened: a job is known and whole, or unknown and was finished. What live jobs wait on is there."""
        requests, state = seqs(self.data, REQUESTS), seqs(self.data, STATE)
        missing = self._awaited() - requests | self._awaited() - state - self._later(requests)
        assert not missing, f"after {move}: {missing} are gone, live jobs wait on them"
        assert not self.gone & requests, f"after {move}: {self.gone & requests} came back"
        for seq, submitted in self.model.submitted.items():
            row = self.reader.job(REGION, submitted.uuid, WHOLE)
            status = self.model.status[seq, WHOLE]
            if row is None:
                assert status in (SUCCEEDED, FAILED), f"after {move}: job {seq} is gone in state {status}"
                self.gone.add(seq)
                continue
            assert row.status == status, f"after {move}: job {seq} is {row.status}, not {status}"
            for index in range(submitted.size):
                assert self.reader.job(REGION, submitted.uuid, index).status == self.model.status[seq, index]
            attempts = len(self.reader.attempts(seq, WHOLE))
            assert attempts == self.model.attempts.get((seq, WHOLE), 0), f"after {move}: job {seq} lost an attempt"
        listed = {
            row.seq for status in range(7) for row in self.reader.list_queue(self.yard.queue, status, None, 10**6)
        }
        assert listed == requests, f"after {move}: listed {listed}, there are {requests}"
        applied = {row.seq for row in self.reader.list_queue(self.yard.queue, SUBMITTED, None, 10**6)}
        assert all(seq > self.model.applied for seq in applied), f"after {move}: SUBMITTED again: {applied}"

    def _later(self, requests):
        return {seq for seq in requests if seq > self.model.applied}

    async def _finish(self):
        """Left alone, retention ends, and what it left had to stay."""
        while facts := self._apply_requests(self.commits):
            self.commits.commit(self.now, facts)
        self.now += 1
        quiet = 0
        for _ in range(5000):
            self.commits.retire(self.now)
            busy = await self.intake.remove_retired() or seqs(self.data, STATE, "retiring")
            quiet = 0 if busy else quiet + 1
            if quiet > 2 * len(self.model.submitted) + 2:  # the round that was under way, and a whole one
                break
        else:
            raise AssertionError("retention never ends")
        rows, awaited = self._finished(), self._awaited()
        told = look(self.data, STATE, "SELECT job FROM journal ORDER BY n DESC LIMIT 1")
        kept = sum(max(size, 1) for _, _, size in rows)
        for changed_ms, seq, _ in rows:
            bites = changed_ms < self.now - self.keep.keep_ms or kept > self.keep.keep_jobs
            assert not bites or seq in awaited or (seq,) in told, f"job {seq} should have gone"
        for table in ("attempts", "children", "journal"):
            orphans = look(self.data, STATE, f"SELECT * FROM {table} WHERE job NOT IN (SELECT seq FROM jobs)")
            assert orphans == [], f"{table}: {orphans}"
        texts = look(self.data, REQUESTS, "SELECT count(*) FROM texts WHERE hash NOT IN (SELECT text FROM jobs)")
        assert texts == [(0,)]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_random_histories_with_crashes(tmp_path_factory, seed):
    chance = random.Random(seed)
    data = tmp_path_factory.mktemp("keeping")
    migrate(data)
    with pytest.MonkeyPatch.context() as patch:
        if chance.random() < 0.7:
            for name in ("ROWS", "EXAMINED", "COUNTED", "OUTSTANDING", "REMOVED"):
                patch.setattr(retention, name, chance.randrange(1, 12))
        asyncio.run(Keeping(data, chance).play(turns=15))
