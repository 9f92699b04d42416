"""Searching a queue: against a plain reading of all its rows, in stretches of a few rows, from random histories."""

from __future__ import annotations

import random
import uuid as uuids

import pytest

from batchyard.model import facts as f
from batchyard.model import ids
from batchyard.model.states import RUNNABLE, SUBMITTED
from batchyard.ports import JobFilter, NameMatch
from batchyard.store import searching
from batchyard.store.commits import SqliteCommits

from . import asking
from .asking import REGION

NAMES = ("align", "Align", "ALIGN-2", "align_2", "sort", "s", "x")


def whole(*names, revision=None):
    return tuple(NameMatch(name, True, revision) for name in names)


def beginning(*names):
    return tuple(NameMatch(name, False) for name in names)


async def fill(intake, yard, chance, reader, count=60):
    """Jobs of two queues and three definitions with times that stand still at times; as (seq, queue, ...)."""
    other = await intake.create_queue(asking.queue([yard.environment], name="other"))
    definitions = {}
    for name in ("hello", "hello-again", "Hello", "hello"):
        revision = await intake.register_definition(asking.definition(name))
        definitions[reader.definition(REGION, name, revision).id] = (name, revision)
    jobs, at_ms = [], 1_000
    for _ in range(count):
        at_ms += chance.choice((0, 0, 1, 7))
        name, queue = chance.choice(NAMES), chance.choice((yard.queue, yard.queue, other))
        number, uuid = chance.choice(list(definitions)), str(uuids.UUID(int=chance.getrandbits(128), version=4))
        given = {"name": name, "queue": queue, "definition": number, "created_ms": at_ms, "uuid": uuid}
        await intake.submit(asking.job(yard, **given))
        jobs.append((reader.job(REGION, uuid, ids.WHOLE).seq, queue, name, *definitions[number], at_ms))
    return jobs


def fits(wanted, name, definition, revision, at_ms):
    def one(match, text, fold):
        text, given = (text.lower(), match.text.lower()) if fold else (text, match.text)
        return text == given if match.whole else text.startswith(given)

    return (
        (wanted.names is None or any(one(match, name, True) for match in wanted.names))
        and (
            wanted.definitions is None
            or any(one(m, definition, False) and m.revision in (None, revision) for m in wanted.definitions)
        )
        and (wanted.created_after_ms is None or at_ms > wanted.created_after_ms)
        and (wanted.created_before_ms is None or at_ms < wanted.created_before_ms)
    )


def wishes(chance):
    middle = chance.randrange(900, 1_200)
    return [
        JobFilter(names=whole("ALIGN")),
        JobFilter(names=beginning("align")),
        JobFilter(names=whole("sort", "s", "SORT")),
        JobFilter(names=beginning("")),
        JobFilter(names=whole("no-such-name")),
        JobFilter(definitions=whole("hello")),
        JobFilter(definitions=whole("hello", revision=2)),
        JobFilter(definitions=beginning("hello")),
        JobFilter(definitions=whole("Hello", "hello-again")),
        JobFilter(created_after_ms=middle),
        JobFilter(created_before_ms=middle),
        JobFilter(created_after_ms=middle, created_before_ms=middle + 50),
        JobFilter(created_after_ms=0),
        JobFilter(created_before_ms=10**15),
        JobFilter(),
    ]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("scanned", [1, 3, 1000])
def test_pages_together_are_what_a_plain_reading_finds(ask, reader, monkeypatch, seed, scanned):
    print("seed", seed)
    chance = random.Random(seed)
    monkeypatch.setattr(searching, "SCANNED", scanned)

    async def story(intake, yard):
        jobs = await fill(intake, yard, chance, reader)
        for wanted in wishes(chance):
            limit = chance.choice((1, 2, 5, 100))
            found, before, pages = [], None, 0
            while pages == 0 or before is not None:
                page = reader.search_queue(yard.queue, wanted, before, limit)
                assert len(page.rows) <= limit
                assert page.rest is None or before is None or page.rest < before, "no step forward"
                found += [row.seq for row in page.rows]
                before, pages = page.rest, pages + 1
            plain = [seq for seq, queue, *about in reversed(jobs) if queue == yard.queue and fits(wanted, *about)]
            assert found == plain, wanted
            assert pages <= 3 * len(jobs)

    ask(story)


def test_an_empty_queue_has_nothing(ask, reader):
    async def story(intake, yard):
        for wanted in wishes(random.Random(1)):
            assert reader.search_queue(yard.queue, wanted, None, 10) == ([], None)

    ask(story)


def test_a_job_is_found_with_its_state_as_soon_as_it_is_submitted(ask, reader, data):
    async def story(intake, yard):
        await intake.submit(asking.job(yard, name="first"))
        commits = SqliteCommits(data)
        (event,) = [each for each in commits.requests(0, 10, {}.__contains__) if hasattr(each, "uuid")]
        commits.commit(5, [f.JobAdded(event.seq, event.uuid, yard.queue, 0, RUNNABLE, RUNNABLE, 5)])
        commits.close()
        await intake.submit(asking.job(yard, name="second"))
        rows = reader.search_queue(yard.queue, JobFilter(), None, 10).rows
        assert [(row.name, row.status) for row in rows] == [("second", SUBMITTED), ("first", RUNNABLE)]

    ask(story)
