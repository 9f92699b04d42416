"""Zipped applications by boto3 on a running server: of this machine, of the web and of an S3."""

from __future__ import annotations

import pytest

from tests.executors.test_zips import APPLICATION, Web, shelf  # noqa: F401 - a fixture
from tests.harness.site import Site


@pytest.fixture
def web():
    server = Web()
    yield server
    server.close()


@pytest.fixture
def site(tmp_path, shelf, web):  # noqa: F811
    """Its S3 is `web`: a bucket is a directory there."""
    allowed = f"s3://apps/,{web.url}/public/,file://{shelf}"
    keys = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL_S3": web.url}
    site = Site(tmp_path / "data", "--vcpus", "4", "--zip-from", allowed, environ=keys)
    site.start()
    site.queue()
    yield site
    site.destroy()


def finished(site: Site, address: str, *command: str) -> dict:
    name = f"app{len(site.client('batch').describe_job_definitions()['jobDefinitions'])}"
    site.client("batch").register_job_definition(
        jobDefinitionName=name,
        type="container",
        containerProperties={
            "image": f"zip:{address}",
            "command": list(command),
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "256"}],
        },
    )
    return site.finished(site.submit("q", name), 60)


def test_applications_run_wherever_they_lie(site, web, shelf):  # noqa: F811
    (shelf / "app.zip").write_bytes(APPLICATION)
    web.page("/public/app.zip", APPLICATION)
    web.page("/apps/team/app.zip", APPLICATION)
    for address in (f"file://{shelf}/app.zip", f"{web.url}/public/app.zip", "s3://apps/team/app.zip"):
        job = finished(site, address, "bin/hello", "world")
        assert job["status"] == "SUCCEEDED", (job["statusReason"], job["container"].get("reason"))
        assert site.output(job) == "hello world from a file\n"
        assert job["container"]["image"] == f"zip:{address}"
    signed = web.asked[-1][1]
    assert signed["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "a bucket that is not public"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("s3://other/app.zip", "the setting zip_from does not allow this address"),
        ("s3://apps/missing.zip", "the answer is 404 Not Found"),
        ("file:///etc/passwd", "the setting zip_from does not allow this address"),
    ],
)
def test_an_application_that_cannot_be_had(site, address, words):
    job = finished(site, address, "bin/hello")
    assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
    reason = job["attempts"][-1]["container"]["reason"]
    assert reason.startswith(f"CannotPullContainerError: zip:{address}: ") and words in reason
