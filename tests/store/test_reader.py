"""Reader: the two files put together; what the state has yet to learn of is SUBMITTED."""

from __future__ import annotations

import asyncio
import sqlite3
import threading

import pytest

from batchyard.model import facts as f
from batchyard.model.events import Ending
from batchyard.model.ids import WHOLE, attempt_id, task_id
from batchyard.model.jobs import AFTER, N_TO_N, SEQUENTIAL, TERMINATE, AskedUpstream
from batchyard.model.states import FAILED, PENDING, RUNNABLE, RUNNING, STARTING, SUBMITTED, SUCCEEDED
from batchyard.store.sqlite import REQUESTS, path_of

from . import asking
from .asking import REGION, job

DONE = Ending(0, "Essential container in task exited", None, 30, 40, False, 5, 6)


def added(row, status=RUNNABLE, child_status=RUNNABLE):
    return f.JobAdded(row.seq, row.uuid, row.queue, row.size, status, child_status, 10)


# -- configuration ---------------------------------------------------------------------------------------------


def test_environments_and_queues_by_name_number_and_page(ask, reader):
    async def story(intake, yard):
        numbers = [await intake.create_environment(asking.environment(name)) for name in ("zeta", "alpha")]
        await intake.create_environment(asking.environment("zeta", region="eu-west-1"))
        lines = [await intake.create_queue(asking.queue(numbers, name=name, priority=3)) for name in ("b", "a")]
        return yard, numbers, lines

    yard, numbers, lines = ask(story)
    row = reader.environment(REGION, "zeta")
    assert row.id == numbers[0] and row.enabled is True and row.body == {"type": "UNMANAGED"}
    assert reader.environment_by_id(numbers[0]) == row
    assert reader.environment(REGION, "none") is None and reader.environment_by_id(99) is None
    assert [row.name for row in reader.environments(REGION, 0, 10)] == ["here", "zeta", "alpha"]
    assert [row.name for row in reader.environments(REGION, yard.environment, 1)] == ["zeta"]
    line = reader.queue(REGION, "b")
    assert (line.id, line.priority, line.environments) == (lines[0], 3, tuple(numbers))
    assert line.enabled is True and line.body == {"priority": 10} and reader.queue_by_id(lines[0]) == line
    assert [row.name for row in reader.queues(REGION, 0, 10)] == ["q", "b", "a"]
    assert [row.name for row in reader.queues(REGION, lines[0], 10)] == ["a"]
    assert reader.queue("eu-west-1", "b") is None


def test_definitions_by_revision_and_the_highest_active(data, ask, reader):
    async def story(intake, _):
        for name in ("hello", "hello", "world"):
            await intake.register_definition(asking.definition(name))

    ask(story)
    _deactivate(data, "hello", 3)
    assert reader.definition(REGION, "hello", None).revision == 2
    last = reader.definition(REGION, "hello", 3)
    assert last.active is False and last.body["container"]["image"] == "busybox"
    assert reader.definition_by_id(last.id) == last
    assert reader.definition(REGION, "hello", 4) is None and reader.definition(REGION, "none", None) is None

    def listed(name=None, active=None, after=None, limit=10):
        return [(row.name, row.revision) for row in reader.definitions(REGION, name, active, after, limit)]

    everything = [("hello", 3), ("hello", 2), ("hello", 1), ("world", 1)]
    assert listed() == everything
    assert listed(limit=2) == everything[:2] and listed(after=("hello", 2)) == everything[2:]
    assert listed(after=("hello", 1)) == everything[3:] and listed(after=("world", 1)) == []
    assert listed("hello") == everything[:3] and listed("hello", after=("hello", 3)) == everything[1:3]
    assert listed("hello", active=True) == everything[1:3] and listed("hello", active=False) == everything[:1]
    assert listed(active=True) == everything[1:] and listed("world", after=("hello", 1)) == [("world", 1)]
    assert listed("hello", after=("world", 1)) == [] and listed("none") == []


def _deactivate(data, name, revision):
    db = sqlite3.connect(path_of(data, REQUESTS))
    db.execute("UPDATE definitions SET active = 0 WHERE name = ? AND revision = ?", (name, revision))
    db.commit()
    db.close()


# -- jobs the state has not seen -------------------------------------------------------------------------------


def test_a_job_is_submitted_until_the_state_knows_it(ask, reader):
    async def story(intake, yard):
        first = await intake.submit(job(yard, name="first"))
        entries = (AskedUpstream(first, WHOLE, AFTER),)
        return yard, first, await intake.submit(job(yard, upstreams=entries))

    yard, first, second = ask(story)
    row = reader.job(REGION, first, WHOLE)
    assert (row.name, row.status, row.index, row.size, row.attempts) == ("first", SUBMITTED, WHOLE, 0, 0)
    assert row.created_ms == 1_700_000_000_000 and row.body["container"]["command"] == ["true"]
    assert row.status_reason is row.started_ms is row.stopped_ms is row.stop_kind is None
    assert (reader.region_of(first), reader.region_of("0a1b2c3d-0000-4000-8000-000000000000")) == (REGION, None)
    assert reader.job(REGION, second, WHOLE).depends_on == ((first, AFTER),)
    assert reader.attempts(row.seq, WHOLE) == []
    listed = reader.list_queue(yard.queue, SUBMITTED, None, 10)
    assert [one.uuid for one in listed] == [second, first] and all(one.body == {} for one in listed)


def test_children_of_an_unseen_array_are_submitted(ask, reader):
    async def story(intake, yard):
        return await intake.submit(job(yard, size=5))

    array = ask(story)
    seq = reader.job(REGION, array, WHOLE).seq
    assert reader.child_counts(seq) == [5, 0, 0, 0, 0, 0, 0]
    child = reader.job(REGION, array, 4)
    assert (child.index, child.status, child.size, child.uuid) == (4, SUBMITTED, 5, array)
    assert reader.job(REGION, array, 5) is None
    assert [row.index for row in reader.list_children(seq, SUBMITTED, -1, 10)] == [0, 1, 2, 3, 4]
    assert [row.index for row in reader.list_children(seq, SUBMITTED, 1, 2)] == [2, 3]
    assert reader.list_children(seq, SUBMITTED, 4, 10) == [] == reader.list_children(seq, RUNNABLE, -1, 10)


def test_what_nobody_submitted_is_not_found(ask, reader):
    async def story(intake, yard):
        return await intake.submit(job(yard))

    single = ask(story)
    assert reader.job("eu-west-1", single, WHOLE) is None
    assert reader.job(REGION, single, 0) is None, "a single job has no children"
    for odd in ("0" * 36, "nonsense", "", single[:-1]):
        assert reader.job(REGION, odd, WHOLE) is None
    assert reader.child_counts(99) == [0] * 7 and reader.list_children(99, SUBMITTED, -1, 5) == []
    for odd in ("", "nonsense", "hello/default/" + "0" * 32, "hello/default/" + "0" * 31, "/", "hello/default/é"):
        assert reader.stream(1, odd) is None
    assert reader.log_group(REGION, "/aws/batch/job") is None


# -- jobs in the state -----------------------------------------------------------------------------------------


def test_state_and_request_are_put_together(ask, reader, commits):
    async def story(intake, yard):
        return await intake.submit(job(yard))

    uuid = ask(story)
    row = reader.job(REGION, uuid, WHOLE)
    lost = Ending(None, "Host EC2 (instance i-1) terminated.", None, None, 22)
    life = [added(row), f.RequestApplied(row.seq)]
    life += [
        f.AttemptOpened(row.seq, WHOLE, 1, uuid, 1, "i-1", 20),
        f.AttemptClosed(row.seq, -1, 1, STARTING, RUNNABLE, lost, 22),
    ]
    life += [f.AttemptOpened(row.seq, WHOLE, 2, uuid, 1, "i-1", 25), f.AttemptBegan(row.seq, WHOLE, 2, 30)]
    commits.commit(30, [*life, f.StopNoted(row.seq, WHOLE, 0, TERMINATE, "x", 31)])
    running = reader.job(REGION, uuid, WHOLE)
    assert (running.status, running.started_ms, running.attempts, running.stop_kind) == (4, 30, 2, TERMINATE)
    commits.commit(40, [f.AttemptClosed(row.seq, WHOLE, 2, RUNNING, SUCCEEDED, DONE, 40)])
    ended = reader.job(REGION, uuid, WHOLE)
    assert (ended.status, ended.started_ms, ended.stopped_ms) == (SUCCEEDED, 30, 40)
    assert ended.status_reason == DONE.status_reason
    first, second = reader.attempts(row.seq, WHOLE)
    assert (first.number, first.started_ms, first.stopped_ms, first.status_reason) == (1, None, 22, lost.status_reason)
    assert second == (2, 1, "i-1", 25, 30, 40, 0, None, DONE.status_reason, 5, 6, None, (), ())


def test_array_children_have_states_of_their_own(ask, reader, commits):
    async def story(intake, yard):
        entries = (AskedUpstream(None, WHOLE, SEQUENTIAL),)
        first = await intake.submit(job(yard, size=6, upstreams=entries))
        second = await intake.submit(job(yard, size=6, upstreams=(AskedUpstream(first, WHOLE, N_TO_N),)))
        return first, second

    array, second = ask(story)
    row = reader.job(REGION, array, WHOLE)
    assert row.depends_on == ((None, SEQUENTIAL),)
    assert reader.job(REGION, second, 3).depends_on == ((array, N_TO_N),)
    moved = f.ChildrenMoved(row.seq, 1, 4, RUNNABLE, FAILED, 12, "why")
    commits.commit(12, [added(row, PENDING), f.RequestApplied(row.seq), moved])
    assert reader.child_counts(row.seq) == [0, 0, 3, 0, 0, 0, 3]
    assert [one.index for one in reader.list_children(row.seq, FAILED, -1, 10)] == [1, 2, 3]
    assert [one.index for one in reader.list_children(row.seq, FAILED, 1, 1)] == [2]
    assert [one.index for one in reader.list_children(row.seq, RUNNABLE, -1, 10)] == [0, 4, 5]
    assert reader.list_children(row.seq, SUBMITTED, -1, 10) == []
    child = reader.job(REGION, array, 2)
    assert (child.status, child.status_reason, child.stopped_ms) == (FAILED, "why", 12)
    assert reader.job(REGION, array, WHOLE).status == PENDING


def test_lists_tell_how_the_latest_attempt_ended(ask, reader, commits):
    async def story(intake, yard):
        return yard, await intake.submit(job(yard)), await intake.submit(job(yard, size=2))

    yard, single, array = ask(story)
    one, many = (reader.job(REGION, uuid, WHOLE) for uuid in (single, array))
    failed = Ending(3, "Essential container in task exited", "OutOfMemoryError", None, 22)

    def lived(row, index, number, to, ending):
        opened = f.AttemptOpened(row.seq, index, number, row.uuid, 1, "i-1", 20)
        return [opened, f.AttemptClosed(row.seq, index, number, STARTING, to, ending, 22)]

    facts = [added(one), added(many, PENDING), *lived(one, WHOLE, 1, RUNNABLE, failed)]
    facts += lived(one, WHOLE, 2, FAILED, failed._replace(exit_code=4)) + lived(many, 1, 1, SUCCEEDED, DONE)
    commits.commit(30, [*facts, f.RequestApplied(many.seq)])
    ended = reader.list_queue(yard.queue, FAILED, None, 9)[0]
    assert (ended.attempts, ended.exit_code, ended.reason) == (2, 4, "OutOfMemoryError")
    ended = reader.job(REGION, single, WHOLE)
    assert (ended.exit_code, ended.reason) == (4, "OutOfMemoryError")
    child = reader.list_children(many.seq, SUCCEEDED, -1, 9)[0]
    assert (child.index, child.exit_code, child.reason) == (1, 0, None)
    child = reader.job(REGION, array, 1)
    assert (child.exit_code, child.reason) == (0, None)
    assert reader.list_children(many.seq, RUNNABLE, -1, 9)[0][-2:] == (None, None)


@pytest.mark.parametrize("at_once", [True, False], ids=["with its last children", "later"])
def test_a_finished_array_keeps_its_outcome(ask, reader, commits, at_once):
    async def story(intake, yard):
        return await intake.submit(job(yard, size=5))

    row = reader.job(REGION, ask(story), WHOLE)
    ends = [f.ChildrenMoved(row.seq, 0, 2, RUNNABLE, FAILED, 12, "why")]
    for index in range(2, 5):
        ends += [
            f.AttemptOpened(row.seq, index, 1, row.uuid, 1, "i-1", 20),
            f.AttemptClosed(row.seq, index, 1, STARTING, SUCCEEDED, DONE, 40),
        ]
    over = f.JobMoved(row.seq, WHOLE, PENDING, FAILED, 40, "Array Child Job failed")
    commits.commit(12, [added(row, PENDING), f.RequestApplied(row.seq)])
    for facts in [[*ends, over]] if at_once else [ends, [over]]:
        commits.commit(40, facts)
    assert reader.child_counts(row.seq) == [0, 0, 0, 0, 0, 3, 2]
    asked = []
    reader._files.state.set_trace_callback(asked.append)
    assert reader.child_counts(row.seq) == [0, 0, 0, 0, 0, 3, 2]
    assert not [sql for sql in asked if "children" in sql], "the children were counted again"


def test_a_queue_is_listed_by_state_newest_first_in_pages(ask, reader, commits):
    async def story(intake, yard):
        other = await intake.create_queue(asking.queue([yard.environment], name="other"))
        mine = [await intake.submit(job(yard)) for _ in range(6)]
        await intake.submit(job(yard, queue=other))
        return yard, other, mine

    yard, other, mine = ask(story)
    rows = [reader.job(REGION, uuid, WHOLE) for uuid in mine]
    # Four are applied; of these one has ended. Two are not applied yet.
    commits.commit(
        9, [*map(added, rows[:4]), f.RequestApplied(rows[3].seq), f.JobMoved(rows[1].seq, -1, RUNNABLE, FAILED, 9, "x")]
    )

    def listed(status, before=None, limit=10, queue=yard.queue):
        return [row.uuid for row in reader.list_queue(queue, status, before, limit)]

    assert listed(RUNNABLE) == [mine[3], mine[2], mine[0]]
    assert listed(RUNNABLE, limit=2) == [mine[3], mine[2]]
    assert listed(RUNNABLE, before=rows[2].seq) == [mine[0]]
    assert listed(FAILED) == [mine[1]]
    assert listed(SUBMITTED) == [mine[5], mine[4]] and listed(SUBMITTED, limit=1) == [mine[5]]
    assert listed(SUBMITTED, before=rows[5].seq) == [mine[4]]
    assert len(listed(SUBMITTED, queue=other)) == 1 and listed(RUNNABLE, queue=other) == []


def test_a_job_held_as_submitted_is_listed_once(ask, reader, commits):
    """The state may hold a job in SUBMITTED, even before it says how far requests are applied."""

    async def story(intake, yard):
        return yard, [await intake.submit(job(yard)) for _ in range(3)]

    yard, uuids = ask(story)
    commits.commit(9, [added(reader.job(REGION, uuids[0], WHOLE), SUBMITTED)])
    assert [row.uuid for row in reader.list_queue(yard.queue, SUBMITTED, None, 10)] == uuids[::-1]
    assert [row.uuid for row in reader.list_queue(yard.queue, SUBMITTED, None, 2)] == uuids[:0:-1]


def test_a_log_stream_names_its_attempt(ask, reader, commits):
    async def story(intake, yard):
        return await intake.submit(job(yard, size=2))

    array = ask(story)
    row = reader.job(REGION, array, WHOLE)
    commits.commit(9, [added(row, PENDING), f.AttemptOpened(row.seq, 1, 1, array, 1, "i-1", 20)])
    attempt = attempt_id(array, 1, 1)
    group = reader.log_group(REGION, "/aws/batch/job")
    stream = "hello/default/" + task_id(attempt)
    assert reader.stream(group, stream) == (attempt, stream, 20, None)
    assert reader.stream(group, stream).closed is False
    commits.commit(9, [f.AttemptClosed(row.seq, 1, 1, STARTING, SUCCEEDED, DONE, 40)])
    assert reader.stream(group, stream).closed is True


def test_one_answer_is_one_snapshot(ask, reader, commits):
    """A job applied between the reading of the two files appears once: as the state's snapshot has it."""

    async def story(intake, yard):
        return yard, await intake.submit(job(yard))

    yard, uuid = ask(story)
    row = reader.job(REGION, uuid, WHOLE)
    with reader._snapshot() as (files, held_until):
        commits.commit(9, [added(row), f.RequestApplied(row.seq)])
        assert held_until == 0 and files.state.execute("SELECT count(*) FROM jobs").fetchone() == (0,)
    assert reader.list_queue(yard.queue, SUBMITTED, None, 10) == []
    assert not any(db.in_transaction for db in reader._files), "a reader that stays in a transaction stops checkpoints"


@pytest.mark.parametrize("threads", [4])
def test_several_threads_may_ask_one_reader(ask, reader, threads):
    async def story(intake, yard):
        return yard, await asyncio.gather(*(intake.submit(job(yard)) for _ in range(20)))

    yard, uuids = ask(story)
    wrong = []

    def look():
        for uuid in uuids:
            row = reader.job(REGION, uuid, WHOLE)
            if row is None or row.uuid != uuid or len(reader.list_queue(yard.queue, SUBMITTED, None, 50)) != 20:
                wrong.append(uuid)

    crowd = [threading.Thread(target=look) for _ in range(threads)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert not wrong
