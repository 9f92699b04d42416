"""One running site a module; tests that kill things make their own."""

from __future__ import annotations

import pytest

from tests.harness.site import Site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("site") / "data", "--vcpus", "4").start()
    yield site
    site.destroy()


@pytest.fixture
def fresh_site(tmp_path):
    site = Site(tmp_path / "data", "--vcpus", "4").start()
    yield site
    site.destroy()
