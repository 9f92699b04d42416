"""The pages about containers, typed beside a server whose jobs run in those of each engine."""

from __future__ import annotations

import shutil

import pytest

from tests.docs import pages
from tests.docs.pages import ROOT
from tests.docs.reader import Reader


@pytest.mark.parametrize("page", ["containers", "several-containers"])
def test_the_pages_about_containers(container_engine, page):
    if shutil.which("docker") is None:
        pytest.skip("needs docker, from Debian's package docker.io")
    with container_engine.client() as client:
        client.images.get(container_engine.image("busybox")).tag("busybox", "latest")
    variables = {
        "BATCHYARD_EXECUTOR": "auto",
        "BATCHYARD_ENGINE_SOCKET": str(container_engine.socket),
        "DOCKER_HOST": f"unix://{container_engine.socket}",
        "DOCKER_BUILDKIT": "0",
    }
    reader = Reader(pages.read(ROOT / "docs" / "how-to" / f"{page}.md"), variables)
    reader.site.serve_environ |= variables
    reader.read()
