"""The clients once more, and the same pages, where jobs run in containers: of an image that holds what the client's
environment holds, by the name by which the client asks for it."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from tests.clients import test_metaflow, test_redun, test_snakemake
from tests.clients.place import Place, environment, examples
from tests.engines import images

pytestmark = pytest.mark.long

ANOTHER_TIME = {
    test_redun.test_the_next_run_finds_its_job_definition_again,  # nothing to do with where jobs run
    test_redun.test_a_client_that_was_killed_finds_its_jobs_again,  # its jobs wait for a file of this machine
}


def version(name: str, distribution: str) -> str:
    (about,) = environment(name).glob(f"lib/python*/site-packages/{distribution}-*.dist-info")
    return about.name.removesuffix(".dist-info").rpartition("-")[2]


IMAGES: dict[str, Callable[[], str]] = {  # as each client asks for it, if nobody says another
    "metaflow": lambda: f"python:{sys.version_info.major}.{sys.version_info.minor}",
    "redun": lambda: "any:latest",  # examples/redun/config/redun.ini
    "snakemake": lambda: f"snakemake/snakemake:v{version('snakemake', 'snakemake')}",
}
MODULES = {"metaflow": test_metaflow, "redun": test_redun, "snakemake": test_snakemake}


def jobs_ran_in_the_image(place: Place) -> None:
    name = place.page.path.stem
    job = next(job for job in place.jobs("SUCCEEDED") if job["jobName"] != "true")
    assert job["container"]["image"] in (IMAGES[name](), IMAGES[name]().removesuffix(":latest"))
    assert "is not used" not in place.notices(job["jobId"])


def checks(name: str) -> list[Callable[[Place], None]]:
    tests = [check for word, check in vars(MODULES[name]).items() if word.startswith("test_")]
    return [jobs_ran_in_the_image, *(check for check in tests if check not in ANOTHER_TIME)]


CHECKS = [
    pytest.param(name, check, id=f"{name}-{check.__name__.removeprefix('test_')}")
    for name in MODULES
    for check in checks(name)
]


@pytest.fixture(scope="module")
def places(docker_engine, s3, tmp_path_factory):
    """The place of each client, made when it is asked for; the one before is left then."""
    there: dict[str, Place] = {}

    def place(name: str) -> Place:
        if name not in there:
            leave()
            home = environment(name)
            engine = {"BATCHYARD_EXECUTOR": "container", "BATCHYARD_ENGINE_SOCKET": str(docker_engine.socket)}
            there[name] = Place(name, s3, examples(tmp_path_factory.mktemp("examples")), **engine)
            # Wheels that a page has lie beside it, and its jobs are told to look for them there.
            archive = images.environment(home, there[name].here / "wheels")
            docker_engine.load(IMAGES[name](), archive, f"{home}/bin:{images.PATH}")
            there[name].__enter__()
        return there[name]

    def leave() -> None:
        for name in list(there):
            there.pop(name).__exit__()

    yield place
    leave()


@pytest.mark.parametrize(("name", "check"), CHECKS)
def test_what_holds_of_processes_holds_of_containers(places, name, check):
    check(places(name))
