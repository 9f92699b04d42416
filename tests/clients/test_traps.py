"""What trips servers up when real clients come: those of the traps in README.md that no other test springs."""

from __future__ import annotations

import botocore.exceptions
import pytest

from tests.harness.site import Site

# As clients name images: without a registry, with a host and port, by a tag of 40 hex digits, by digest.
IMAGES = (
    "busybox",
    "batch-accept:latest",
    "127.0.0.1:5000/team/tool:1.0",
    "quay.io/ucsc_cgl/toil:9.6.0-" + 40 * "a",
    "public.ecr.aws/docker/library/python@sha256:" + 64 * "0",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    shared = tmp_path_factory.mktemp("shared")
    site = Site(tmp_path_factory.mktemp("traps") / "data", "--vcpus", "4", "--efs", f"fs-0123abcd={shared}").start()
    yield site
    site.destroy()


@pytest.fixture(scope="module")
def queue(site):
    return site.queue("traps")


def run(site, queue, submission=None, **container) -> dict:
    """The ended job of a definition with these containerProperties."""
    needs = {"image": "busybox", "command": ["true"], "vcpus": 1, "memory": 16}
    site.client("batch").register_job_definition(
        jobDefinitionName="trap", type="container", containerProperties=needs | container
    )
    return site.finished(site.submit(queue, "trap", **(submission or {})))


def test_a_hosts_volume_that_does_not_exist_is_not_made_on_this_machine(site, queue, tmp_path):
    """T6: Toil mounts /var/run/docker.sock; a directory of that name would break a docker that comes later."""
    source = tmp_path / "var" / "run" / "docker.sock"
    job = run(
        site,
        queue,
        volumes=[{"name": "socket", "host": {"sourcePath": str(source)}}],
        mountPoints=[{"containerPath": "/var/run/docker.sock", "sourceVolume": "socket"}],  # and no readOnly
    )
    assert job["status"] == "SUCCEEDED"
    assert not source.parent.exists()
    assert job["container"]["mountPoints"] == [{"containerPath": "/var/run/docker.sock", "sourceVolume": "socket"}]


def test_a_volume_of_efs_is_kept_as_it_was_given(site, queue):
    """T7: miniwdl's way to share files."""
    efs = {
        "fileSystemId": "fs-0123abcd",
        "transitEncryption": "ENABLED",
        "authorizationConfig": {"accessPointId": "fsap-0123"},
    }
    job = run(
        site,
        queue,
        volumes=[{"name": "efs", "efsVolumeConfiguration": efs}],
        mountPoints=[{"containerPath": "/mnt/efs", "sourceVolume": "efs"}],
    )
    assert job["status"] == "SUCCEEDED"
    assert job["container"]["volumes"] == [{"name": "efs", "efsVolumeConfiguration": efs}]


@pytest.mark.parametrize("image", IMAGES)
def test_images_are_named_in_many_ways(site, queue, image):
    """T10."""
    assert run(site, queue, image=image)["container"]["image"] == image


def test_a_rule_for_any_reason_fits_an_attempt_without_a_reason(site, queue):
    """T17: Nextflow and others end their rules with onReason "*"."""
    rules = [{"onStatusReason": "Host EC2*", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}]
    job = run(site, queue, {"retryStrategy": {"attempts": 5, "evaluateOnExit": rules}}, command=["false"])
    assert (job["status"], len(job["attempts"])) == ("FAILED", 1)
    assert "reason" not in job["container"]
    job = run(site, queue, {"retryStrategy": {"attempts": 3, "evaluateOnExit": rules[:1]}}, command=["false"])
    assert len(job["attempts"]) == 3, "where no rule fits, it is tried again"


def test_an_empty_command_is_said_to_be_none(site, queue):
    """T19: it stands for the command of the image, and there is no image."""
    job = run(site, queue, command=[])
    assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
    assert job["container"]["reason"].startswith("CannotStartContainerError: ")


def test_job_names_are_what_clients_make_of_theirs(site, queue):
    """T20."""
    for name in ("a", "0-_", "x" * 128):
        assert site.describe(site.submit(queue, "trap", name))["jobName"] == name
    for name in ("-a", "a.b", "a b", "x" * 129):
        with pytest.raises(botocore.exceptions.ClientError, match="Job name should match valid pattern"):
            site.submit(queue, "trap", name)
