"""Jobs of several containers in the store: their logs are streams of their own, their endings are told of an attempt,
and all of it goes with the job."""

from __future__ import annotations

import msgspec

from batchyard.model import facts as f
from batchyard.model import ids
from batchyard.model.events import Ending
from batchyard.model.ids import WHOLE
from batchyard.model.states import FAILED, RUNNING
from batchyard.model.tasks import ContainerEnding
from batchyard.store.audit import audit
from batchyard.store.journal import SqliteJournal
from batchyard.store.past import SqlitePast
from batchyard.store.retention import Retention

from .asking import REGION
from .keeping import look

GROUP = "/aws/batch/job"
ELSEWHERE = {"logDriver": "awslogs", "options": {"awslogs-group": "/side", "awslogs-stream-prefix": "own"}}
TASK = {"containers": [{"name": "main"}, {"name": "side", "logConfiguration": ELSEWHERE}], "volumes": []}
ENDED = (ContainerEnding("main", 3), ContainerEnding("side", 143, "stopped"))
ENDING = Ending(3, "Essential container in task exited", None, 30, 40, containers=ENDED)


def body(task=TASK):
    return msgspec.json.encode({"task": task, "parameters": {}})


async def failed(site, **given):
    uuid, event = await site.submit(body=body(), **given)
    site.commit(f.AttemptOpened(event.seq, WHOLE, 1, uuid, site.yard.environment, "i-1", 0))
    opened_ms = site.now
    site.commit(f.AttemptBegan(event.seq, WHOLE, 1, site.now))
    site.commit(f.AttemptClosed(event.seq, WHOLE, 1, RUNNING, FAILED, ENDING, 0))
    return uuid, event.seq, opened_ms


def test_each_container_has_a_stream_that_ends_with_the_attempt(site):
    async def story(site):
        uuid, event = await site.submit(body=body())
        site.commit(f.AttemptOpened(event.seq, WHOLE, 1, uuid, site.yard.environment, "i-1", 0))
        group, side = site.reader.log_group(REGION, GROUP), site.reader.log_group(REGION, "/side")
        task = ids.task_id(f"{uuid}.1")
        main = site.reader.stream(group, f"hello/main/{task}")
        assert (main.log, main.closed) == (f"{uuid}.1~main", False), "one may write before the task counts as begun"
        assert site.reader.stream(side, f"own/side/{task}").log == f"{uuid}.1~side"
        assert site.reader.stream(group, f"hello/default/{task}") is None
        site.commit(f.AttemptBegan(event.seq, WHOLE, 1, site.now))
        site.commit(f.AttemptClosed(event.seq, WHOLE, 1, RUNNING, FAILED, ENDING, 0))
        assert site.reader.stream(group, f"hello/main/{task}").stopped_ms == 40
        assert [row.log for row in site.reader.streams_by_end(group, False, None, 9).rows] == [f"{uuid}.1~main"]
        assert {finding.word for finding in audit(site.data, rest=False)} == {"ok"}

    site(story)


def test_an_only_container_has_the_log_of_its_attempt(site):
    async def story(site):
        uuid, event = await site.submit(body=body({"containers": [{"name": "lonely"}]}))
        site.run(event)
        stream = site.reader.stream(site.reader.log_group(REGION, GROUP), f"hello/lonely/{ids.task_id(f'{uuid}.1')}")
        assert stream.log == f"{uuid}.1" and look(site.data, "state", "SELECT * FROM container_logs") == []

    site(story)


def test_how_each_container_ended_is_told_of_the_attempt_and_of_the_past(site):
    async def story(site):
        _, seq, _ = await failed(site)
        (attempt,) = site.reader.attempts(seq, WHOLE)
        assert attempt.containers == ENDED and (attempt.exit_code, attempt.reason) == (3, None)
        journal, past = SqliteJournal(site.data), SqlitePast(site.data)
        began, closed = journal.after(0, 99)[-2:]
        assert [standing.attempts[0].containers for standing in past.standings(began)] == [()]
        assert [standing.attempts[0].containers for standing in past.standings(closed)] == [ENDED]
        past.close()
        journal.close()

    site(story)


def test_all_logs_go_with_the_job(site):
    async def story(site):
        uuid, _, opened_ms = await failed(site)
        await site.submit()  # the journal's newest entry stays, so another job must be the last
        await site.drain()
        assert site.logs == [(f"{uuid}.1~main", opened_ms), (f"{uuid}.1~side", opened_ms)]
        assert look(site.data, "state", "SELECT * FROM container_logs") == []
        assert look(site.data, "state", "SELECT beginning FROM log_places") == []

    site(story, Retention(0, 0))


def test_a_log_that_does_not_fit_its_attempt_is_found(site):
    async def story(site):
        _, seq, _ = await failed(site)
        site.commits._state.execute("UPDATE container_logs SET stopped_ms = NULL WHERE name = 'side'")
        broken = [finding for finding in audit(site.data, rest=False) if finding.word == "broken"]
        assert [finding.name for finding in broken] == ["attempts"]
        assert f"the log of container side of attempt 1 of job {seq}" in broken[0].sentence

    site(story)
