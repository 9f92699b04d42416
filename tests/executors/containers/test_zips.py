"""Zipped applications in containers of the default image."""

from __future__ import annotations

import stat

import pytest

from tests.executors.test_unpacking import archive, entry
from tests.executors.test_zips import APPLICATION, shelf, web  # noqa: F401 - fixtures


@pytest.fixture
def zip_dock(make_dock, container_engine, web):  # noqa: F811
    return make_dock(zip_from=f"{web.url}/apps/", zip_image=container_engine.image("busybox"), zip_max_mib="4")


def start(dock, address: str, *command: str, **more) -> str:
    return dock.start(dock.spec(*command, image=f"zip:{address}", **more))


def failure(dock, address: str, **more) -> str:
    ending = dock.ended(start(dock, address, "true", **more)).ending
    assert (ending.status_reason, ending.exit_code) == ("Task failed to start", None)
    return ending.reason


def test_it_runs_in_its_directory(zip_dock, web):  # noqa: F811
    address = web.page("/apps/app.zip", APPLICATION)
    attempt = start(zip_dock, address, "bin/hello", "world")
    assert zip_dock.ended(attempt).ending.exit_code == 0
    assert zip_dock.output(attempt) == "hello world from a file\n"
    attempt = start(zip_dock, address, "sh", "-c", "pwd; ls; touch made")
    zip_dock.ended(attempt)
    assert zip_dock.output(attempt) == "/app\nbin\ndata.txt\nplain.txt\n"
    assert (zip_dock.data / "work" / f"{attempt}.app" / "default" / "made").exists(), "kept as what processes leave is"


def test_another_user_reads_it(zip_dock, web):  # noqa: F811
    application = archive((entry("a/b/run", stat.S_IFREG | 0o755), "#!/bin/sh\nid -u\n"))
    attempt = start(zip_dock, web.page("/apps/app.zip", application), "a/b/run", user="65534")
    assert zip_dock.ended(attempt).ending.exit_code == 0
    assert zip_dock.output(attempt) == "65534\n"


def test_what_is_not_fetched(zip_dock, web):  # noqa: F811
    assert "the answer is 404 Not Found" in failure(zip_dock, f"{web.url}/apps/missing.zip")
    assert "the setting zip_from does not allow this address" in failure(zip_dock, web.page("/app.zip", APPLICATION))
    evil = web.page("/apps/evil.zip", archive(("../evil", "x")))
    assert failure(zip_dock, evil) == f"CannotPullContainerError: zip:{evil}: '../evil' leads out of it"
    assert not (zip_dock.data / "work" / "evil").exists()


def test_a_stop_while_it_is_fetched(zip_dock, web):  # noqa: F811
    attempt = start(zip_dock, web.page("/apps/slow.zip", APPLICATION), "true")
    zip_dock.until(lambda: web.asked, "it is asked for")
    zip_dock.stop(attempt)
    web.release.set()
    assert zip_dock.ended(attempt).ending.started_ms is None
