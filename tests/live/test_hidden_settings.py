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
