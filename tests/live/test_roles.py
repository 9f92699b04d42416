"""Credentials of a role are renewed while a job runs: SDKs ask again, and get others in time."""

from __future__ import annotations

import sys
import textwrap
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.harness.site import Site

ROLE = "arn:aws:iam::123456789012:role/reader"
KEY = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "key-of-the-server-42"}
LIFE = timedelta(minutes=5, seconds=1)  # given away for a second, since others are fetched five minutes before


class Sts(BaseHTTPRequestHandler):
    """Numbers the credentials that it gives."""

    given = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        Sts.given += 1
        until = (datetime.now(UTC) + LIFE).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = (
            "<AssumeRoleResponse><AssumeRoleResult><Credentials>"
            f"<AccessKeyId>ASIA{Sts.given}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
            f"<Expiration>{until}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
        ).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def site(tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sts)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    site = Site(tmp_path / "data", "--vcpus", "2", "--sts-url", url, environ=KEY).start()
    yield site
    site.destroy()
    server.shutdown()
    server.server_close()


def test_a_job_that_outlives_its_credentials_gets_others(site):
    program = textwrap.dedent(
        """
        import time, boto3
        credentials = boto3.Session().get_credentials()
        seen = [credentials.get_frozen_credentials().access_key]
        while len(set(seen)) < 3:
            seen.append(credentials.get_frozen_credentials().access_key)
            time.sleep(0.1)
        print(*dict.fromkeys(seen))
        """
    )
    site.queue()
    site.client("batch").register_job_definition(
        jobDefinitionName="long",
        type="container",
        containerProperties={
            "image": "host",
            "command": [sys.executable, "-c", program],
            "jobRoleArn": ROLE,
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "256"}],
        },
    )
    job = site.finished(site.submit("q", "long"))
    assert job["status"] == "SUCCEEDED", site.output(job)
    keys = site.output(job).split()
    assert len(keys) == 3
    assert keys == sorted(keys, key=lambda key: int(key.removeprefix("ASIA")))
    kept = [path for path in site.data.rglob("*") if path.is_file() and b"key-of-the-server-42" in path.read_bytes()]
    assert kept == []
