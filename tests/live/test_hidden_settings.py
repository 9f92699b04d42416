"""A settings file that holds a secret is not there for jobs, which may run as the server's own user."""

from __future__ import annotations

import json

import pytest

from tests.harness.site import Site


@pytest.mark.parametrize("secret", [True, False])
def test_a_job_reads_the_settings_only_if_they_hold_no_secret(tmp_path, secret):
    file = tmp_path / "settings.toml"
    file.write_text('event_webhooks = ["http://me:S3cr3t@127.0.0.1:9/"]\n' if secret else "vcpus = 2\n")
    site = Site(tmp_path / "data", "--config", str(file)).start()
    try:
        if json.loads((site.data / "runner" / "about.json").read_text())["isolation"] == "session":
            pytest.skip("no namespaces here: owner and mode protect files, nothing else")
        job = site.finished(site.submit(site.queue(), site.definition("look", "cat", str(file))))
        assert job["status"] == "SUCCEEDED", job
        assert site.output(job) == ("" if secret else "vcpus = 2\n")
        for pid in site.pids():
            with open(f"/proc/{pid}/cmdline", "rb") as words:
                assert b"S3cr3t" not in words.read(), "everybody may read command lines"
    finally:
        site.destroy()


def test_a_job_finds_no_secret_of_others_where_the_server_has_them(tmp_path):
    """Neither as it is, nor by a volume of a directory that the operator allows."""
    secrets = tmp_path / "allowed" / "secrets"
    secrets.mkdir(mode=0o700, parents=True)
    (secrets / "db").write_text("in-a-file-5f1c")
    (secrets / "db").chmod(0o600)
    (tmp_path / "allowed" / "data").mkdir()
    flags = ["--secrets-dir", str(secrets), "--host-paths", str(tmp_path / "allowed")]
    site = Site(tmp_path / "server", *flags).start()
    try:
        if json.loads((site.data / "runner" / "about.json").read_text())["isolation"] == "session":
            pytest.skip("no namespaces here: owner and mode protect files, nothing else")
        queue = site.queue()
        job = site.finished(site.submit(queue, site.definition("look", "ls", "-A", str(secrets))))
        assert (job["status"], site.output(job)) == ("SUCCEEDED", "")
        for number, source in enumerate((tmp_path / "allowed", secrets, secrets / "db", tmp_path / "allowed" / "data")):
            site.client("batch").register_job_definition(
                jobDefinitionName=f"mount{number}",
                type="container",
                containerProperties={
                    "image": "host",
                    "command": ["true"],
                    "volumes": [{"name": "v", "host": {"sourcePath": str(source)}}],
                    "mountPoints": [{"sourceVolume": "v", "containerPath": "/srv"}],
                    "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}],
                },
            )
            job = site.finished(site.submit(queue, f"mount{number}"))
            allowed = source.name == "data"
            assert job["status"] == ("SUCCEEDED" if allowed else "FAILED"), (source, job["container"].get("reason"))
            assert allowed or f"it holds {secrets}, or lies in it" in job["container"]["reason"]
    finally:
        site.destroy()
