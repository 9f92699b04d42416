"""Jobs in containers of real engines: their secrets, and the password of the registry their image comes from."""

from __future__ import annotations

import json

import pytest

from tests.engines.images import archive
from tests.engines.registry import PASSWORD, USER, Registry
from tests.harness.site import Site

ROLE = "arn:aws:iam::123456789012:role/any"
SECRETS = {"db": "in-a-file-5f1c", "registry": json.dumps({"username": USER, "password": PASSWORD}), "wrong": "{}"}


@pytest.fixture(scope="module")
def site(container_engine, tmp_path_factory):
    home = tmp_path_factory.mktemp("site")
    for name, text in SECRETS.items():
        path = home / "secrets" / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_text(text + "\n")
        path.chmod(0o600)
    flags = ["--executor", "container", "--engine-socket", str(container_engine.socket)]
    site = Site(home / "data", "--vcpus", "4", *flags, "--secrets-dir", str(home / "secrets"), "--log-level", "debug")
    site.start()
    site.queue()
    yield site
    site.destroy()


def ended(site: Site, image: str, *command: str, **container) -> dict:
    """The job of this container once it is over."""
    site.client("batch").register_job_definition(
        jobDefinitionName="d",
        type="container",
        containerProperties={
            "image": image,
            "command": list(command),
            "executionRoleArn": ROLE,
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}],
        }
        | container,
    )
    return site.finished(site.submit("q", "d"), 120)


def test_a_container_has_its_secrets_and_the_server_keeps_none(site, container_engine):
    secrets = [{"name": "DB", "valueFrom": "db"}]
    job = ended(site, container_engine.image("busybox"), "sh", "-c", "echo ${#DB} ${DB%-*}", secrets=secrets)
    assert (job["status"], site.output(job)) == ("SUCCEEDED", "14 in-a-file\n")
    kept = [site.log, *(path for path in site.data.rglob("*") if path.is_file())]
    assert not [path for path in kept if SECRETS["db"].encode() in path.read_bytes()]
    assert SECRETS["db"] not in json.dumps(site.describe(job["jobId"]), default=str)


def test_a_secret_that_is_nowhere_keeps_the_container_from_starting(site, container_engine):
    secrets = [{"name": "DB", "valueFrom": "gone"}]
    job = ended(site, container_engine.image("busybox"), "true", secrets=secrets)
    assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
    assert job["container"]["reason"].startswith(
        "ResourceInitializationError: unable to pull secrets or registry auth: DB: gone is not in the directory "
    )


def test_an_image_of_a_private_registry_is_pulled_with_the_password_in_a_secret(site):
    with Registry(private=True) as registry:
        image = registry.push("team/tool", archive("busybox"), Cmd=["echo", "pulled"])
        refused = ended(site, image)
        assert refused["container"]["reason"].startswith("CannotPullContainerError: "), refused
        wrong = ended(site, image, repositoryCredentials={"credentialsParameter": "wrong"})
        assert "wrong holds no JSON object with username and password" in wrong["container"]["reason"]
        job = ended(site, image, repositoryCredentials={"credentialsParameter": "registry"})
        assert (job["status"], site.output(job)) == ("SUCCEEDED", "pulled\n"), job


def test_containers_of_a_task_have_their_own_secrets_and_know_themselves(site, container_engine):
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "32"}]
    itself = "wget -q -O - $ECS_CONTAINER_METADATA_URI_V4"
    containers = [
        {
            "name": name,
            "image": container_engine.image("busybox"),
            "command": ["sh", "-c", f"echo ${{#DB}}; {itself}"],
            "resourceRequirements": needs,
        }
        for name in ("worker", "helper")
    ]
    containers[0] |= {"secrets": [{"name": "DB", "valueFrom": "db"}]}
    containers[0] |= {"dependsOn": [{"containerName": "helper", "condition": "COMPLETE"}]}
    containers[1] |= {"essential": False}
    site.client("batch").register_job_definition(
        jobDefinitionName="two",
        type="container",
        ecsProperties={"taskProperties": [{"executionRoleArn": ROLE, "containers": containers}]},
    )
    job = site.finished(site.submit("q", "two"), 120)
    assert job["status"] == "SUCCEEDED", job
    told, streams = {}, {}
    for each in job["ecsProperties"]["taskProperties"][0]["containers"]:
        told[each["name"]] = site.output({"container": each}).splitlines()
        streams[each["name"]] = each["logStreamName"]
    assert [told["worker"][0], told["helper"][0]] == ["14", "0"]
    assert [json.loads(told[name][1])["Name"] for name in ("worker", "helper")] == ["worker", "helper"]
    assert {name: json.loads(lines[1])["LogOptions"]["awslogs-stream"] for name, lines in told.items()} == streams
