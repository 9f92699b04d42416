"""The clients once more, and the same pages, where jobs run in containers: of an image that holds what the client's
environment holds, by the name by which the client asks for it."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable

import pytest

from tests.clients import test_boto3, test_metaflow, test_redun, test_snakemake
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
    "aws-cli": lambda: "any:latest",  # below
    "boto3": lambda: "any:latest",  # tests/clients/programs
    "metaflow": lambda: f"python:{sys.version_info.major}.{sys.version_info.minor}",
    "redun": lambda: "any:latest",  # examples/redun/config/redun.ini
    "snakemake": lambda: f"snakemake/snakemake:v{version('snakemake', 'snakemake')}",
}
MODULES = {"boto3": test_boto3, "metaflow": test_metaflow, "redun": test_redun, "snakemake": test_snakemake}


def jobs_ran_in_the_image(place: Place) -> None:
    image = IMAGES[place.page.path.stem]()
    names = (image, image.removesuffix(":latest"))
    job = next(job for job in place.jobs("SUCCEEDED") if job["container"]["image"] in names)
    assert "is not used" not in place.notices(job["jobId"])


def checks(name: str) -> list[Callable[[Place], None]]:
    tests = [check for word, check in vars(MODULES[name]).items() if word.startswith("test_")]
    return [*(check for check in tests if check not in ANOTHER_TIME), jobs_ran_in_the_image]


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
            there[name].site.serve_environ |= engine  # where the page starts no server of its own
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


BOXED = {
    "image": "any",
    "command": [
        "sh",
        "-c",
        "echo $0 $AWS_BATCH_JOB_ARRAY_INDEX; cat /proc/1/comm; exec sleep $1",
        "Ref::word",
        "Ref::s",
    ],
    "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "16"}],
}


@pytest.fixture
def boxed(places) -> Place:
    """A reader of the aws CLI's page who has registered a definition of their own."""
    place = places("aws-cli")
    place.type(
        "aws batch register-job-definition --job-definition-name boxed --type container --parameters word=hello,s=0"
        f" --container-properties {shlex.quote(json.dumps(BOXED))}"
    )
    return place


def submit(place: Place, more: str = "") -> str:
    said = f"aws batch submit-job --job-name boxed --job-queue work --job-definition boxed {more}"
    return place.type(f"{said} --query jobId --output text").strip()


def test_an_array_that_the_aws_cli_submits_runs_in_containers(boxed):
    job = submit(boxed, "--array-properties size=3 --parameters word=child")
    boxed.site.finished(job)
    listed = f"aws batch list-jobs --array-job-id {job} --job-status SUCCEEDED --query 'length(jobSummaryList)'"
    assert boxed.type(listed) == "3\n"
    stream = boxed.type(
        f"aws batch describe-jobs --jobs {job}:2 --query 'jobs[0].container.logStreamName' --output text"
    ).strip()
    got = f"aws logs get-log-events --log-group-name /aws/batch/job --log-stream-name {stream} --start-from-head"
    assert boxed.type(f"{got} --query 'events[].message' --output text") == "child 2\tsh\n"  # its own process 1
    jobs_ran_in_the_image(boxed)


def test_a_job_that_the_aws_cli_terminates_ends_with_its_container(boxed):
    job = submit(boxed, "--parameters word=long,s=600")
    boxed.running()
    boxed.type(f"aws batch terminate-job --job-id {job} --reason enough")
    ended = boxed.site.finished(job, timeout_s=90)
    assert (ended["status"], ended["statusReason"], ended["container"]["exitCode"]) == ("FAILED", "enough", 137)
