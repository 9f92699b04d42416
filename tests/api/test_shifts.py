"""Wide pages of logs are read beside the loop: who submits does not wait for them, nor does who asks for little."""

from __future__ import annotations

import asyncio
import json
import threading
import time

import pytest

from batchyard.api import shifts
from batchyard.api.shifts import Shifts
from batchyard.model.logplaces import log_place
from batchyard.ports import StreamRow
from tests.api.caller import answer, prepared

STREAMS = 50
PATIENCE_S = 30.0


class SlowDisk:
    """Every look at a log waits until it is let, and lasts a shift."""

    def __init__(self, logs):
        self.let, self.looks, self.state = threading.Event(), 0, logs.state
        logs.state = self._look

    def _look(self, *place):
        self.looks += 1
        assert self.let.wait(PATIENCE_S), "the page was read before the others were answered"
        time.sleep(shifts.SHIFT_S)
        return self.state(*place)


@pytest.fixture
def wide(furnished):
    """A group of many streams, on a slow disk."""
    for number in range(STREAMS):
        attempt = f"1e3d0a52-8f0b-4a3d-9d3a-{number:012x}.1"
        place = log_place("us-east-1", "hello", {})
        furnished.store.streams.append((place, StreamRow(attempt, place.stream(attempt), 900, None)))
        furnished.logs.lines[attempt] = [(1000 + number, "said")]
    furnished.disk = SlowDisk(furnished.logs)
    return furnished


def page(server, leaves=None):
    body = json.dumps({"logGroupName": "/aws/batch/job"}).encode()
    target = "Logs_20140328.FilterLogEvents"
    return answer(server.app, *prepared("POST", "/", body, "logs", x_amz_target=target), leaves=leaves)


def submission(server):
    body = json.dumps({"jobName": "job", "jobQueue": "q", "jobDefinition": "hello"}).encode()
    return answer(server.app, *prepared("POST", "/v1/submitjob", body))


async def until(condition):
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.001)


def test_a_submission_is_answered_while_a_wide_page_is_read(wide):
    async def both():
        reading = asyncio.create_task(page(wide))
        await until(lambda: wide.disk.looks)
        submitted = await submission(wide)
        assert not reading.done()
        wide.disk.let.set()
        return submitted, await reading

    submitted, read = asyncio.run(both())
    assert submitted.status == 200
    assert len(json.loads(read.body)["events"]) == STREAMS


def test_a_page_that_nobody_waits_for_any_more_is_not_read_to_its_end(wide):
    async def left():
        leaves = asyncio.get_running_loop().create_future()
        reading = asyncio.create_task(page(wide, leaves))
        await until(lambda: wide.disk.looks)
        leaves.set_result(None)
        with pytest.raises(ConnectionError):
            await reading
        wide.disk.let.set()
        await wide.context.shifts.do(_steps(1))  # the thread has done with what came before

    asyncio.run(left())
    assert wide.disk.looks < STREAMS


def _steps(count, told=None):
    for _ in range(count):
        time.sleep(shifts.SHIFT_S)
        yield
    return told


def test_who_asks_for_little_waits_for_a_shift_of_those_who_ask_for_much_and_not_for_all_of_them():
    async def three():
        work, ended = Shifts(), []

        async def one(name, count):
            assert await work.do(_steps(count, name)) == name
            ended.append(name)

        await asyncio.gather(one("long", 400), one("longer", 800), one("short", 2))
        return ended

    assert asyncio.run(three()) == ["short", "long", "longer"]


def test_what_goes_wrong_is_raised_where_it_is_waited_for():
    def broken():
        yield
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        asyncio.run(Shifts().do(broken()))


def test_steps_that_are_not_gone_on_with_are_closed():
    closed = []

    def endless():
        try:
            while True:
                time.sleep(shifts.SHIFT_S)
                yield
        finally:
            closed.append(True)

    async def cancelled():
        work = Shifts()
        task = asyncio.create_task(work.do(endless()))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await work.do(_steps(1))

    asyncio.run(cancelled())
    assert closed == [True]
