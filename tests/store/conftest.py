from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from batchyard.store.commits import SqliteCommits
from batchyard.store.intake import SqliteIntake
from batchyard.store.reader import SqliteReader
from batchyard.store.sqlite import migrate

from .asking import furnish
from .keeping import FOREVER, Site


@pytest.fixture
def data(tmp_path):
    """A data directory with both files."""
    migrate(tmp_path)
    return tmp_path


@pytest.fixture
def ask(data):
    """Runs an async function with (intake, yard); the intake is closed afterwards."""

    @asynccontextmanager
    async def opened():
        intake = SqliteIntake(data)
        try:
            yield intake
        finally:
            await intake.close()

    async def run(story):
        async with opened() as intake:
            return await story(intake, await furnish(intake, data))

    return lambda story: asyncio.run(run(story))


@pytest.fixture
def reader(data):
    opened = SqliteReader(data)
    yield opened
    opened.close()


@pytest.fixture
def commits(data):
    opened = SqliteCommits(data)
    yield opened
    opened.close()


@pytest.fixture
def site(data):
    """Runs a story, an async function with a furnished Site of some Retention."""

    def run(story, keep=FOREVER):
        async def whole():
            site = Site(data, keep)
            try:
                site.yard = await furnish(site.intake, data)
                site.apply()
                return await story(site)
            finally:
                await site.close()

        return asyncio.run(whole())

    return run
