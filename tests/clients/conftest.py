"""One S3 for all clients, and for each module the place that its client's page makes."""

from __future__ import annotations

import pytest

from tests.clients.place import Place, environment, examples
from tests.clients.s3 import S3


@pytest.fixture(scope="session")
def s3(tmp_path_factory):
    server = S3(environment("moto") / "bin" / "moto_server", tmp_path_factory.mktemp("s3") / "log")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def place(request, s3, tmp_path_factory):
    """docs/start/X.md typed to its end, where the module's CLIENT is X."""
    directory = examples(tmp_path_factory.mktemp("examples"))
    with Place(request.module.CLIENT, s3, directory) as place:
        yield place
